//! What of a paused guest is its state: the bytes of its memories and its mutable globals. Taken, put back, compared.
//!
//! wasmtime hands out what a component exports, and a component exports none of this. A core dump reaches everything in a
//! store; so a module of a few bytes is started that traps at once, and what its core dump names is kept.

mod entry;
mod packed;
mod whole;

use std::collections::TryReserveError;

use wasmtime::{AsContextMut, Global, Instance, Memory, Module, Mutability, Result as WasmResult, Val, WasmCoreDump};

use self::entry::{Door, Entry};
pub use self::packed::Mismatch;
use self::packed::Unpacker;
use self::whole::why_not_whole;
use crate::contract::Outcome;

/// The page of the operating system: what was never touched is zero in such pieces.
const PAGE_BYTES: usize = 4 << 10;

/// `(module (func unreachable) (start 0))`.
const PROBE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x08\x01\0\x0a\x05\x01\x03\0\0\x0b";

/// Where the state of one store's guest lies, in an order that is the same in each store of the same guest.
pub struct Parts {
    memories: Vec<Memory>,
    /// The mutable ones.
    globals: Vec<Global>,
    /// How the guest is called from then on.
    door: Door,
}

/// A copy of a guest's state.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Image {
    memories: Vec<Pages>,
    globals: Vec<Value>,
}

/// A copy of a memory, without the pages that are zero.
#[derive(Debug, PartialEq, Eq)]
struct Pages {
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
struct Value {
    kind: u8,
    bits: u128,
}

impl Parts {
    /// Finds them in the store of this component. An error says why there is no image of the guest. After success wasmtime
    /// does not enter the component any more, and `call_run` does.
    pub fn find(mut store: impl AsContextMut, component: &[u8]) -> Result<Self, String> {
        if let Some(why) = why_not_whole(component) {
            return Err(why);
        }
        let entry = Entry::of(component).ok_or("its `run` is not made as compilers make it")?;
        let probe = Module::new(store.as_context().engine(), PROBE).map_err(|error| error.to_string())?;
        let Err(error) = Instance::new(&mut store, &probe, &[]) else {
            return Err("a module that traps has not".to_owned());
        };
        let Some(dump) = error.downcast_ref::<WasmCoreDump>() else { return Err(error.to_string()) };
        let door = Door::find(&mut store, &entry, dump).ok_or("its `run` is not found")?;
        let is_mutable = |global: &&Global| global.ty(&store).mutability() == Mutability::Var;
        let globals = dump.globals().iter().filter(is_mutable).copied().collect();
        Ok(Self { memories: dump.memories().to_vec(), globals, door })
    }

    /// Calls the guest.
    pub fn call_run(&self, store: impl AsContextMut, arguments: &[String]) -> WasmResult<Outcome> {
        self.door.call_run(store, arguments)
    }

    /// Copies the state. An error says why there is no room for a copy.
    pub fn capture(&self, mut store: impl AsContextMut) -> Result<Image, String> {
        let memories = self.memories.iter().map(|memory| Pages::of(memory.data(&store))).collect::<Result<_, _>>();
        let memories = memories.map_err(|error| format!("no memory for a copy of its own ({error})"))?;
        let globals = self.globals.iter().map(|global| Value::of(&global.get(&mut store))).collect();
        Ok(Image { memories, globals })
    }

    /// Puts the state of a packed image in place of this one, which must be that of a new instance.
    pub fn restore(&self, mut store: impl AsContextMut, packed: &[u8]) -> Result<(), Mismatch> {
        let mut image = Unpacker::new(packed)?;
        image.expect(self.memories.len() as u64, "memories")?;
        for memory in &self.memories {
            let size = image.size()?;
            let missing = size.checked_sub(memory.data_size(&store)).ok_or(Mismatch::Size)?;
            let missing = missing as u64 / memory.page_size(&store);
            let grown = memory.grow(&mut store, missing);
            grown.map_err(|error| Mismatch::Memory(error.to_string(), size as u64))?;
            image.read_into(memory.data_mut(&mut store))?;
        }
        image.expect(self.globals.len() as u64, "globals")?;
        for global in &self.globals {
            let value = image.value()?.into_val().ok_or(Mismatch::Malformed)?;
            global.set(&mut store, value).map_err(|_| Mismatch::Malformed)?;
        }
        image.end()
    }

    /// Whether the state is that of a packed image.
    pub fn compare(&self, mut store: impl AsContextMut, packed: &[u8]) -> Result<(), Mismatch> {
        let mut image = Unpacker::new(packed)?;
        image.expect(self.memories.len() as u64, "memories")?;
        for (number, memory) in self.memories.iter().enumerate() {
            if image.size()? != memory.data_size(&store) {
                return Err(Mismatch::Size);
            }
            image.compare_with(memory.data(&store)).map_err(|error| error.in_memory(number))?;
        }
        image.expect(self.globals.len() as u64, "globals")?;
        for (number, global) in self.globals.iter().enumerate() {
            let (recorded, found) = (image.value()?, Value::of(&global.get(&mut store)));
            if recorded != found {
                return Err(Mismatch::Global { number, recorded: recorded.bits, found: found.bits });
            }
        }
        image.end()
    }
}

impl Image {
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
    fn of(memory: &[u8]) -> Result<Self, TryReserveError> {
        let mut content = Vec::new();
        // What is not needed of so much is never touched, and costs nothing. Where the system gives no more, the run goes on.
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
    const I32: u8 = 0x7f;
    const I64: u8 = 0x7e;
    const F32: u8 = 0x7d;
    const F64: u8 = 0x7c;
    const V128: u8 = 0x7b;
    /// A reference, which has no bits of its own; a guest with a mutable one has no image.
    const REFERENCE: u8 = 0;

    fn of(value: &Val) -> Self {
        let (kind, bits) = match value {
            Val::I32(value) => (Self::I32, u128::from(value.cast_unsigned())),
            Val::I64(value) => (Self::I64, u128::from(value.cast_unsigned())),
            Val::F32(bits) => (Self::F32, u128::from(*bits)),
            Val::F64(bits) => (Self::F64, u128::from(*bits)),
            Val::V128(value) => (Self::V128, value.as_u128()),
            _ => (Self::REFERENCE, 0),
        };
        Self { kind, bits }
    }

    fn into_val(self) -> Option<Val> {
        let small = || u32::try_from(self.bits).ok();
        let large = || u64::try_from(self.bits).ok();
        Some(match self.kind {
            Self::I32 => Val::I32(small()?.cast_signed()),
            Self::I64 => Val::I64(large()?.cast_signed()),
            Self::F32 => Val::F32(small()?),
            Self::F64 => Val::F64(large()?),
            Self::V128 => Val::V128(self.bits.into()),
            _ => return None,
        })
    }
}
