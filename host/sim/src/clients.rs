//! What a world asks its clients.

use pluto_contract::{Error, SocketAddress};

use crate::content::Output;

/// The clients of a world, seen from the network: each has a number of its own.
///
/// Times are nanoseconds since the Unix epoch. A client that answers "later" with a time is asked
/// again at that time. One that answers "later" without a time is asked again after
/// [`moved`](Clients::moved) has named it.
pub trait Clients {
    /// Returns when the next client comes to a port, if one will. A time in the past means that it
    /// waits in the backlog.
    fn arrival(&mut self, port: Port) -> Option<u64>;

    /// Accepts the next client of a port, which has arrived. Returns its number and its address.
    fn accept(&mut self, port: Port) -> Option<(usize, SocketAddress)>;

    /// Gives what a client has sent and the guest has not yet read: at most so many bytes.
    fn read(&mut self, client: usize, now: u64, bytes_max: usize) -> Input;

    /// Lets a client take what the guest writes to it: as much of `output` as it takes now.
    fn write(&mut self, client: usize, now: u64, output: &mut Output) -> Taken;

    /// The guest ends its direction by a `shutdown`. The error is the answer to the request.
    fn shutdown(&mut self, client: usize, now: u64) -> Result<(), Error>;

    /// The guest's direction has ended, by a `shutdown` or a last write.
    fn ended(&mut self, client: usize) {
        let _ = client;
    }

    /// The guest has closed the connection.
    fn closed(&mut self, client: usize) {
        let _ = client;
    }

    /// Takes the number of a client that has done something since it was asked last: it has come,
    /// has sent, or takes more.
    fn moved(&mut self) -> Option<usize> {
        None
    }
}

/// The port that stands for one that the system chose: the first of those that IANA leaves to
/// systems to choose from.
pub const CHOSEN_PORT: u16 = 49_152;

/// A port that a guest was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// As it was granted: 0 leaves the choice to the system.
    pub asked: u16,
    /// As it is.
    pub given: u16,
}

/// What a client gives to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes: at least one.
    Bytes(Vec<u8>),
    /// The client has ended its direction.
    End,
    /// The connection has failed.
    Failed(Error),
    /// Nothing yet; the client is asked again at this time, or when it has moved.
    Later(Option<u64>),
}

/// How a client takes a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The whole of it.
    All,
    /// Not all yet; the client is asked again at this time, or when it has moved.
    Later(Option<u64>),
    /// The connection has failed.
    Failed(Error),
}
