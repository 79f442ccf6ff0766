//! Conversions of the contract's types.

use crate::types::{Digested, Metadata, Part};

impl Digested {
    /// The digest of a content, with what a file's metadata are after its last byte was read.
    pub fn new(digest: u128, after: &Metadata) -> Self {
        let Metadata { size, modified, changed, .. } = *after;
        Self { digest: ((digest >> 64) as u64, digest as u64), size, modified, changed }
    }

    /// The digest as one number.
    pub fn number(&self) -> u128 {
        let (high, low) = self.digest;
        u128::from(high) << 64 | u128::from(low)
    }

    /// Whether the file was the same, as its metadata say, from its opening until all of it was
    /// read.
    pub fn is_of(&self, opened: &Metadata) -> bool {
        (self.size, self.modified, self.changed) == (opened.size, opened.modified, opened.changed)
    }
}

impl From<Vec<u8>> for Part {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Part {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Part {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}
