//! Events to come, in the order of their times, for every world that has a clock.

use std::collections::BTreeMap;
use std::time::Duration;

/// Names an event to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey(u64, u64);

/// Events to come, in the order of their times; those of one time in the order in which they were
/// added. Times are nanoseconds since the Unix epoch.
pub struct Timers<T> {
    queue: BTreeMap<TimerKey, T>,
    /// How many events there ever were.
    added: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Timers<T> {
    /// Returns a queue without events.
    pub fn new() -> Self {
        Self { queue: BTreeMap::new(), added: 0 }
    }

    /// Adds an event that is due at this time.
    #[inline]
    pub fn add(&mut self, due: u64, what: T) -> TimerKey {
        self.added += 1;
        let key = TimerKey(due, self.added);
        self.queue.insert(key, what);
        key
    }

    /// Removes an event. Does nothing for one that has happened.
    #[inline]
    pub fn remove(&mut self, key: TimerKey) {
        self.queue.remove(&key);
    }

    /// Takes the next event that is due.
    #[inline]
    pub fn next_due(&mut self, now: u64) -> Option<T> {
        let first = self.queue.first_entry()?;
        if first.key().0 <= now { Some(first.remove()) } else { None }
    }

    /// Returns when the next event is due.
    #[inline]
    pub fn due(&self) -> Option<u64> {
        self.queue.first_key_value().map(|(TimerKey(due, _), _)| *due)
    }

    /// Returns how long it is until the next event.
    #[inline]
    pub fn wait(&self, now: u64) -> Option<Duration> {
        self.due().map(|due| Duration::from_nanos(due.saturating_sub(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
