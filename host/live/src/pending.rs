//! What requests of a guest wait for in the live world.

use pluto_contract::world::TimerKey;

/// The event that a pending request waits for, which `cancel` has to end.
pub enum Pending {
    /// Clients of the listener of this serial number.
    Listen(u64),
    /// Bytes from the connection of this handle.
    Read(u64),
    /// The client of the connection of this handle, which takes bytes.
    Write(u64),
    /// A timer.
    Sleep(TimerKey),
    /// Changes that the system's watch of this number reports.
    Watch(i32),
    /// The digest of this serial number.
    Digest(u64),
    /// The call of this number, which a thread makes.
    Disk(u64),
    /// Signals.
    Signals,
}

/// The requests of a guest that are pending, and the answers that wait for it.
pub type Requests = pluto_contract::world::Requests<Pending>;
