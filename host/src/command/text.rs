//! Turning traces into text, and back.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::record::create_trace;
use super::{Exit, read_guest};
use crate::trace::Header;
use crate::trace::binary::{MAGIC, TraceError, TraceReader};
use crate::trace::text::{Text, TextWriter, hex};

/// Writes a trace as text to standard output. Of a damaged one, what stands before the damage.
pub fn to_text(path: &Path) -> Result<Exit> {
    let file = File::open(path).with_context(|| format!("no trace at {}", path.display()))?;
    let trace = TraceReader::open(BufReader::new(file)).with_context(|| path.display().to_string())?;
    match write(trace) {
        // A closed pipe is no error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Well),
        result => {
            result.context("cannot write to standard output")?.with_context(|| path.display().to_string())?;
            Ok(Exit::Well)
        }
    }
}

/// The inner error is of the trace, the outer one of the output.
fn write(mut trace: TraceReader<impl Read>) -> io::Result<Result<(), TraceError>> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut text = TextWriter::new(&mut output, &trace.header)?;
    let read = loop {
        match trace.record() {
            Ok(Some(record)) => text.record(&record)?,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    output.flush()?;
    Ok(read)
}

/// Makes a trace of a text and the guest that it names.
pub fn to_binary(path: &Path, guest: &Path, output: &Path) -> Result<Exit> {
    let bytes = fs::read(path).with_context(|| format!("no text at {}", path.display()))?;
    if bytes.starts_with(&MAGIC) {
        bail!("{} is a trace already, and no text of one: `pluto-host trace text` makes that", path.display());
    }
    let text = Text::parse(&bytes).with_context(|| path.display().to_string())?;
    let module = read_guest(guest)?;
    let (named, found) = (text.header.guest_sha256, Header::digest(&module));
    if named != found {
        bail!(
            "{} is of the guest with SHA-256 {}, and {} has {}: give that guest, or write the other digest into the text",
            path.display(),
            hex(&named),
            guest.display(),
            hex(&found)
        );
    }
    let binary = text.to_binary(&module)?;
    let written = create_trace(output).and_then(|mut file| Ok(file.write_all(&binary)?));
    written.with_context(|| format!("cannot write {}", output.display()))?;
    Ok(Exit::Well)
}
