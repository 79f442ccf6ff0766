//! The access log: one line for each request, in the common log format, with the seconds that it took behind it.
//!
//! `192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.1" 200 1090 0.000312`

use crate::decimal::Decimal;
use crate::http::date::Date;
use crate::limits::LOGGED_LINE_BYTES_MAX;

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
        let mut out = Vec::with_capacity(peer.len() + self.line.len() + 100);
        for piece in [peer.as_bytes(), b" - - [", date.log(), b"] "] {
            out.extend_from_slice(piece);
        }
        quote(&self.line, &mut out);
        let micros = now.saturating_sub(self.began) / 1_000;
        let (bytes, end) = if whole { (self.bytes, &b""[..]) } else { (self.sent, &b" cut"[..]) };
        for (before, number) in [
            (b" ", Decimal::new(self.status.into())),
            (b" ", Decimal::new(bytes)),
            (b" ", Decimal::new(micros / 1_000_000)),
            (b".", Decimal::padded(micros % 1_000_000, 6)),
        ] {
            out.extend_from_slice(before);
            out.extend_from_slice(number.bytes());
        }
        out.extend_from_slice(end);
        text(out)
    }
}

/// A request line for the operator's eyes, in quotation marks.
pub fn quoted(line: &[u8]) -> String {
    let mut out = Vec::new();
    quote(line, &mut out);
    text(out)
}

/// A request line in quotation marks: visible ASCII without any, so that no client can forge a line of the log.
fn quote(line: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = &line[..line.len().min(LOGGED_LINE_BYTES_MAX)];
    while let Some((clean, byte, behind)) = split_at_unclean(rest) {
        out.extend_from_slice(clean);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
    if line.len() > LOGGED_LINE_BYTES_MAX {
        out.extend_from_slice(b"...");
    }
    out.push(b'"');
}

/// The bytes before the first that is not shown as it is, that byte, and those behind it.
fn split_at_unclean(line: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let is_clean = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    let index = line.iter().position(|&byte| !is_clean(byte))?;
    Some((&line[..index], line[index], &line[index + 1..]))
}

/// What was written is ASCII.
fn text(ascii: Vec<u8>) -> String {
    String::from_utf8(ascii).unwrap_or_default()
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
        check(b"\"", 999_999, true, "\"\\\"\" 200 1090 0.000999");
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
