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

type Key = (u64, u64);

impl Timers {
    pub(super) const fn new() -> Timers {
        Timers { entries: BTreeMap::new(), made: 0, armed: None }
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

/// One waker that is woken at one time. Made disarmed; can be set again and again; dropping it
/// disarms it.
pub(crate) struct Timer {
    /// Where it was put into the map. It is still there if that lies in the future.
    key: Option<Key>,
    /// The waker that it last had, for setting it without one at hand.
    waker: Option<Waker>,
}

impl Timer {
    pub(crate) const fn new() -> Timer {
        Timer { key: None, waker: None }
    }

    /// Wakes `waker` at time `at`, or earlier. Costs two comparisons when that is so already.
    #[inline]
    pub(crate) fn wake_at(&mut self, at: u64, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.disarm();
            self.waker = Some(waker.clone());
        }
        self.bring_forward(at);
    }

    /// Wakes the waker of the last `wake_at`, if there was one, at time `at`, or earlier.
    /// `u64::MAX` is never.
    #[inline]
    pub(crate) fn bring_forward(&mut self, at: u64) {
        let now = super::now();
        if at != u64::MAX && !self.key.is_some_and(|(due, _)| due > now && due <= at) {
            self.put(at);
        }
    }

    /// Puts it into the map, in the place of where it is.
    #[cold]
    fn put(&mut self, at: u64) {
        let Some(waker) = self.waker.clone() else { return };
        self.disarm();
        self.key = Some(super::with(|state| {
            state.timers.made += 1;
            let key = (at, state.timers.made);
            state.timers.entries.insert(key, waker);
            key
        }));
    }

    fn disarm(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = super::with(|state| state.timers.entries.remove(&key));
            drop(waker);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}
