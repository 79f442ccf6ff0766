//! Clients, from their own side: bytes that go back and forth, and how a connection ends.

use super::limits::READ_BYTES_MAX;
use crate::contract::{Accepted, Answer, Error, Handle, Id, IpAddress, Reply, SocketAddress};
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
pub(super) struct Clients {
    all: Vec<Client>,
    /// Not accepted yet, by their places in `all`.
    backlog: VecDeque<usize>,
    /// Accepted and not closed: their places in `all`.
    open: BTreeMap<Handle, usize>,
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

    pub(super) fn by_handle(&mut self, handle: Handle) -> Option<&mut Client> {
        let place = *self.open.get(&handle)?;
        Some(&mut self.all[place])
    }

    /// Accepts the next client of a port's backlog, unless so many of the port are open.
    pub(super) fn accept(
        &mut self,
        further: Option<u16>,
        connections_max: u32,
        next_handle: impl FnOnce() -> Handle,
    ) -> Option<Accepted> {
        if self.open.values().filter(|&&place| self.all[place].further == further).count() >= connections_max as usize {
            return None;
        }
        let next = self.backlog.iter().position(|&place| self.all[place].further == further)?;
        let place = self.backlog.remove(next)?;
        let connection = next_handle();
        self.all[place].accepted = true;
        self.open.insert(connection, place);
        // Every client has an address of its own, within 10.0.0.0/8.
        let [_, a, b, c] = (place as u32 + 1).to_be_bytes();
        Some(Accepted { connection, peer: SocketAddress { address: IpAddress::Ipv4((10, a, b, c)), port: 40_000 } })
    }

    /// Closes a connection; returns what was pending on it. `None` when there is no such
    /// connection.
    pub(super) fn close(&mut self, handle: Handle) -> Option<Vec<Id>> {
        let place = self.open.remove(&handle)?;
        let client = &mut self.all[place];
        client.closed = true;
        let reading = client.reading.take().map(|reading| reading.id);
        let writing = client.writing.take().map(|writing| writing.id);
        Some(reading.into_iter().chain(writing).collect())
    }

    /// Ends a pending read or write. Whether there was one of this id.
    pub(super) fn cancel(&mut self, id: Id) -> bool {
        self.open.values().any(|&place| {
            let client = &mut self.all[place];
            client.reading.take_if(|reading| reading.id == id).is_some()
                || client.writing.take_if(|writing| writing.id == id).is_some()
        })
    }

    /// Moves all bytes that can be moved; returns the answers that this gives.
    pub(super) fn pump(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for &place in self.open.values() {
            let client = &mut self.all[place];
            answers.extend(client.pump_read());
            answers.extend(client.pump_write());
        }
        answers
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

    pub(super) fn read(&mut self, id: Id, bytes_max: u32) -> Result<(), Error> {
        if bytes_max == 0 {
            return Err(Error::Invalid);
        }
        if self.reading.is_some() {
            return Err(Error::Busy);
        }
        self.reading = Some(Reading { id, bytes_max: READ_BYTES_MAX.min(bytes_max as usize) });
        Ok(())
    }

    pub(super) fn write(&mut self, writing: Writing) -> Result<(), Error> {
        if self.writing.is_some() {
            return Err(Error::Busy);
        }
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
