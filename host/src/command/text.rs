//! Converts traces to text, and text to traces.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::exit_status::ExitStatus;
use super::record::create_trace;
use super::setup::read_guest;
use crate::limits;
use pluto_trace::Header;
use pluto_trace::binary::{MAGIC, TraceError, TraceReader, TraceWriter};
use pluto_trace::hex::hex;
use pluto_trace::text::{TextReader, TextWriter};

/// Writes a trace as text to standard output. If the trace is damaged, writes what stands before
/// the damage.
pub fn to_text(path: &Path) -> Result<ExitStatus> {
    let file = File::open(path).with_context(|| format!("no trace at {}", path.display()))?;
    let mut trace = TraceReader::open(BufReader::new(file)).with_context(|| path.display().to_string())?;
    // The guest was compared with its digest, and the text names only the digest.
    trace.guest = Vec::new();
    match write(trace) {
        // A closed pipe is no error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitStatus::Well),
        result => {
            result.context("cannot write to standard output")?.with_context(|| path.display().to_string())?;
            Ok(ExitStatus::Well)
        }
    }
}

/// The inner error is of the trace, the outer one of the output.
fn write(mut trace: TraceReader<impl Read>) -> io::Result<Result<(), TraceError>> {
    let mut output = BufWriter::new(io::stdout().lock());
    let mut text = TextWriter::new(&mut output, &trace.header)?;
    let read = loop {
        match trace.piece() {
            Ok(Some(piece)) => text.piece(&piece)?,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    output.flush()?;
    Ok(read)
}

/// Makes a trace from a text and the guest that the text names.
///
/// The text is read twice, so that no file is touched for one that is wrong, and neither all of
/// its records nor the whole trace are held.
pub fn to_binary(path: &Path, guest: &Path, output: &Path) -> Result<ExitStatus> {
    let bytes = read_text(path)?;
    let mut text = TextReader::new(&bytes).with_context(|| path.display().to_string())?;
    while text.record().with_context(|| path.display().to_string())?.is_some() {}
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
    let write = || -> Result<()> {
        let mut text = TextReader::new(&bytes)?;
        let mut writer = TraceWriter::new(BufWriter::new(create_trace(output)?), &text.header, &module)?;
        while let Some(record) = text.record()? {
            writer.record(&record)?;
        }
        writer.finish()?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", output.display()))?;
    Ok(ExitStatus::Well)
}

/// Reads a text as far as it looks like one, and no more than one may have.
fn read_text(path: &Path) -> Result<Vec<u8>> {
    let no_text = || format!("no text at {}", path.display());
    let mut file = File::open(path).with_context(no_text)?;
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        (&mut file).take(TEXT_PIECE_BYTES).read_to_end(&mut bytes).with_context(no_text)?;
        if bytes.starts_with(&MAGIC) {
            bail!("{} is a trace already, and no text of one: `pluto-host trace text` makes that", path.display());
        }
        let new = &bytes[before..];
        if new.contains(&0) {
            bail!(
                "{} is no text, for there is a zero in it: `pluto-host trace text` makes one of a trace",
                path.display()
            );
        }
        if new.is_empty() {
            return Ok(bytes);
        }
        if bytes.len() > limits::TRACE_TEXT_BYTES_MAX {
            bail!("{} is longer than a text may be: {} MiB", path.display(), limits::TRACE_TEXT_BYTES_MAX >> 20);
        }
    }
}

/// What is read of a text before it is looked at.
const TEXT_PIECE_BYTES: u64 = 1 << 20;
