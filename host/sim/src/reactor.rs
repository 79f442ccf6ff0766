//! What the parts of a world share.

use pluto_contract::Id;
use pluto_contract::world::{Objects, Requests, TimerKey, Timers};

use crate::connection::Connection;
use crate::content::Content;

/// The time, the events to come, the pending requests and the guest's objects.
pub struct Reactor<F> {
    /// Nanoseconds since the Unix epoch.
    pub now: u64,
    pub timers: Timers<Event>,
    pub requests: Requests<Pending>,
    pub objects: Objects<Box<Connection>, F, Content>,
}

/// What happens later.
pub enum Event {
    /// The next client of the listener of this serial number can be accepted.
    Accept(u64),
    /// The client of this handle is asked again what it sends.
    Read(u64),
    /// The client of this handle is asked again what it takes.
    Write(u64),
    /// The sleep of this id ends.
    Sleep(Id),
}

/// What a pending request waits for: what `cancel` has to end.
pub enum Pending {
    Listen,
    /// The handle of the connection.
    Read(u64),
    /// The handle of the connection.
    Write(u64),
    Sleep(TimerKey),
    Watch,
    Signals,
}

impl<F> Reactor<F> {
    pub fn new(now: u64) -> Self {
        Self { now, timers: Timers::new(), requests: Requests::default(), objects: Objects::default() }
    }
}
