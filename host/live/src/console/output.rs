//! Standard output and standard error of a host that serves: no line is torn, and nobody waits
//! for a reader.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::fstat;

use super::loss::Source;
use super::stream::Stream;
use crate::limits;
use pluto_contract::Level;
use pluto_messages::printable;

/// Where the logs of all shards meet: standard output, or the file of the log.
pub struct Output {
    /// Its lines on their way.
    pub(super) stream: Stream,
    /// What shards have said before they had a client, each with the number of its shard.
    said_at_start: Mutex<Vec<(usize, Level, String)>>,
}

/// The streams of this process, once it serves.
static STREAMS: OnceLock<Streams> = OnceLock::new();

/// They are the same stream when both descriptors are the same terminal, pipe or file: then no
/// message stands in the middle of a line.
struct Streams {
    output: Stream,
    errors: Stream,
}

/// From now on the output of the log and standard error, which are given, are written by threads.
/// `tell` is called with what the operator should know, also of a panic. To be called once, before
/// anything is written to standard output.
pub fn start(
    output: impl AsFd + Send + 'static,
    errors: impl AsFd + Send + 'static,
    tell: fn(&str),
) -> io::Result<Arc<Output>> {
    std::panic::set_hook(Box::new(move |bug| {
        let trace = Backtrace::capture();
        let trace = if trace.status() == BacktraceStatus::Captured { format!("\n{trace}") } else { String::new() };
        tell(&format!("a bug of the host, not of the guest: {bug}{trace}"));
    }));
    let are_same = is_same(&output, &errors);
    let output = Stream::start("log", output, tell)?;
    let errors = if are_same { output.clone() } else { Stream::start("messages", errors, |_| ())? };
    let streams = STREAMS.get_or_init(|| Streams { output, errors });
    Ok(Arc::new(Output { stream: streams.output.clone(), said_at_start: Mutex::default() }))
}

/// A message of the host as the line that it is on standard error.
pub fn line_of(message: &str) -> String {
    format!("pluto-host: {}\n", printable(message))
}

/// Hands a message of the host to the thread that writes standard error, without waiting. Returns
/// whether there is one: else nothing was started.
pub fn say(message: &str) -> bool {
    let Some(streams) = STREAMS.get() else { return false };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    streams.errors.append(Source::Host, now.as_nanos() as u64, &line_of(message));
    true
}

/// Waits, when it is dropped, until both streams are written, but not for long: nobody may read
/// them. To be dropped last.
pub struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        let Some(Streams { output, errors }) = STREAMS.get() else { return };
        let until = Instant::now() + Duration::from_millis(limits::LAST_WORDS_MILLIS);
        if let Some((lines, why)) = output.finish(until) {
            say(&format!("{lines} lines of the log were not written: {why}"));
        }
        let _ = errors.finish(until + Duration::from_millis(limits::LAST_WORDS_MORE_MILLIS));
    }
}

/// Whether two descriptors are of the same file, pipe, socket or terminal.
fn is_same(first: &impl AsFd, second: &impl AsFd) -> bool {
    match (fstat(first), fstat(second)) {
        (Ok(first), Ok(second)) => (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino),
        _ => false,
    }
}

impl Output {
    /// On this stream.
    #[cfg(test)]
    pub(super) fn on(stream: Stream) -> Self {
        Self { stream, said_at_start: Mutex::default() }
    }

    /// From now on lines go to this descriptor: the file of the log was opened anew.
    pub fn replace(&self, descriptor: impl AsFd + Send + 'static) {
        self.stream.replace(Box::new(descriptor));
    }

    /// Whether another shard has said this at its start; if not, it is said now.
    pub fn is_said_at_start(&self, shard: usize, level: Level, message: &str) -> bool {
        let mut said = self.said_at_start.lock().unwrap_or_else(PoisonError::into_inner);
        let is_said = said.iter().any(|(by, of, what)| *by != shard && *of == level && what == message);
        if !is_said && said.len() < limits::START_LINES_MAX {
            said.push((shard, level, message.to_owned()));
        }
        is_said
    }
}
