//! One wasmtime configuration, and what turns a guest's bytes into a component that it can run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use wasmtime::component::Component;
use wasmtime::{Config, OptLevel};

use crate::code_cache::CodeCache;
use crate::limits;

/// wasmtime, configured so that a run depends on nothing but the answers that the guest receives.
pub struct Engine {
    engine: wasmtime::Engine,
    /// Where compiled code is kept.
    cache: Option<CodeCache>,
    /// Stops its thread when the engine is dropped.
    ticker: Ticker,
}

/// What executes a guest. A run is the same on each, but for how deep a guest can recurse before its stack is exhausted:
/// that depends on the code which a compiler makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// The processor, by code that Cranelift makes for it
    #[default]
    Native,
    /// wasmtime's interpreter, whose code is the same for every processor; slower by far
    Pulley,
}

/// The version of wasmtime, as `Cargo.lock` has it: wasmtime itself does not tell.
const WASMTIME: &str = "48.0.8";

impl Target {
    /// The engine's name, version and target, such as `wasmtime 48.0.8 x86_64`.
    pub fn name(self) -> String {
        let architecture = match self {
            Self::Native => std::env::consts::ARCH,
            Self::Pulley => PULLEY,
        };
        format!("wasmtime {WASMTIME} {architecture}")
    }
}

/// Pulley's code for a machine with addresses of 64 bits, least significant byte first.
const PULLEY: &str = "pulley64";

impl Engine {
    /// Makes the engine of the processor. Compiled code is kept in `cache` when given; an unusable folder is an error.
    pub fn new(cache: Option<PathBuf>) -> Result<Self> {
        Self::for_target(Target::Native, cache)
    }

    /// Makes the engine of a target; the cache tells the targets apart.
    pub fn for_target(target: Target, cache: Option<PathBuf>) -> Result<Self> {
        let mut config = deterministic_config();
        if target == Target::Pulley {
            config.target(PULLEY)?;
        }
        let cache = cache.map(CodeCache::open).transpose()?;
        let engine = wasmtime::Engine::new(&config)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self { engine, cache, ticker })
    }

    /// Compiles a component, or takes it from the cache.
    pub fn compile(&self, component: &[u8]) -> Result<Component> {
        match &self.cache {
            Some(cache) => cache.compile(&self.engine, component),
            None => Ok(Component::new(&self.engine, component)?),
        }
    }

    /// The ticks of this engine: one each `TURN_TICK_MILLIS`.
    pub fn ticks(&self) -> Ticks {
        self.ticker.ticks.clone()
    }

    /// The wasmtime engine itself.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.engine
    }
}

/// The error of the operating system that wasmtime tells of, if it does: of no guest's making.
pub fn of_the_system(error: &wasmtime::Error) -> Option<std::io::Error> {
    error.downcast_ref::<rustix::io::Errno>().map(|&errno| errno.into())
}

/// Where compiled code is kept: in `$XDG_CACHE_HOME/pluto-host/code`, else in `~/.cache/pluto-host/code`, else nowhere.
pub fn cache_folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = base.or_else(home).filter(|path| path.is_absolute())?;
    Some(base.join("pluto-host/code"))
}

/// The component in a guest's bytes: they are one, or are a core module with an embedded world, which
/// `wit-component` turns into one.
pub fn componentize(wasm: &[u8]) -> Result<Vec<u8>> {
    if wasmparser::Parser::is_component(wasm) {
        return Ok(wasm.to_vec());
    }
    if !wasmparser::Parser::is_core_wasm(wasm) {
        bail!("not WebAssembly: the file does not begin with a WebAssembly header");
    }
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(wasm)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| {
            anyhow!(
                "a core module that cannot be made a component: {error:#}\n\
                 It imports {}. A guest is built against wit/ with wit-bindgen, for wasm32-unknown-unknown.",
                list_core_imports(wasm)
            )
        })
}

fn list_core_imports(module: &[u8]) -> String {
    let names: Vec<String> = core_imports(module).unwrap_or_default();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn core_imports(module: &[u8]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(module) {
        if let wasmparser::Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                names.push(format!("{}#{}", import.module, import.name));
            }
        }
    }
    Ok(names)
}

/// Counts the ticks of the engine.
#[derive(Clone, Default)]
pub struct Ticks(Arc<AtomicU64>);

impl Ticks {
    /// How many there were.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A thread that ends wasmtime's epoch at each tick, so that a guest which never receives is noticed.
struct Ticker {
    running: Arc<AtomicBool>,
    ticks: Ticks,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> Result<Self> {
        let ticker = Self { running: Arc::new(AtomicBool::new(true)), ticks: Ticks(Arc::default()) };
        let (running, Ticks(ticks)) = (ticker.running.clone(), ticker.ticks.clone());
        let tick = move || {
            while running.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(limits::TURN_TICK_MILLIS));
                ticks.fetch_add(1, Ordering::Relaxed);
                engine.increment_epoch();
            }
        };
        std::thread::Builder::new().name("ticker".into()).spawn(tick).context("cannot start a thread")?;
        Ok(ticker)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
    }
}

/// What could make two runs on the same answers differ is off or pinned.
fn deterministic_config() -> Config {
    let mut config = Config::new();
    // Cranelift's default leaves the bits of a NaN to the machine.
    config.cranelift_nan_canonicalization(true);
    config.wasm_relaxed_simd(false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.cranelift_opt_level(OptLevel::Speed);
    config.epoch_interruption(true);
    // Only a debugger would want it: the engine follows frame pointers, as `perf` does.
    config.native_unwind_info(false);
    // How `image` reaches a guest's memories and globals.
    config.coredump_on_trap(true);
    config.max_wasm_stack(limits::STACK_BYTES_MAX);
    // 4 GiB reserved and guard pages behind them: no bounds check is left in the code.
    config.memory_reservation(4 << 30);
    config.memory_guard_size(32 << 20);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_wasmtime() {
        let packages = include_str!("../../Cargo.lock");
        let line = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n");
        assert!(packages.contains(&line), "Cargo.lock has another version: change WASMTIME");
    }
}
