//! Gives the heap back to the system after much of it was freed.
//!
//! The system's allocator keeps free memory between pieces that are in use. The memory of a
//! thousand clients would otherwise stay for good.

use crate::limits;

/// Watches how much memory the host holds for clients, and gives memory back after a peak.
#[derive(Default)]
pub struct Heap {
    /// The most bytes that were held since memory was last given back.
    peak: u64,
    /// Whether a look at the heap is due.
    is_due: bool,
}

impl Heap {
    /// Takes note of how many bytes are held now. Returns whether the caller should call
    /// `give_back` some time later. Returns that once until `give_back` is called.
    pub fn is_worth_a_look(&mut self, bytes: u64) -> bool {
        self.peak = self.peak.max(bytes);
        self.is_behind_peak(bytes) && !std::mem::replace(&mut self.is_due, true)
    }

    /// Gives memory back, if the bytes that are held now are still few.
    pub fn give_back(&mut self, bytes: u64) {
        self.is_due = false;
        if self.is_behind_peak(bytes) {
            trim();
            self.peak = bytes;
        }
    }

    fn is_behind_peak(&self, bytes: u64) -> bool {
        self.peak.saturating_sub(bytes) >= limits::HEAP_FREED_BYTES_MIN && bytes <= self.peak / 2
    }
}

/// Gives back every unused page of the heap.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
fn trim() {
    // SAFETY: it may be called at any time, from any thread (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give memory back by themselves.
#[cfg(not(target_env = "gnu"))]
fn trim() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_behind_a_peak_and_not_too_often() {
        const ENOUGH: u64 = limits::HEAP_FREED_BYTES_MIN;
        let mut heap = Heap::default();
        assert!(!heap.is_worth_a_look(ENOUGH - 1));
        assert!(!heap.is_worth_a_look(0), "so little is kept for the next clients");
        assert!(!heap.is_worth_a_look(4 * ENOUGH));
        assert!(!heap.is_worth_a_look(3 * ENOUGH), "most of it is still held");
        assert!(heap.is_worth_a_look(0));
        assert!(!heap.is_worth_a_look(0), "a look is due already");
        heap.give_back(3 * ENOUGH);
        assert_eq!(heap.peak, 4 * ENOUGH, "it is held again");
        assert!(heap.is_worth_a_look(0));
        heap.give_back(0);
        assert_eq!(heap.peak, 0);
        assert!(!heap.is_worth_a_look(0));
    }
}
