//! A client's connection, and what waits in it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use super::driver::Token;
use super::held::{Held, Total};
use super::transfer::{Socket, Transfer};
use crate::contract::{Error, Reply};

/// A client.
pub struct Connection {
    /// Its socket.
    pub socket: Socket,
    /// Counts it among the open connections of the listener that it came by.
    _held: Held,
    /// A read that is pending.
    pub read: Option<Reading>,
    /// Set while bytes are received, whether or not the guest reads.
    pub receiving: Option<Token>,
    /// A receive was asked for before. The first takes one piece: a client that asks once leaves
    /// none then that would have to be cancelled.
    pub has_received: bool,
    /// What came before the guest read it. None while a read is pending. Boxed, as what is rare:
    /// an idle client has this, too.
    pub ahead: Option<Box<Ahead>>,
    /// A write that the socket did not take at once.
    pub write: Option<Box<Outgoing>>,
}

/// A read that is pending.
pub struct Reading {
    /// The id of the request.
    pub id: u64,
    /// How many bytes it takes at most.
    pub bytes_max: usize,
}

/// What a client sent and nobody has read.
pub struct Ahead {
    /// In the order in which they came.
    bytes: VecDeque<u8>,
    /// How the stream ended behind them.
    end: Option<Result<(), Error>>,
    /// Counts the bytes among those of all clients.
    held: Held,
}

/// A write that is pending.
pub struct Outgoing {
    /// The id of the request.
    pub id: u64,
    /// What is left to send.
    pub transfer: Transfer,
    /// What it waits for.
    pub wait: Wait,
    /// Counts its memory among that of all writes.
    pub held: Held,
}

/// What a write waits for.
#[derive(Clone, Copy)]
pub enum Wait {
    /// The socket takes more.
    Socket(Token),
    /// The call of this number has read the next part of a file.
    Disk(u64),
}

impl Connection {
    /// A client, counted among those of the listener that it came by.
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
    /// Nothing yet, counted among `all`.
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

    /// Takes the answer to a read out of it, which holds no more memory than it has bytes.
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

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.end.is_none()
    }
}
