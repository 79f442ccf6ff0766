//! Compiling a guest, in this process or in a process of its own that cannot exceed its limits.
//!
//! A compiler that gets a stranger's file may take any time and memory, or fail in any way. In a
//! process of its own, all of this has one outcome: the process ends, and the guest is refused.

pub mod child;
mod talk;

use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;

use crate::codegen;
use crate::limits;
use pluto_messages::cut_to;
use pluto_trace::engine_kind::EngineKind;

/// Who compiles guests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// This process. Only what is counted before bounds what that takes.
    #[default]
    Here,
    /// The program at this path, which is `pluto-host`, in a process of its own for each guest.
    Program(PathBuf),
}

/// What is made of a guest's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// A component, of a core module.
    Component,
    /// Code of the processor, of a component.
    Native,
    /// Code of wasmtime's interpreter, of a component.
    Pulley,
}

impl Product {
    /// The code that an engine of this kind executes.
    pub fn code_for(kind: EngineKind) -> Self {
        match kind {
            EngineKind::Native => Self::Native,
            EngineKind::Pulley => Self::Pulley,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Native => "native",
            Self::Pulley => "pulley",
        }
    }

    /// Makes it in this process.
    fn make(self, bytes: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Component => codegen::encode(bytes),
            Self::Native => codegen::compile(EngineKind::Native, bytes),
            Self::Pulley => codegen::compile(EngineKind::Pulley, bytes),
        }
    }
}

/// What a process that compiles may take, by the size of what it compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory in bytes.
    pub memory: u64,
    /// Processor time in seconds, that of all its threads.
    pub seconds: u64,
    /// What it makes, in bytes.
    pub product: u64,
}

impl Bounds {
    /// Those for a file of so many bytes.
    pub fn of(bytes: u64) -> Self {
        let mib = bytes.div_ceil(1 << 20);
        Self {
            memory: limits::COMPILER_BYTES_MIN + bytes * limits::COMPILER_BYTES_FACTOR,
            seconds: limits::COMPILER_SECONDS_MIN + mib * limits::COMPILER_SECONDS_OF_MIB,
            product: limits::CODE_BYTES_MIN + bytes * limits::CODE_BYTES_FACTOR,
        }
    }

    /// How long it may run.
    fn patience(self) -> Duration {
        Duration::from_secs(self.seconds * limits::COMPILER_PATIENCE_FACTOR)
    }
}

/// The hidden command with which a program is told to compile.
pub const COMMAND: &str = "compile-guest";

/// The exit code of a process that could not compile: its standard error says why.
pub const REFUSED: u8 = 10;

impl Compiler {
    /// A process of this very program for each guest.
    pub fn of_this_program() -> Self {
        let link = || PathBuf::from("/proc/self/exe");
        Self::Program(match std::env::current_exe() {
            Ok(path) if path.exists() => path,
            // A newer version has taken the place of the file meanwhile.
            Ok(_) => link(),
            // There is no /proc.
            Err(_) => std::env::args_os().next().and_then(|path| std::path::absolute(path).ok()).unwrap_or_else(link),
        })
    }

    /// Makes something of a guest's file. An error is a refusal, which says in words what is wrong
    /// with the guest, or that compiling it takes too much.
    pub fn make(&self, product: Product, bytes: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Here => product.make(bytes),
            Self::Program(program) => make_apart(program, product, bytes),
        }
    }
}

/// Makes something in a process of its own.
fn make_apart(program: &Path, product: Product, bytes: &[u8]) -> Result<Vec<u8>> {
    let length = bytes.len() as u64;
    let bounds = Bounds::of(length);
    let mut child = start(program, product, length).with_context(|| {
        let program = program.display();
        format!("cannot start the process that compiles, {program}: is there a limit of processes, as of `ulimit -u`?")
    })?;
    let deadline = Instant::now() + bounds.patience();
    let (said, status) = talk::with(&mut child, bytes, bounds.product, deadline);
    let words = String::from_utf8_lossy(&said.words);
    let Some(status) = status.context("cannot wait for the process that compiles")? else {
        return Err(too_long(bounds));
    };
    match status.code() {
        Some(0) => Ok(said.product),
        Some(code) if code == i32::from(REFUSED) => Err(anyhow!("{}", words.trim_end())),
        _ => Err(failed(status, &words, bounds)),
    }
}

/// Starts the process.
fn start(program: &Path, product: Product, length: u64) -> io::Result<Child> {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get().min(limits::COMPILER_THREADS_MAX));
    Command::new(program)
        .args([COMMAND, product.name(), &length.to_string(), &std::process::id().to_string()])
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        .current_dir("/")
        // The keys of a terminal are for this process, whose end is that of the other.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn too_long(bounds: Bounds) -> anyhow::Error {
    let seconds = bounds.patience().as_secs();
    anyhow!("compiling it takes more than {seconds} s: the machine may be overloaded; otherwise {ADVICE}")
}

const ADVICE: &str = "make the guest smaller, above all its largest functions";

/// Why a process ended that had no time to say it well.
fn failed(status: ExitStatus, words: &str, bounds: Bounds) -> anyhow::Error {
    let Bounds { memory, seconds, .. } = bounds;
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    if is(Signal::XCPU) {
        return anyhow!("compiling it takes more than {seconds} s of processor time: {ADVICE}");
    }
    // Rust's standard library says so before it aborts.
    if words.contains("memory allocation of") || words.contains("os error 12)") {
        let mib = memory >> 20;
        return anyhow!("compiling it takes more than {mib} MiB of memory, or than the system gives: {ADVICE}");
    }
    if words.contains("os error 11)") {
        return anyhow!("the process that compiles was given no threads: is there a limit, as of `ulimit -u`?");
    }
    if is(Signal::KILL) {
        return anyhow!(
            "the process that compiles was killed: has the system no memory left, or did it take more than {seconds} s?"
        );
    }
    let words =
        cut_to(pluto_messages::limits::TOLD_LINE_BYTES_MAX, pluto_messages::limits::TOLD_BYTES_MAX / 8, Words(words));
    anyhow!("the compiler crashed ({status}): this is a bug in the compiler; please report it with the guest{words}")
}

/// What a process has said before it failed, behind other words.
struct Words<'a>(&'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("note: "));
        lines.enumerate().try_for_each(|(number, line)| {
            f.write_str(if number == 0 { ":\n  " } else { "\n  " })?;
            f.write_str(line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_process_ends_is_told_in_words() {
        let bounds = Bounds::of(1 << 20);
        let says = |raw: i32, words: &str| failed(ExitStatus::from_raw(raw), words, bounds).to_string();
        for (raw, words, told) in [
            (Signal::XCPU.as_raw(), "", "more than 16 s of processor time"),
            (Signal::ABORT.as_raw(), "memory allocation of 48 bytes failed", "more than 544 MiB of memory"),
            (101 << 8, "panicked: Os { code: 11 } (os error 11)", "`ulimit -u`"),
            (Signal::KILL.as_raw(), "", "was killed"),
            (Signal::SEGV.as_raw(), "", "signal: 11"),
            (101 << 8, "thread 'main' panicked at a.rs:1\ninvalid\nnote: run", "a bug in the compiler"),
        ] {
            assert!(says(raw, words).contains(told), "{}", says(raw, words));
        }
        assert!(
            says(101 << 8, "panicked at a.rs:1\n\ninvalid\nnote: run").ends_with(":\n  panicked at a.rs:1\n  invalid")
        );
    }

    #[test]
    fn what_is_no_program_is_an_error_and_no_panic() {
        let error = Compiler::Program("/no/such".into()).make(Product::Native, b"").expect_err("none");
        assert!(format!("{error:#}").contains("/no/such"), "{error:#}");
        let made = Compiler::Program("/bin/true".into()).make(Product::Native, b"").expect("it says that it is done");
        assert!(made.is_empty());
        assert!(Compiler::Program("/bin/false".into()).make(Product::Native, b"").is_err());
    }
}
