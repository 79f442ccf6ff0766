//! Ports that a guest may listen on, and the sockets that are bound to them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::limits;

/// A port that a guest may listen on. It is bound before the guest runs, so that a port that is
/// taken is told to the operator at once; the system refuses clients until the guest listens.
pub struct Port {
    /// The number that the operator gave. 0 lets the system choose.
    pub(super) number: u16,
    /// The address to which the port is bound.
    address: SocketAddr,
    /// The socket that was bound before the guest ran; none once the guest has listened.
    socket: Option<OwnedFd>,
    /// The part of the port's clients that goes to this guest.
    clients: Clients,
    /// Whether other shards may listen on the port too.
    joins: bool,
}

/// The part of a port's clients that goes to one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clients {
    /// All clients go to this guest.
    All,
    /// The system distributes the clients among this many shards.
    Share(u32),
    /// All clients go to another shard.
    None,
}

impl Port {
    /// Binds the port.
    pub fn bind(address: SocketAddr) -> Result<Self, Errno> {
        let socket = bind(address, false)?;
        let actual = SocketAddr::try_from(rustix::net::getsockname(&socket)?).map_err(|_| Errno::AFNOSUPPORT)?;
        Ok(Self { number: address.port(), address: actual, socket: Some(socket), clients: Clients::All, joins: false })
    }

    /// Returns this port for each of `shards` shards. The system distributes clients among the
    /// shards that listen, by a hash of the clients' addresses. The first of these ports must
    /// listen first: see `listen`.
    pub fn shared(self, shards: u32) -> Vec<Self> {
        let clients = if shards == 1 { Clients::All } else { Clients::Share(shards) };
        let (number, address) = (self.number, self.address);
        let further = (1..shards).map(|_| Self { number, address, socket: None, clients, joins: true });
        std::iter::once(Self { clients, ..self }).chain(further).collect()
    }

    /// Returns this port for each of `shards` shards. All clients go to the first shard.
    pub fn of_the_first(self, shards: u32) -> Vec<Self> {
        let (number, address) = (self.number, self.address);
        let clients = Clients::None;
        let further = (1..shards).map(|_| Self { number, address, socket: None, clients, joins: false });
        std::iter::once(self).chain(further).collect()
    }

    /// The address to which the port is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns whether the guest has not listened yet on the socket that was bound before it ran.
    pub(super) fn is_as_bound(&self) -> bool {
        self.socket.is_some()
    }

    /// Returns the listening socket. It is bound again when an earlier `listen` has ended.
    ///
    /// Sockets that share a port must all set `SO_REUSEPORT`. Then sockets of another process of
    /// the same user could join them. Therefore the first socket begins to listen without it,
    /// which only one process can do, and sets it afterwards.
    pub(super) fn listen(&mut self) -> Result<Option<OwnedFd>, Errno> {
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

    /// Returns this shard's part of `of_all` connections.
    pub(super) fn connections_max(&self, of_all: u32) -> u32 {
        match self.clients {
            Clients::All | Clients::None => of_all,
            Clients::Share(shards) => of_all.div_ceil(shards),
        }
    }
}

fn bind(address: SocketAddr, joins: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, joins)?;
    // Connections inherit these two. Without the first, the end of a response waits for an
    // acknowledgement; without the second, a client that vanished is never noticed.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}
