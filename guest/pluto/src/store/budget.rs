//! What all of something may take together.

use std::cell::Cell;
use std::rc::Rc;

/// A limit for all of something, and how much of it is taken. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Budget {
    taken: Rc<Cell<usize>>,
    max: usize,
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    taken: Rc<Cell<usize>>,
    size: usize,
}

impl Budget {
    /// A budget of so much, of which nothing is taken.
    pub fn new(max: usize) -> Budget {
        Budget { taken: Rc::default(), max }
    }

    /// Whether there is room for so much more.
    pub fn has_room(&self, size: usize) -> bool {
        self.taken.get().checked_add(size).is_some_and(|sum| sum <= self.max)
    }

    /// Takes so much, if there is room for it.
    pub fn reserve(&self, size: usize) -> Option<Reservation> {
        self.has_room(size).then(|| {
            self.taken.set(self.taken.get() + size);
            Reservation { taken: Rc::clone(&self.taken), size }
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let taken = self.taken.get().checked_sub(self.size).expect("a reservation is part of what is taken");
        self.taken.set(taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_comes_back() {
        let budget = Budget::new(10);
        let six = budget.reserve(6).expect("room");
        assert!(budget.has_room(4) && !budget.has_room(5) && budget.reserve(5).is_none());
        let four = budget.clone().reserve(4).expect("room");
        assert!(budget.reserve(0).is_some() && budget.reserve(1).is_none() && budget.reserve(usize::MAX).is_none());
        drop(six);
        assert!(budget.has_room(6) && !budget.has_room(7));
        drop(four);
        assert!(budget.has_room(10));
    }
}
