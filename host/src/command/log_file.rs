//! The file of `--log-file`, which SIGUSR1 opens again: a tool that rotates logs moves the file
//! away and sends the signal.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustix::fs::OFlags;
use signal_hook::consts::SIGUSR1;
use signal_hook::low_level::pipe;

use super::report::report;
use crate::cli::Run;
use pluto_live::console::{self, Format, Output};

/// The log has client data in it: its owner writes it, and a group of readers may be set.
const MODE: u32 = 0o640;

/// Starts the threads that write the log and the host's messages. The log goes to the operator's
/// file, or to standard output.
pub fn start(run: &Run) -> Result<Arc<Output>> {
    let started = match &run.log_file {
        Some(path) => begin(open(path)?, run.log),
        None => begin(io::stdout(), run.log),
    };
    started.context("cannot start the threads that write the log")
}

fn begin(log: impl AsFd + Send + 'static, format: Format) -> io::Result<Arc<Output>> {
    console::start(log, io::stderr(), format, report)
}

/// Opens the file again at each SIGUSR1, in a thread that may wait for its disk. To be called when
/// the process has taken its signals over.
pub fn reopen_on_request(run: &Run, output: &Arc<Output>) -> Result<()> {
    let Some(path) = run.log_file.clone() else { return Ok(()) };
    let output = output.clone();
    watch(path, output).context("cannot take over the signal SIGUSR1 for --log-file")
}

fn watch(path: PathBuf, output: Arc<Output>) -> io::Result<()> {
    let (mut requests, sender) = UnixStream::pair()?;
    pipe::register(SIGUSR1, sender)?;
    let reopen = move || {
        while requests.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            match open(&path) {
                Ok(file) => output.replace(file),
                Err(error) => report(&format!("{error:#}; the log goes on in the file that was open")),
            }
        }
    };
    thread::Builder::new().name("log file".into()).spawn(reopen)?;
    Ok(())
}

/// Opens the file to append to it. A pipe needs a reader, and is not waited for.
fn open(path: &Path) -> Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = File::options().append(true).create(true).mode(MODE).custom_flags(flags).open(path);
    opened.with_context(|| format!("cannot open the file of --log-file, {}", path.display()))
}
