//! Clients, from their own side: bytes that go back and forth, and how a connection ends.

use crate::contract::{Answer, Error, Id, IpAddress, Read, Reply, SocketAddress};
use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct Clients {
    all: Vec<Client>,
    /// Not accepted yet, by their places in `all`.
    backlog: VecDeque<usize>,
}

/// A client, and its connection's state on both sides.
#[derive(Default)]
pub(super) struct Client {
    /// The port that it connects to, unless that is the first.
    further: Option<u16>,
    accepted: bool,
    closed: bool,
    /// The guest has ended its direction.
    shut: bool,
    /// The client has ended its direction.
    ended: bool,
    reset: bool,
    /// Sent, and not read by the guest.
    sent: VecDeque<u8>,
    received: Vec<u8>,
    /// How many more bytes it takes; `None` for all.
    takes: Option<u64>,
    reading: Option<Reading>,
    writing: Option<Writing>,
}

struct Reading {
    id: Id,
    bytes_max: usize,
}

pub(super) struct Writing {
    pub(super) id: Id,
    pub(super) bytes: Vec<u8>,
    /// How many of them the client has received.
    pub(super) done: usize,
    /// What it is answered after the last byte.
    pub(super) reply: Reply,
    /// The guest's direction ends behind it.
    pub(super) ends: bool,
}

impl Clients {
    pub(super) fn connect(&mut self, further: Option<u16>) -> usize {
        let place = self.all.len();
        self.all.push(Client { further, ..Client::default() });
        self.backlog.push_back(place);
        place
    }

    pub(super) fn get(&self, place: usize) -> &Client {
        &self.all[place]
    }

    pub(super) fn get_mut(&mut self, place: usize) -> &mut Client {
        &mut self.all[place]
    }

    /// Takes the next client out of a port's backlog, and says who it is.
    pub(super) fn next(&mut self, further: Option<u16>) -> Option<(usize, SocketAddress)> {
        let next = self.backlog.iter().position(|&place| self.all[place].further == further)?;
        let place = self.backlog.remove(next)?;
        self.all[place].accepted = true;
        // Every client has an address of its own, within 10.0.0.0/8.
        let [_, a, b, c] = (place as u32 + 1).to_be_bytes();
        Some((place, SocketAddress { address: IpAddress::Ipv4((10, a, b, c)), port: 40_000 }))
    }

    /// Whether a client waits in a port's backlog.
    pub(super) fn has_next(&self, further: Option<u16>) -> bool {
        self.backlog.iter().any(|&place| self.all[place].further == further)
    }
}

impl Client {
    // ---- The client's side.

    pub(super) fn send(&mut self, bytes: &[u8]) {
        assert!(!self.ended, "a client that has ended its direction cannot send");
        self.sent.extend(bytes);
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn reset(&mut self) {
        self.reset = true;
    }

    pub(super) fn takes(&mut self, bytes: u64) {
        self.takes = Some(bytes);
    }

    pub(super) fn received(&self) -> &[u8] {
        &self.received
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted
    }

    pub(super) fn is_ended(&self) -> bool {
        self.shut || self.closed
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    // ---- The guest's side.

    /// The port that it has connected to, unless that is the first.
    pub(super) fn further(&self) -> Option<u16> {
        self.further
    }

    pub(super) fn read(&mut self, id: Id, read: &Read) -> Result<(), Error> {
        let bytes_max = read.limit()?;
        if self.reading.is_some() {
            return Err(Error::Busy);
        }
        self.reading = Some(Reading { id, bytes_max });
        Ok(())
    }

    pub(super) fn has_write(&self) -> bool {
        self.writing.is_some()
    }

    pub(super) fn write(&mut self, writing: Writing) -> Result<(), Error> {
        if self.shut {
            return Err(Error::Disconnected);
        }
        self.writing = Some(writing);
        Ok(())
    }

    pub(super) fn shutdown(&mut self) -> Result<(), Error> {
        if self.writing.is_some() {
            return Err(Error::Busy);
        }
        self.shut = true;
        Ok(())
    }

    pub(super) fn end_read(&mut self) {
        self.reading = None;
    }

    pub(super) fn end_write(&mut self) {
        self.writing = None;
    }

    /// The guest closes the connection; returns what was pending on it.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Id> {
        self.closed = true;
        let reading = self.reading.take().map(|reading| reading.id);
        let writing = self.writing.take().map(|writing| writing.id);
        reading.into_iter().chain(writing)
    }

    /// Moves all bytes that can be moved; returns the answers that this gives.
    pub(super) fn pump(&mut self) -> impl Iterator<Item = Answer> {
        let read = self.pump_read();
        read.into_iter().chain(self.pump_write())
    }

    fn pump_read(&mut self) -> Option<Answer> {
        let reply = match () {
            () if self.reset => Reply::Failed(Error::Disconnected),
            () if !self.sent.is_empty() => {
                let length = self.sent.len().min(self.reading.as_ref()?.bytes_max);
                Reply::Data(self.sent.drain(..length).collect())
            }
            () if self.ended => Reply::Data(Vec::new()),
            () => return None,
        };
        Some(Answer { id: self.reading.take()?.id, reply })
    }

    fn pump_write(&mut self) -> Option<Answer> {
        let writing = self.writing.as_mut()?;
        if self.reset {
            return Some(Answer { id: self.writing.take()?.id, reply: Reply::Failed(Error::Disconnected) });
        }
        let rest = &writing.bytes[writing.done..];
        let room = self.takes.map_or(rest.len(), |takes| rest.len().min(takes as usize));
        self.received.extend(&rest[..room]);
        writing.done += room;
        if let Some(takes) = &mut self.takes {
            *takes -= room as u64;
        }
        if writing.done < writing.bytes.len() {
            return None;
        }
        let Writing { id, reply, ends, .. } = self.writing.take()?;
        self.shut |= ends && matches!(reply, Reply::Written(_));
        Some(Answer { id, reply })
    }
}
