//! Clients of a scene: what the recorded ones sent, and how they took what they were sent.

use super::super::timers::TimerKey;
use super::{Event, Listener, Pending, Sim};
use crate::contract::world::Object;
use crate::contract::{Accepted, Error, Listen, Part, Read, Reply, Write, checks};
use crate::scene::Client;

/// The port of a guest that was granted 0, where the recorded guest did not listen: the first of
/// those that IANA leaves to systems to choose from.
const CHOSEN_PORT: u16 = 49_152;

/// A client that was accepted.
pub struct Connection {
    /// Its number in the scene.
    client: usize,
    /// How many of its bytes are read, and in which segment that is.
    read: usize,
    segment: usize,
    /// The id of the pending read, and the most that it takes.
    reading: Option<(u64, usize)>,
    /// Set while the next of its bytes is waited for.
    expected: bool,
    writing: Option<Writing>,
    /// The guest has ended its direction.
    shut: bool,
    /// The serial number of the listener by which it came.
    listener: u64,
}

/// A pending write.
struct Writing {
    id: u64,
    /// In bytes.
    length: u64,
    /// Set while it is known when it will be done.
    timer: Option<TimerKey>,
    /// The direction ends behind it.
    ends: bool,
}

impl Sim {
    pub(super) fn listen(&mut self, id: u64, wanted: &Listen) -> Result<Reply, Error> {
        let port = self.granted(wanted.port)?;
        self.listens += 1;
        let (serial, connections_max) = (self.listens, wanted.connections_max);
        self.listeners.push(Listener { id, serial, port, connections_max, open: 0, expects_client: false });
        self.requests.wait(id, Pending::Listen);
        self.expect_client(serial);
        Ok(Reply::Listening(port))
    }

    /// The port that the guest gets when it asks for one: those on which the recorded one listened
    /// are known to be granted, and that of the first argument is.
    fn granted(&self, wanted: u16) -> Result<u16, Error> {
        let argument = self.scene.arguments.first().and_then(|port| port.parse().ok());
        let argument = argument.filter(|port| self.scene.ports.iter().all(|(asked, _)| asked != port));
        let argument = argument.map(|port| (port, if port == 0 { CHOSEN_PORT } else { port }));
        let ports = self.scene.ports.iter().copied().chain(argument);
        let index =
            checks::port(wanted, ports.clone(), |port| self.listeners.iter().any(|listener| listener.port == port))?;
        ports.map(|(_, given)| given).nth(index).ok_or(Error::NotPermitted)
    }

    /// The number of the next client that comes to a port.
    fn next_client(&mut self, port: u16) -> Option<usize> {
        let start = self.next_clients.iter().find(|(of, _)| *of == port).map_or(0, |(_, next)| *next);
        let next = self.scene.clients[start..].iter().position(|client| client.port == port)? + start;
        self.client_is_next(port, next);
        Some(next)
    }

    fn client_is_next(&mut self, port: u16, next: usize) {
        match self.next_clients.iter_mut().find(|(of, _)| *of == port) {
            Some((_, known)) => *known = next,
            None => self.next_clients.push((port, next)),
        }
    }

    fn listener(&mut self, serial: u64) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| listener.serial == serial)
    }

    /// The next client is accepted when it came, or as soon as there is room for it.
    fn expect_client(&mut self, serial: u64) {
        let Some(listener) = self.listener(serial) else { return };
        let (port, has_room) = (listener.port, listener.open < listener.connections_max);
        if !has_room || listener.expects_client {
            return;
        }
        let Some(next) = self.next_client(port) else { return };
        self.timers.add(self.scene.clients[next].connected.max(self.now), Event::Accept(serial));
        if let Some(listener) = self.listener(serial) {
            listener.expects_client = true;
        }
    }

    pub(super) fn accept(&mut self, serial: u64) {
        let Some(listener) = self.listener(serial) else { return };
        listener.expects_client = false;
        let (id, port, has_room) = (listener.id, listener.port, listener.open < listener.connections_max);
        let Some(client) = self.next_client(port).filter(|_| has_room) else { return };
        let (peer, gone) = (self.scene.clients[client].peer, self.scene.clients[client].gone);
        let connection = Connection {
            client,
            read: 0,
            segment: 0,
            reading: None,
            expected: false,
            writing: None,
            shut: false,
            listener: serial,
        };
        let Ok(connection) = self.objects.insert(Object::Connection(Box::new(connection))) else { return };
        self.client_is_next(port, client + 1);
        self.listener(serial).into_iter().for_each(|listener| listener.open += 1);
        self.seen.borrow_mut().witness.accepts(client);
        self.requests.answers.push(id, Reply::Accepted(Accepted { connection, peer }));
        if let Some(gone) = gone {
            self.timers.add(gone.max(self.now), Event::Gone(connection));
        }
        self.expect_client(serial);
    }

    pub(super) fn read(&mut self, id: u64, read: &Read) -> Result<(), Error> {
        let connection = self.objects.connection(read.connection)?;
        let bytes_max = read.limit()?;
        if connection.reading.is_some() {
            return Err(Error::Busy);
        }
        connection.reading = Some((id, bytes_max));
        self.requests.wait(id, Pending::Read(read.connection));
        self.advance(read.connection);
        Ok(())
    }

    /// What was waited for has come.
    pub(super) fn readable(&mut self, handle: u64) {
        if let Ok(connection) = self.objects.connection(handle) {
            connection.expected = false;
        }
        self.advance(handle);
    }

    /// Answers a pending read with what has come, or waits for what will come.
    fn advance(&mut self, handle: u64) {
        let (scene, now) = (self.scene.clone(), self.now);
        let Ok(connection) = self.objects.connection(handle) else { return };
        let Some((id, bytes_max)) = connection.reading else { return };
        let client = &scene.clients[connection.client];
        let reply = match connection.next(client) {
            Some((time, _)) if time > now => {
                if !std::mem::replace(&mut connection.expected, true) {
                    self.timers.add(time, Event::Readable(handle));
                }
                return;
            }
            Some((_, Next::Bytes(end))) => {
                let end = end.min(connection.read + bytes_max);
                let bytes = client.bytes[connection.read..end].to_vec();
                connection.read = end;
                Reply::Data(bytes)
            }
            Some((_, Next::End)) => Reply::Data(Vec::new()),
            Some((_, Next::Gone)) => Reply::Failed(Error::Disconnected),
            None => return,
        };
        connection.reading = None;
        self.requests.finish(id, reply);
    }

    pub(super) fn end_read(&mut self, handle: u64) {
        if let Ok(connection) = self.objects.connection(handle) {
            connection.reading = None;
        }
    }

    pub(super) fn write(&mut self, id: u64, write: &Write) -> Result<(), Error> {
        if self.objects.connection(write.connection)?.writing.is_some() {
            return Err(Error::Busy);
        }
        let (length, truncated) = self.measure(&write.parts)?;
        let (scene, now) = (self.scene.clone(), self.now);
        let connection = self.objects.connection(write.connection)?;
        let client = &scene.clients[connection.client];
        connection.writing = Some(Writing { id, length, timer: None, ends: write.ends });
        let (is_gone, wait) = (connection.shut || client.gone.is_some_and(|gone| gone <= now), client.wait(now));
        self.requests.wait(id, Pending::Write(write.connection));
        let error = truncated.then_some(Error::Truncated);
        match wait {
            _ if is_gone => self.written(write.connection, Some(Error::Disconnected)),
            Some(wait) => {
                // One that never takes it is waited for until the guest gives up, or it is gone.
                let done = Event::Written(write.connection, error.or(wait.error));
                let timer = wait.to.map(|to| self.timers.add(to, done));
                let writing = &mut self.objects.connection(write.connection)?.writing;
                writing.iter_mut().for_each(|writing| writing.timer = timer);
            }
            None => self.written(write.connection, error),
        }
        Ok(())
    }

    /// How long what is written will be, and whether a file ends before.
    fn measure(&self, parts: &[Part]) -> Result<(u64, bool), Error> {
        let mut check = checks::Parts::new(parts)?;
        let (mut length, mut truncated) = (0_u64, false);
        for part in parts {
            let part = match part {
                Part::Bytes(bytes) => {
                    check.own(bytes);
                    bytes.len() as u64
                }
                Part::Buffer(range) => {
                    range.of_buffer(*self.objects.buffer(range.handle)? as usize)?;
                    range.length
                }
                Part::File(range) => {
                    let (size, end) = (self.objects.file(range.handle)?.size, range.end()?);
                    truncated |= range.length > 0 && end > size;
                    range.length
                }
            };
            length = length.saturating_add(part);
        }
        check.finish()?;
        Ok((length, truncated))
    }

    pub(super) fn written(&mut self, handle: u64, error: Option<Error>) {
        let Ok(connection) = self.objects.connection(handle) else { return };
        let Some(Writing { id, length, timer, ends }) = connection.writing.take() else { return };
        connection.shut |= ends && error.is_none();
        if let Some(timer) = timer {
            self.timers.remove(timer);
        }
        self.requests.finish(id, error.map_or(Reply::Written(length), Reply::Failed));
    }

    pub(super) fn end_write(&mut self, handle: u64) {
        let Ok(connection) = self.objects.connection(handle) else { return };
        if let Some(timer) = connection.writing.take().and_then(|writing| writing.timer) {
            self.timers.remove(timer);
        }
    }

    pub(super) fn shutdown(&mut self, handle: u64) -> Result<Reply, Error> {
        let (scene, now) = (self.scene.clone(), self.now);
        let connection = self.objects.connection(handle)?;
        if connection.writing.is_some() {
            return Err(Error::Busy);
        }
        if scene.clients[connection.client].gone.is_some_and(|gone| gone <= now) {
            return Err(Error::Disconnected);
        }
        connection.shut = true;
        Ok(Reply::Done)
    }

    /// The client is reset: what is pending on its connection fails. What it sent before can still
    /// be read.
    pub(super) fn gone(&mut self, handle: u64) {
        self.written(handle, Some(Error::Disconnected));
        self.advance(handle);
    }

    /// What closing a connection ends: its requests are answered, its place is free for the next
    /// client.
    pub(super) fn closed(&mut self, connection: &Connection) {
        let reading = connection.reading.map(|(id, _)| id);
        let writing = connection.writing.as_ref().map(|writing| writing.id);
        if let Some(timer) = connection.writing.as_ref().and_then(|writing| writing.timer) {
            self.timers.remove(timer);
        }
        for id in reading.into_iter().chain(writing) {
            self.requests.finish(id, Reply::Failed(Error::Cancelled));
        }
        if let Some(listener) = self.listener(connection.listener) {
            listener.open = listener.open.checked_sub(1).expect("a connection was counted when it was accepted");
        }
        // Any listener may have waited for a handle.
        for index in 0..self.listeners.len() {
            self.expect_client(self.listeners[index].serial);
        }
    }
}

/// What a client gives next.
enum Next {
    /// Bytes, up to here.
    Bytes(usize),
    End,
    Gone,
}

impl Connection {
    /// What the client gives next, and when it did. Nothing: it is silent for ever.
    fn next(&mut self, client: &Client) -> Option<(u64, Next)> {
        while client.segments.get(self.segment).is_some_and(|segment| segment.end <= self.read) {
            self.segment += 1;
        }
        if let Some(segment) = client.segments.get(self.segment) {
            return Some((segment.time, Next::Bytes(segment.end)));
        }
        let (ended, gone) = (client.ended.map(|time| (time, Next::End)), client.gone.map(|time| (time, Next::Gone)));
        // It may have ended its direction and be reset later.
        ended.or(gone)
    }
}
