//! The access log: one line for each request, in a form that the operator chooses.
//!
//! | form | line |
//! |---|---|
//! | common | `192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.1" 200 1090 0.000312` |
//! | combined | the same, with `"the Referer" "the User-Agent"` before the duration |
//! | json | `{"time":"1994-11-06T08:49:37.000312Z","remote":"192.0.2.7","method":"GET","target":"/", ...}` |
//!
//! The duration, in seconds, is that from the batch of answers that completed the request to the
//! batch that told of the end of its write. Behind a response that did not get to its end stands `
//! cut`, in JSON `"cut":true`, and the bytes are those that are known to be sent. In the place of
//! the second `-` stands who has logged in, in JSON `"user"`.
//!
//! No line says what a client has chosen but in quotation marks, in visible ASCII, and of bounded
//! length, so that none can be forged, and none is longer than the host takes.

use crate::limits::{LOGGED_FIELD_ESCAPED_BYTES_MAX, LOGGED_LINE_ESCAPED_BYTES_MAX};
use pluto_http::date::Date;
use pluto_http::decimal::padded;
use pluto_http::forwarded::ForwardedFields;
use pluto_http::limits::LOGGED_LINE_BYTES_MAX;
use pluto_http::method::Method;
use pluto_http::request::LoggedFields;

/// How the lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The common log format.
    Common,
    /// The combined log format: with Referer and User-Agent.
    Combined,
    /// One JSON object a line.
    Json,
    /// There are no lines.
    Off,
}

impl Form {
    /// Whether fields of a request must be kept for its line.
    pub fn has_fields(self) -> bool {
        matches!(self, Form::Combined | Form::Json)
    }
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Access {
    /// The request line as it came; no more of it than is shown, and a byte to tell that there was
    /// more.
    line: Vec<u8>,
    method: Method,
    status: u16,
    /// Bytes of content.
    bytes: u64,
    /// Bytes of content that are known to be sent, when it comes to nothing more.
    sent: u64,
    /// When the request was complete: nanoseconds since the Unix epoch.
    began: u64,
    /// Only for the forms that have them.
    fields: Option<Box<LoggedFields>>,
    /// Who has logged in. Few requests have one, and each takes the room of a pointer.
    user: Option<Box<User>>,
}

/// The name of a user.
#[derive(Clone, Debug)]
struct User(String);

/// How a response ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// When: nanoseconds since the Unix epoch.
    pub time: u64,
    /// Whether it was sent to its end.
    pub whole: bool,
}

impl Access {
    /// For a request with this line and method, answered by so many bytes of content.
    pub fn new(mut line: Vec<u8>, method: Method, status: u16, bytes: u64, began: u64) -> Access {
        // It waits for a client that may never read.
        if line.len() > LOGGED_LINE_BYTES_MAX {
            line.truncate(LOGGED_LINE_BYTES_MAX + 1);
            line.shrink_to_fit();
        }
        Access { line, method, status, bytes, sent: 0, began, fields: None, user: None }
    }

    /// With the fields that its line shows.
    pub fn with_fields(self, fields: Option<Box<LoggedFields>>) -> Access {
        Access { fields, ..self }
    }

    /// It is by somebody who has logged in.
    pub fn set_user(&mut self, user: Option<String>) {
        self.user = user.map(|name| Box::new(User(name)));
    }

    /// What proxies say of who it comes from, when that was kept.
    pub fn forwarded(&self) -> Option<&ForwardedFields> {
        self.fields.as_deref()?.forwarded.as_ref()
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// How many bytes of content the response has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many bytes of content are sent now.
    pub fn set_sent(&mut self, bytes: u64) {
        self.sent = bytes;
    }

    /// How many bytes of content were sent.
    pub fn bytes_sent(&self, end: End) -> u64 {
        if end.whole { self.bytes } else { self.sent }
    }

    /// How long it took, in nanoseconds.
    pub fn duration(&self, end: End) -> u64 {
        end.time.saturating_sub(self.began)
    }

    /// What it holds while it waits, in bytes.
    pub fn weight(&self) -> usize {
        let user = self.user.as_ref().map_or(0, |user| size_of::<User>() + user.0.len());
        self.line.len() + user + self.fields.as_deref().map_or(0, LoggedFields::weight)
    }

    /// The line, in any form but `Off`. `date` is that of the end.
    pub fn format(&self, form: Form, peer: &str, date: &Date, end: End) -> String {
        let out = match form {
            Form::Json => self.json(peer, date, end),
            Form::Common | Form::Combined | Form::Off => self.common(form == Form::Combined, peer, date, end),
        };
        // What was written is ASCII.
        String::from_utf8(out).unwrap_or_default()
    }

    fn common(&self, combined: bool, peer: &str, date: &Date, end: End) -> Vec<u8> {
        let mut out = Vec::with_capacity(peer.len() + self.weight() + 100);
        push(&mut out, &[peer.as_bytes(), b" - "]);
        match &self.user {
            None => out.push(b'-'),
            Some(user) => push_user(&mut out, &user.0),
        }
        push(&mut out, &[b" [", date.log(), b"] "]);
        quote(&self.line, &mut out);
        let (mut status, mut bytes) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (status, bytes) = (status.format(self.status), bytes.format(self.bytes_sent(end)));
        push(&mut out, &[b" ", status.as_bytes(), b" ", bytes.as_bytes(), b" "]);
        if combined {
            let fields = self.fields.as_deref();
            for value in [fields.and_then(|it| it.referer.as_deref()), fields.and_then(|it| it.user_agent.as_deref())] {
                quote_within(value.unwrap_or(b"-"), LOGGED_FIELD_ESCAPED_BYTES_MAX, &mut out);
                out.push(b' ');
            }
        }
        push_seconds(&mut out, self.duration(end));
        if !end.whole {
            out.extend_from_slice(b" cut");
        }
        out
    }

    fn json(&self, peer: &str, date: &Date, end: End) -> Vec<u8> {
        let mut out = Vec::with_capacity(peer.len() + self.weight() + 250);
        let micros = padded::<6>((end.time % 1_000_000_000 / 1_000) as u32);
        push(&mut out, &[b"{\"time\":\"", date.rfc3339(), b".", &micros, b"Z\",\"remote\":\"", peer.as_bytes(), b"\""]);
        if let Some(user) = &self.user {
            push_member(&mut out, "user", Some(user.0.as_bytes()), LOGGED_FIELD_ESCAPED_BYTES_MAX);
        }
        let [method, target, protocol] = parts(&self.line);
        for (name, value) in [("method", method), ("target", target), ("protocol", protocol)] {
            push_member(&mut out, name, value, LOGGED_LINE_ESCAPED_BYTES_MAX);
        }
        let (mut status, mut bytes) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (status, bytes) = (status.format(self.status), bytes.format(self.bytes_sent(end)));
        push(&mut out, &[b",\"status\":", status.as_bytes(), b",\"bytes\":", bytes.as_bytes(), b",\"duration\":"]);
        push_seconds(&mut out, self.duration(end));
        if let Some(fields) = &self.fields {
            for (name, value) in
                [("host", &fields.host), ("referer", &fields.referer), ("user_agent", &fields.user_agent)]
            {
                push_member(&mut out, name, value.as_deref(), LOGGED_FIELD_ESCAPED_BYTES_MAX);
            }
        }
        out.extend_from_slice(if end.whole { b"}" } else { b",\"cut\":true}" });
        out
    }
}

/// A request line for the operator's eyes, in quotation marks.
pub fn quoted(line: &[u8]) -> String {
    let mut out = Vec::new();
    quote(line, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn push(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
}

/// Nanoseconds as seconds, with six digits behind the point.
fn push_seconds(out: &mut Vec<u8>, nanoseconds: u64) {
    let micros = nanoseconds / 1_000;
    push(
        out,
        &[itoa::Buffer::new().format(micros / 1_000_000).as_bytes(), b".", &padded::<6>((micros % 1_000_000) as u32)],
    );
}

/// Method, target and version of a request line. One that does not have three parts is all target.
fn parts(line: &[u8]) -> [Option<&[u8]>; 3] {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    match [parts.next(), parts.next(), parts.next()] {
        [Some(method), Some(target), Some(version)] => [Some(method), Some(target), Some(version)],
        _ => [None, Some(line), None],
    }
}

/// The name of a user: one word of visible ASCII, so that nobody's name forges a line.
fn push_user(out: &mut Vec<u8>, user: &str) {
    let end = out.len() + LOGGED_FIELD_ESCAPED_BYTES_MAX;
    for byte in user.bytes() {
        if out.len() + 4 > end {
            out.extend_from_slice(b"...");
            return;
        }
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'!'..=b'~' => out.push(byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
}

/// A request line in quotation marks.
fn quote(line: &[u8], out: &mut Vec<u8>) {
    let shown = &line[..line.len().min(LOGGED_LINE_BYTES_MAX)];
    // Each byte takes four at most.
    const { assert!(4 * LOGGED_LINE_BYTES_MAX <= LOGGED_LINE_ESCAPED_BYTES_MAX) };
    quote_within(shown, LOGGED_LINE_ESCAPED_BYTES_MAX, out);
    if line.len() > LOGGED_LINE_BYTES_MAX {
        out.pop();
        out.extend_from_slice(b"...\"");
    }
}

/// Bytes in quotation marks: visible ASCII without any, so that no client can forge a line of the
/// log. What would be longer is cut.
fn quote_within(bytes: &[u8], escaped_bytes_max: usize, out: &mut Vec<u8>) {
    out.push(b'"');
    let end = out.len() + escaped_bytes_max;
    let mut rest = bytes;
    loop {
        let clean = clean_length(rest);
        let shown = clean.min(end - out.len());
        out.extend_from_slice(&rest[..shown]);
        match rest.get(shown) {
            None => break,
            Some(_) if shown < clean || out.len() + 4 > end => {
                out.extend_from_slice(b"...");
                break;
            }
            Some(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', *byte]),
            Some(byte) => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
        rest = &rest[shown + 1..];
    }
    out.push(b'"');
}

/// How many bytes at the beginning are shown as they are, in any form.
fn clean_length(bytes: &[u8]) -> usize {
    let is_clean = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    bytes.iter().position(|&byte| !is_clean(byte)).unwrap_or(bytes.len())
}

/// A member of an object, behind another: a string, or null.
fn push_member(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>, escaped_bytes_max: usize) {
    push(out, &[b",\"", name.as_bytes(), b"\":"]);
    match value {
        Some(value) => push_string(out, value, escaped_bytes_max),
        None => out.extend_from_slice(b"null"),
    }
}

/// RFC 8259 §7, in ASCII: what is not UTF-8 becomes U+FFFD, and what would be longer is cut.
fn push_string(out: &mut Vec<u8>, bytes: &[u8], escaped_bytes_max: usize) {
    out.push(b'"');
    let end = out.len() + escaped_bytes_max;
    // Mostly nothing is to be escaped.
    let (clean, rest) = bytes.split_at(clean_length(bytes).min(escaped_bytes_max));
    out.extend_from_slice(clean);
    for chunk in rest.utf8_chunks() {
        for character in chunk.valid().chars().chain((!chunk.invalid().is_empty()).then_some('\u{fffd}')) {
            // The longest is a pair of surrogates.
            if out.len() + 12 > end {
                out.extend_from_slice(b"...\"");
                return;
            }
            push_character(out, character);
        }
    }
    out.push(b'"');
}

fn push_character(out: &mut Vec<u8>, character: char) {
    match u8::try_from(character) {
        Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
        Ok(byte @ b' '..=b'~') => out.push(byte),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
