//! How a run ended, and why the host ended a guest.

use std::fmt;

/// A reason for which the host ends a guest. Each says what was exceeded, and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The operator asked for it, and the guest had not asked to be told.
    Asked,
    /// The guest was told to stop and did not within the limit.
    StopTooSlow,
    /// The guest computed for too long without receiving.
    TurnTooLong,
    /// The guest wanted more memory than it may have.
    Memory {
        /// Bytes wanted.
        wanted: u64,
        /// The limit of `--memory-max`.
        limit: u64,
    },
    /// The guest wanted larger tables than it may have.
    Tables {
        /// Elements wanted.
        wanted: u64,
    },
    /// More requests are pending than the host holds.
    RequestsPending,
    /// A pending id was sent again.
    DuplicateId(u64),
    /// `receive` was called while nothing is pending: it would wait forever.
    NothingPending,
    /// The list of answers of a script or a trace is at its end.
    AnswersEnded,
    /// The operating system returned an error to the host itself.
    System(String),
    /// Another process began to listen on this port, between this host's binding it and the
    /// guest's listening.
    PortTaken(u16),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `run` returned `exit`.
    Code(u8),
    /// The guest trapped. What wasmtime said of it is not compared.
    Trapped,
    /// The host ended it.
    Stopped(StopReason),
}

impl StopReason {
    /// Whether the run ended as the operator, or the test, wanted.
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::Asked | Self::AnswersEnded)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::limits;
        match self {
            Self::Asked => f.write_str("the operator asked it to stop"),
            Self::StopTooSlow => {
                write!(f, "it was told to stop and did not end within {} s", limits::STOP_SECONDS_MAX)
            }
            Self::TurnTooLong => write!(
                f,
                "it computed for more than {} s without calling receive: an endless loop?",
                limits::TURN_SECONDS_MAX
            ),
            Self::Memory { wanted, limit } => write!(
                f,
                "it wants {} KiB of memory and may have {} KiB; --memory-max allows more",
                wanted.div_ceil(1 << 10),
                limit >> 10
            ),
            Self::Tables { wanted } => {
                write!(f, "it wants a table of {wanted} elements, and a host gives {}", limits::TABLE_ELEMENTS_MAX)
            }
            Self::RequestsPending => write!(
                f,
                "it has sent more requests without receiving their answers than a host keeps ({})",
                limits::REQUESTS_PENDING_MAX
            ),
            Self::DuplicateId(id) => write!(f, "it has sent a request with id {id} while that id was pending"),
            Self::NothingPending => f.write_str("it called receive with no request pending, which would wait forever"),
            Self::AnswersEnded => f.write_str("there are no more answers"),
            Self::PortTaken(port) => write!(f, "another program took port {port} while this one was starting"),
            Self::System(what) => write!(f, "the operating system failed: {what}"),
        }
    }
}

impl std::error::Error for StopReason {}
