//! Ports that a guest may listen on, and the sockets that are bound to them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::limits;

/// A port that a guest may listen on. It is bound before the guest runs, so that a port that is
/// taken is told to the operator at once; the system refuses clients until the guest listens.
pub struct Port {
    /// As the operator gave it: 0 lets the system choose.
    pub(super) number: u16,
    /// What it is bound to.
    address: SocketAddr,
    /// The socket that was bound before the guest ran; none once the guest has listened.
    socket: Option<OwnedFd>,
    /// Whose clients come to it.
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

impl Port {
    /// Binds the port.
    pub fn bind(address: SocketAddr) -> Result<Self, Errno> {
        let socket = bind(address, false)?;
        let actual = SocketAddr::try_from(rustix::net::getsockname(&socket)?).map_err(|_| Errno::AFNOSUPPORT)?;
        Ok(Self { number: address.port(), address: actual, socket: Some(socket), clients: Clients::All, joins: false })
    }

    /// This port for each of so many shards. The system shares its clients out among those that
    /// listen, by a hash of their addresses. The first of these ports must be the first that
    /// listens: see `listen`.
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

    /// Whether nobody has listened on the socket that was bound before the guest ran.
    pub(super) fn is_as_bound(&self) -> bool {
        self.socket.is_some()
    }

    /// The socket, listening. It is bound again when an earlier `listen` has ended.
    ///
    /// Sockets that share a port must all say so, and then those of another process of the same
    /// user could join them. So the first one begins to listen alone, which only one process can,
    /// and says it afterwards.
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

    /// Of so many connections, how many may be open here.
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
