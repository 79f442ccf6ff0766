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
//! A trace does not contain requests: the same guest sends them again, and the hashes prove it.
//! Nor does it contain the guest's log, or anything that the guest never saw, such as the content
//! of files that the guest only named.

pub mod binary;
pub mod codec;
pub mod engine_kind;
mod fields;
mod format;
mod header;
pub mod hex;
pub mod image;
pub mod key_frames;
pub mod limits;
pub mod record;
mod records;
pub mod replay;
mod request_hash;
pub mod run_limits;
pub mod text;
mod v5;
mod v6;
pub mod wire;

#[cfg(test)]
mod tests;

use pluto_contract::{Answer, Arity};

pub use header::{Contract, Header};
pub use pluto_contract::stop::Exit;
pub use request_hash::RequestHasher;

/// One record of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The guest received answers.
    Turn(Turn),
    /// The guest paused, and this was its state.
    KeyFrame(KeyFrame),
    /// This many turns were cut off here, without a key frame in their place. The records that
    /// follow cannot be replayed before the next key frame. Only the first record of a trace can
    /// be a cut.
    Cut(u64),
    /// The run ended. Nothing follows.
    End(End),
}

/// The batch of one `receive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What the guest had sent since the last record.
    pub sent: Sent,
    /// The time of the batch: nanoseconds since the Unix epoch.
    pub time: u64,
    /// The answers, in order.
    pub answers: Vec<Answer>,
}

/// The whole state of a run at one moment between two calls of the guest. A replay can begin here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    /// The number of turns before the key frame.
    pub turn: u64,
    /// The time of the last of these turns: nanoseconds since the Unix epoch.
    pub time: u64,
    /// What the guest had sent since the last record.
    pub sent: Sent,
    /// The number of all requests that the guest had sent.
    pub requests: u64,
    /// The requests that were pending, by id, in ascending order.
    pub pending: Vec<(u64, Arity)>,
    /// The memories and globals of the guest, packed: see `image`.
    pub image: Vec<u8>,
}

/// A summary of the requests that a guest sent between two turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The number of requests.
    pub count: u64,
    /// The hash of the requests (see [`RequestHasher`]). 0 when there is none.
    pub hash: u64,
}

impl Sent {
    /// An unknown summary, as in a trace that was written by hand. No guest sends this many
    /// requests.
    pub const UNKNOWN: Self = Self { count: u64::MAX, hash: 0 };

    /// Returns whether a guest that sent `found` did what was recorded.
    pub fn allows(self, found: Self) -> bool {
        self == Self::UNKNOWN || self == found
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// What the guest had sent since the last turn.
    pub sent: Sent,
    /// The reason for the end.
    pub exit: Exit,
}
