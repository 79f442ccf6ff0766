//! What all parts of the world work with: the completion queue, time, the requests that are
//! pending, and what handles name.

use compio_driver::op::Interest;

use super::clock::Clock;
use super::disk_waits::DiskWaits;
use super::driver::{Driver, Fd, Token};
use super::handles::Handles;
use super::requests::Requests;
use crate::backend::timers::Timers;

/// What all parts of the world work with. Each part owns its state, and is given this.
pub struct Reactor {
    /// The completion queue: waits for descriptors.
    pub driver: Driver<Owner>,
    /// The time of this turn.
    pub clock: Clock,
    /// What happens later.
    pub timers: Timers<Timer>,
    /// The requests that are pending, and the answers that wait for the guest.
    pub requests: Requests,
    /// What the guest holds.
    pub handles: Handles,
    /// What waits for threads that wait for the disk.
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

/// What happens later.
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
    /// Nothing is pending yet, and the guest can hold so many connections and files.
    pub fn new(driver: Driver<Owner>, handles_max: usize) -> Self {
        let disk = DiskWaits::new(driver.waker());
        let (clock, timers, requests) = (Clock::new(), Timers::new(), Requests::default());
        Self { driver, clock, timers, requests, handles: Handles::new(handles_max), disk }
    }

    /// Waits until a descriptor is readable.
    pub fn wait_to_read(&mut self, fd: &Fd, owner: Owner) -> Token {
        self.driver.poll(fd, Interest::Readable, owner)
    }

    /// Lets something happen after so many milliseconds.
    pub fn after_millis(&mut self, millis: u64, timer: Timer) {
        self.timers.add(self.clock.monotonic() + millis * 1_000_000, timer);
    }
}
