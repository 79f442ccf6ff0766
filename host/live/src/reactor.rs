//! The state that all parts of the live world use: the completion queue, time, pending requests,
//! and the objects of handles.

use compio_driver::op::Interest;

use super::clock::Clock;
use super::disk_waits::DiskWaits;
use super::driver::{Driver, Fd, Token};
use super::handles::Handles;
use super::pending::Requests;
use pluto_contract::world::Timers;

/// The state that all parts of the live world use. Each part owns its own state, and gets a
/// reference to this one.
pub struct Reactor {
    /// The completion queue: waits for descriptors.
    pub driver: Driver<Owner>,
    /// The time of this turn.
    pub clock: Clock,
    /// Events that happen later.
    pub timers: Timers<Timer>,
    /// The requests that are pending, and the answers that wait for the guest.
    pub requests: Requests,
    /// The objects that the guest holds.
    pub handles: Handles,
    /// The requests that wait for the disk.
    pub disk: DiskWaits,
}

/// The part to which a wait of the completion queue belongs.
#[derive(Clone, Copy)]
pub enum Owner {
    /// The listener of this serial number.
    Listener(u64),
    /// The connection of this handle, which receives.
    Receive(u64),
    /// The connection of this handle, which writes.
    Write(u64),
    /// The watches.
    Watches,
    /// The operator's signals.
    Signals,
}

/// Events that happen later.
pub enum Timer {
    /// The `sleep` of this id is over.
    Sleep(u64),
    /// The listener of this serial number tries again.
    Accept(u64),
    /// The guest has had its time to stop.
    Stop,
    /// The guest is told of lost lines of its log.
    LogLost,
    /// The heap may be given back.
    Heap,
}

impl Reactor {
    /// Creates a reactor without requests. The guest can hold `handles_max` connections and files.
    pub fn new(driver: Driver<Owner>, handles_max: usize) -> Self {
        let disk = DiskWaits::new(driver.waker());
        let (clock, timers, requests) = (Clock::new(), Timers::new(), Requests::default());
        Self { driver, clock, timers, requests, handles: Handles::new(handles_max), disk }
    }

    /// Waits until a descriptor is readable.
    pub fn wait_to_read(&mut self, fd: &Fd, owner: Owner) -> Token {
        self.driver.poll(fd, Interest::Readable, owner)
    }

    /// Sets a timer for this many milliseconds.
    pub fn after_millis(&mut self, millis: u64, timer: Timer) {
        self.timers.add(self.clock.monotonic() + millis * 1_000_000, timer);
    }
}
