//! The timers: one map of deadlines in the guest, and at most one `sleep` at the host, for the
//! earliest.

use crate::contract::Id;
use std::collections::BTreeMap;
use std::task::Waker;

pub(super) struct Timers {
    /// By when they are due (nanoseconds since the Unix epoch), then by the order in which they
    /// were made.
    entries: BTreeMap<Key, Waker>,
    /// How many were ever made.
    made: u64,
    /// The pending `sleep` of the host, and when it ends.
    armed: Option<(Id, u64)>,
}

/// Names an entry: when it is due, and how many were made before it.
pub(super) type Key = (u64, u64);

impl Timers {
    pub(super) const fn new() -> Timers {
        Timers { entries: BTreeMap::new(), made: 0, armed: None }
    }

    /// Adds an entry that is due at `at`.
    pub(super) fn insert(&mut self, at: u64, waker: Waker) -> Key {
        self.made += 1;
        let key = (at, self.made);
        self.entries.insert(key, waker);
        key
    }

    /// Removes an entry, if it is still there.
    pub(super) fn remove(&mut self, key: Key) -> Option<Waker> {
        self.entries.remove(&key)
    }

    /// Takes a timer that is due.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<Waker> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// When the earliest timer is due, unless the host's `sleep` ends early enough for it.
    pub(super) fn needs_arming(&self) -> Option<u64> {
        let (&(earliest, _), _) = self.entries.first_key_value()?;
        self.armed.is_none_or(|(_, ends)| ends > earliest).then_some(earliest)
    }

    pub(super) fn armed(&self) -> Option<Id> {
        self.armed.map(|(id, _)| id)
    }

    pub(super) fn arm(&mut self, id: Id, ends: u64) {
        self.armed = Some((id, ends));
    }

    /// The host's `sleep` has been answered.
    pub(super) fn disarm(&mut self) {
        self.armed = None;
    }
}
