//! Escaping characters that would move a cursor or end a string.

use std::fmt::Write as _;

/// Adds text in which the characters that `must` names are escaped as in JSON (RFC 8259 section
/// 7).
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
