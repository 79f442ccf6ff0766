//! A trace: the batches of answers that a guest received, which are the whole of its run.
//!
//! ```text
//! trace   = preamble, header block, guest block, block...
//! block   = length and its checksum, checksum of the records, records
//! record  = turn | key frame | cut | end
//! turn    = what was sent since the last record (count and hash), time, answers
//! key frame = number of its turn, time, what was sent since the last record, requests in all, pending ones, image of the guest
//! cut     = how many turns stood here, first in a trace
//! ```
//!
//! Requests are not in it: the same guest sends them again, and the hashes prove it. Neither is what the guest never
//! saw, such as the content of files that it only named, nor what it logged.

pub mod binary;
pub mod codec;
pub mod hex;
mod records;
mod sum;
pub mod text;
pub mod wire;

#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use crate::contract::Arity;
use crate::contract::{self, Answer};
use crate::engine_kind::EngineKind;
use crate::limits;

pub use crate::stop::Exit as How;
pub use sum::Sum;

/// What a run was a run of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// SHA-256 of the guest, as the bytes that were given to the host.
    pub guest_sha256: [u8; 32],
    /// SHA-256 of `wit/system.wit`.
    pub contract_sha256: [u8; 32],
    /// The engine's name, version and target. They are told and not compared: what a guest computes is the same on each,
    /// and the hashes prove it.
    pub engine: String,
    /// The limits of the host at which a guest's run can change, each as `name=value`.
    pub limits: Vec<String>,
    /// Memory that the guest may have, in bytes.
    pub memory_max: u64,
    /// The arguments that the guest was given.
    pub arguments: Vec<String>,
    /// The time at which the run began: nanoseconds since the Unix epoch.
    pub start: u64,
}

impl Header {
    /// The header of a run of `guest` that begins now.
    pub fn new(guest: &[u8], memory_max: u64, arguments: Vec<String>, start: u64) -> Self {
        let contract_sha256 = Self::digest(contract::SOURCE.as_bytes());
        let guest_sha256 = Self::digest(guest);
        let (engine, limits) = (EngineKind::Native.name(), limits_that_matter());
        Self { guest_sha256, contract_sha256, engine, limits, memory_max, arguments, start }
    }

    /// SHA-256.
    pub fn digest(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    /// Why this host cannot repeat the run exactly.
    pub fn differs(&self) -> Option<String> {
        if self.contract_sha256 != Self::digest(contract::SOURCE.as_bytes()) {
            return Some("it was recorded with another version of wit/system.wit".to_owned());
        }
        let mine = limits_that_matter();
        if let Some(limit) = self.limits.iter().find(|limit| !mine.contains(limit)) {
            return Some(format!("it was recorded with {limit}; here are {}", mine.join(", ")));
        }
        let missing = mine.iter().find(|limit| !self.limits.contains(limit));
        missing.map(|limit| format!("it was recorded without the limit {limit}, which holds here"))
    }

    /// Which engine it was recorded on, when `kind` is another one.
    pub fn differs_in_engine(&self, kind: EngineKind) -> Option<String> {
        let here = kind.name();
        (self.engine != here).then(|| {
            format!(
                "it was recorded on {}, and this is {here}: how deep a guest can recurse, and how long a turn takes, \
                 depends on that",
                self.engine
            )
        })
    }
}

/// A guest that meets one of these is ended.
fn limits_that_matter() -> Vec<String> {
    vec![
        format!("stack-bytes={}", limits::STACK_BYTES_MAX),
        format!("table-elements={}", limits::TABLE_ELEMENTS_MAX),
        format!("instances={}", limits::INSTANCES_MAX),
        format!("requests-pending={}", limits::REQUESTS_PENDING_MAX),
        format!("send-bytes={}", limits::SEND_BYTES_MAX),
    ]
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The guest received.
    Turn(Turn),
    /// The guest paused, and this was its state.
    KeyFrame(KeyFrame),
    /// So many turns stood here, and no key frame is in their place: what follows cannot be replayed before the next one.
    /// The first record only.
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

/// All that a run depends on at one moment, between two calls of the guest: a replay can begin here.
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
