//! A trace: the batches of answers that a guest received, which are the whole of its run.
//!
//! ```text
//! trace   = preamble, header block, guest block, block...
//! block   = length and its checksum, checksum of the records, records
//! record  = turn | key frame | cut | end
//! turn    = what was sent since the last record (count and hash), time, answers
//! key frame = number of its turn, time, what was sent since the last record, requests in all,
//!             pending ones, image of the guest
//! cut     = how many turns stood here, first in a trace
//! ```
//!
//! Requests are not in it: the same guest sends them again, and the hashes prove it. Neither is
//! what the guest never saw, such as the content of files that it only named, nor what it logged.

pub mod binary;
pub mod codec;
mod fields;
mod format;
mod header;
pub mod hex;
mod records;
mod sum;
pub mod text;
mod v5;
mod v6;
pub mod wire;

#[cfg(test)]
mod tests;

use crate::contract::{Answer, Arity};

pub use crate::stop::Exit as How;
pub use header::{Contract, Header};
pub use sum::Sum;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The guest received.
    Turn(Turn),
    /// The guest paused, and this was its state.
    KeyFrame(KeyFrame),
    /// So many turns stood here, and no key frame is in their place: what follows cannot be
    /// replayed before the next one. The first record only.
    Cut(u64),
    /// The run ended. Nothing follows.
    End(End),
}

/// What one `receive` was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What the guest had sent since the last record.
    pub sent: Sent,
    /// The time of the batch: nanoseconds since the Unix epoch.
    pub time: u64,
    /// The answers, in order.
    pub answers: Vec<Answer>,
}

/// All that a run depends on at one moment, between two calls of the guest: a replay can begin
/// here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    /// How many turns were before it.
    pub turn: u64,
    /// The time of the last of them: nanoseconds since the Unix epoch.
    pub time: u64,
    /// What the guest had sent since the last record.
    pub sent: Sent,
    /// How many requests the guest had sent, all in all.
    pub requests: u64,
    /// The requests that were pending, by id, in ascending order.
    pub pending: Vec<(u64, Arity)>,
    /// The memories and globals of the guest, packed: see `image`.
    pub image: Vec<u8>,
}

/// What a guest sent between two turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many requests.
    pub count: u64,
    /// Their sum (see [`Sum`]); 0 when there is none.
    pub hash: u64,
}

impl Sent {
    /// Not known, as in a trace that was written by hand. No guest sends so many.
    pub const UNKNOWN: Self = Self { count: u64::MAX, hash: 0 };

    /// Whether a guest that sent `found` did what was recorded.
    pub fn allows(self, found: Self) -> bool {
        self == Self::UNKNOWN || self == found
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What the guest had sent since the last turn.
    pub sent: Sent,
    /// Why.
    pub how: How,
}
