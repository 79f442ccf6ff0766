//! What the contract says of each kind of request, and WIT cannot say: which replies answer it,
//! how often it is answered, and which handles it names.

use crate::arity::Arity;
use crate::types::{Handle, Part, Reply, Request};

/// Which replies answer a request when it does not fail: the contract's table, in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the name of the replies
pub enum Expected {
    Connections,
    Data,
    Written,
    Done,
    Opened,
    Loaded,
    Digested,
    Listed,
    Changed,
    Elapsed,
    Signal,
    Gathered,
}

impl Expected {
    /// Returns which replies answer a request.
    #[inline]
    pub fn answers_to(request: &Request) -> Expected {
        match request {
            Request::Listen(_) => Expected::Connections,
            Request::Read(_) | Request::ReadFile(_) => Expected::Data,
            Request::Write(_) => Expected::Written,
            Request::Shutdown(_) | Request::Close(_) | Request::Cancel(_) | Request::Post(_) => Expected::Done,
            Request::Open(_) => Expected::Opened,
            Request::Load(_) => Expected::Loaded,
            Request::Digest(_) => Expected::Digested,
            Request::List(_) => Expected::Listed,
            Request::Watch(_) => Expected::Changed,
            Request::Sleep(_) => Expected::Elapsed,
            Request::Signals => Expected::Signal,
            Request::Gather => Expected::Gathered,
        }
    }

    /// Returns how often the request is answered.
    #[inline]
    pub fn arity(self) -> Arity {
        match self {
            Expected::Connections | Expected::Changed | Expected::Signal => Arity::Many,
            _ => Arity::Once,
        }
    }

    /// Returns whether a reply is of a kind that answers the request.
    #[inline]
    pub fn fits(self, reply: &Reply) -> bool {
        match reply {
            Reply::Failed(_) => true,
            Reply::Listening(_) | Reply::Accepted(_) => self == Expected::Connections,
            Reply::Data(_) => self == Expected::Data,
            Reply::Written(_) => self == Expected::Written,
            Reply::Done => self == Expected::Done,
            Reply::Opened(_) => self == Expected::Opened,
            Reply::Loaded(_) => self == Expected::Loaded,
            Reply::Digested(_) => self == Expected::Digested,
            Reply::Listed(_) => self == Expected::Listed,
            Reply::Changed(_) => self == Expected::Changed,
            Reply::Elapsed => self == Expected::Elapsed,
            Reply::Signal(_) => self == Expected::Signal,
            Reply::Gathered(_) => self == Expected::Gathered,
        }
    }
}

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A client's connection.
    Connection,
    /// An open file.
    File,
    /// Bytes that the host holds.
    Buffer,
}

impl Arity {
    /// Returns how often a request is answered.
    #[inline]
    pub fn of(request: &Request) -> Self {
        Expected::answers_to(request).arity()
    }
}

impl Request {
    /// Returns the handles that the request names, each with what it must name. `close` takes a
    /// handle of any kind.
    pub fn handles(&self) -> Vec<(Handle, Option<ObjectKind>)> {
        let connection = |handle| (handle, Some(ObjectKind::Connection));
        let file = |handle| (handle, Some(ObjectKind::File));
        match self {
            Self::Read(read) => vec![connection(read.connection)],
            Self::Write(write) => {
                let parts = write.parts.iter().filter_map(|part| match part {
                    Part::Bytes(_) => None,
                    Part::Buffer(range) => Some((range.handle, Some(ObjectKind::Buffer))),
                    Part::File(range) => Some(file(range.handle)),
                });
                std::iter::once(connection(write.connection)).chain(parts).collect()
            }
            Self::Shutdown(handle) => vec![connection(*handle)],
            Self::Close(handle) => vec![(*handle, None)],
            Self::ReadFile(range) | Self::Load(range) => vec![file(range.handle)],
            Self::Digest(handle) => vec![file(*handle)],
            Self::Listen(_)
            | Self::Open(_)
            | Self::List(_)
            | Self::Watch(_)
            | Self::Sleep(_)
            | Self::Signals
            | Self::Cancel(_)
            | Self::Post(_)
            | Self::Gather => Vec::new(),
        }
    }
}
