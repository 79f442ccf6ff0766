//! The state of a paused guest: taking it, restoring it, and comparing it with an image.
//!
//! wasmtime gives access to what a component exports, and a component exports none of its state. A
//! core dump reaches everything in a store. So the host starts a module of a few bytes that traps
//! at once, and keeps the objects that its core dump names.

mod run_export;
mod snapshotable;

use wasmtime::{AsContextMut, Global, Instance, Memory, Module, Mutability, Result as WasmResult, Val, WasmCoreDump};

use self::run_export::{RunExport, RunLayout};
use self::snapshotable::why_not_whole;
use crate::contract::Outcome;
use pluto_trace::image::{Image, Mismatch, Pages, Unpacker, Value};

/// `(module (func unreachable) (start 0))`.
const PROBE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x08\x01\0\x0a\x05\x01\x03\0\0\x0b";

/// Where the state of one store's guest lies, in an order that is the same in each store of the
/// same guest.
pub struct GuestMemory {
    memories: Vec<Memory>,
    /// The mutable ones.
    globals: Vec<Global>,
    /// How the guest is called from then on.
    run: RunExport,
}

impl GuestMemory {
    /// Finds them in the store of this component. An error says why there is no image of the
    /// guest. After success wasmtime does not enter the component any more, and `call_run` does.
    pub fn find(mut store: impl AsContextMut, component: &[u8]) -> Result<Self, String> {
        if let Some(why) = why_not_whole(component) {
            return Err(why);
        }
        let layout = RunLayout::of(component).ok_or("its export `run` has an unexpected form")?;
        let probe = Module::new(store.as_context().engine(), PROBE).map_err(|error| error.to_string())?;
        let Err(error) = Instance::new(&mut store, &probe, &[]) else {
            return Err("the probe module did not trap".to_owned());
        };
        let Some(dump) = error.downcast_ref::<WasmCoreDump>() else { return Err(error.to_string()) };
        let run = RunExport::find(&mut store, &layout, dump).ok_or("its export `run` was not found")?;
        let is_mutable = |global: &&Global| global.ty(&store).mutability() == Mutability::Var;
        let globals = dump.globals().iter().filter(is_mutable).copied().collect();
        Ok(Self { memories: dump.memories().to_vec(), globals, run })
    }

    /// Calls the guest.
    pub fn call_run(&self, store: impl AsContextMut, arguments: &[String]) -> WasmResult<Outcome> {
        self.run.call_run(store, arguments)
    }

    /// Copies the state. An error says why there is no room for a copy.
    pub fn capture(&self, mut store: impl AsContextMut) -> Result<Image, String> {
        let memories = self.memories.iter().map(|memory| Pages::of(memory.data(&store))).collect::<Result<_, _>>();
        let memories = memories.map_err(|error| format!("no memory for a copy of its own ({error})"))?;
        let globals = self.globals.iter().map(|global| value(&global.get(&mut store))).collect();
        Ok(Image::new(memories, globals))
    }

    /// Puts the state of a packed image in place of this one, which must be that of a new
    /// instance.
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
            let value = val(image.value()?).ok_or(Mismatch::Malformed)?;
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
            let (recorded, found) = (image.value()?, value(&global.get(&mut store)));
            if recorded != found {
                return Err(Mismatch::Global { number, recorded: recorded.bits, found: found.bits });
            }
        }
        image.end()
    }
}

/// The value of a global, as an image has it.
fn value(value: &Val) -> Value {
    let (kind, bits) = match value {
        Val::I32(value) => (Value::I32, u128::from(value.cast_unsigned())),
        Val::I64(value) => (Value::I64, u128::from(value.cast_unsigned())),
        Val::F32(bits) => (Value::F32, u128::from(*bits)),
        Val::F64(bits) => (Value::F64, u128::from(*bits)),
        Val::V128(value) => (Value::V128, value.as_u128()),
        _ => (Value::REFERENCE, 0),
    };
    Value { kind, bits }
}

/// The value that an image has of a global; none of one that no global can have.
fn val(value: Value) -> Option<Val> {
    let small = || u32::try_from(value.bits).ok();
    let large = || u64::try_from(value.bits).ok();
    Some(match value.kind {
        Value::I32 => Val::I32(small()?.cast_signed()),
        Value::I64 => Val::I64(large()?.cast_signed()),
        Value::F32 => Val::F32(small()?),
        Value::F64 => Val::F64(large()?),
        Value::V128 => Val::V128(value.bits.into()),
        _ => return None,
    })
}
