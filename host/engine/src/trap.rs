//! What the operator reads about a trap. The guest chose the names of its functions. wasmtime
//! would write these names in full and demangle them, which can take any time and memory;
//! therefore the backtrace is written here.

use std::fmt::{self, Display, Write};

use rustc_demangle::try_demangle;
use wasmtime::{FrameInfo, WasmBacktrace};

use crate::limits;
use pluto_messages::{cut, cut_to};

/// The message of an error with which a guest has ended: the backtrace, and what caused it.
pub fn explain(error: &wasmtime::Error) -> String {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(|backtrace| cut(Backtrace(backtrace)));
    // The core dump is for `image`. What stands in both is told above.
    let causes = error.chain().filter(|cause| ![TITLE, CORE_DUMP].iter().any(|title| begins_with(cause, title)));
    let mut texts = backtrace.into_iter().chain(causes.map(cut));
    let mut text = texts.next().unwrap_or_default();
    for (number, cause) in texts.enumerate() {
        let heading = if number == 0 { "\n\nCaused by:" } else { "" };
        let _ = write!(text, "{heading}\n    {}", cause.trim_end().replace('\n', "\n    "));
    }
    text
}

/// With what wasmtime begins a backtrace, and a core dump.
const TITLE: &str = "error while executing at wasm backtrace:";
const CORE_DUMP: &str = "wasm coredump generated while executing ";

/// Whether a text begins so. No more of it is written.
fn begins_with(told: impl Display, title: &str) -> bool {
    cut_to(title.len(), title.len(), told).starts_with(title)
}

/// The functions that were under way, the innermost first, as wasmtime writes them.
struct Backtrace<'a>(&'a WasmBacktrace);

impl Display for Backtrace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TITLE)?;
        self.0.frames().iter().enumerate().try_for_each(|(number, frame)| {
            write!(f, "\n  {number:>3}: ")?;
            if let Some(offset) = frame.module_offset() {
                write!(f, "{offset:#8x} - ")?;
            }
            let module = frame.module().name().unwrap_or("<unknown>");
            write!(f, "{}!{}", name(module), function(frame))
        })
    }
}

fn function(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(mangled) if mangled.len() <= limits::DEMANGLED_BYTES_MAX => match try_demangle(mangled) {
            Ok(demangled) => name(format_args!("{demangled:#}")),
            // Names of C++ stay as they are: what makes them readable has no limit.
            Err(_) => name(mangled),
        },
        Some(long) => name(long),
        None => format!("<wasm function {}>", frame.func_index()),
    }
}

fn name(told: impl Display) -> String {
    cut_to(limits::TOLD_NAME_BYTES_MAX, limits::TOLD_NAME_BYTES_MAX, told).replace('\n', "\\n")
}
