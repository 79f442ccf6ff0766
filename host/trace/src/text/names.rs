//! The contract's cases by their names in the WIT.

use pluto_contract::Arity;
use pluto_contract::{Error, Kind, Signal};

pub(super) const ARITIES: [Arity; 2] = [Arity::Once, Arity::Many];

pub(super) fn arity(arity: Arity) -> &'static str {
    match arity {
        Arity::Once => "once",
        Arity::Many => "many",
    }
}

pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Regular => "regular",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Other => "other",
    }
}

/// The one signal behind which a number stands.
pub(super) const LOG_LOST: &str = "log-lost";

pub(super) fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Stop => "stop",
        Signal::Reload => "reload",
        Signal::Pause => "pause",
        Signal::LogLost(_) => LOG_LOST,
    }
}

pub(super) fn error(error: Error) -> &'static str {
    match error {
        Error::NotPermitted => "not-permitted",
        Error::BadHandle => "bad-handle",
        Error::Invalid => "invalid",
        Error::Busy => "busy",
        Error::Cancelled => "cancelled",
        Error::TooLarge => "too-large",
        Error::Exhausted => "exhausted",
        Error::AddressInUse => "address-in-use",
        Error::Disconnected => "disconnected",
        Error::NotFound => "not-found",
        Error::AccessDenied => "access-denied",
        Error::IsDirectory => "is-directory",
        Error::NotDirectory => "not-directory",
        Error::NotRegular => "not-regular",
        Error::Symlink => "symlink",
        Error::Truncated => "truncated",
        Error::Io => "io",
    }
}
