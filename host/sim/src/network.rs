//! The network of a world: listeners, and the connections of its clients.

use pluto_contract::world::Object;
use pluto_contract::{Accepted, Error, Handle, Id, Listen, ObjectKind, Part, Read, Reply, Write, checks};

use crate::clients::{Clients, Input, Port, Taken};
use crate::connection::{Connection, Writing};
use crate::content::{Content, Output};
use crate::files::Files;
use crate::reactor::{Event, Pending, Reactor};

/// Listeners, and who comes to them.
pub struct Network<C> {
    pub clients: C,
    pub ports: Vec<Port>,
    listeners: Vec<Listener>,
    /// How many listeners there ever were.
    listens: u64,
    /// The handles of the accepted clients, by their numbers.
    handles: Vec<Option<Handle>>,
}

struct Listener {
    id: Id,
    /// Counts the listeners of a run: unlike the id, never used again.
    serial: u64,
    port: Port,
    connections_max: u32,
    /// Its connections that are open.
    open: u32,
    /// Whether an event will accept the next client.
    accept_planned: bool,
}

impl Listener {
    fn has_room(&self) -> bool {
        self.open < self.connections_max
    }
}

impl<C: Clients> Network<C> {
    pub fn new(clients: C) -> Self {
        Self { clients, ports: Vec::new(), listeners: Vec::new(), listens: 0, handles: Vec::new() }
    }

    // ---- Listening.

    pub fn listen<F>(&mut self, reactor: &mut Reactor<F>, id: Id, listen: Listen) -> Result<Reply, Error> {
        let ports = self.ports.iter().map(|port| (port.asked, port.given));
        let is_taken = |port| self.listeners.iter().any(|listener| listener.port.given == port);
        let port = self.ports[checks::port(listen.port, ports, is_taken)?];
        self.listens += 1;
        let (serial, connections_max) = (self.listens, listen.connections_max);
        self.listeners.push(Listener { id, serial, port, connections_max, open: 0, accept_planned: false });
        reactor.requests.wait(id, Pending::Listen);
        self.plan_accept(reactor, serial);
        Ok(Reply::Listening(port.given))
    }

    pub fn end_listen(&mut self, id: Id) {
        self.listeners.retain(|listener| listener.id != id);
    }

    fn listener(&mut self, serial: u64) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| listener.serial == serial)
    }

    /// The next client is accepted when it comes, if there is room for it.
    fn plan_accept<F>(&mut self, reactor: &mut Reactor<F>, serial: u64) {
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == serial) else { return };
        if !listener.has_room() || listener.accept_planned {
            return;
        }
        let Some(time) = self.clients.arrival(listener.port) else { return };
        listener.accept_planned = true;
        reactor.timers.add(time.max(reactor.now), Event::Accept(serial));
    }

    /// Any listener may have waited for a client, or for a handle.
    fn plan_accepts<F>(&mut self, reactor: &mut Reactor<F>) {
        for index in 0..self.listeners.len() {
            self.plan_accept(reactor, self.listeners[index].serial);
        }
    }

    pub fn accept<F>(&mut self, reactor: &mut Reactor<F>, serial: u64) {
        let Some(listener) = self.listener(serial) else { return };
        listener.accept_planned = false;
        let (id, port) = (listener.id, listener.port);
        if !listener.has_room() || reactor.objects.has_room(ObjectKind::Connection).is_err() {
            return;
        }
        let Some((client, peer)) = self.clients.accept(port) else { return };
        let connection = Box::new(Connection::new(client, serial));
        let connection = reactor.objects.insert(Object::Connection(connection)).expect("there is room");
        self.handles.resize(self.handles.len().max(client + 1), None);
        self.handles[client] = Some(connection);
        self.listener(serial).into_iter().for_each(|listener| listener.open += 1);
        reactor.requests.answers.push(id, Reply::Accepted(Accepted { connection, peer }));
        self.plan_accept(reactor, serial);
    }

    /// A client has come, has sent, or takes more.
    pub fn moved<F>(&mut self, reactor: &mut Reactor<F>, client: usize) {
        match self.handles.get(client).copied().flatten() {
            Some(handle) => {
                self.read_on(reactor, handle);
                self.write_on(reactor, handle);
            }
            None => self.plan_accepts(reactor),
        }
    }

    // ---- Reading.

    pub fn read<F>(&mut self, reactor: &mut Reactor<F>, id: Id, read: &Read) -> Result<(), Error> {
        let connection = reactor.objects.connection(read.connection)?;
        let bytes_max = read.limit()?;
        if connection.reading.is_some() {
            return Err(Error::Busy);
        }
        connection.reading = Some((id, bytes_max));
        reactor.requests.wait(id, Pending::Read(read.connection));
        self.read_on(reactor, read.connection);
        Ok(())
    }

    /// The time has come to ask a client again.
    pub fn read_again<F>(&mut self, reactor: &mut Reactor<F>, handle: Handle) {
        if let Ok(connection) = reactor.objects.connection(handle) {
            connection.read_planned = false;
        }
        self.read_on(reactor, handle);
    }

    /// Answers a pending read with what has come, or plans to ask again.
    fn read_on<F>(&mut self, reactor: &mut Reactor<F>, handle: Handle) {
        let Ok(connection) = reactor.objects.connection(handle) else { return };
        let Some((id, bytes_max)) = connection.reading else { return };
        let reply = match self.clients.read(connection.client, reactor.now, bytes_max) {
            Input::Bytes(bytes) => Reply::Data(bytes),
            Input::End => Reply::Data(Vec::new()),
            Input::Failed(error) => Reply::Failed(error),
            Input::Later(None) => return,
            Input::Later(Some(time)) => {
                if !std::mem::replace(&mut connection.read_planned, true) {
                    reactor.timers.add(time, Event::Read(handle));
                }
                return;
            }
        };
        connection.reading = None;
        reactor.requests.finish(id, reply);
    }

    pub fn end_read<F>(reactor: &mut Reactor<F>, handle: Handle) {
        if let Ok(connection) = reactor.objects.connection(handle) {
            connection.reading = None;
        }
    }

    // ---- Writing.

    pub fn write<F: Files>(
        &mut self,
        reactor: &mut Reactor<F::File>,
        files: &mut F,
        id: Id,
        write: &Write,
    ) -> Result<(), Error> {
        if reactor.objects.connection(write.connection)?.writing.is_some() {
            return Err(Error::Busy);
        }
        let (output, truncated) = join(reactor, files, &write.parts)?;
        let connection = reactor.objects.connection(write.connection)?;
        if connection.ended {
            return Err(Error::Disconnected);
        }
        let length = output.left();
        connection.writing = Some(Writing { id, output, length, truncated, ends: write.ends, timer: None });
        reactor.requests.wait(id, Pending::Write(write.connection));
        self.write_on(reactor, write.connection);
        Ok(())
    }

    /// Lets a client take what it takes of a pending write.
    pub fn write_on<F>(&mut self, reactor: &mut Reactor<F>, handle: Handle) {
        let Ok(connection) = reactor.objects.connection(handle) else { return };
        let client = connection.client;
        let Some(writing) = &mut connection.writing else { return };
        let old = writing.timer.take();
        let reply = match self.clients.write(client, reactor.now, &mut writing.output) {
            Taken::All => writing.reply(),
            Taken::Failed(error) => Reply::Failed(error),
            Taken::Later(time) => {
                writing.timer = time.map(|time| reactor.timers.add(time, Event::Write(handle)));
                old.into_iter().for_each(|timer| reactor.timers.remove(timer));
                return;
            }
        };
        old.into_iter().for_each(|timer| reactor.timers.remove(timer));
        let id = writing.id;
        if writing.ends && matches!(reply, Reply::Written(_)) {
            connection.ended = true;
            self.clients.ended(client);
        }
        connection.writing = None;
        reactor.requests.finish(id, reply);
    }

    pub fn end_write<F>(reactor: &mut Reactor<F>, handle: Handle) {
        let Ok(connection) = reactor.objects.connection(handle) else { return };
        if let Some(timer) = connection.writing.take().and_then(|writing| writing.timer) {
            reactor.timers.remove(timer);
        }
    }

    // ---- Ending.

    pub fn shutdown<F>(&mut self, reactor: &mut Reactor<F>, handle: Handle) -> Result<Reply, Error> {
        let connection = reactor.objects.connection(handle)?;
        if connection.writing.is_some() {
            return Err(Error::Busy);
        }
        self.clients.shutdown(connection.client, reactor.now)?;
        connection.ended = true;
        self.clients.ended(connection.client);
        Ok(Reply::Done)
    }

    /// What closing a connection ends: its requests are answered, its place is free for the next
    /// client.
    pub fn close<F>(&mut self, reactor: &mut Reactor<F>, connection: &Connection) {
        if let Some(timer) = connection.writing.as_ref().and_then(|writing| writing.timer) {
            reactor.timers.remove(timer);
        }
        for id in connection.pending() {
            reactor.requests.finish(id, Reply::Failed(Error::Cancelled));
        }
        self.handles[connection.client] = None;
        self.clients.closed(connection.client);
        if let Some(listener) = self.listener(connection.listener) {
            listener.open = listener.open.checked_sub(1).expect("a connection was counted when it was accepted");
        }
        self.plan_accepts(reactor);
    }
}

/// What a write sends, and whether one of its files ends too early. Nothing behind the end of that
/// file is sent, but all parts are checked.
fn join<F: Files>(reactor: &Reactor<F::File>, files: &mut F, parts: &[Part]) -> Result<(Output, bool), Error> {
    let mut check = checks::Parts::new(parts)?;
    let (mut output, mut truncated) = (Output::new(reactor.now), false);
    for part in parts {
        let (content, range) = match part {
            Part::Bytes(bytes) => {
                check.own(bytes);
                (Content::Bytes(bytes.as_slice().into()), 0..bytes.len() as u64)
            }
            Part::Buffer(range) => {
                let buffer = reactor.objects.buffer(range.handle)?;
                range.of_buffer(buffer.length() as usize)?;
                (buffer.clone(), range.offset..range.end()?)
            }
            Part::File(range) => {
                range.end()?;
                let file = reactor.objects.file(range.handle)?;
                let there = range.of_file(files.size(file));
                let content = files.content(file, pluto_contract::Range { length: there, ..*range });
                if !truncated {
                    output.push(content, 0..there);
                }
                truncated |= there < range.length;
                continue;
            }
        };
        if !truncated {
            output.push(content, range);
        }
    }
    check.finish()?;
    Ok((output, truncated))
}
