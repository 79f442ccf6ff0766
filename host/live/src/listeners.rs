//! Listening and accepting.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};

use super::connection::Connection;
use super::driver::Token;
use super::errors::from_errno;
use super::handles::{Handles, Object};
use super::held::Total;
use super::pending::Pending;
use super::port::Port;
use super::reactor::{Owner, Reactor, Timer};
use crate::limits;
use pluto_contract::{Accepted, Error, IpAddress, Listen, Reply, SocketAddress, checks};

/// Called when a guest has begun to listen, with the address and the most clients that the guest
/// takes there.
pub type OnListening = Box<dyn FnMut(SocketAddr, u32)>;

/// The ports of a guest, and its listeners.
pub struct Listeners {
    /// The ports on which the guest may listen.
    ports: Vec<Port>,
    /// The `listen`s under way.
    listeners: Vec<Listener>,
    /// The number of `listen`s so far, which is the serial number of the last listener.
    listens: u64,
    /// The number of listeners that have ended since the queue was last told to give up their
    /// sockets.
    stopped: u32,
    /// Addresses where the guest has begun to listen and of which nobody is told yet.
    begun: Vec<(SocketAddr, u32)>,
    /// Called with these addresses when the world waits.
    on_listening: OnListening,
    /// A port that another process has taken, which ends the run.
    taken: Option<u16>,
}

/// A `listen` under way.
struct Listener {
    /// The number of the listener in the run. Unlike the id of a request, this number is never
    /// used again.
    serial: u64,
    /// The id of the request.
    id: u64,
    /// The listening socket. None on a port whose clients all go to another shard.
    fd: Option<Rc<OwnedFd>>,
    /// The port, as the system gave it.
    port: u16,
    /// The most connections that the listener may have open.
    connections_max: u32,
    /// The listener's open connections, each of which holds its share. Connections of an earlier
    /// `listen` on the same port do not count.
    open: Total,
    /// Set while it waits for clients.
    token: Option<Token>,
    /// How many clients the listener takes before it waits again. Asking for a client that is not
    /// there makes the system build a socket and throw it away.
    batch: usize,
    /// Set while the listener does not accept, because the system refused to give a connection.
    rests: bool,
}

impl Listener {
    /// Gives the port back at once. The queue holds the descriptor until its wait has ended; with
    /// io_uring, that may be after this process has ended.
    fn stop(&self) {
        if let Some(fd) = &self.fd {
            // A listening socket can be shut down.
            let _ = rustix::net::shutdown(fd, Shutdown::Both);
        }
    }

    fn has_room(&self, handles: &Handles) -> bool {
        self.open.get() < u64::from(self.connections_max) && handles.has_room_for_clients()
    }
}

impl Listeners {
    /// Creates the listeners of these ports. None listens yet.
    pub fn new(ports: Vec<Port>, on_listening: OnListening) -> Self {
        Self { ports, listeners: Vec::new(), listens: 0, stopped: 0, begun: Vec::new(), on_listening, taken: None }
    }

    /// Implements the contract's `listen`.
    pub fn listen(&mut self, reactor: &mut Reactor, id: u64, wanted: &Listen) -> Result<Reply, Error> {
        let index = self.granted(wanted.port)?;
        let port = &mut self.ports[index];
        let number = port.address().port();
        let is_as_bound = port.is_as_bound();
        let fd = match port.listen() {
            Ok(fd) => fd.map(Rc::new),
            Err(Errno::ADDRINUSE) if is_as_bound => {
                // Another process has bound the port at the same time as this one, and listened
                // first. Tell the operator, as for a port that was taken before, and not the
                // guest.
                self.taken = Some(number);
                return Err(Error::AddressInUse);
            }
            Err(errno) => return Err(from_errno(errno)),
        };
        let connections_max = port.connections_max(wanted.connections_max);
        self.begun.push((port.address(), connections_max));
        self.listens += 1;
        let serial = self.listens;
        self.listeners.push(Listener {
            serial,
            id,
            fd,
            port: number,
            connections_max,
            open: Total::default(),
            token: None,
            batch: 1,
            rests: false,
        });
        reactor.requests.wait(id, Pending::Listen(serial));
        self.wait_for_clients(reactor, serial);
        Ok(Reply::Listening(number))
    }

    /// Returns the index of the port that the guest gets.
    fn granted(&self, wanted: u16) -> Result<usize, Error> {
        let ports = self.ports.iter().map(|port| (port.number, port.address().port()));
        checks::port(wanted, ports, |port| self.listeners.iter().any(|listener| listener.port == port))
    }

    /// Ends a `listen`.
    pub fn end(&mut self, reactor: &mut Reactor, serial: u64) {
        let Some(index) = self.place(serial) else { return };
        let listener = self.listeners.swap_remove(index);
        if let Some(token) = listener.token {
            reactor.driver.cancel(token);
        }
        listener.stop();
        drop(listener);
        self.stopped += 1;
        if self.stopped >= limits::LISTENS_STOPPED_MAX {
            self.stopped = 0;
            reactor.driver.settle();
        }
    }

    /// Waits for the next client, unless the listener waits already or has all connections that it
    /// may have.
    fn wait_for_clients(&mut self, reactor: &mut Reactor, serial: u64) {
        let Some(index) = self.place(serial) else { return };
        let listener = &mut self.listeners[index];
        let Some(fd) = &listener.fd else { return };
        if listener.token.is_none() && !listener.rests && listener.has_room(&reactor.handles) {
            listener.token = Some(reactor.wait_to_read(fd, Owner::Listener(serial)));
        }
    }

    /// Accepts again after a rest.
    pub fn accept_again(&mut self, reactor: &mut Reactor, serial: u64) {
        if let Some(index) = self.place(serial) {
            self.listeners[index].rests = false;
        }
        self.wait_for_clients(reactor, serial);
    }

    /// Takes the clients that wait in the backlog. Returns whether there was one.
    pub fn accept(&mut self, reactor: &mut Reactor, serial: u64) -> bool {
        let Some(index) = self.place(serial) else { return false };
        let listener = &mut self.listeners[index];
        listener.token = None;
        let Some(fd) = listener.fd.clone() else { return false };
        let mut has_accepted = false;
        for taken in 0..listener.batch {
            if !listener.has_room(&reactor.handles) {
                return has_accepted;
            }
            match rustix::net::acceptfrom_with(&fd, SocketFlags::CLOEXEC) {
                Ok((fd, peer)) => {
                    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                    has_accepted |= accepted(listener, reactor, fd, peer);
                }
                Err(Errno::AGAIN) => {
                    listener.batch = taken.max(1);
                    self.wait_for_clients(reactor, serial);
                    return has_accepted;
                }
                // Clients that went away while they waited.
                Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
                Err(_) => {
                    self.rest_from_accepting(reactor, serial);
                    return has_accepted;
                }
            }
        }
        listener.batch = (listener.batch * 2).min(limits::ACCEPT_BATCH_MAX);
        self.wait_for_clients(reactor, serial);
        has_accepted
    }

    /// Stops accepting for a while. Without descriptors or memory the next attempt would fail too,
    /// and the backlog stays readable.
    pub fn rest_from_accepting(&mut self, reactor: &mut Reactor, serial: u64) {
        if let Some(index) = self.place(serial) {
            self.listeners[index].token = None;
            self.listeners[index].rests = true;
        }
        reactor.after_millis(limits::ACCEPT_REST_MILLIS, Timer::Accept(serial));
    }

    /// Waits for clients again with all listeners, because a handle is free.
    pub fn wait_for_all_clients(&mut self, reactor: &mut Reactor) {
        for index in 0..self.listeners.len() {
            self.wait_for_clients(reactor, self.listeners[index].serial);
        }
    }

    /// Calls `on_listening` for each address where the guest has begun to listen.
    pub fn tell_begun(&mut self) {
        for (address, connections_max) in self.begun.drain(..) {
            (self.on_listening)(address, connections_max);
        }
    }

    /// Takes the number of a port that another process has taken. The run ends with it.
    pub fn take_taken(&mut self) -> Option<u16> {
        self.taken.take()
    }

    fn place(&self, serial: u64) -> Option<usize> {
        self.listeners.iter().position(|listener| listener.serial == serial)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.listeners.iter().for_each(Listener::stop);
    }
}

/// Gives a client a handle, and tells the guest. Returns whether there was room.
fn accepted(listener: &Listener, reactor: &mut Reactor, fd: OwnedFd, peer: Option<SocketAddr>) -> bool {
    let connection = Connection::new(fd, listener.open.hold_anyway(1));
    let Ok(connection) = reactor.handles.insert(Object::Connection(connection)) else { return false };
    let accepted = Accepted { connection, peer: peer_address(peer) };
    reactor.requests.answers.push(listener.id, Reply::Accepted(accepted));
    true
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
