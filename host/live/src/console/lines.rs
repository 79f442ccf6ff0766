//! The form of a line of the log.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use pluto_contract::Level;
use pluto_messages::{escape, level_name};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The message; with its level before it, unless that is info.
    Text,
    /// One JSON object a line: time, level, message. A message that is a JSON object itself stands
    /// there as one.
    Json,
    /// Nothing.
    Off,
}

/// Which log lines are written: those of a level, and of the levels that matter more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Adds a line for people.
pub fn text_line(out: &mut String, level: Level, message: &str) {
    if level != Level::Info {
        out.push_str(level_name(level));
        out.push_str(": ");
    }
    escape(out, message, char::is_control);
    out.push('\n');
}

/// Adds a line for programs. Its time is in nanoseconds since the Unix epoch.
pub fn json_line(out: &mut String, time: u64, shard: Option<usize>, level: Level, message: &str) {
    let time = humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + Duration::from_nanos(time));
    let _ = write!(out, r#"{{"time":"{time}","#);
    if let Some(shard) = shard {
        let _ = write!(out, r#""shard":{shard},"#);
    }
    let _ = write!(out, r#""level":"{}","message":"#, level_name(level));
    if is_json_object(message) {
        out.push_str(message);
    } else {
        out.push('"');
        escape(out, message, |c| c.is_control() || c == '"' || c == '\\');
        out.push('"');
    }
    out.push_str("}\n");
}

/// Whether a message can stand in a line of JSON as it is: an object such as a line of an access
/// log, on one line.
pub fn is_json_object(message: &str) -> bool {
    message.starts_with('{')
        && !message.contains(char::is_control)
        && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(message).is_ok()
}
