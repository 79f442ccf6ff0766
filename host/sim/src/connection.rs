//! A connection, from the host's side.

use pluto_contract::world::TimerKey;
use pluto_contract::{Error, Id, Reply};

use crate::content::Output;

/// A client that was accepted.
pub struct Connection {
    /// The client's number.
    pub client: usize,
    /// The serial number of the listener by which it came.
    pub listener: u64,
    /// The id of the pending read, and the most bytes that it takes.
    pub reading: Option<(Id, usize)>,
    /// Whether an event will ask the client again what it sends.
    pub read_planned: bool,
    pub writing: Option<Writing>,
    /// Whether the guest has ended its direction.
    pub ended: bool,
}

/// A pending write.
pub struct Writing {
    pub id: Id,
    pub output: Output,
    /// All of the write, in bytes.
    pub length: u64,
    /// Whether a file was shorter than the guest said.
    pub truncated: bool,
    /// Whether the guest's direction ends behind the write.
    pub ends: bool,
    /// The event that asks the client again.
    pub timer: Option<TimerKey>,
}

impl Connection {
    pub fn new(client: usize, listener: u64) -> Self {
        Self { client, listener, reading: None, read_planned: false, writing: None, ended: false }
    }

    /// The ids of what is pending on the connection.
    pub fn pending(&self) -> impl Iterator<Item = Id> {
        let reading = self.reading.map(|(id, _)| id);
        reading.into_iter().chain(self.writing.as_ref().map(|writing| writing.id))
    }
}

impl Writing {
    /// The answer to a write that the client has taken to its last byte.
    pub fn reply(&self) -> Reply {
        if self.truncated { Reply::Failed(Error::Truncated) } else { Reply::Written(self.length) }
    }
}
