//! Listening and accepting.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use compio_driver::op::Interest;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use super::connection::Connection;
use super::driver::Token;
use super::errors::from_errno;
use super::handles::Object;
use super::{Live, Owner, Pending, Timer};
use crate::contract::{Accepted, Error, IpAddress, Listen, Reply, SocketAddress};
use crate::limits;
use crate::stop::Stop;

/// A port that a guest may listen on. It is bound before the guest runs, so that a port that is taken is told to the
/// operator at once; the system refuses clients until the guest listens.
pub struct Port {
    /// As the operator gave it: 0 lets the system choose.
    number: u16,
    address: SocketAddr,
    socket: Option<OwnedFd>,
    clients: Clients,
    /// Other shards may listen there, with whom it shares the port.
    joins: bool,
}

/// Whose clients come to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clients {
    /// All are this guest's.
    All,
    /// Each is one of so many shards', as the system shares them out.
    Share(u32),
    /// All are another shard's.
    None,
}

/// A `listen` under way.
pub struct Listener {
    /// Counts the listeners of a run: unlike the id of its request, never used again.
    serial: u64,
    /// Of its request.
    id: u64,
    /// None on a port whose clients are all another shard's.
    fd: Option<Rc<OwnedFd>>,
    port: u16,
    connections_max: u32,
    /// Its connections that are open. Those of an earlier `listen` on the same port do not count.
    open: u32,
    /// Set while it waits for clients.
    token: Option<Token>,
    /// How many clients it takes before it waits again: to ask for one that is not there makes the system build a socket and
    /// throw it away.
    batch: usize,
    /// Set while it rests from accepting, because the system has no connection to give.
    rests: bool,
}

impl Port {
    /// Binds the port.
    pub fn bind(address: SocketAddr) -> Result<Self, Errno> {
        let socket = bind(address, false)?;
        let actual = SocketAddr::try_from(rustix::net::getsockname(&socket)?).map_err(|_| Errno::AFNOSUPPORT)?;
        Ok(Self { number: address.port(), address: actual, socket: Some(socket), clients: Clients::All, joins: false })
    }

    /// This port for each of so many shards. The system shares its clients out among those that listen, by a hash of their
    /// addresses. The first of these ports must be the first that listens: see `listen`.
    pub fn shared(self, shards: u32) -> Vec<Self> {
        let clients = if shards == 1 { Clients::All } else { Clients::Share(shards) };
        let (number, address) = (self.number, self.address);
        let further = (1..shards).map(|_| Self { number, address, socket: None, clients, joins: true });
        std::iter::once(Self { clients, ..self }).chain(further).collect()
    }

    /// This port for each of so many shards, of which the first takes all its clients.
    pub fn of_the_first(self, shards: u32) -> Vec<Self> {
        let (number, address) = (self.number, self.address);
        let clients = Clients::None;
        let further = (1..shards).map(|_| Self { number, address, socket: None, clients, joins: false });
        std::iter::once(self).chain(further).collect()
    }

    /// What it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, listening. It is bound again when an earlier `listen` has ended.
    ///
    /// Sockets that share a port must all say so, and then those of another process of the same user could join them. So
    /// the first one begins to listen alone, which only one process can, and says it afterwards.
    fn listen(&mut self) -> Result<Option<OwnedFd>, Errno> {
        if self.clients == Clients::None {
            return Ok(None);
        }
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => bind(self.address, self.joins)?,
        };
        rustix::net::listen(&socket, limits::LISTEN_BACKLOG)?;
        if self.clients != Clients::All {
            sockopt::set_socket_reuseport(&socket, true)?;
            self.joins = true;
        }
        Ok(Some(socket))
    }

    /// Of so many connections, how many may be open here.
    fn connections_max(&self, of_all: u32) -> u32 {
        match self.clients {
            Clients::All | Clients::None => of_all,
            Clients::Share(shards) => of_all.div_ceil(shards),
        }
    }
}

impl Listener {
    /// Gives the port back at once. The queue holds the descriptor until its wait has ended, which on io_uring may be
    /// after this process.
    pub fn stop(&self) {
        if let Some(fd) = &self.fd {
            // It listens, so it can be shut down.
            let _ = rustix::net::shutdown(fd, Shutdown::Both);
        }
    }
}

fn bind(address: SocketAddr, joins: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, joins)?;
    // Connections inherit these two. Without the first, the end of a response waits for an acknowledgement; without the
    // second, a client that vanished is never noticed.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

impl Live {
    pub(super) fn listen(&mut self, id: u64, wanted: &Listen) -> Result<Reply, Error> {
        let index = self.granted(wanted.port).ok_or(Error::NotPermitted)?;
        let port = &mut self.ports[index];
        let number = port.address.port();
        if self.listeners.iter().any(|listener| listener.port == number) {
            return Err(Error::AddressInUse);
        }
        let is_as_bound = port.socket.is_some();
        let fd = match port.listen() {
            Ok(fd) => fd.map(Rc::new),
            Err(Errno::ADDRINUSE) if is_as_bound => {
                // Another process has bound the port at the same time as this one, and listened first. So the operator is to
                // be told, as of a port that was taken before, and not the guest.
                self.ends = Some(Stop::PortTaken(number));
                return Err(Error::AddressInUse);
            }
            Err(errno) => return Err(from_errno(errno)),
        };
        let port = &self.ports[index];
        let connections_max = port.connections_max(wanted.connections_max);
        self.begun.push((port.address, connections_max));
        self.listens += 1;
        let serial = self.listens;
        self.listeners.push(Listener {
            serial,
            id,
            fd,
            port: number,
            connections_max,
            open: 0,
            token: None,
            batch: 1,
            rests: false,
        });
        self.pending.insert(id, Pending::Listen(serial));
        self.wait_for_clients(serial);
        Ok(Reply::Listening(number))
    }

    /// The place of a granted port. 0 may be several: then it is one on which nobody listens.
    fn granted(&self, wanted: u16) -> Option<usize> {
        let is_wanted = |port: &Port| wanted == port.number || wanted == port.address.port();
        let is_free = |port: &Port| self.listeners.iter().all(|listener| listener.port != port.address.port());
        let free = self.ports.iter().position(|port| is_wanted(port) && is_free(port));
        free.or_else(|| self.ports.iter().position(is_wanted))
    }

    pub(super) fn end_listen(&mut self, serial: u64) {
        let Some(index) = self.listeners.iter().position(|listener| listener.serial == serial) else { return };
        let listener = self.listeners.swap_remove(index);
        if let Some(token) = listener.token {
            self.driver.cancel(token);
        }
        listener.stop();
        drop(listener);
        self.listens_stopped += 1;
        if self.listens_stopped >= limits::LISTENS_STOPPED_MAX {
            self.listens_stopped = 0;
            self.driver.settle();
        }
    }

    /// Waits for the next client, unless the listener waits already or has as many as it may have.
    pub(super) fn wait_for_clients(&mut self, serial: u64) {
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == serial) else { return };
        let Some(fd) = &listener.fd else { return };
        if listener.token.is_none()
            && !listener.rests
            && listener.open < listener.connections_max
            && self.handles.has_room_for_clients()
        {
            listener.token = Some(self.driver.poll(fd, Interest::Readable, Owner::Listener(serial)));
        }
    }

    /// The rest is over.
    pub(super) fn accept_again(&mut self, serial: u64) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == serial) {
            listener.rests = false;
        }
        self.wait_for_clients(serial);
    }

    /// Takes the clients that wait in the backlog.
    pub(super) fn accept(&mut self, serial: u64) {
        let Some(index) = self.listeners.iter().position(|listener| listener.serial == serial) else { return };
        self.listeners[index].token = None;
        let Some(fd) = self.listeners[index].fd.clone() else { return };
        let batch = self.listeners[index].batch;
        for taken in 0..batch {
            let listener = &self.listeners[index];
            if listener.open >= listener.connections_max || !self.handles.has_room_for_clients() {
                return;
            }
            match rustix::net::acceptfrom_with(&fd, SocketFlags::CLOEXEC) {
                Ok((fd, peer)) => self.accepted(index, fd, peer.and_then(|peer| SocketAddr::try_from(peer).ok())),
                Err(Errno::AGAIN) => {
                    self.listeners[index].batch = taken.max(1);
                    return self.wait_for_clients(serial);
                }
                // Clients that went away while they waited.
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
                Err(_) => return self.rest_from_accepting(serial),
            }
        }
        self.listeners[index].batch = (batch * 2).min(limits::ACCEPT_BATCH_MAX);
        self.wait_for_clients(serial);
    }

    /// Without descriptors or memory the next attempt fails as well, and the backlog stays readable.
    pub(super) fn rest_from_accepting(&mut self, serial: u64) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == serial) {
            listener.token = None;
            listener.rests = true;
        }
        let due = self.clock.monotonic() + limits::ACCEPT_REST_MILLIS * 1_000_000;
        self.timers.add(due, Timer::Accept(serial));
    }

    fn accepted(&mut self, index: usize, fd: OwnedFd, peer: Option<SocketAddr>) {
        let Listener { id, serial, .. } = self.listeners[index];
        let connection = Connection::new(fd, serial);
        let Ok(connection) = self.handles.insert(Object::Connection(connection)) else { return };
        self.listeners[index].open += 1;
        self.console.has_started();
        self.answers.push(id, Reply::Accepted(Accepted { connection, peer: peer_address(peer) }));
    }

    /// One of a listener's connections is closed.
    pub(super) fn forget(&mut self, serial: u64) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.serial == serial) {
            listener.open -= 1;
        }
    }

    /// A handle is free, which any listener may have waited for.
    pub(super) fn wait_for_all_clients(&mut self) {
        for index in 0..self.listeners.len() {
            self.wait_for_clients(self.listeners[index].serial);
        }
    }
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
