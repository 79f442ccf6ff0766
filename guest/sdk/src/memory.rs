//! Memory of a guest: small blocks are given out again at once, the rest is the standard library's business.
//!
//! A server asks for the same few sizes again and again. The standard library's allocator for wasm32 looks for the best
//! fit and joins what is free, in about 150 instructions for each block and a sixth of all that a request cost the web
//! server; taking the first block of a list takes 10. Small blocks stay with their size: a guest keeps as many of each as
//! it ever had at once, and `--memory-max` bounds them all.

// An allocator deals in pointers, by its very signature.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

/// Sizes are rounded up to a multiple of this.
const GRAIN_BYTES: usize = 16;

/// The alignment of a small block: what the standard library's allocator gives without an effort.
const ALIGN_BYTES: usize = 8;

/// Blocks up to this size are kept: heads of requests and responses, and the futures of connections.
const SMALL_BYTES_MAX: usize = 2 << 10;

const CLASSES: usize = SMALL_BYTES_MAX / GRAIN_BYTES;

/// An allocator that keeps small blocks which were given back, in a list for each size.
pub struct Recycler<A> {
    rest: A,
    /// The first free block of each size.
    free: [Cell<*mut Block>; CLASSES],
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
        Recycler { rest, free: [const { Cell::new(ptr::null_mut()) }; CLASSES] }
    }
}

/// The size class of a small block.
#[inline]
fn class(layout: Layout) -> Option<usize> {
    let small = layout.size().wrapping_sub(1) < SMALL_BYTES_MAX && layout.align() <= ALIGN_BYTES;
    small.then(|| (layout.size() - 1) / GRAIN_BYTES)
}

/// What a class asks for: the same whatever was asked of it, so that any block serves for any of its sizes.
fn layout_of(class: usize) -> Layout {
    // A constant power of two, and a size far from the largest.
    Layout::from_size_align((class + 1) * GRAIN_BYTES, ALIGN_BYTES).unwrap_or(Layout::new::<Block>())
}

// SAFETY: a block is either given out or in the list of its class, never both; every block of a class was allocated with
// the layout of the class, which is at least as large and as aligned as each layout that is mapped to it, and large enough
// for a `Block`.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Recycler<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else { return unsafe { self.rest.alloc(layout) } };
        let block = self.free[class].get();
        if block.is_null() {
            return unsafe { self.rest.alloc(layout_of(class)) };
        }
        self.free[class].set(unsafe { (*block).next });
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else { return unsafe { self.rest.dealloc(pointer, layout) } };
        let block: *mut Block = pointer.cast();
        unsafe { (*block).next = self.free[class].get() };
        self.free[class].set(block);
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
