//! Where the guests' logs go: lines on standard output, for people or for programs.

mod output;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use self::output::Output;
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

/// The log of one guest. Lines are kept until the guest waits, and then written together, as far as the reader takes
/// them: when he does not, lines are lost and counted, and no client waits for him.
pub struct Console {
    format: Format,
    verbosity: Verbosity,
    lines: String,
    /// Of the lines that were written, or of another's, a part is left.
    owes: bool,
    /// Lines for which there was no room.
    lost: u64,
    /// Of the last line.
    time: u64,
    output: Arc<Output>,
    /// The number of its shard, when there are several.
    shard: Option<usize>,
    /// Its guest has had no client: what it says is of its start.
    is_starting: bool,
}

/// How long the end of the log waits for a reader that does not read, and how often it looks.
const LAST_WORDS: Duration = Duration::from_secs(1);
const LAST_WORDS_STEP: Duration = Duration::from_millis(5);

impl Console {
    /// A log in that format, of lines that matter as much.
    pub fn new(format: Format, verbosity: Verbosity) -> Self {
        let output = Arc::new(Output::new());
        Self {
            format,
            verbosity,
            lines: String::new(),
            owes: false,
            lost: 0,
            time: 0,
            output,
            shard: None,
            is_starting: false,
        }
    }

    /// The log of the shard of this number, with all others on the same output. What two shards say in the same words
    /// before they have had a client is told once: it is the server that starts. Lines of JSON name the shard.
    pub fn of_shard(mut self, number: usize, output: &Arc<Output>) -> Self {
        self.output = output.clone();
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
        if rank(level) > self.verbosity as u8 {
            return;
        }
        self.time = time;
        if self.is_starting
            && let Some(shard) = self.shard
            && self.output.is_said_at_start(shard, level, message)
        {
            return;
        }
        if self.lines.len() > limits::LOG_BYTES_WAITING_MAX {
            self.lost += 1;
            return;
        }
        match self.format {
            Format::Text => text_line(&mut self.lines, level, message),
            Format::Json => json_line(&mut self.lines, time, self.shard, level, message),
            Format::Off => {}
        }
    }

    /// Writes what is kept, as far as it is taken at once. When nobody can read the log any more, the server goes on
    /// without.
    pub fn flush(&mut self) {
        self.write_lines();
        if self.lines.is_empty() && self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            self.line(self.time, Level::Warn, &format!("{lost} lines of the log were lost: nobody read them"));
            self.write_lines();
        }
    }

    fn write_lines(&mut self) {
        if self.lines.is_empty() && !self.owes {
            return;
        }
        match self.output.write(&mut self.lines) {
            Ok(is_all_written) => self.owes = !is_all_written,
            Err(_) => {
                self.format = Format::Off;
                self.lines.clear();
                self.owes = false;
            }
        }
    }
}

impl Drop for Console {
    /// The last lines wait for a reader, but not with the output held: another shard may still serve.
    fn drop(&mut self) {
        let begin = Instant::now();
        self.flush();
        while self.owes && begin.elapsed() < LAST_WORDS {
            std::thread::sleep(LAST_WORDS_STEP);
            self.flush();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_line_says_its_level_and_stays_on_one_line() {
        assert_eq!(quoted(Level::Info, "a\nb \"c\""), "info: a\\nb \"c\"");
    }

    #[test]
    fn a_line_stays_one_line_and_moves_no_cursor() {
        let mut out = String::new();
        text_line(&mut out, Level::Warn, "a\r\nb\u{1b}[2J \"ü\"");
        assert_eq!(out, "warn: a\\r\\nb\\u001b[2J \"ü\"\n");
    }

    #[test]
    fn an_object_stands_in_json_as_one_and_what_only_looks_like_one_does_not() {
        for (message, written) in [
            (r#"{"a":[1.5,null,"\u0007"]}"#, r#"{"a":[1.5,null,"\u0007"]}"#),
            (r#"{"a":1}} {"#, r#""{\"a\":1}} {""#),
            (r#"{"a":1"#, r#""{\"a\":1""#),
            ("{\n}", r#""{\n}""#),
            ("[1]", r#""[1]""#),
            ("", r#""""#),
        ] {
            let mut out = String::new();
            json_line(&mut out, 0, None, Level::Info, message);
            let expected =
                format!(r#"{{"time":"1970-01-01T00:00:00.000000Z","level":"info","message":{written}}}"#) + "\n";
            assert_eq!(out, expected);
        }
        let deep = "{\"a\":".repeat(100_000);
        assert!(!is_json_object(&deep), "and none is too deep to look at");
    }

    #[test]
    fn what_shards_say_alike_at_their_start_is_told_once_and_json_names_the_shard() {
        let output = Arc::new(Output::new());
        let [mut first, mut second] = [1, 2].map(|shard| {
            let console = Console::new(Format::Json, Verbosity::Info);
            console.of_shard(shard, &output)
        });
        for console in [&mut first, &mut second] {
            console.line(0, Level::Info, "serving");
            console.line(0, Level::Info, "");
            console.line(0, Level::Info, "");
            console.has_started();
            console.line(0, Level::Info, "a client");
        }
        second.line(0, Level::Info, "serving");
        let said = |console: &mut Console| {
            let lines = std::mem::take(&mut console.lines);
            let lines = lines.lines().map(|line| line.split_once("Z\",").expect("a time").1.to_owned());
            lines.collect::<Vec<_>>()
        };
        let line = |shard, message| format!(r#""shard":{shard},"level":"info","message":"{message}"}}"#);
        assert_eq!(said(&mut first), [line(1, "serving"), line(1, ""), line(1, ""), line(1, "a client")]);
        assert_eq!(said(&mut second), [line(2, "a client"), line(2, "serving")]);
    }

    #[test]
    fn json_is_escaped() {
        let mut out = String::new();
        json_line(&mut out, 1_784_635_200_123_456_789, None, Level::Info, "say \"\\\u{7f}\"\n");
        assert_eq!(
            out,
            "{\"time\":\"2026-07-21T12:00:00.123456Z\",\"level\":\"info\",\"message\":\"say \\\"\\\\\\u007f\\\"\\n\"}\n"
        );
    }
}
