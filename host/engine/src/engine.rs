//! The engine, and how a guest's bytes become a component that the engine can run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use wasmtime::component::Component;

use crate::census;
use crate::code_cache::{self, CachedCode, CodeCache, Fresh};
use crate::codegen;
use crate::compile::{Compiler, Product};
use crate::limits;
use crate::toolchain;
use pluto_trace::engine_kind::EngineKind;

/// wasmtime, configured so that a run depends on nothing but the answers that the guest receives.
pub struct Engine {
    engine: wasmtime::Engine,
    kind: EngineKind,
    /// The bytes of stack that a guest has.
    stack_bytes: usize,
    compiler: Compiler,
    /// The cache of compiled code.
    cache: Option<CodeCache>,
    /// Tells the operator what is worth knowing, such as that cached code is damaged.
    tell: fn(&str),
    /// Stops its thread when the engine is dropped.
    ticker: Ticker,
}

/// A guest's code in this process.
pub struct Code {
    /// The compiled component, ready to be linked and instantiated.
    pub component: Component,
    /// The new file of the cache, if the code was just compiled and could be written.
    fresh: Option<Fresh>,
}

/// A component, which may have been made of a core module.
pub struct Made {
    /// The component.
    pub component: Vec<u8>,
    fresh: Option<Fresh>,
}

impl Made {
    /// Keeps the component in the cache for the next start.
    pub fn keep(self) {
        if let Some(fresh) = self.fresh {
            fresh.keep();
        }
    }
}

impl Code {
    /// Keeps the code in the cache for the next start. Call this for a guest that is admitted:
    /// code that is dropped without it leaves nothing behind.
    pub fn keep(self) {
        if let Some(fresh) = self.fresh {
            fresh.keep();
        }
    }
}

impl Engine {
    /// Makes the engine of the processor. Compiled code is kept in `cache` when given; an unusable
    /// folder is an error.
    pub fn new(cache: Option<PathBuf>) -> Result<Self> {
        Self::for_kind(EngineKind::Native, cache)
    }

    /// Makes an engine of this kind; the cache tells the kinds apart. It compiles in this process,
    /// unless it is told otherwise.
    pub fn for_kind(kind: EngineKind, cache: Option<PathBuf>) -> Result<Self> {
        let cache = cache.map(CodeCache::open).transpose()?;
        let stack_bytes = pluto_trace::limits::STACK_BYTES_MAX;
        let engine = wasmtime::Engine::new(&codegen::config(kind, stack_bytes)?)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self { engine, kind, stack_bytes, compiler: Compiler::Here, cache, tell: |_| {}, ticker })
    }

    /// Makes the same engine for guests with a stack of this many bytes. Returns none when this
    /// engine has that stack already.
    pub fn with_stack(&self, stack_bytes: usize) -> Result<Option<Self>> {
        if stack_bytes == self.stack_bytes {
            return Ok(None);
        }
        let engine = wasmtime::Engine::new(&codegen::config(self.kind, stack_bytes)?)?;
        let ticker = Ticker::start(engine.clone())?;
        let (compiler, cache) = (self.compiler.clone(), self.cache.clone());
        Ok(Some(Self { engine, kind: self.kind, stack_bytes, compiler, cache, tell: self.tell, ticker }))
    }

    /// Returns this engine with another compiler, and with a function that tells the operator what
    /// is worth knowing.
    pub fn with(self, compiler: Compiler, tell: fn(&str)) -> Self {
        Self { compiler, tell, ..self }
    }

    /// Returns the cached code of a component that was admitted before.
    pub fn kept(&self, component: &[u8]) -> Option<Code> {
        match self.cache.as_ref()?.find(&self.engine, component) {
            CachedCode::Whole(component) => Some(Code { component, fresh: None }),
            CachedCode::Damaged(path) => {
                (self.tell)(&format!("the kept code in {} is damaged: compiling the guest again", path.display()));
                None
            }
            CachedCode::Nothing => None,
        }
    }

    /// Compiles a component. An error says what is wrong with it, or that it takes too much.
    pub fn compile(&self, component: &[u8], as_compiled: &[u8]) -> Result<Code> {
        let code = self.compiler.make(Product::code_for(self.kind), as_compiled)?;
        // Serve even when the disk is full.
        let fresh = self.cache.as_ref().and_then(|cache| cache.put(&self.engine, component, &code).ok());
        // Load the file at the first start too, so that profiles and memory are the same as later.
        if let Some((component, fresh)) = fresh {
            return Ok(Code { component, fresh: Some(fresh) });
        }
        Ok(Code { component: code_cache::of_compiler(&self.engine, &code)?, fresh: None })
    }

    /// Returns the component in a guest's bytes. The bytes are a component, or a core module with
    /// an embedded world. Such a module is converted, or its component is taken from the cache.
    pub fn componentize(&self, wasm: &[u8]) -> Result<Made> {
        let kept = |cache: &CodeCache| cache.find_component(&self.engine, wasm);
        if let Some(component) = self.cache.as_ref().filter(|_| is_module(wasm)).and_then(kept) {
            return Ok(Made { component, fresh: None });
        }
        let component = componentize(&self.compiler, wasm)?;
        let put = |cache: &CodeCache| cache.put_component(&self.engine, wasm, &component).ok();
        let fresh = self.cache.as_ref().filter(|_| is_module(wasm)).and_then(put);
        Ok(Made { component, fresh })
    }

    /// Returns the counter of this engine's ticks. There is one tick every `TURN_TICK_MILLIS`.
    pub fn ticks(&self) -> Ticks {
        self.ticker.ticks.clone()
    }

    /// Returns wasmtime's engine.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.engine
    }
}

/// Returns the error of the operating system inside an error of wasmtime, if there is one. No
/// guest causes such an error.
pub fn of_the_system(error: &wasmtime::Error) -> Option<std::io::Error> {
    error.downcast_ref::<rustix::io::Errno>().map(|&errno| errno.into())
}

/// Returns the folder of compiled code: `$XDG_CACHE_HOME/pluto-host/code`, else
/// `~/.cache/pluto-host/code`, else none.
pub fn cache_folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = base.or_else(home).filter(|path| path.is_absolute())?;
    Some(base.join("pluto-host/code"))
}

/// Returns the component in a guest's bytes. The bytes are a component, or a core module with an
/// embedded world, which `wit-component` converts.
pub fn componentize(compiler: &Compiler, wasm: &[u8]) -> Result<Vec<u8>> {
    if wasmparser::Parser::is_component(wasm) {
        return Ok(wasm.to_vec());
    }
    if !is_module(wasm) {
        bail!("not WebAssembly: the file does not begin with a WebAssembly header");
    }
    census::count(wasm)?;
    if let Some(why) = toolchain::is_no_guest(wasm) {
        bail!("{why}.\nIt imports {}.", list_core_imports(wasm));
    }
    compiler.make(Product::Component, wasm).map_err(|error| {
        let imports = core_imports(wasm).unwrap_or_default();
        let advice = if imports.iter().any(|name| name.contains("wasi")) {
            toolchain::advice_about_wasi(wasm)
        } else {
            "A guest is built against wit/ with wit-bindgen, for wasm32-unknown-unknown."
        };
        anyhow!(
            "a core module that cannot be made a component: {error:#}\nIt imports {}. {advice}",
            list_core_imports(wasm)
        )
    })
}

fn is_module(wasm: &[u8]) -> bool {
    wasmparser::Parser::is_core_wasm(wasm)
}

fn list_core_imports(module: &[u8]) -> String {
    let names: Vec<String> = core_imports(module).unwrap_or_default();
    if names.is_empty() { "nothing".to_owned() } else { pluto_messages::list(names.iter().map(String::as_str), ", ") }
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
    /// Returns the number of ticks so far.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A thread that ends wasmtime's epoch at each tick, so that a guest which never receives is
/// noticed.
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
