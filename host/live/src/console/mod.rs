//! Where the guests' logs go: lines on standard output, for people or for programs.

mod lines;
mod loss;
mod output;
mod shared;
mod stream;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::lines::{Format, Verbosity};
use self::lines::{json_line, text_line};
use self::loss::Source;
use self::output::say_of_guest;
pub use self::output::{Finish, Output, line_of, say, start};
use crate::limits;
use pluto_contract::Level;

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
    /// Whether shards say the same at their start, of which each line is told once.
    is_one_of_several: bool,
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
            is_starting: true,
            is_one_of_several: false,
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
        self.is_one_of_several = true;
        self
    }

    /// The guest has its first client.
    pub fn has_started(&mut self) {
        self.is_starting = false;
    }

    /// Adds a line, stamped with nanoseconds since the Unix epoch. Control characters are escaped:
    /// what a client sends must not move the cursor of whoever reads the log.
    ///
    /// An error before the first client goes to standard error, also when there is no log.
    pub fn line(&mut self, time: u64, level: Level, message: &str) {
        let is_of_start = self.is_starting && level == Level::Error && self.output.is_some();
        if !is_of_start && (rank(level) > self.verbosity as u8 || self.format == Format::Off) {
            return;
        }
        if self.is_gone && !is_of_start {
            self.lost += 1;
            return;
        }
        if self.is_starting
            && self.is_one_of_several
            && let (Some(shard), Some(output)) = (self.shard, &self.output)
            && output.is_said_at_start(shard, level, message)
        {
            return;
        }
        if is_of_start {
            return say_of_guest(time, self.shard, message);
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

fn rank(level: Level) -> u8 {
    (match level {
        Level::Error => Verbosity::Error,
        Level::Warn => Verbosity::Warn,
        Level::Info => Verbosity::Info,
        Level::Debug => Verbosity::Debug,
    }) as u8
}
