//! Where the guests' logs go: lines on standard output, for people or for programs.

mod cut;
mod loss;
mod output;
mod stream;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::cut::{cut, cut_to, list};
use self::loss::Source;
pub use self::output::{Finish, Output, say, start};
use crate::contract::Level;
use crate::limits;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The message; with its level before it, unless that is info.
    Text,
    /// One JSON object a line: time, level, message. A message that is a JSON object itself stands there as one.
    Json,
    /// Nothing.
    Off,
}

/// Which log lines are written: those of a level, and of the levels that matter more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Verbosity {
    /// Errors only.
    Error,
    /// And warnings.
    Warn,
    /// And what a server says of its work: of the web server, a line for each request.
    Info,
    /// And what only its author wants to know.
    Debug,
}

/// The log of one guest. Lines are kept until the guest waits, and then handed to the thread that
/// writes those of all shards. When its reader is too slow, lines are lost and counted, and no
/// client waits for him.
pub struct Console {
    format: Format,
    verbosity: Verbosity,
    lines: String,
    /// When the last line was made: nanoseconds since the Unix epoch.
    time: u64,
    /// Nowhere, until `on` says where.
    output: Option<Arc<Output>>,
    /// The number of its shard, when there are several.
    shard: Option<usize>,
    /// Its guest has had no client: what it says is of its start.
    is_starting: bool,
    /// Nobody reads standard output any more.
    is_gone: bool,
    /// Lines that were lost since `take_lost` was called last.
    lost: u64,
}

impl Console {
    /// A log in that format, of lines that matter as much, and that goes nowhere yet.
    pub fn new(format: Format, verbosity: Verbosity) -> Self {
        Self {
            format,
            verbosity,
            lines: String::new(),
            time: 0,
            output: None,
            shard: None,
            is_starting: false,
            is_gone: false,
            lost: 0,
        }
    }

    /// The log of a guest, on standard output.
    pub fn on(mut self, output: &Arc<Output>) -> Self {
        self.output = Some(output.clone());
        self
    }

    /// The log of the shard of this number. What two shards say in the same words before they
    /// have had a client is told once: it is the server that starts. Lines of JSON name the
    /// shard.
    pub fn of_shard(mut self, number: usize) -> Self {
        self.shard = Some(number);
        self.is_starting = true;
        self
    }

    /// The guest has its first client.
    pub fn has_started(&mut self) {
        self.is_starting = false;
    }

    /// Adds a line, stamped with nanoseconds since the Unix epoch. Control characters are escaped: what a client sends
    /// must not move the cursor of whoever reads the log.
    pub fn line(&mut self, time: u64, level: Level, message: &str) {
        if rank(level) > self.verbosity as u8 || self.format == Format::Off {
            return;
        }
        if self.is_gone {
            self.lost += 1;
            return;
        }
        if self.is_starting
            && let (Some(shard), Some(output)) = (self.shard, &self.output)
            && output.is_said_at_start(shard, level, message)
        {
            return;
        }
        self.time = time;
        match self.format {
            Format::Json => json_line(&mut self.lines, time, self.shard, level, message),
            _ => text_line(&mut self.lines, level, message),
        }
        if self.lines.len() > limits::LOG_BYTES_KEPT {
            self.flush();
        }
    }

    /// Hands over what is kept. When nobody can read the log any more, the server goes on without.
    pub fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        if let Some(output) = &self.output {
            let has_warnings = rank(Level::Warn) <= self.verbosity as u8;
            let source = Source::Log { shard: self.shard, format: self.format, has_warnings };
            let appended = output.stream.append(source, self.time, &self.lines);
            self.is_gone = appended.is_gone;
            self.lost += appended.lost;
        }
        self.lines.clear();
    }

    /// Whether lines were lost since `take_lost` was called last.
    pub fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// How many lines were lost since this was called last.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A line of a guest's log with its level before it, on one line: for the host's own messages, in which it is quoted.
pub fn quoted(level: Level, message: &str) -> String {
    let mut out = format!("{}: ", name(level));
    escape(&mut out, message, char::is_control);
    out
}

/// Text in which control characters are escaped but for the ends of lines: for messages that name what a guest or a
/// client has chosen.
pub fn printable(text: &str) -> String {
    let mut out = String::new();
    escape(&mut out, text, |c| c.is_control() && c != '\n');
    out
}

fn text_line(out: &mut String, level: Level, message: &str) {
    if level != Level::Info {
        out.push_str(name(level));
        out.push_str(": ");
    }
    escape(out, message, char::is_control);
    out.push('\n');
}

fn json_line(out: &mut String, time: u64, shard: Option<usize>, level: Level, message: &str) {
    let time = humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + Duration::from_nanos(time));
    let _ = write!(out, r#"{{"time":"{time}","#);
    if let Some(shard) = shard {
        let _ = write!(out, r#""shard":{shard},"#);
    }
    let _ = write!(out, r#""level":"{}","message":"#, name(level));
    if is_json_object(message) {
        out.push_str(message);
    } else {
        out.push('"');
        escape(out, message, |c| c.is_control() || c == '"' || c == '\\');
        out.push('"');
    }
    out.push_str("}\n");
}

/// Whether a message can stand in a line of JSON as it is: an object such as a line of an access log, on one line.
fn is_json_object(message: &str) -> bool {
    message.starts_with('{')
        && !message.contains(char::is_control)
        && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(message).is_ok()
}

/// Both formats escape as JSON does (RFC 8259 section 7).
fn escape(out: &mut String, message: &str, must: impl Fn(char) -> bool) {
    // Most lines are visible ASCII as they are, which is found out many bytes at a time.
    if message.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & !must(byte.into())) {
        out.push_str(message);
        return;
    }
    for c in message.chars() {
        match c {
            _ if !must(c) => out.push(c),
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
}

fn rank(level: Level) -> u8 {
    (match level {
        Level::Error => Verbosity::Error,
        Level::Warn => Verbosity::Warn,
        Level::Info => Verbosity::Info,
        Level::Debug => Verbosity::Debug,
    }) as u8
}

/// A level in a word.
pub fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}
