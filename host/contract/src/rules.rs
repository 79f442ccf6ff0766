//! What the contract says of each kind of request: how often it is answered, and which handles it
//! names. Which replies answer it is in `expected.rs`.

use crate::arity::Arity;
use crate::expected::Expected;
use crate::types::{Handle, Part, Request};

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
