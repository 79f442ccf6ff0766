//! What a guest did, as its clients and the file system saw it. Ids, handles, batches, log lines,
//! timers and the order of requests to the host are not part of it.

mod observer;
mod store;

use std::collections::BTreeSet;
use std::ops::Range;

pub use self::observer::Observer;
pub use self::store::{Key, Store};
use pluto_contract::stop::Exit;

/// What a guest did in a run. Bytes and paths are those of a [`Store`], which several of them
/// share.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// What each client has seen, in the order in which they were accepted when the run was
    /// recorded.
    pub clients: Vec<Seen>,
    /// What was looked at.
    pub files: BTreeSet<Touch>,
    /// How the run ended.
    pub ended: Option<Ended>,
    /// The time of the end: nanoseconds since the Unix epoch.
    pub end: u64,
}

/// How a run ended, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, or ended by the host.
    Exit(Exit),
    /// The recording broke off, and with it what is known of the world.
    BrokenOff,
    /// It met a limit that is there for comparisons: which one.
    Bounded(&'static str),
}

/// Something of the file system that was looked at. To watch is not to look: what is watched is
/// not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// A file was opened, or could not be.
    Opened(Key),
    /// A folder was listed, or could not be.
    Listed(Key),
}

/// What one client has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Whether it was accepted.
    pub accepted: bool,
    outputs: Vec<Output>,
    pieces: Vec<Piece>,
    /// How much the guest has taken from it: bytes, and one more for the end of stream.
    taken: u64,
    /// When the guest ended its direction, by `shutdown` or `close`.
    pub closed: Option<Closed>,
}

/// The end of what a client is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// How much the guest had taken from the client.
    pub taken: u64,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
}

/// One write.
#[derive(Clone, Debug)]
pub struct Output {
    /// How much the guest had taken from the client before it: bytes, and one more for the end of
    /// stream.
    pub taken: u64,
    pieces: Range<usize>,
}

/// A piece of what a client is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// The guest's own bytes.
    Bytes(Key),
    /// A range of a file, whether it was sent from the file or from a buffer.
    File {
        /// The path by which the file was opened.
        path: Key,
        /// In bytes from the start.
        offset: u64,
        /// In bytes.
        length: u64,
    },
}

impl Seen {
    /// The writes, in order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// What a write has sent.
    pub fn pieces(&self, output: &Output) -> &[Piece] {
        &self.pieces[output.pieces.clone()]
    }

    /// All that was sent.
    pub fn all_pieces(&self) -> impl Iterator<Item = Piece> {
        self.outputs.iter().flat_map(|output| self.pieces(output)).copied()
    }
}
