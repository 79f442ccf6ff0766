//! The formats of a trace. A format that was released is read for ever.

use super::header::{Contract, Header};
use super::wire::{Malformed, Reader};
use super::{v5, v6};
use crate::run_limits::RunLimits;

/// The formats that this host reads. The host records in the last one. A trace of an earlier
/// format keeps its format when it is converted to text and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// See [`v5`].
    V5,
    /// See [`v6`].
    V6,
}

impl Format {
    /// Returns the format of this number.
    pub(super) fn numbered(number: u16) -> Option<Self> {
        [Self::V5, Self::V6].into_iter().find(|format| format.number() == number)
    }

    /// Returns the format of a trace with this header.
    pub(super) fn of(header: &Header) -> Self {
        match header.contract {
            Contract::Source(_) => Self::V5,
            Contract::Named { .. } => Self::V6,
        }
    }

    /// Returns the number with which a trace begins.
    pub(super) fn number(self) -> u16 {
        match self {
            Self::V5 => v5::NUMBER,
            Self::V6 => v6::NUMBER,
        }
    }

    /// Returns the number with which the text form begins.
    pub(super) fn of_text(self) -> u32 {
        match self {
            Self::V5 => 1,
            Self::V6 => 2,
        }
    }
}

/// Encodes a header.
pub(super) fn put_header(header: &Header) -> Vec<u8> {
    let mut out = Vec::new();
    match &header.contract {
        Contract::Source(sha256) => v5::put_header(&mut out, header, sha256),
        Contract::Named { version, identity } => v6::put_header(&mut out, header, version, identity),
    }
    out
}

/// Reads a header that takes all of these bytes.
pub(super) fn parse_header(format: Format, bytes: &[u8]) -> Result<Header, Malformed> {
    let mut reader = Reader::new(bytes);
    let header = match format {
        Format::V5 => v5::read_header(&mut reader)?,
        Format::V6 => v6::read_header(&mut reader)?,
    };
    if reader.is_empty() { Ok(header) } else { Err(Malformed::Rest) }
}

impl Header {
    /// Returns why this host cannot repeat the run, and which host can. Returns none if this host
    /// can.
    pub fn differs(&self) -> Option<String> {
        let contract = match &self.contract {
            Contract::Source(sha256) => v5::differs(sha256),
            Contract::Named { version, identity } => v6::differs(version, identity, &self.host),
        };
        contract.or_else(|| RunLimits::recorded(&self.limits).err())
    }

    /// Returns an earlier name of the interface, which the recorded guest may import instead of
    /// the present one.
    pub fn earlier_interface(&self) -> Option<&'static str> {
        matches!(self.contract, Contract::Source(_)).then_some(v5::INTERFACE)
    }
}
