//! Response heads (RFC 9112 §4, RFC 9110 §8), written behind what is already in a buffer.

use super::date::{self, Date};
use super::head::Version;
use super::media::Media;
use super::status::Status;
use crate::decimal::Decimal;
use std::io::Write;

/// What becomes of the connection after a response (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It is kept, which a client of HTTP/1.1 takes for granted.
    Kept,
    /// It is kept, which a client of HTTP/1.0 must be told.
    KeptAsAsked,
    /// It ends.
    Ends,
}

impl Persistence {
    /// For a client of this version.
    pub fn new(persistent: bool, version: Version) -> Persistence {
        match (persistent, version) {
            (false, _) => Persistence::Ends,
            (true, Version::Http11) => Persistence::Kept,
            (true, Version::Http10) => Persistence::KeptAsAsked,
        }
    }
}

/// What is known about the content of a file when it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Representation {
    /// In bytes.
    pub length: u64,
    /// When the file was last changed, in nanoseconds since the Unix epoch.
    pub modified: i64,
    /// What it is.
    pub media: Media,
}

/// A head that is being written: status line and `Date` first, then fields, then `finish`.
#[derive(Debug)]
#[must_use = "a head ends with `finish`"]
pub struct ResponseHead<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> ResponseHead<'a> {
    /// Begins a head. Every response is dated (RFC 9110 §6.6.1).
    pub fn new(out: &'a mut Vec<u8>, status: Status, date: &Date) -> ResponseHead<'a> {
        out.reserve(256);
        out.extend_from_slice(status.line().as_bytes());
        ResponseHead { out }.field("Date", date.http())
    }

    /// A field. The value must be one: nothing of a request gets here unescaped.
    pub fn field(self, name: &str, value: &[u8]) -> Self {
        self.line(&[name.as_bytes(), b": ", value])
    }

    /// How long the content is (RFC 9110 §8.6), whether it follows or not.
    pub fn content_length(self, length: u64) -> Self {
        self.field("Content-Length", Decimal::new(length).bytes())
    }

    /// What the content is (RFC 9110 §8.3), and that the browser shall believe it.
    pub fn media(self, media: Media) -> Self {
        let [essence, charset] = media.content_type();
        self.line(&[b"Content-Type: ", essence.as_bytes(), charset.as_bytes(), b"\r\nX-Content-Type-Options: nosniff"])
    }

    /// What was said of a representation.
    pub fn fields(self, fields: &Fields) -> Self {
        self.out.extend_from_slice(&fields.0);
        self
    }

    /// Ends the head. What it was written to, for the content.
    pub fn finish(self, persistence: Persistence) -> &'a mut Vec<u8> {
        let end: &[u8] = match persistence {
            Persistence::Kept => b"\r\n",
            Persistence::KeptAsAsked => b"Connection: keep-alive\r\n\r\n",
            Persistence::Ends => b"Connection: close\r\n\r\n",
        };
        self.out.extend_from_slice(end);
        self.out
    }

    fn line(self, pieces: &[&[u8]]) -> Self {
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
        self.out.extend_from_slice(b"\r\n");
        self
    }
}

/// The fields that say what a representation is: written once, when its file is opened, and copied into each response.
#[derive(Clone, Debug)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Those of a file that is opened at this time, in nanoseconds since the Unix epoch.
    pub fn new(representation: Representation, now: u64) -> Fields {
        let mut out = Vec::with_capacity(192);
        let _unfinished =
            ResponseHead { out: &mut out }.media(representation.media).content_length(representation.length);
        write_last_modified(&mut out, representation.modified, now);
        Fields(out)
    }
}

/// When a file was last changed. Nothing is said of a time before 1970.
fn write_last_modified(out: &mut Vec<u8>, modified: i64, now: u64) {
    let Ok(modified) = u64::try_from(modified) else { return };
    // RFC 9110 §8.8.2.1: never later than the date of the response, which is not sent before the file is opened.
    let second = modified.min(now) / 1_000_000_000;
    let written = write!(out, "Last-Modified: {}\r\n", date::http_date(second));
    debug_assert!(written.is_ok(), "a Vec takes everything");
}

/// The head of a representation that is served as it is.
pub fn write_ok(out: &mut Vec<u8>, date: &Date, persistence: Persistence, fields: &Fields) {
    ResponseHead::new(out, Status::Ok, date).fields(fields).finish(persistence);
}

/// The answer to OPTIONS: no content, and so no length (RFC 9110 §8.6).
pub fn write_options(out: &mut Vec<u8>, date: &Date, persistence: Persistence) {
    ResponseHead::new(out, Status::NoContent, date)
        .field("Allow", super::request::ALLOW.as_bytes())
        .finish(persistence);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 784_111_777_000_000_000;
    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

    #[test]
    fn a_file_s_head_says_what_it_is() {
        let check = |name: &str, length: u64, modified: i64, persistence: Persistence, fields: &str| {
            let mut out = b"before".to_vec();
            let representation = Representation { length, modified, media: Media::of(name.as_bytes()) };
            write_ok(&mut out, &Date::at(NOW), persistence, &Fields::new(representation, NOW));
            assert_eq!(String::from_utf8_lossy(&out), format!("beforeHTTP/1.1 200 OK\r\n{DATE}{fields}\r\n"));
        };
        check(
            "a.html",
            0,
            1_999_999_999,
            Persistence::Kept,
            "Content-Type: text/html; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 0\r\n\
             Last-Modified: Thu, 01 Jan 1970 00:00:01 GMT\r\n",
        );
        check(
            "a",
            u64::MAX,
            -1,
            Persistence::Ends,
            "Content-Type: application/octet-stream\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Length: 18446744073709551615\r\nConnection: close\r\n",
        );
        check(
            "a.png",
            1090,
            i64::MAX,
            Persistence::KeptAsAsked,
            "Content-Type: image/png\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 1090\r\n\
             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: keep-alive\r\n",
        );
    }

    #[test]
    fn options_are_answered_without_content_or_length() {
        let mut out = Vec::new();
        write_options(&mut out, &Date::at(NOW), Persistence::Kept);
        let expected = format!("HTTP/1.1 204 No Content\r\n{DATE}Allow: GET, HEAD, OPTIONS\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
