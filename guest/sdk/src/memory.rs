//! Memory of a guest. Small blocks are reused at once; the standard library's allocator does the
//! rest.
//!
//! A server asks for the same few sizes again and again. The standard library's allocator for
//! wasm32 searches for the best fit and joins free blocks. That takes about 150 instructions for
//! each block, and took a sixth of all instructions of a request to the web server. Taking the
//! first block of a list takes 15. Blocks in the lists serve no other size, and clients choose
//! sizes; so there is a bound for all lists together, beyond which blocks go back to the standard
//! library's allocator.

// An allocator deals in pointers, by its very signature.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

/// Sizes are rounded up to a multiple of this.
const GRAIN_BYTES: usize = 16;

/// The alignment of a small block: what the standard library's allocator gives without an effort.
const ALIGN_BYTES: usize = 8;

/// Blocks up to this size are kept: heads of requests and responses, and the futures of
/// connections.
const SMALL_BYTES_MAX: usize = 2 << 10;

const CLASSES: usize = SMALL_BYTES_MAX / GRAIN_BYTES;

/// Bytes in all lists together: what 1,000 busy connections give back and take again in a turn,
/// and nothing beside the memory that a guest may have.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// An allocator that keeps small blocks which were given back, in a list for each size.
pub struct Recycler<A> {
    rest: A,
    /// The first free block of each size.
    free: [Cell<*mut Block>; CLASSES],
    /// Bytes of all free blocks.
    kept: Cell<usize>,
}

/// A free block. The next one of its size is written where the data was.
struct Block {
    next: *mut Block,
}

// SAFETY: a guest has one thread. Without atomics, wasm32 has no other.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
unsafe impl<A> Sync for Recycler<A> {}

impl<A> Recycler<A> {
    /// Takes from another allocator what is not at hand.
    pub const fn new(rest: A) -> Recycler<A> {
        Recycler { rest, free: [const { Cell::new(ptr::null_mut()) }; CLASSES], kept: Cell::new(0) }
    }
}

/// The size class of a small block.
#[inline]
fn class(layout: Layout) -> Option<usize> {
    let small = layout.size().wrapping_sub(1) < SMALL_BYTES_MAX && layout.align() <= ALIGN_BYTES;
    small.then(|| (layout.size() - 1) / GRAIN_BYTES)
}

/// What a class asks for: the same whatever was asked of it, so that any block serves for any of
/// its sizes.
#[inline]
fn layout_of(class: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and the size far from the largest.
    unsafe { Layout::from_size_align_unchecked((class + 1) * GRAIN_BYTES, ALIGN_BYTES) }
}

// SAFETY: a block is either given out or in the list of its class, never both; every block of a
// class was allocated with the layout of the class, which is at least as large and as aligned as
// each layout that is mapped to it, and large enough for a `Block`.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Recycler<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else { return unsafe { self.rest.alloc(layout) } };
        let block = self.free[class].get();
        if block.is_null() {
            return unsafe { self.rest.alloc(layout_of(class)) };
        }
        self.free[class].set(unsafe { (*block).next });
        self.kept.set(self.kept.get() - layout_of(class).size());
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else { return unsafe { self.rest.dealloc(pointer, layout) } };
        let kept = self.kept.get() + layout_of(class).size();
        if kept > KEPT_BYTES_MAX {
            return unsafe { self.rest.dealloc(pointer, layout_of(class)) };
        }
        self.kept.set(kept);
        let block: *mut Block = pointer.cast();
        unsafe { (*block).next = self.free[class].get() };
        self.free[class].set(block);
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(layout).is_none() {
            return unsafe { self.rest.alloc_zeroed(layout) };
        }
        let pointer = unsafe { self.alloc(layout) };
        if !pointer.is_null() {
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The caller promises that a layout of that size is possible.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            (None, None) => unsafe { self.rest.realloc(pointer, layout, size) },
            (Some(before), Some(after)) if before == after => pointer,
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                    self.dealloc(pointer, layout);
                }
                moved
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn a_small_block_serves_every_size_of_its_class_again() {
        let memory = Recycler::new(System);
        let check = |given: Layout, asked: Layout, same: bool| unsafe {
            let first = memory.alloc(given);
            memory.dealloc(first, given);
            let second = memory.alloc(asked);
            assert_eq!(first == second, same, "{given:?}, then {asked:?}");
            memory.dealloc(second, asked);
        };
        check(layout(1, 1), layout(16, 8), true);
        check(layout(17, 1), layout(32, 8), true);
        check(layout(SMALL_BYTES_MAX, 1), layout(SMALL_BYTES_MAX - 15, 4), true);
        check(layout(16, 1), layout(17, 1), false);
        // Another alignment is not the lists' business.
        check(layout(64, 8), layout(64, 32), false);
    }

    /// What an allocator has given out.
    #[derive(Default)]
    struct Counted(Cell<usize>);

    // SAFETY: the system's allocator does it all.
    unsafe impl GlobalAlloc for Counted {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.0.set(self.0.get() + layout.size());
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            self.0.set(self.0.get() - layout.size());
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    /// Clients that ask for ever other sizes must not fill the memory with what serves nobody
    /// else.
    #[test]
    fn blocks_of_all_sizes_together_are_bounded() {
        let memory = Recycler::new(Counted::default());
        for size in (1..=SMALL_BYTES_MAX).step_by(GRAIN_BYTES) {
            let layout = layout(size, 1);
            let blocks: Vec<*mut u8> = (0..10_000).map(|_| unsafe { memory.alloc(layout) }).collect();
            let live = 10_000 * layout_of(class(layout).expect("a small one")).size();
            assert!(memory.rest.0.get() <= live + KEPT_BYTES_MAX, "{size}");
            blocks.into_iter().for_each(|block| unsafe { memory.dealloc(block, layout) });
            assert_eq!(memory.rest.0.get(), memory.kept.get(), "{size}");
            assert!(memory.kept.get() <= KEPT_BYTES_MAX, "{size}");
        }
    }

    #[test]
    fn zeroed_memory_is_zero_also_when_it_was_used_before() {
        let memory = Recycler::new(System);
        for size in [1, 100, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1] {
            let layout = layout(size, 1);
            unsafe {
                let used = memory.alloc(layout);
                used.write_bytes(0xff, size);
                memory.dealloc(used, layout);
                let zeroed = memory.alloc_zeroed(layout);
                assert!((0..size).all(|at| *zeroed.add(at) == 0), "{size}");
                memory.dealloc(zeroed, layout);
            }
        }
    }

    #[test]
    fn what_is_given_out_is_nobody_else_s_and_keeps_its_content() {
        let memory = Recycler::new(System);
        let mut random = fastrand::Rng::with_seed(1);
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        for round in 0..20_000_u32 {
            let fill = round as u8;
            let size = 1 + random.usize(..3 * SMALL_BYTES_MAX / 2);
            unsafe {
                match (random.u8(..4), blocks.len()) {
                    (0, 1..) | (_, 200..) => {
                        let (pointer, layout, fill) = blocks.swap_remove(random.usize(..blocks.len()));
                        assert!((0..layout.size()).all(|at| *pointer.add(at) == fill), "{layout:?} was written to");
                        memory.dealloc(pointer, layout);
                    }
                    (1, 1..) => {
                        let at = random.usize(..blocks.len());
                        let (pointer, old, fill) = blocks[at];
                        let moved = memory.realloc(pointer, old, size);
                        assert!((0..old.size().min(size)).all(|at| *moved.add(at) == fill), "{old:?} to {size}");
                        moved.write_bytes(fill, size);
                        blocks[at] = (moved, layout(size, old.align()), fill);
                    }
                    _ => {
                        let layout = layout(size, 1 << random.u8(..6));
                        let pointer = memory.alloc(layout);
                        assert_eq!(pointer.addr() % layout.align(), 0, "{layout:?}");
                        pointer.write_bytes(fill, size);
                        blocks.push((pointer, layout, fill));
                    }
                }
            }
        }
        for (pointer, layout, _) in blocks {
            unsafe { memory.dealloc(pointer, layout) };
        }
    }
}
