//! Time: the stamps of batches.

use rustix::time::{ClockId, clock_gettime};

/// A clock of Unix time that runs with the monotonic clock. The clock follows the wall clock when
/// that is set forward, and never goes back.
pub struct Clock {
    /// The time of the last look, in nanoseconds of the monotonic clock.
    now: u64,
    /// The nanoseconds to add for the Unix epoch.
    offset: u64,
}

impl Clock {
    /// Creates a clock, and looks at the system's clocks once.
    pub fn new() -> Self {
        let mut clock = Self { now: 0, offset: 0 };
        clock.look();
        clock
    }

    /// Looks at the system's clocks.
    pub fn look(&mut self) {
        // The order matters: time that passes between the two calls makes the offset smaller, and
        // a smaller offset is not taken.
        let wall = nanoseconds(ClockId::Realtime);
        self.pass();
        self.offset = self.offset.max(wall.saturating_sub(self.now));
    }

    /// Looks at the monotonic clock only, not whether the wall clock was set. This halves the cost
    /// to about 20 ns.
    pub fn pass(&mut self) {
        // The clock may go back all the same when a virtual machine moves.
        self.now = self.now.max(nanoseconds(ClockId::Monotonic));
    }

    /// Returns the time of the last look, in nanoseconds since the Unix epoch.
    pub fn stamp(&self) -> u64 {
        self.now.saturating_add(self.offset)
    }

    /// Returns the time of the last look, in nanoseconds of the monotonic clock.
    pub fn monotonic(&self) -> u64 {
        self.now
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_never_go_back_and_are_of_this_century() {
        let mut clock = Clock::new();
        let first = clock.stamp();
        clock.look();
        assert!(clock.stamp() >= first);
        assert!(first > 1_700_000_000 * 1_000_000_000);
    }
}
