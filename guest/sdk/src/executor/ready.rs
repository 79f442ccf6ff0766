//! The ready list: tasks to be polled, by their slots, in the order in which they were woken.
//!
//! The list is apart from the other state, because a waker may be called at any time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;

thread_local! {
    /// Never dropped, so that a waker that a thread drops at its end still finds it.
    static READY: ManuallyDrop<RefCell<VecDeque<u32>>> =
        const { ManuallyDrop::new(RefCell::new(VecDeque::new())) };
}

/// Puts a task on the list.
pub(super) fn push(slot: u32) {
    READY.with(|ready| ready.borrow_mut().push_back(slot));
}

/// Takes the task that was woken first.
pub(super) fn pop() -> Option<u32> {
    READY.with(|ready| ready.borrow_mut().pop_front())
}

/// Exchanges the list for another.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn exchange(other: &mut VecDeque<u32>) {
    READY.with(|ready| std::mem::swap(&mut *ready.borrow_mut(), other));
}
