//! Clients that do nothing by themselves: a test moves them, and looks at what they have received.

use std::collections::{BTreeSet, VecDeque};

use pluto_contract::{Error, IpAddress, SocketAddress};

use crate::clients::{Clients, Input, Port, Taken};
use crate::content::Output;

/// Names a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(usize);

/// Clients that a test moves.
#[derive(Default)]
pub struct Scripted {
    all: Vec<Client>,
    /// Those who wait to be accepted, in the order in which they came.
    backlog: VecDeque<usize>,
    /// The port to which clients come that name none.
    first: Option<Port>,
    /// Those who have done something since the world asked last.
    moved: BTreeSet<usize>,
}

/// A client, from its own side.
#[derive(Default)]
struct Client {
    /// The port to which it comes, unless that is the first.
    port: Option<u16>,
    is_accepted: bool,
    /// Sent, and not read by the guest.
    sent: VecDeque<u8>,
    has_ended: bool,
    is_reset: bool,
    received: Vec<u8>,
    /// How many more bytes it takes; `None` for all.
    takes: Option<u64>,
    /// The guest has ended its direction.
    guest_has_ended: bool,
    /// The guest has closed the connection.
    is_closed: bool,
}

impl Scripted {
    /// Sets the port to which clients come that name none.
    pub fn set_first_port(&mut self, port: Port) {
        self.first = Some(port);
    }

    /// A new client comes to a port; without a port, to the first. It waits in the backlog until
    /// the guest listens and has room for it.
    pub fn connect(&mut self, port: Option<u16>) -> ClientId {
        let client = self.all.len();
        self.all.push(Client { port, ..Client::default() });
        self.backlog.push_back(client);
        self.moved.insert(client);
        ClientId(client)
    }

    /// The client sends bytes, which wait until the guest reads them.
    ///
    /// Panics when the client has ended its direction.
    pub fn send(&mut self, client: ClientId, bytes: &[u8]) {
        let client = self.moves(client);
        assert!(!client.has_ended, "a client that has ended its direction cannot send");
        client.sent.extend(bytes);
    }

    /// The client ends its direction, and still receives.
    pub fn end(&mut self, client: ClientId) {
        self.moves(client).has_ended = true;
    }

    /// The client is gone without a word. What it sent before can still be read.
    pub fn reset(&mut self, client: ClientId) {
        self.moves(client).is_reset = true;
    }

    /// The client takes only so many bytes more, until this is called again. Without it a client
    /// takes everything.
    pub fn take(&mut self, client: ClientId, bytes: u64) {
        self.moves(client).takes = Some(bytes);
    }

    /// All that the client has received.
    pub fn received(&self, client: ClientId) -> &[u8] {
        &self.all[client.0].received
    }

    /// Whether the client was accepted.
    pub fn is_accepted(&self, client: ClientId) -> bool {
        self.all[client.0].is_accepted
    }

    /// Whether the client reads an end: the guest has ended its direction, or has closed the
    /// connection.
    pub fn is_ended(&self, client: ClientId) -> bool {
        self.all[client.0].guest_has_ended || self.is_closed(client)
    }

    /// Whether the guest has closed the connection.
    pub fn is_closed(&self, client: ClientId) -> bool {
        self.all[client.0].is_closed
    }

    fn moves(&mut self, client: ClientId) -> &mut Client {
        self.moved.insert(client.0);
        &mut self.all[client.0]
    }

    /// The place in the backlog of the next client of a port.
    fn next(&self, port: Port) -> Option<usize> {
        let comes = |client: &Client| match client.port {
            None => self.first == Some(port),
            Some(wanted) => wanted == port.given,
        };
        self.backlog.iter().position(|&client| comes(&self.all[client]))
    }
}

impl Clients for Scripted {
    fn arrival(&mut self, port: Port) -> Option<u64> {
        self.next(port).map(|_| 0)
    }

    fn accept(&mut self, port: Port) -> Option<(usize, SocketAddress)> {
        let next = self.next(port)?;
        let client = self.backlog.remove(next)?;
        self.all[client].is_accepted = true;
        // Every client has an address of its own, within 10.0.0.0/8.
        let [_, a, b, c] = (client as u32 + 1).to_be_bytes();
        Some((client, SocketAddress { address: IpAddress::Ipv4((10, a, b, c)), port: 40_000 }))
    }

    fn read(&mut self, client: usize, _: u64, bytes_max: usize) -> Input {
        let client = &mut self.all[client];
        if !client.sent.is_empty() {
            let length = client.sent.len().min(bytes_max);
            Input::Bytes(client.sent.drain(..length).collect())
        } else if client.has_ended {
            Input::End
        } else if client.is_reset {
            Input::Failed(Error::Disconnected)
        } else {
            Input::Later(None)
        }
    }

    fn write(&mut self, client: usize, _: u64, output: &mut Output) -> Taken {
        let client = &mut self.all[client];
        if client.is_reset {
            return Taken::Failed(Error::Disconnected);
        }
        let before = output.left();
        output.take(client.takes.unwrap_or(before), &mut client.received);
        if let Some(takes) = &mut client.takes {
            *takes -= before - output.left();
        }
        if output.left() == 0 { Taken::All } else { Taken::Later(None) }
    }

    fn shutdown(&mut self, client: usize, _: u64) -> Result<(), Error> {
        if self.all[client].is_reset { Err(Error::Disconnected) } else { Ok(()) }
    }

    fn ended(&mut self, client: usize) {
        self.all[client].guest_has_ended = true;
    }

    fn closed(&mut self, client: usize) {
        self.all[client].is_closed = true;
    }

    fn moved(&mut self) -> Option<usize> {
        self.moved.pop_first()
    }
}
