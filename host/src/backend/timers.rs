//! What is to happen later, in order: for every world that has a clock.

use std::collections::BTreeMap;
use std::time::Duration;

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

    /// Adds one, due at a time of the world's clock.
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

    /// When the next one is due.
    pub fn due(&self) -> Option<u64> {
        self.queue.first_key_value().map(|(TimerKey(due, _), _)| *due)
    }

    /// How long until the next one.
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
