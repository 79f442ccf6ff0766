//! The state of a paused guest as data: the bytes of its memories and its mutable globals.

mod packed;

use std::collections::TryReserveError;

pub use self::packed::{Mismatch, Unpacker};

/// The page of the operating system: what was never touched is zero in such pieces.
const PAGE_BYTES: usize = 4 << 10;

/// A copy of a guest's state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Image {
    memories: Vec<Pages>,
    globals: Vec<Value>,
}

/// A copy of a memory, without the pages that are zero.
#[derive(Debug, PartialEq, Eq)]
pub struct Pages {
    /// Size of the memory, in bytes.
    size: usize,
    runs: Vec<Run>,
    /// What is in the runs.
    content: Vec<u8>,
}

/// Pages that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// Pages of zeros before them.
    skip: usize,
    /// How many.
    count: usize,
}

/// The value of a global: its type as the binary format of WebAssembly has it, and its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// One of the constants below.
    pub kind: u8,
    /// As many of the lowest as the type has.
    pub bits: u128,
}

impl Image {
    /// An image of these memories and mutable globals, each in the order of the guest.
    pub fn new(memories: Vec<Pages>, globals: Vec<Value>) -> Self {
        Self { memories, globals }
    }

    /// How many bytes of memory are copied in it.
    pub fn len(&self) -> usize {
        self.memories.iter().map(|pages| pages.content.len()).sum()
    }

    /// Whether nothing was ever written into the guest's memories.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Pages {
    /// Copies a memory. An error says that there is no room for the copy.
    pub fn of(memory: &[u8]) -> Result<Self, TryReserveError> {
        let mut content = Vec::new();
        // What is not needed of so much is never touched, and costs nothing. Where the system
        // gives no more, the run goes on.
        content.try_reserve_exact(memory.len())?;
        let mut runs: Vec<Run> = Vec::new();
        let mut skip = 0;
        for page in memory.chunks(PAGE_BYTES) {
            if page == &[0; PAGE_BYTES][..page.len()] {
                skip += 1;
                continue;
            }
            content.extend_from_slice(page);
            match runs.last_mut() {
                Some(run) if skip == 0 => run.count += 1,
                _ => runs.push(Run { skip: std::mem::take(&mut skip), count: 1 }),
            }
        }
        Ok(Self { size: memory.len(), runs, content })
    }
}

impl Value {
    /// The type of a 32-bit integer.
    pub const I32: u8 = 0x7f;
    /// The type of a 64-bit integer.
    pub const I64: u8 = 0x7e;
    /// The type of a 32-bit float.
    pub const F32: u8 = 0x7d;
    /// The type of a 64-bit float.
    pub const F64: u8 = 0x7c;
    /// The type of a vector.
    pub const V128: u8 = 0x7b;
    /// The type of a reference, which has no bits of its own; a guest with a mutable one has no
    /// image.
    pub const REFERENCE: u8 = 0;
}
