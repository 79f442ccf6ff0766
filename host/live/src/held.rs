//! Shares of limited resources: memory, descriptors. A share counts what its holder takes, and is
//! given back when the holder is dropped, so that no count can drift.

use std::cell::Cell;
use std::rc::Rc;

use pluto_contract::Error;

/// The sum of all shares of a resource.
#[derive(Clone, Default)]
pub struct Total(Rc<Cell<u64>>);

/// A share of a total, given back when it is dropped.
pub struct Held {
    /// The total of which it is a share.
    total: Total,
    /// The size of the share.
    amount: u64,
}

impl Total {
    /// Returns how much is held.
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    /// Takes a share. The error is `Exhausted` if more than `max` would then be held.
    pub fn hold(&self, amount: u64, max: u64) -> Result<Held, Error> {
        let is_within = self.get().checked_add(amount).is_some_and(|sum| sum <= max);
        if is_within { Ok(self.hold_anyway(amount)) } else { Err(Error::Exhausted) }
    }

    /// Takes a share of something that exists already and cannot be refused any more.
    pub fn hold_anyway(&self, amount: u64) -> Held {
        let mut held = Held { total: self.clone(), amount: 0 };
        held.change(amount);
        held
    }
}

impl Held {
    /// Makes the share larger or smaller.
    pub fn change(&mut self, amount: u64) {
        let others = self.total.get().checked_sub(self.amount).expect("a total is the sum of its shares");
        self.total.0.set(others.checked_add(amount).expect("no more is held than there can be memory"));
        self.amount = amount;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.change(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let total = Total::default();
        let mut first = total.hold(60, 100).expect("there is room");
        assert_eq!(total.hold(41, 100).err(), Some(Error::Exhausted));
        assert_eq!(total.hold(u64::MAX, u64::MAX).err(), Some(Error::Exhausted));
        let second = total.hold_anyway(60);
        assert_eq!(total.get(), 120, "what is there is counted also beyond a limit");
        first.change(10);
        assert_eq!(total.get(), 70);
        drop(first);
        drop(second);
        assert_eq!(total.get(), 0);
    }
}
