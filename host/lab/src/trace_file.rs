//! The files of traces.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::replaying::go_to;
use pluto_trace::Record;
use pluto_trace::binary::{TraceError, TraceReader};

/// A trace in a file.
pub type Trace = TraceReader<BufReader<File>>;

/// Opens a trace that this host can replay exactly.
pub fn open(path: &Path) -> Result<Trace> {
    let file = File::open(path).with_context(|| format!("no trace at {}", path.display()))?;
    let reader = TraceReader::open(BufReader::new(file));
    if matches!(reader, Err(TraceError::Foreign)) && is_wasm(path) {
        bail!(
            "{} is WebAssembly, where a trace is expected: see --help for the order of guests and trace",
            path.display()
        );
    }
    let mut reader = reader.with_context(|| path.display().to_string())?;
    if let Some(difference) = reader.header.differs() {
        bail!(
            "{} cannot be replayed by this pluto-host: {difference}. `pluto-host trace text` shows what is in it",
            path.display()
        );
    }
    if let Some(Record::Cut(_)) = reader.peek() {
        go_to(&mut reader, |_| false).with_context(|| path.display().to_string())?;
    }
    Ok(reader)
}

/// Whether a file begins as WebAssembly does, be it a module or a component.
fn is_wasm(path: &Path) -> bool {
    let mut magic = [0; 4];
    path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\0asm"
}
