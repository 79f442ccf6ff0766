//! Sockets: listening, accepting, reading, writing.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use compio_driver::op::Interest;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use super::driver::Token;
use super::errors::{from_errno, from_io};
use super::handles::Object;
use super::transfer::{Progress, Segment, Transfer};
use super::{Live, Owner, Pending, Timer};
use crate::contract::{Accepted, Error, IpAddress, Listen, Part, Range, Read, Reply, SocketAddress, Write};
use crate::limits;

/// A client.
pub struct Connection {
    fd: Rc<OwnedFd>,
    /// The serial number of the listener that it came by.
    listener: u64,
    read: Option<(u64, Token)>,
    write: Option<Outgoing>,
}

struct Outgoing {
    id: u64,
    transfer: Transfer,
    /// Set while it waits for the socket.
    token: Option<Token>,
}

/// A port that a guest may listen on. It is bound before the guest runs, so that a port that is taken is told to the
/// operator at once; the system refuses clients until the guest listens.
pub struct Port {
    /// As the operator gave it: 0 lets the system choose.
    number: u16,
    address: SocketAddr,
    socket: Option<OwnedFd>,
}

/// A `listen` under way.
pub struct Listener {
    /// Counts the listeners of a run: unlike the id of its request, never used again.
    serial: u64,
    /// Of its request.
    id: u64,
    fd: Rc<OwnedFd>,
    port: u16,
    connections_max: u32,
    /// Its connections that are open. Those of an earlier `listen` on the same port do not count.
    open: u32,
    /// Set while it waits for clients.
    token: Option<Token>,
}

impl Port {
    /// Binds the port.
    pub fn bind(address: SocketAddr) -> Result<Self, Errno> {
        let socket = bind(address)?;
        let actual = SocketAddr::try_from(rustix::net::getsockname(&socket)?).map_err(|_| Errno::AFNOSUPPORT)?;
        Ok(Self { number: address.port(), address: actual, socket: Some(socket) })
    }

    /// What it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, listening. It is bound again when an earlier `listen` has ended.
    fn listen(&mut self) -> Result<OwnedFd, Errno> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => bind(self.address)?,
        };
        rustix::net::listen(&socket, limits::LISTEN_BACKLOG)?;
        Ok(socket)
    }
}

impl Listener {
    /// Gives the port back at once. The queue holds the descriptor until its wait has ended, which on io_uring may be
    /// after this process.
    pub fn stop(&self) {
        // It listens, so it can be shut down.
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
    }
}

fn bind(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Connections inherit these two. Without the first, the end of a response waits for an acknowledgement; without the
    // second, a client that vanished is never noticed.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

impl Live {
    pub(super) fn listen(&mut self, id: u64, wanted: &Listen) -> Result<Reply, Error> {
        let granted = |port: &&mut Port| wanted.port == port.number || wanted.port == port.address.port();
        let port = self.ports.iter_mut().find(granted).ok_or(Error::NotPermitted)?;
        let number = port.address.port();
        if self.listeners.iter().any(|listener| listener.port == number) {
            return Err(Error::AddressInUse);
        }
        let fd = Rc::new(port.listen().map_err(from_errno)?);
        (self.on_listening)(port.address);
        let connections_max = wanted.connections_max;
        self.listens += 1;
        let serial = self.listens;
        self.listeners.push(Listener { serial, id, fd, port: number, connections_max, open: 0, token: None });
        self.pending.insert(id, Pending::Listen(serial));
        self.wait_for_clients(serial);
        Ok(Reply::Listening(number))
    }

    pub(super) fn end_listen(&mut self, serial: u64) {
        let Some(index) = self.listeners.iter().position(|listener| listener.serial == serial) else { return };
        let listener = self.listeners.swap_remove(index);
        if let Some(token) = listener.token {
            self.driver.cancel(token);
        }
        listener.stop();
    }

    /// Waits for the next client, unless the listener waits already or has as many as it may have.
    pub(super) fn wait_for_clients(&mut self, serial: u64) {
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == serial) else { return };
        if listener.token.is_none() && listener.open < listener.connections_max && self.handles.room() > 0 {
            listener.token = Some(self.driver.poll(&listener.fd, Interest::Readable, Owner::Listener(serial)));
        }
    }

    /// Takes the clients that wait in the backlog.
    pub(super) fn accept(&mut self, serial: u64) {
        let Some(index) = self.listeners.iter().position(|listener| listener.serial == serial) else { return };
        self.listeners[index].token = None;
        for _ in 0..limits::ACCEPT_BATCH_MAX {
            let listener = &self.listeners[index];
            if listener.open >= listener.connections_max || self.handles.room() == 0 {
                return;
            }
            match rustix::net::acceptfrom_with(&listener.fd, SocketFlags::CLOEXEC) {
                Ok((fd, peer)) => self.accepted(index, fd, peer.and_then(|peer| SocketAddr::try_from(peer).ok())),
                Err(Errno::AGAIN) => break,
                // Clients that went away while they waited.
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
                Err(_) => return self.rest_from_accepting(serial),
            }
        }
        self.wait_for_clients(serial);
    }

    /// Without descriptors or memory the next attempt fails as well, and the backlog stays readable.
    pub(super) fn rest_from_accepting(&mut self, serial: u64) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == serial) {
            listener.token = None;
        }
        let due = self.clock.monotonic() + limits::ACCEPT_REST_MILLIS * 1_000_000;
        self.timers.add(due, Timer::Accept(serial));
    }

    fn accepted(&mut self, index: usize, fd: OwnedFd, peer: Option<SocketAddr>) {
        let Listener { id, serial, .. } = self.listeners[index];
        let connection = Connection { fd: Rc::new(fd), listener: serial, read: None, write: None };
        let Ok(connection) = self.handles.insert(Object::Connection(connection)) else { return };
        self.listeners[index].open += 1;
        self.answers.push(id, Reply::Accepted(Accepted { connection, peer: peer_address(peer) }));
    }

    pub(super) fn read(&mut self, id: u64, read: &Read) -> Result<(), Error> {
        let connection = self.handles.connection(read.connection)?;
        if connection.read.is_some() {
            return Err(Error::Busy);
        }
        if read.bytes_max == 0 {
            return Err(Error::Invalid);
        }
        let bytes_max = (read.bytes_max as usize).min(limits::READ_BYTES_MAX);
        let token = self.driver.receive(&connection.fd, bytes_max, Owner::Read(read.connection));
        connection.read = Some((id, token));
        self.pending.insert(id, Pending::Read(read.connection));
        Ok(())
    }

    pub(super) fn received(&mut self, handle: u64, result: std::io::Result<Vec<u8>>) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some((id, _)) = connection.read.take() else { return };
        self.pending.remove(&id);
        self.answers.push(id, result.map_or_else(|error| Reply::Failed(from_io(&error)), Reply::Data));
    }

    pub(super) fn end_read(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        if let Some((_, token)) = connection.read.take() {
            self.driver.cancel(token);
        }
    }

    pub(super) fn write(&mut self, id: u64, write: Write) -> Result<(), Error> {
        if self.handles.connection(write.connection)?.write.is_some() {
            return Err(Error::Busy);
        }
        let (segments, held) = self.segments(write.parts)?;
        if self.write_bytes_pending + held > limits::WRITE_BYTES_PENDING_MAX {
            return Err(Error::Exhausted);
        }
        self.write_bytes_pending += held;
        let transfer = Transfer::new(segments, held);
        self.handles.connection(write.connection)?.write = Some(Outgoing { id, transfer, token: None });
        self.pending.insert(id, Pending::Write(write.connection));
        self.advance(write.connection);
        Ok(())
    }

    fn segments(&mut self, parts: Vec<Part>) -> Result<(VecDeque<Segment>, usize), Error> {
        if parts.len() > limits::WRITE_PARTS_MAX {
            return Err(Error::TooLarge);
        }
        let mut own_bytes = 0;
        let mut segments = VecDeque::with_capacity(parts.len());
        for part in parts {
            let segment = match part {
                Part::Bytes(bytes) => {
                    own_bytes += bytes.len();
                    Segment::Bytes { bytes, start: 0 }
                }
                Part::Buffer(range) => {
                    let buffer = self.handles.buffer(range.handle)?;
                    Segment::Buffer(buffer.clone(), indices(&range, buffer.bytes.len())?)
                }
                Part::File(Range { handle, offset, length }) => {
                    let file = self.handles.file(handle)?.clone();
                    offset.checked_add(length).ok_or(Error::Invalid)?;
                    Segment::File { file, offset, length }
                }
            };
            // An empty one would be waited for.
            if segment.len() > 0 {
                segments.push_back(segment);
            }
        }
        if own_bytes > limits::WRITE_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let held = own_bytes + segments.len() * size_of::<Segment>();
        Ok((segments, held))
    }

    /// Sends what a connection's socket takes now.
    pub(super) fn advance(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = &mut connection.write else { return };
        outgoing.token = None;
        let reply = match outgoing.transfer.advance(&connection.fd) {
            Progress::Done(bytes) => Reply::Written(bytes),
            Progress::Failed(error) => Reply::Failed(error),
            Progress::Waits => {
                outgoing.token = Some(self.driver.poll(&connection.fd, Interest::Writable, Owner::Write(handle)));
                return;
            }
        };
        self.written(handle, reply);
    }

    /// The queue cannot wait for the socket.
    pub(super) fn fail_write(&mut self, handle: u64) {
        self.written(handle, Reply::Failed(Error::Io));
    }

    fn written(&mut self, handle: u64, reply: Reply) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = connection.write.take() else { return };
        self.write_bytes_pending -= outgoing.transfer.held();
        self.pending.remove(&outgoing.id);
        self.answers.push(outgoing.id, reply);
    }

    pub(super) fn end_write(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = connection.write.take() else { return };
        self.write_bytes_pending -= outgoing.transfer.held();
        if let Some(token) = outgoing.token {
            self.driver.cancel(token);
        }
    }

    pub(super) fn shutdown(&mut self, handle: u64) -> Result<Reply, Error> {
        let connection = self.handles.connection(handle)?;
        if connection.write.is_some() {
            return Err(Error::Busy);
        }
        rustix::net::shutdown(&connection.fd, Shutdown::Write).map_err(from_errno)?;
        Ok(Reply::Done)
    }

    /// What closing a connection ends: its requests are answered, its place is free for the next client.
    pub(super) fn closed(&mut self, connection: Connection) {
        let read = connection.read.map(|(id, token)| (id, Some(token)));
        let write = connection.write.map(|outgoing| {
            self.write_bytes_pending -= outgoing.transfer.held();
            (outgoing.id, outgoing.token)
        });
        for (id, token) in read.into_iter().chain(write) {
            if let Some(token) = token {
                self.driver.cancel(token);
                // The queue holds the descriptor until the wait has ended; the client is told now.
                let _ = rustix::net::shutdown(&connection.fd, Shutdown::Both);
            }
            self.pending.remove(&id);
            self.answers.push(id, Reply::Failed(Error::Cancelled));
        }
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == connection.listener) {
            listener.open -= 1;
        }
    }

    /// A handle is free, which any listener may have waited for.
    pub(super) fn has_room(&mut self) {
        for index in 0..self.listeners.len() {
            self.wait_for_clients(self.listeners[index].serial);
        }
    }
}

fn indices(range: &Range, length: usize) -> Result<std::ops::Range<usize>, Error> {
    let start = usize::try_from(range.offset).map_err(|_| Error::Invalid)?;
    let count = usize::try_from(range.length).map_err(|_| Error::Invalid)?;
    let end = start.checked_add(count).filter(|end| *end <= length).ok_or(Error::Invalid)?;
    Ok(start..end)
}

fn peer_address(peer: Option<SocketAddr>) -> SocketAddress {
    let Some(peer) = peer else {
        return SocketAddress { address: IpAddress::Ipv4((0, 0, 0, 0)), port: 0 };
    };
    let address = match peer.ip().to_canonical() {
        IpAddr::V4(address) => IpAddress::Ipv4(address.octets().into()),
        IpAddr::V6(address) => IpAddress::Ipv6(address.segments().into()),
    };
    SocketAddress { address, port: peer.port() }
}
