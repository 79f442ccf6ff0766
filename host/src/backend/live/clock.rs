//! Time: the stamps of batches, and what is to happen later.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Stamps of the Unix epoch that run with the monotonic clock. They follow the wall clock when that is set forward,
/// and never go back.
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
        // In this order: what passes between the two makes the difference smaller, and a smaller one is not taken.
        let wall = nanoseconds(ClockId::Realtime);
        self.now = nanoseconds(ClockId::Monotonic);
        self.offset = self.offset.max(wall.saturating_sub(self.now));
    }

    /// Looks how much time has passed, and not whether the wall clock was set: half the cost, about 20 ns.
    pub fn pass(&mut self) {
        self.now = nanoseconds(ClockId::Monotonic);
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

/// Names something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey(u64, u64);

/// What is to happen later, in order.
pub struct Timers<T> {
    queue: BTreeMap<TimerKey, T>,
    added: u64,
}

impl<T> Timers<T> {
    /// None yet.
    pub fn new() -> Self {
        Self { queue: BTreeMap::new(), added: 0 }
    }

    /// Adds one, due at a time of the monotonic clock.
    pub fn add(&mut self, due: u64, what: T) -> TimerKey {
        self.added += 1;
        let key = TimerKey(due, self.added);
        self.queue.insert(key, what);
        key
    }

    /// Takes one away.
    pub fn remove(&mut self, key: TimerKey) {
        self.queue.remove(&key);
    }

    /// The next one that is due.
    pub fn next_due(&mut self, now: u64) -> Option<T> {
        let first = self.queue.first_entry()?;
        if first.key().0 <= now { Some(first.remove()) } else { None }
    }

    /// How long until the next one.
    pub fn wait(&self, now: u64) -> Option<Duration> {
        let (TimerKey(due, _), _) = self.queue.first_key_value()?;
        Some(Duration::from_nanos(due.saturating_sub(now)))
    }
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

    #[test]
    fn timers_come_in_order_and_in_the_order_of_adding() {
        let mut timers = Timers::new();
        timers.add(20, "c");
        timers.add(10, "a");
        let gone = timers.add(10, "gone");
        timers.add(10, "b");
        timers.remove(gone);
        assert_eq!(timers.wait(4), Some(Duration::from_nanos(6)));
        assert_eq!(timers.next_due(9), None);
        assert_eq!((timers.next_due(10), timers.next_due(10), timers.next_due(10)), (Some("a"), Some("b"), None));
        assert_eq!((timers.next_due(30), timers.wait(30)), (Some("c"), None));
    }
}
