//! Where a guest's log goes: lines on standard output, for people or for programs.

use std::fmt::Write as _;
use std::io::{Stdout, Write};
use std::time::{Duration, SystemTime};

use crate::contract::Level;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The message; with its level before it, unless that is info.
    Text,
    /// One JSON object a line: time, level, message.
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

/// The log of one guest. Lines are kept until the guest waits, and then written together.
pub struct Console {
    format: Format,
    verbosity: Verbosity,
    lines: String,
    output: Stdout,
}

/// Lines are written when there are so many bytes of them, even in the midst of a turn.
const LINES_BYTES_MAX: usize = 64 << 10;

impl Console {
    /// A log in that format, of lines that matter as much.
    pub fn new(format: Format, verbosity: Verbosity) -> Self {
        Self { format, verbosity, lines: String::new(), output: std::io::stdout() }
    }

    /// Adds a line, stamped with nanoseconds since the Unix epoch. Control characters are escaped: what a client sends
    /// must not move the cursor of whoever reads the log.
    pub fn line(&mut self, time: u64, level: Level, message: &str) {
        if rank(level) > self.verbosity as u8 {
            return;
        }
        match self.format {
            Format::Text => text_line(&mut self.lines, level, message),
            Format::Json => json_line(&mut self.lines, time, level, message),
            Format::Off => {}
        }
        if self.lines.len() > LINES_BYTES_MAX {
            self.flush();
        }
    }

    /// Writes what is kept. When nobody reads the log any more, the server goes on without.
    pub fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        if self.output.write_all(self.lines.as_bytes()).and_then(|()| self.output.flush()).is_err() {
            self.format = Format::Off;
        }
        self.lines.clear();
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.flush();
    }
}

fn text_line(out: &mut String, level: Level, message: &str) {
    if level != Level::Info {
        out.push_str(name(level));
        out.push_str(": ");
    }
    escape(out, message, char::is_control);
    out.push('\n');
}

fn json_line(out: &mut String, time: u64, level: Level, message: &str) {
    let time = humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + Duration::from_nanos(time));
    let _ = write!(out, r#"{{"time":"{time}","level":"{}","message":""#, name(level));
    escape(out, message, |c| c.is_control() || c == '"' || c == '\\');
    out.push_str("\"}\n");
}

/// Both formats escape as JSON does (RFC 8259 section 7).
fn escape(out: &mut String, message: &str, must: fn(char) -> bool) {
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

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_moves_no_cursor() {
        let mut out = String::new();
        text_line(&mut out, Level::Warn, "a\r\nb\u{1b}[2J \"ü\"");
        assert_eq!(out, "warn: a\\r\\nb\\u001b[2J \"ü\"\n");
    }

    #[test]
    fn json_is_escaped() {
        let mut out = String::new();
        json_line(&mut out, 1_784_635_200_123_456_789, Level::Info, "say \"\\\u{7f}\"\n");
        assert_eq!(
            out,
            "{\"time\":\"2026-07-21T12:00:00.123456Z\",\"level\":\"info\",\"message\":\"say \\\"\\\\\\u007f\\\"\\n\"}\n"
        );
    }
}
