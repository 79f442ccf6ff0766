//! Response heads (RFC 9112 §4, RFC 9110 §8), written behind what is already in a buffer.

use super::date::{self, Date};
use super::head::Version;
use super::media::Media;
use super::status::Status;
use crate::decimal::Decimal;
use std::io::Write;
use std::rc::Rc;

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

/// What a response has, whatever it says.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// When it is sent.
    pub date: &'a Date,
    /// What becomes of the connection.
    pub persistence: Persistence,
    /// Whether content may follow: not in answer to HEAD (RFC 9110 §9.3.2).
    pub content: bool,
    /// Fields besides the server's own.
    pub extra: &'a Lines,
}

/// Whole field lines, written once and shared by the responses that have them. None by default, which costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Lines(Option<Rc<[u8]>>);

impl Lines {
    /// These fields. Names and values must be such: nothing of a request gets here unescaped.
    pub fn new<'f>(fields: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Lines {
        let mut out = Vec::new();
        for (name, value) in fields {
            let _unfinished = ResponseHead { out: &mut out }.field(name, value);
        }
        if out.is_empty() { Lines(None) } else { Lines(Some(out.into())) }
    }

    /// As they are written.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
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
    pub fn new(out: &'a mut Vec<u8>, status: Status, envelope: &Envelope<'_>) -> ResponseHead<'a> {
        out.reserve(256 + envelope.extra.bytes().len());
        out.extend_from_slice(status.line().as_bytes());
        ResponseHead { out }.field("Date", envelope.date.http())
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
    pub fn finish(self, envelope: &Envelope<'_>) -> &'a mut Vec<u8> {
        self.out.extend_from_slice(envelope.extra.bytes());
        let end: &[u8] = match envelope.persistence {
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
pub fn write_ok(out: &mut Vec<u8>, envelope: &Envelope<'_>, fields: &Fields) {
    ResponseHead::new(out, Status::Ok, envelope).fields(fields).finish(envelope);
}

/// The answer to OPTIONS: no content, and so no length (RFC 9110 §8.6).
pub fn write_options(out: &mut Vec<u8>, envelope: &Envelope<'_>) {
    ResponseHead::new(out, Status::NoContent, envelope)
        .field("Allow", super::request::ALLOW.as_bytes())
        .finish(envelope);
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
            let (date, extra) = (Date::at(NOW), Lines::default());
            let envelope = Envelope { date: &date, persistence, content: true, extra: &extra };
            write_ok(&mut out, &envelope, &Fields::new(representation, NOW));
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
        let extra = Lines::new([("X-One", &b"1"[..]), ("X-Two", b"2")]);
        let envelope = Envelope { date: &Date::at(NOW), persistence: Persistence::Kept, content: true, extra: &extra };
        write_options(&mut out, &envelope);
        let expected =
            format!("HTTP/1.1 204 No Content\r\n{DATE}Allow: GET, HEAD, OPTIONS\r\nX-One: 1\r\nX-Two: 2\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
