//! The limits of messages. Each name ends in its unit, and the reason stands above it.

/// A line of a message that names what a guest has chosen. More of a name is no help.
pub const TOLD_LINE_BYTES_MAX: usize = 300;

/// Such a message. A backtrace of twenty functions is shorter.
pub const TOLD_BYTES_MAX: usize = 16 << 10;

/// Names in a list of imports or exports that is shown.
pub const TOLD_NAMES_MAX: usize = 50;
