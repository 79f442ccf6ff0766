//! What the commands do.

mod compile_guest;
mod descriptors;
mod diff;
mod explain;
mod inspect;
mod ports;
mod record;
mod replay;
mod serve;
mod shards;
mod startup_notice;
mod text;
mod trace;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::SIGXFSZ;

use crate::cli::{Cli, Command, Form};
use crate::compile::Compiler;
use crate::console;
use crate::engine::{self, Engine};
use crate::engine_kind::EngineKind;
use crate::limits;

pub use self::compile_guest::compile_guest;
pub use self::trace::open as open_trace;

/// The exit codes, as the help text documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// The guest ended well, or was stopped.
    Well = 0,
    /// The host could not start.
    CannotStart = 1,
    /// A replay is not the run that was recorded, or two guests differ.
    Diverged = 3,
    /// The host ended the guest.
    GuestEnded = 4,
    /// The guest ended with an error of its own.
    GuestFailed = 5,
}

/// Does what the command line says. An error means that nothing was started.
pub fn run(cli: Cli) -> Result<ExitStatus> {
    outlive_large_files().context("cannot take over the signal SIGXFSZ")?;
    match (cli.command, cli.run) {
        (Some(Command::Inspect { guest, compile_here }), _) => inspect::inspect(&guest, compile_here),
        (Some(Command::Componentize { module, output }), _) => inspect::componentize(&module, &output),
        (Some(Command::CompileGuest { .. }), _) => bail!("this command is a process of its own"),
        (Some(Command::Replay { guest, trace, engine, loose: true, memory_max, .. }), _) => {
            diff::loose(&guest, &trace, engine, memory_max)
        }
        (Some(Command::Replay { guest, trace, engine, from, memory_max, .. }), _) => {
            replay::replay(&guest, &trace, engine, from, memory_max)
        }
        (Some(Command::Diff { trace, first, second, memory_max }), _) => {
            diff::diff(&trace, &first, &second, memory_max)
        }
        (Some(Command::Explain(options)), _) => explain::explain(&options),
        (Some(Command::Trace { form: Form::Text { trace } }), _) => text::to_text(&trace),
        (Some(Command::Trace { form: Form::Binary { text, guest, output } }), _) => {
            text::to_binary(&text, &guest, &output)
        }
        (None, Some(run)) => serve::serve(&run),
        (None, None) => bail!("no guest to run; see pluto-host --help"),
    }
}

/// Writes a message of the host to standard error. While the host serves, this does not wait for whoever reads it.
pub fn report(message: &str) {
    if !console::say(message) {
        // Nobody may be there to read it; that is no reason to end.
        let _ = io::stderr().write_all(console::line_of(message).as_bytes());
    }
}

/// A file that grows beyond `ulimit -f` is an error of the write, as on a full disk, and does not
/// end the process.
fn outlive_large_files() -> std::io::Result<()> {
    // That a handler is there is enough: the write fails then. Nobody looks at what it sets.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(|_| ())
}

/// Takes as much stack as a guest's and the host's own code may need. It grows on demand.
fn take_stack() -> Result<()> {
    let mut limit = getrlimit(Resource::Stack);
    let enough = limits::STACK_OF_PROCESS_BYTES;
    if limit.current.is_some_and(|bytes| bytes < enough) {
        limit.current = Some(enough);
        let advice = || format!("a guest needs a stack of {0} KiB: allow it with `ulimit -Hs {0}`", enough >> 10);
        setrlimit(Resource::Stack, limit).with_context(advice)?;
    }
    Ok(())
}

/// Reads a guest's file. Errors say what to do.
fn read_guest(path: &Path) -> Result<Vec<u8>> {
    let advice = "give the path of a guest's .wasm file, such as target/guests/pluto.wasm";
    let metadata = std::fs::metadata(path).with_context(|| format!("no guest at {}: {advice}", path.display()))?;
    if !metadata.is_file() {
        bail!("{} is not a file: {advice}", path.display());
    }
    if metadata.len() > limits::GUEST_BYTES_MAX {
        bail!("{} has {} bytes; a guest may have {}", path.display(), metadata.len(), limits::GUEST_BYTES_MAX);
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn engine(no_cache: bool) -> Result<Engine> {
    engine_for(EngineKind::Native, no_cache)
}

fn engine_for(kind: EngineKind, no_cache: bool) -> Result<Engine> {
    take_stack()?;
    let cache = if no_cache { None } else { engine::cache_folder() };
    let engine = match Engine::for_kind(kind, cache.clone()) {
        // A read-only home is no reason not to serve.
        Err(error) if cache.is_some() => {
            report(&format!("{error:#}; going on without"));
            Engine::for_kind(kind, None)
        }
        result => result,
    };
    Ok(engine?.with(Compiler::of_this_program(), report))
}
