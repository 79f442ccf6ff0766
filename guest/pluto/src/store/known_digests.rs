//! The digests of files that are remembered, each for one state of its file.

use super::two_generation_map::TwoGenerationMap;
use crate::limits::{DIGESTS_KEPT_MAX, RACY_MILLIS};
use pluto_sdk::{File, Metadata, now};
use std::cell::RefCell;

/// The digests that are remembered.
#[derive(Debug)]
pub struct KnownDigests(RefCell<TwoGenerationMap<Identity, u128>>);

/// A state of a file: as long as this is the same, the content is, but for what
/// `KEPT_UNREAD_MILLIS_MAX` is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// A hash of its path, for the number tells apart only the files of one file system.
    path: u64,
    inode: u64,
    size: u64,
    modified: i64,
    changed: i64,
}

impl Identity {
    /// That of an open file whose path has this hash.
    pub fn of(path: u64, file: &File) -> Identity {
        let Metadata { inode, size, modified, changed, .. } = *file.metadata();
        Identity { path, inode, size, modified, changed }
    }
}

impl Default for KnownDigests {
    fn default() -> KnownDigests {
        KnownDigests(RefCell::new(TwoGenerationMap::new(DIGESTS_KEPT_MAX)))
    }
}

impl KnownDigests {
    /// The digest of a file in this state.
    pub fn get(&self, identity: &Identity) -> Option<u128> {
        self.0.borrow_mut().get(identity)
    }

    /// Remembers the digest of a file in this state.
    pub fn insert(&self, identity: Identity, digest: u128) {
        self.0.borrow_mut().insert(identity, digest);
    }

    /// Forgets it.
    pub fn remove(&self, identity: &Identity) {
        self.0.borrow_mut().remove(identity);
    }
}

/// Whether a further change would show in the times of a file that was changed at this time, in
/// nanoseconds since the Unix epoch.
pub fn is_settled(changed: i64) -> bool {
    let now = i64::try_from(now()).unwrap_or(i64::MAX);
    now.saturating_sub(changed) >= (RACY_MILLIS * 1_000_000) as i64
}
