//! Lines that were lost because nobody took them in time, and the line that says so.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;

use super::lines::{Format, json_line, text_line};
use crate::limits;
use pluto_contract::Level;

/// Where lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The host's own messages.
    Host,
    /// The log of a guest.
    Log {
        /// The number of its shard, when there are several.
        shard: Option<usize>,
        /// How its lines look.
        format: Format,
        /// Whether warnings are among the lines that the operator wants.
        has_warnings: bool,
    },
}

/// Why lines are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The reader, or the disk, is slower than the lines come.
    Slow,
    /// The system refuses to write.
    Refused(Errno),
}

/// Lines of one source that were lost, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Whose lines.
    pub source: Source,
    /// How many.
    pub lines: u64,
    /// When the first of them was made: nanoseconds since the Unix epoch.
    pub from: u64,
    /// When the last of them was made, in the same unit.
    pub to: u64,
    /// Why the last of them was lost; a refusal of the system before a slow reader.
    pub why: Why,
}

impl Source {
    /// The most bytes that may wait when a line of this source is taken. The host's own messages
    /// are few, and have room beyond that of the logs.
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Host => limits::LOG_BYTES_WAITING_MAX + limits::MESSAGE_BYTES_WAITING_MAX,
            Self::Log { .. } => limits::LOG_BYTES_WAITING_MAX,
        }
    }
}

impl Loss {
    /// Adds the lines of a later loss of the same source.
    pub fn add(&mut self, lines: u64, time: u64, why: Why) {
        self.lines += lines;
        self.to = time;
        if why != Why::Slow {
            self.why = why;
        }
    }

    /// Adds the line that tells of it to the others of its source.
    pub fn tell(&self, out: &mut String) {
        match self.source {
            Source::Host => {
                *out += &format!("pluto-host: {}\n", self.message("messages of the host", None));
            }
            Source::Log { has_warnings: false, .. } => {}
            Source::Log { shard, format: Format::Json, .. } => {
                json_line(out, self.to, shard, Level::Warn, &self.message("lines of the log", None));
            }
            Source::Log { shard, .. } => text_line(out, Level::Warn, &self.message("lines of the log", shard)),
        }
    }

    fn message(&self, what: &str, shard: Option<usize>) -> String {
        let shard = shard.map_or_else(String::new, |number| format!(" in shard {number}"));
        let [from, to] = [self.from, self.to]
            .map(|time| humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_nanos(time)));
        format!("{} {what} were lost{shard} from {from} to {to}: {}", self.lines, self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow => f.write_str("the reader of the log, or its disk, was too slow"),
            Self::Refused(errno) => std::io::Error::from(*errno).fmt(f),
        }
    }
}
