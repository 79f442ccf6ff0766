//! The replies that each kind of request has: the part of the contract that WIT cannot say.

use crate::arity::Arity;
use crate::types::{Reply, Request};

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
