//! Messages in which a stranger has chosen a part, made fit to be read: escaped, and cut.

mod cut;

use std::fmt::Write as _;

pub use self::cut::{cut, cut_to, list};
use crate::contract::Level;

/// A line of a guest's log with its level before it, on one line: for the host's own messages, in which it is quoted.
pub fn quoted(level: Level, message: &str) -> String {
    let mut out = format!("{}: ", level_name(level));
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

/// A level in a word.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

/// Adds text in which the characters that `must` names are escaped as in JSON (RFC 8259 section 7).
pub fn escape(out: &mut String, message: &str, must: impl Fn(char) -> bool) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_line_says_its_level_and_stays_on_one_line() {
        assert_eq!(quoted(Level::Info, "a\nb \"c\""), "info: a\\nb \"c\"");
    }
}
