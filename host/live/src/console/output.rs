//! Standard output and standard error of a host that serves: no line is torn, and nobody waits
//! for a reader.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::fstat;

use super::lines::{Format, json_line, text_line};
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
    /// The form of messages on standard error. Off means text: a message is never lost.
    format: Format,
}

/// From now on the output of the log and standard error, which are given, are written by threads.
/// `tell` is called with what the operator should know, also of a panic. To be called once, before
/// anything is written to standard output.
pub fn start(
    output: impl AsFd + Send + 'static,
    errors: impl AsFd + Send + 'static,
    format: Format,
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
    let streams = STREAMS.get_or_init(|| Streams { output, errors, format });
    Ok(Arc::new(Output { stream: streams.output.clone(), said_at_start: Mutex::default() }))
}

/// A message of the host as the line that it is on standard error.
pub fn line_of(message: &str) -> String {
    format!("pluto-host: {}\n", printable(message))
}

/// Hands a message of the host to the thread that writes standard error, in the form of the log,
/// without waiting. Returns whether there is such a thread: else nothing was started.
pub fn say(level: Level, message: &str) -> bool {
    let Some(streams) = STREAMS.get() else { return false };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let line = match streams.format {
        Format::Json => json(now, None, level, message),
        Format::Text | Format::Off => line_of(message),
    };
    streams.errors.append(Source::Host, now, &line);
    true
}

/// Hands an error that a guest logged before it had a client to the thread that writes standard
/// error: it is why the server does not start, whatever becomes of the log.
pub(super) fn say_of_guest(time: u64, shard: Option<usize>, message: &str) {
    let Some(streams) = STREAMS.get() else { return };
    let line = match streams.format {
        Format::Json => json(time, shard, Level::Error, message),
        Format::Text | Format::Off => {
            let mut line = String::new();
            text_line(&mut line, Level::Error, message);
            line
        }
    };
    streams.errors.append(Source::Host, time, &line);
}

fn json(time: u64, shard: Option<usize>, level: Level, message: &str) -> String {
    let mut line = String::new();
    json_line(&mut line, time, shard, level, message);
    line
}

/// Waits, when it is dropped, until both streams are written, but not for long: nobody may read
/// them. To be dropped last.
pub struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        let Some(Streams { output, errors, .. }) = STREAMS.get() else { return };
        let until = Instant::now() + Duration::from_millis(limits::LAST_WORDS_MILLIS);
        if let Some((lines, why)) = output.finish(until) {
            say(Level::Warn, &format!("{lines} lines of the log were not written: {why}"));
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
