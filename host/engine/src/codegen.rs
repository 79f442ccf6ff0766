//! The configuration of wasmtime, and compiling with it in this process.

use anyhow::Result;
use wasmtime::{Config, Engine, OptLevel};

use pluto_trace::engine_kind::{EngineKind, PULLEY};

/// The configuration for a kind of engine, for guests with a stack of so many bytes. It is the
/// same in the process that compiles and in the one that runs, or the code of the one would not
/// load in the other.
pub fn config(kind: EngineKind, stack_bytes: usize) -> Result<Config> {
    let mut config = deterministic_config();
    config.max_wasm_stack(stack_bytes);
    if kind == EngineKind::Pulley {
        config.target(PULLEY)?;
    }
    Ok(config)
}

/// Compiles a component for a kind of engine.
pub fn compile(kind: EngineKind, component: &[u8]) -> Result<Vec<u8>> {
    Ok(Engine::new(&config(kind, pluto_trace::limits::STACK_BYTES_MAX)?)?.precompile_component(component)?)
}

/// Makes a component of a core module.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// What could make two runs on the same answers differ is off or pinned.
fn deterministic_config() -> Config {
    let mut config = Config::new();
    // Cranelift's default leaves the bits of a NaN to the machine.
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(false);
    config.wasm_memory64(false);
    // For the modules that the engine makes to copy between two guests' memories. A guest's own
    // module has one memory: more are refused before they come here.
    config.wasm_multi_memory(true);
    config.cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(true);
    // Only a debugger would want it: the engine follows frame pointers, as `perf` does.
    config.native_unwind_info(false);
    // How `snapshot` reaches a guest's memories and globals.
    config.coredump_on_trap(true);
    // 4 GiB reserved and guard pages behind them: no bounds check is left in the code.
    config.memory_reservation(4 << 30);
    config.memory_guard_size(32 << 20);
    config
}
