//! A client's connection, with its pending requests.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::driver::Token;
use super::held::{Held, Total};
use super::transfer::{Socket, Transfer};
use pluto_contract::{Error, Reply};

/// A client's connection.
pub struct Connection {
    /// The connection's socket.
    pub socket: Socket,
    /// Counts the connection among the open ones of its listener.
    _held: Held,
    /// A read that is pending.
    pub read: Option<Reading>,
    /// Set while bytes are received, whether or not the guest reads.
    pub receiving: Option<Token>,
    /// Whether there was a receive before. The first receive takes one piece, so that a client
    /// that sends one request leaves no receive to be cancelled.
    pub has_received: bool,
    /// Bytes that came before the guest read them. None while a read is pending. Boxed because it
    /// is rare, and every idle client has this field.
    pub ahead: Option<Box<Ahead>>,
    /// A write that the socket did not take at once.
    pub write: Option<Box<Outgoing>>,
}

/// A read that is pending.
pub struct Reading {
    /// The id of the request.
    pub id: u64,
    /// The most bytes that the read takes.
    pub bytes_max: usize,
}

/// Bytes that a client has sent and the guest has not read.
pub struct Ahead {
    /// The bytes, in the order in which they came.
    bytes: VecDeque<u8>,
    /// How the stream ended behind the bytes, if it did.
    end: Option<Result<(), Error>>,
    /// Counts the bytes among those of all clients.
    held: Held,
}

/// A write that is pending.
pub struct Outgoing {
    /// The id of the request.
    pub id: u64,
    /// The bytes that are left to send.
    pub transfer: Transfer,
    /// The event that the write waits for.
    pub wait: Wait,
    /// Counts the write's memory among that of all writes.
    pub held: Held,
}

/// The event that a write waits for.
#[derive(Clone, Copy)]
pub enum Wait {
    /// The socket takes more.
    Socket(Token),
    /// The call of this number has read the next part of a file.
    Disk(u64),
}

impl Connection {
    /// Creates a client's connection. `held` counts it among those of its listener.
    pub fn new(fd: OwnedFd, held: Held) -> Self {
        Self {
            socket: Socket::new(fd),
            _held: held,
            read: None,
            receiving: None,
            has_received: false,
            ahead: None,
            write: None,
        }
    }
}

impl Ahead {
    /// Creates an empty store of bytes, counted among `all`.
    pub fn new(all: &Total) -> Self {
        Self { bytes: VecDeque::new(), end: None, held: all.hold_anyway(0) }
    }

    /// Adds bytes, or how the stream ended.
    pub fn add(&mut self, result: Result<Vec<u8>, Error>) {
        match result {
            Ok(bytes) if bytes.is_empty() => self.end = Some(Ok(())),
            Ok(bytes) => self.bytes.extend(&bytes),
            Err(error) => self.end = Some(Err(error)),
        }
        self.held.change(self.bytes.capacity() as u64);
    }

    /// Takes the answer to a read. The answer holds no more memory than its bytes need.
    pub fn take(&mut self, bytes_max: usize) -> Reply {
        if !self.bytes.is_empty() {
            let count = bytes_max.min(self.bytes.len());
            let (first, second) = self.bytes.as_slices();
            let first = &first[..count.min(first.len())];
            let taken = [first, &second[..count - first.len()]].concat();
            self.bytes.drain(..count);
            return Reply::Data(taken);
        }
        match self.end.take() {
            Some(Err(error)) => Reply::Failed(error),
            Some(Ok(())) | None => Reply::Data(Vec::new()),
        }
    }

    /// Returns whether neither bytes nor an end are left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.end.is_none()
    }
}
