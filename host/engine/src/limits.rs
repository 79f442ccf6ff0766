//! The limits of running guests. Each name ends in its unit, and the reason stands above it.

mod admission;

pub use self::admission::*;
pub use pluto_contract::limits::*;

/// Compiled code that is kept, in bytes: that of about eighty web servers. Beyond it goes what was
/// used least lately; what takes more than half of it is not kept.
pub const CODE_KEPT_BYTES_MAX: u64 = 256 << 20;

/// Default of `--memory-max`: linear memory of a guest, all its memories together. Room for 50,000
/// connections of 16 KiB each and as much again; a guest that leaks is stopped before the machine
/// swaps.
pub const MEMORY_BYTES_DEFAULT: u64 = 1 << 30;

/// How often the turn limit is looked at.
pub const TURN_TICK_MILLIS: u64 = 100;

/// Ticks between two looks at a turn from which on it is taken to have waited for the system, as
/// far as it did not compute. Fewer may be a machine that has too much to do.
pub const TURN_TICKS_WAITED_MIN: u64 = 5;

/// The name of a function or module in a backtrace: twenty of them fit a screen.
pub const TOLD_NAME_BYTES_MAX: usize = 200;

/// A mangled name that is made readable. How long that takes can grow faster than the name.
pub const DEMANGLED_BYTES_MAX: usize = 4 << 10;
