//! The access log: one line for each request, in the common log format, with the seconds that it took behind it.
//!
//! `192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.1" 200 1090 0.000312`

use crate::http::date::Date;
use crate::limits::LOGGED_LINE_BYTES_MAX;
use std::fmt::Write;

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Access {
    /// The request line as it came; no more of it than is shown, and a byte to tell that there was more.
    line: Vec<u8>,
    status: u16,
    /// Bytes of content.
    bytes: u64,
    /// Bytes of content that are known to be sent, when it comes to nothing more.
    sent: u64,
    /// When the request was complete: nanoseconds since the Unix epoch.
    began: u64,
}

impl Access {
    /// For a request with this line, answered by so many bytes of content.
    pub fn new(mut line: Vec<u8>, status: u16, bytes: u64, began: u64) -> Access {
        // It waits for a client that may never read.
        if line.len() > LOGGED_LINE_BYTES_MAX {
            line.truncate(LOGGED_LINE_BYTES_MAX + 1);
            line.shrink_to_fit();
        }
        Access { line, status, bytes, sent: 0, began }
    }

    /// How many bytes of content the response has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many bytes of content are sent now.
    pub fn set_sent(&mut self, bytes: u64) {
        self.sent = bytes;
    }

    /// The line. `date` and `now` say when the response was sent; `whole`, whether it was sent to its end.
    pub fn format(&self, peer: &str, date: &Date, now: u64, whole: bool) -> String {
        let mut out = String::with_capacity(peer.len() + self.line.len() + 80);
        out.push_str(peer);
        out.push_str(" - - [");
        date.write_log(&mut out);
        out.push_str("] \"");
        escape(&self.line, &mut out);
        let micros = now.saturating_sub(self.began) / 1_000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (bytes, end) = if whole { (self.bytes, "") } else { (self.sent, " cut") };
        let written = write!(out, "\" {} {bytes} {seconds}.{micros:06}{end}", self.status);
        debug_assert!(written.is_ok(), "a String takes everything");
        out
    }
}

/// A request line for the operator's eyes, in quotation marks.
pub fn quoted(line: &[u8]) -> String {
    let mut out = String::from("\"");
    escape(line, &mut out);
    out.push('"');
    out
}

/// A request line as visible ASCII without quotation marks, so that no client can forge a line of the log.
fn escape(line: &[u8], out: &mut String) {
    for &byte in line.iter().take(LOGGED_LINE_BYTES_MAX) {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let written = write!(out, "\\x{byte:02x}");
                debug_assert!(written.is_ok(), "a String takes everything");
            }
        }
    }
    if line.len() > LOGGED_LINE_BYTES_MAX {
        out.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 784_111_777_000_000_000;

    fn format(line: &[u8], before: u64, whole: bool) -> String {
        let access = Access::new(line.to_vec(), 200, 1090, NOW - before);
        access.format("::1", &Date::at(NOW), NOW, whole)
    }

    #[test]
    fn a_request_is_one_line() {
        let check = |line: &[u8], before: u64, whole: bool, rest: &str| {
            assert_eq!(format(line, before, whole), format!("::1 - - [06/Nov/1994:08:49:37 +0000] {rest}"));
        };
        check(b"GET /a?b HTTP/1.1", 0, true, "\"GET /a?b HTTP/1.1\" 200 1090 0.000000");
        check(b"GET / HTTP/1.1", 61_000_312_999, true, "\"GET / HTTP/1.1\" 200 1090 61.000312");
        check(b"", 0, false, "\"\" 200 0 0.000000 cut");
        check(b"\x16\x03\"\\\n\xff", 0, true, "\"\\x16\\x03\\\"\\\\\\x0a\\xff\" 200 1090 0.000000");
    }

    #[test]
    fn a_long_request_line_is_cut() {
        let check = |length: usize, shown: usize, end: &str| {
            let found = format(&b"a".repeat(length), 0, true);
            assert!(found.contains(&format!(" \"{}{end}\" ", "a".repeat(shown))), "{found}");
        };
        check(LOGGED_LINE_BYTES_MAX, LOGGED_LINE_BYTES_MAX, "");
        check(LOGGED_LINE_BYTES_MAX + 1, LOGGED_LINE_BYTES_MAX, "...");
    }
}
