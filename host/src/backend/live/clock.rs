//! Time: the stamps of batches.

use rustix::time::{ClockId, clock_gettime};

/// Stamps of the Unix epoch that run with the monotonic clock. They follow the wall clock when
/// that is set forward, and never go back.
pub struct Clock {
    /// Of the last look, in nanoseconds of the monotonic clock.
    now: u64,
    /// What to add for the Unix epoch.
    offset: u64,
}

impl Clock {
    /// A clock that has looked once.
    pub fn new() -> Self {
        let mut clock = Self { now: 0, offset: 0 };
        clock.look();
        clock
    }

    /// Looks at the system's clocks.
    pub fn look(&mut self) {
        // In this order: what passes between the two makes the difference smaller, and a smaller
        // one is not taken.
        let wall = nanoseconds(ClockId::Realtime);
        self.pass();
        self.offset = self.offset.max(wall.saturating_sub(self.now));
    }

    /// Looks how much time has passed, and not whether the wall clock was set: half the cost,
    /// about 20 ns.
    pub fn pass(&mut self) {
        // A machine that was moved may set it back all the same.
        self.now = self.now.max(nanoseconds(ClockId::Monotonic));
    }

    /// The last look: nanoseconds since the Unix epoch.
    pub fn stamp(&self) -> u64 {
        self.now.saturating_add(self.offset)
    }

    /// The last look: nanoseconds of the monotonic clock.
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
