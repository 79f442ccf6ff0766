//! Messages in which a stranger chose a part. They are escaped and cut before people read them.

mod cut;
mod escape;
pub mod limits;

pub use self::cut::{cut, cut_to, list};
pub use self::escape::escape;
use pluto_contract::Level;

/// A line of a guest's log with its level before it, on one line: for the host's own messages, in
/// which it is quoted.
pub fn quoted(level: Level, message: &str) -> String {
    let mut out = format!("{}: ", level_name(level));
    escape(&mut out, message, char::is_control);
    out
}

/// Text in which control characters are escaped but for the ends of lines: for messages that name
/// what a guest or a client has chosen.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_line_says_its_level_and_stays_on_one_line() {
        assert_eq!(quoted(Level::Info, "a\nb \"c\""), "info: a\\nb \"c\"");
    }
}
