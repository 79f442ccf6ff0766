//! What the commands have in common before a guest runs: its file, and the engine.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::report::report;
use pluto_engine::compile::Compiler;
use pluto_engine::engine::{self, Engine};
use pluto_trace::engine_kind::EngineKind;

/// Raises the limit of the stack to what a guest's and the host's own code may need. The stack
/// grows on demand.
fn take_stack() -> Result<()> {
    let mut limit = getrlimit(Resource::Stack);
    let enough = pluto_trace::limits::STACK_OF_PROCESS_BYTES;
    if limit.current.is_some_and(|bytes| bytes < enough) {
        limit.current = Some(enough);
        let advice = || format!("a guest needs a stack of {0} KiB: allow it with `ulimit -Hs {0}`", enough >> 10);
        setrlimit(Resource::Stack, limit).with_context(advice)?;
    }
    Ok(())
}

/// Reads a guest's file. Errors say what to do.
pub fn read_guest(path: &Path) -> Result<Vec<u8>> {
    let advice = "give the path of a guest's .wasm file, such as target/guests/pluto.wasm";
    let metadata = std::fs::metadata(path).with_context(|| format!("no guest at {}: {advice}", path.display()))?;
    if !metadata.is_file() {
        bail!("{} is not a file: {advice}", path.display());
    }
    if metadata.len() > pluto_trace::limits::GUEST_BYTES_MAX {
        bail!(
            "{} has {} bytes; a guest may have {}",
            path.display(),
            metadata.len(),
            pluto_trace::limits::GUEST_BYTES_MAX
        );
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// How long a guest may be compiled before the operator is told why nothing else happens.
const COMPILING_UNTOLD: Duration = Duration::from_secs(1);

/// Looks at a guest, which compiles it unless its code is kept. The operator is told when that
/// takes long, and when it is done.
pub fn tell_of_compiling<T>(path: &Path, bytes: &[u8], look: impl FnOnce() -> T) -> T {
    let (done, wait) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let begin = Instant::now();
            if wait.recv_timeout(COMPILING_UNTOLD) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let kib = bytes.len().div_ceil(1 << 10);
            report(&format!("compiling {} ({kib} KiB), about a second for each MiB", path.display()));
            let _ = wait.recv();
            report(&format!("compiled {} in {:.1?}", path.display(), begin.elapsed()));
        });
        let looked = look();
        drop(done);
        looked
    })
}

/// The engine of the processor, with the code cache unless `no_cache` says otherwise.
pub fn engine(no_cache: bool) -> Result<Engine> {
    engine_for(EngineKind::Native, no_cache)
}

/// An engine of this kind, with the code cache unless `no_cache` says otherwise.
pub fn engine_for(kind: EngineKind, no_cache: bool) -> Result<Engine> {
    take_stack()?;
    let cache = if no_cache { None } else { engine::cache_folder() };
    let engine = match Engine::for_kind(kind, cache.clone()) {
        // Serve even when the home folder is read-only.
        Err(error) if cache.is_some() => {
            report(&format!("{error:#}; going on without a code cache"));
            Engine::for_kind(kind, None)
        }
        result => result,
    };
    Ok(engine?.with(Compiler::of_this_program(), report))
}
