//! What the contract says of each kind of request, and WIT cannot say: which replies answer it,
//! how often it is answered, and which of its fields are handles.

use crate::arity::Arity;
use crate::types::{Handle, Id, Part, Range, Reply, Request};

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
    /// Returns the fields of the request, in the order in which a reader expects them.
    pub fn fields(&self) -> Vec<Field<'_>> {
        use Field::{Bytes, Flag, Handle, Id, Number, Parts, Path};
        let connection = |handle| Handle(handle, Some(ObjectKind::Connection));
        let file = |handle| Handle(handle, Some(ObjectKind::File));
        let range =
            |range: &Range| vec![file(range.handle), Number("offset", range.offset), Number("length", range.length)];
        match self {
            Self::Listen(it) => vec![Number("", it.port.into()), Number("connections-max", it.connections_max.into())],
            Self::Read(it) => vec![connection(it.connection), Number("bytes-max", it.bytes_max.into())],
            Self::Write(it) => vec![connection(it.connection), Flag("ends", it.ends), Parts(&it.parts)],
            Self::Shutdown(handle) => vec![connection(*handle)],
            Self::Close(handle) => vec![Handle(*handle, None)],
            Self::Open(it) => vec![Path(&it.path), Flag("follow-symlinks", it.follow_symlinks)],
            Self::ReadFile(it) | Self::Load(it) => range(it),
            Self::Digest(handle) => vec![file(*handle)],
            Self::List(path) | Self::Watch(path) => vec![Path(path)],
            Self::Sleep(nanoseconds) => vec![Number("", *nanoseconds)],
            Self::Cancel(id) => vec![Id(*id)],
            Self::Post(bytes) => vec![Bytes(bytes)],
            Self::Signals | Self::Gather => Vec::new(),
        }
    }

    /// Returns the handles that the request names, each with what it must name. `close` takes a
    /// handle of any kind.
    pub fn handles(&self) -> Vec<(Handle, Option<ObjectKind>)> {
        let part = |part: &Part| match part {
            Part::Bytes(_) => None,
            Part::Buffer(range) => Some((range.handle, Some(ObjectKind::Buffer))),
            Part::File(range) => Some((range.handle, Some(ObjectKind::File))),
        };
        let of_field = |field| match field {
            Field::Handle(handle, kind) => vec![(handle, kind)],
            Field::Parts(parts) => parts.iter().filter_map(part).collect(),
            _ => Vec::new(),
        };
        self.fields().into_iter().flat_map(of_field).collect()
    }
}

/// A field of a request, for those who show requests without knowing each kind. A number or a flag
/// has the name that the WIT gives it; the number that a request is about has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// A handle, and what it must name. None: an object of any kind.
    Handle(Handle, Option<ObjectKind>),
    /// The id of another request.
    Id(Id),
    /// A number.
    Number(&'static str, u64),
    /// Whether something holds.
    Flag(&'static str, bool),
    /// A path beneath the root.
    Path(&'a [u8]),
    /// Bytes of the guest.
    Bytes(&'a [u8]),
    /// The parts of a write.
    Parts(&'a [Part]),
}
