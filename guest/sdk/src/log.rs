//! The log. Its lines are for people: a replay never compares them.

use crate::contract::Level;
use crate::executor;

/// Writes a line. The host shortens it to `log_bytes_max` and escapes control characters.
/// Natively, outside of a guest that `testing` runs, nothing happens.
pub fn log(level: Level, message: impl AsRef<str>) {
    executor::log(level, message.as_ref());
}

/// Logs, as `format!` writes it, what went wrong in the guest itself.
#[macro_export]
macro_rules! error {
    ($($arg:tt)*) => { $crate::log::log($crate::Level::Error, ::std::format!($($arg)*)) };
}

/// Logs, as `format!` writes it, what the operator should look at.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)*) => { $crate::log::log($crate::Level::Warn, ::std::format!($($arg)*)) };
}

/// Logs, as `format!` writes it, what happens in ordinary operation.
#[macro_export]
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::log($crate::Level::Info, ::std::format!($($arg)*)) };
}

/// Logs, as `format!` writes it, what helps to find a error.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)*) => { $crate::log::log($crate::Level::Debug, ::std::format!($($arg)*)) };
}
