//! A queue of conversations for what only one of them does at a time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Who comes first is served first.
#[derive(Debug, Default)]
pub struct Queue {
    places: RefCell<VecDeque<(u64, Option<Waker>)>>,
    next: Cell<u64>,
}

/// A place in the queue, which is given up when it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Queue {
    /// Takes the last place, unless so many are taken.
    pub fn enter(&self, max: usize) -> Option<Place<'_>> {
        let mut places = self.places.borrow_mut();
        if places.len() >= max {
            return None;
        }
        let number = self.next.replace(self.next.get() + 1);
        places.push_back((number, None));
        Some(Place { queue: self, number })
    }
}

impl Place<'_> {
    /// Until nobody is before it.
    pub async fn wait(&self) {
        poll_fn(|context| {
            let mut places = self.queue.places.borrow_mut();
            match places.iter().position(|(number, _)| *number == self.number) {
                Some(before) if before > 0 => {
                    places[before].1 = Some(context.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.queue.places.borrow_mut();
        places.retain(|(number, _)| *number != self.number);
        let next = places.front_mut().and_then(|(_, waker)| waker.take());
        drop(places);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
