//! A timer of a guest's code.

use super::runtime::{now, with};
use super::timers::Key;
use std::task::Waker;

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
        let now = now();
        if at != u64::MAX && !self.key.is_some_and(|(due, _)| due > now && due <= at) {
            self.put(at);
        }
    }

    /// Puts it into the map, in the place of where it is.
    #[cold]
    fn put(&mut self, at: u64) {
        let Some(waker) = self.waker.clone() else { return };
        self.disarm();
        self.key = Some(with(|state| state.timers.insert(at, waker)));
    }

    fn disarm(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = with(|state| state.timers.remove(key));
            drop(waker);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}
