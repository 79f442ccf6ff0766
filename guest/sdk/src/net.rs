//! Connections: the guest's side of TCP.

use crate::contract::{self, Accepted, IpAddress, Range, Reply, Request, SocketAddress};
use crate::executor;
use crate::request::{Answers, Ask, AskMany, Pending, Sealed, answers, ask};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use crate::contract::{Error, Part};

/// Listens on a granted port. Sent at once; the answer comes when the host listens.
///
/// Fails with `not-permitted` for a port that was not granted, and with `address-in-use` when the
/// port is taken.
pub fn listen(request: Listen) -> impl Future<Output = Result<Listener, Error>> {
    let mut answers = answers(request);
    async move {
        // A connection cannot come before the host listens; one from a host that says so is
        // closed.
        loop {
            if let Listened::Port(port) = answers.next_or_final().await? {
                return Ok(Listener { port, answers });
            }
        }
    }
}

/// A port on which the host listens. Dropping it ends that; connections that were not accepted yet
/// are closed.
#[derive(Debug)]
pub struct Listener {
    port: u16,
    answers: Answers<Listen>,
}

impl Listener {
    /// The port on which the host listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the next client. Connections that come faster than they are accepted here wait in
    /// a queue. After an error the host does not listen any more, and every further call gives the
    /// same error.
    pub async fn accept(&mut self) -> Result<Connection, Error> {
        loop {
            if let Listened::Accepted(connection) = self.answers.next_or_final().await? {
                return Ok(connection);
            }
        }
    }
}

/// A connection with a client. Dropping it closes it at once: bytes of a write that is not
/// answered yet may be lost, and the client may read an error instead of what came before when it
/// has sent bytes that were never read.
#[derive(Debug)]
pub struct Connection {
    handle: Owned,
    peer: SocketAddr,
}

impl Connection {
    fn new(accepted: Accepted) -> Connection {
        Connection { handle: Owned(accepted.connection), peer: socket_addr(accepted.peer) }
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Takes at most `bytes_max` bytes that the client sent; empty when it has ended its
    /// direction. Waits until there is at least one.
    ///
    /// The host may give fewer (`read_bytes_max`). Fails with `invalid` when `bytes_max` is 0,
    /// `busy` while another read of this connection is pending, `disconnected` when the client is
    /// gone.
    pub fn read(&self, bytes_max: u32) -> Pending<Read> {
        ask(Read(contract::Read { connection: self.handle.0, bytes_max }))
    }

    /// Sends the parts in their order, without a gap. Answered with the number of bytes when the
    /// system has taken all of them; awaiting that before reading on is what keeps a client that
    /// does not read from filling the memory.
    ///
    /// Fails with `too-large` over `write_parts_max` or `write_bytes_max`, `busy` while another
    /// write of this connection is pending, `disconnected` when the client is gone, `truncated`
    /// when a file ended before its part did.
    pub fn write(&self, parts: Vec<Part>) -> Pending<Write> {
        ask(Write(contract::Write { connection: self.handle.0, parts, ends: false }))
    }

    /// As [`write`](Connection::write), and ends our direction behind the last byte as
    /// [`shutdown`](Connection::shutdown) does: cheaper, for the client is told with these bytes.
    /// When the write fails, the direction has not ended.
    pub fn write_last(&self, parts: Vec<Part>) -> Pending<Write> {
        ask(Write(contract::Write { connection: self.handle.0, parts, ends: true }))
    }

    /// Ends our direction: the client reads an end of stream, and can still send. Fails with
    /// `busy` while a write is pending.
    pub fn shutdown(&self) -> Pending<Shutdown> {
        ask(Shutdown { connection: self.handle.0 })
    }

    /// Closes the connection at once, as dropping it does.
    pub fn close(self) {}
}

/// The request of [`listen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A granted port.
    pub port: u16,
    /// While so many of its connections are open, the host accepts no more; further clients wait
    /// in the backlog.
    pub connections_max: u32,
    /// Whether the clients of the first granted port may be distributed among several instances of
    /// the guest, which share no memory. Without it, one instance serves every client.
    pub shared: bool,
}

/// An answer to [`Listen`].
#[derive(Debug)]
pub enum Listened {
    /// The host listens on this port. Comes once, before any connection.
    Port(u16),
    /// A client has connected.
    Accepted(Connection),
}

/// The request of [`Connection::read`]; answered with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read(contract::Read);

/// The request of [`Connection::write`]; answered with the number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write(contract::Write);

/// The request of [`Connection::shutdown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    connection: contract::Handle,
}

impl Sealed for Listen {}
impl Sealed for Read {}
impl Sealed for Write {}
impl Sealed for Shutdown {}

impl AskMany for Listen {
    type Answer = Listened;

    fn request(self) -> Request {
        let Listen { port, connections_max, shared } = self;
        Request::Listen(contract::Listen { port, connections_max, shared })
    }

    fn answer(reply: Reply) -> Option<Result<Listened, Error>> {
        match reply {
            Reply::Listening(port) => Some(Ok(Listened::Port(port))),
            Reply::Accepted(accepted) => Some(Ok(Listened::Accepted(Connection::new(accepted)))),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for Read {
    type Answer = Vec<u8>;

    fn request(self) -> Request {
        Request::Read(self.0)
    }

    fn answer(reply: Reply) -> Option<Result<Vec<u8>, Error>> {
        match reply {
            Reply::Data(bytes) => Some(Ok(bytes)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for Write {
    type Answer = u64;

    fn request(self) -> Request {
        Request::Write(self.0)
    }

    fn answer(reply: Reply) -> Option<Result<u64, Error>> {
        match reply {
            Reply::Written(bytes) => Some(Ok(bytes)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for Shutdown {
    type Answer = ();

    fn request(self) -> Request {
        Request::Shutdown(self.connection)
    }

    fn answer(reply: Reply) -> Option<Result<(), Error>> {
        match reply {
            Reply::Done => Some(Ok(())),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

/// A handle that is given back when it is dropped, and so exactly once.
pub(crate) struct Owned(pub(crate) contract::Handle);

impl Owned {
    pub(crate) fn range(&self, offset: u64, length: u64) -> Range {
        Range { handle: self.0, offset, length }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        executor::close(self.0);
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn socket_addr(peer: SocketAddress) -> SocketAddr {
    let address = match peer.address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)),
    };
    SocketAddr::new(address, peer.port)
}
