//! Response heads (RFC 9112 §4, RFC 9110 §8), written behind what is already in a buffer.

use super::date::{self, Date};
use super::encoding::Coding;
use super::head::Version;
use super::media::Media;
use super::multipart::{self, Multipart};
use super::status::Status;
use super::validator::Validators;
use std::ops::Range;
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

/// Whole field lines, written once and shared by the responses that have them. None by default,
/// which costs nothing.
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

    /// Lines that are written already, each with its end.
    pub fn written(lines: &[u8]) -> Lines {
        if lines.is_empty() { Lines(None) } else { Lines(Some(lines.into())) }
    }

    /// As they are written.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// What is known about a representation when its file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Representation<'a> {
    /// In bytes.
    pub length: u64,
    /// What it is, without its coding.
    pub media: &'a Media,
    /// What it is encoded in.
    pub coding: Option<Coding>,
    /// What tells it from others.
    pub validators: &'a Validators,
    /// The value of `Cache-Control`.
    pub cache_control: &'static str,
    /// Whether another client may get another representation.
    pub negotiated: bool,
}

/// What a head takes with all the fields that a file usually has.
const HEAD_BYTES_USUAL: usize = 512;

/// A head that is being written: status line and `Date` first, then fields, then `finish`.
#[derive(Debug)]
#[must_use = "a head ends with `finish`"]
pub struct ResponseHead<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> ResponseHead<'a> {
    /// Begins a head. Every response is dated (RFC 9110 §6.6.1).
    pub fn new(out: &'a mut Vec<u8>, status: Status, envelope: &Envelope<'_>) -> ResponseHead<'a> {
        out.reserve(HEAD_BYTES_USUAL + envelope.extra.bytes().len());
        out.extend_from_slice(status.line().as_bytes());
        out.extend_from_slice(envelope.date.line());
        ResponseHead { out }
    }

    /// A field. The value must be one: nothing of a request gets here unescaped.
    pub fn field(self, name: &str, value: &[u8]) -> Self {
        self.line(&[name.as_bytes(), b": ", value])
    }

    /// How long the content is (RFC 9110 §8.6), whether it follows or not.
    pub fn content_length(self, length: u64) -> Self {
        self.field("Content-Length", itoa::Buffer::new().format(length).as_bytes())
    }

    /// What the content is (RFC 9110 §8.3), and that the browser shall believe it.
    pub fn media(self, media: &Media) -> Self {
        let [essence, charset] = media.content_type();
        self.line(&[b"Content-Type: ", essence.as_bytes(), charset.as_bytes(), b"\r\nX-Content-Type-Options: nosniff"])
    }

    /// Lines that are written already.
    fn written(self, lines: &[u8]) -> Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// Ends the head. What it was written to, for the content.
    pub fn finish(self, envelope: &Envelope<'_>) -> &'a mut Vec<u8> {
        if let Some(lines) = &envelope.extra.0 {
            self.out.extend_from_slice(lines);
        }
        // Each with a length that the compiler knows: a copy of another length is a call of the
        // host.
        match envelope.persistence {
            Persistence::Kept => self.out.extend_from_slice(b"\r\n"),
            Persistence::KeptAsAsked => self.out.extend_from_slice(b"Connection: keep-alive\r\n\r\n"),
            Persistence::Ends => self.out.extend_from_slice(b"Connection: close\r\n\r\n"),
        }
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

/// The fields that say what a representation is: written once, when its file is opened, and copied
/// into each response.
#[derive(Clone, Debug)]
pub struct Fields {
    lines: Vec<u8>,
    /// Where the lines end that say what the content is.
    type_end: usize,
    /// Where `Content-Length` ends, and those begin that hold for every answer about the
    /// representation.
    length_end: usize,
}

impl Fields {
    /// Those of a representation.
    pub fn new(representation: &Representation<'_>) -> Fields {
        let mut lines = Vec::with_capacity(384);
        let mut head = ResponseHead { out: &mut lines }.media(representation.media);
        if let Some(coding) = representation.coding {
            head = head.field("Content-Encoding", coding.name().as_bytes());
        }
        let type_end = head.out.len();
        head = head.content_length(representation.length);
        let length_end = head.out.len();
        if let Some(modified) = representation.validators.modified {
            head = head.field("Last-Modified", date::http_date(modified.second).to_string().as_bytes());
        }
        if let Some(tag) = &representation.validators.tag {
            head = head.field("ETag", tag.bytes());
        }
        head = head.field("Cache-Control", representation.cache_control.as_bytes()).field("Accept-Ranges", b"bytes");
        if representation.negotiated {
            // RFC 9110 §12.5.5: also where this client got what every client would, for another
            // may not.
            let _unfinished = head.field("Vary", b"Accept-Encoding");
        }
        Fields { lines, type_end, length_end }
    }

    fn of_type(&self) -> &[u8] {
        &self.lines[..self.type_end]
    }

    fn of_every_answer(&self) -> &[u8] {
        &self.lines[self.length_end..]
    }
}

/// The head of a representation that is served as it is.
pub fn write_ok(out: &mut Vec<u8>, envelope: &Envelope<'_>, fields: &Fields) {
    ResponseHead::new(out, Status::Ok, envelope).written(&fields.lines).finish(envelope);
}

/// RFC 9110 §15.4.5: the fields of the 200 that would have been, but for those that describe
/// content.
pub fn write_not_modified(out: &mut Vec<u8>, envelope: &Envelope<'_>, fields: &Fields) {
    ResponseHead::new(out, Status::NotModified, envelope).written(fields.of_every_answer()).finish(envelope);
}

/// RFC 9110 §15.3.7.1: the head of one part of a representation of this length, in bytes.
pub fn write_part(out: &mut Vec<u8>, envelope: &Envelope<'_>, fields: &Fields, part: &Range<u64>, length: u64) {
    let mut content_range = Vec::with_capacity(64);
    multipart::write_content_range(part, length, &mut content_range);
    ResponseHead::new(out, Status::PartialContent, envelope)
        .written(fields.of_type())
        .field("Content-Range", &content_range)
        .content_length(part.end - part.start)
        .written(fields.of_every_answer())
        .finish(envelope);
}

/// RFC 9110 §15.3.7.2: the head of several parts. What each is stands with it.
pub fn write_parts(out: &mut Vec<u8>, envelope: &Envelope<'_>, fields: &Fields, multipart: &Multipart) {
    ResponseHead::new(out, Status::PartialContent, envelope)
        .field("Content-Type", &multipart.content_type())
        .field("X-Content-Type-Options", b"nosniff")
        .content_length(multipart.content_length())
        .written(fields.of_every_answer())
        .finish(envelope);
}

/// The answer to OPTIONS: no content, and so no length (RFC 9110 §8.6).
pub fn write_options(out: &mut Vec<u8>, envelope: &Envelope<'_>) {
    ResponseHead::new(out, Status::NoContent, envelope)
        .field("Allow", super::method::ALLOW.as_bytes())
        .finish(envelope);
}

#[cfg(test)]
mod tests {
    use super::super::validator::{EntityTag, Modified};
    use super::*;

    const NOW: u64 = 784_111_777_000_000_000;
    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

    #[test]
    fn a_file_s_head_says_what_it_is() {
        let check = |name: &str, representation: Representation<'_>, persistence: Persistence, fields: &str| {
            let mut out = b"before".to_vec();
            let representation = Representation { media: &Media::of(name.as_bytes()), ..representation };
            let (date, extra) = (Date::at(NOW), Lines::default());
            let envelope = Envelope { date: &date, persistence, content: true, extra: &extra };
            write_ok(&mut out, &envelope, &Fields::new(&representation));
            assert_eq!(String::from_utf8_lossy(&out), format!("beforeHTTP/1.1 200 OK\r\n{DATE}{fields}\r\n"));
        };
        let bare = Representation {
            length: u64::MAX,
            media: &Media::of(b""),
            coding: None,
            validators: &Validators::default(),
            cache_control: "no-cache",
            negotiated: false,
        };
        check(
            "a",
            bare,
            Persistence::Ends,
            "Content-Type: application/octet-stream\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Length: 18446744073709551615\r\nCache-Control: no-cache\r\nAccept-Ranges: bytes\r\n\
             Connection: close\r\n",
        );
        let full = Representation {
            length: 0,
            coding: Some(Coding::Zstd),
            validators: &Validators {
                tag: Some(EntityTag::strong("t")),
                modified: Some(Modified { second: 1, changed: 1 }),
            },
            cache_control: "private",
            negotiated: true,
            ..bare
        };
        check(
            "a.html",
            full,
            Persistence::KeptAsAsked,
            "Content-Type: text/html; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Encoding: zstd\r\n\
             Content-Length: 0\r\nLast-Modified: Thu, 01 Jan 1970 00:00:01 GMT\r\nETag: \"t\"\r\n\
             Cache-Control: private\r\nAccept-Ranges: bytes\r\nVary: Accept-Encoding\r\nConnection: keep-alive\r\n",
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
