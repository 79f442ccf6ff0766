//! The request head, read strictly (RFC 9112 §2 to §5) and incrementally.
//!
//! The scanner looks at each byte once, however the head is cut into pieces (at those of the first
//! piece twice, when it is not a whole head), and refuses a byte that cannot be right when it
//! comes: before the head is complete, and whatever follows. What it finds is kept as spans of the
//! buffer; what they mean is `request`'s business.

use super::status::{HttpError, Status};
use super::syntax::{self, TARGET, TOKEN, VALUE};
use crate::limits::{EMPTY_LINES_MAX, FIELDS_DEFAULT, HEAD_BYTES_DEFAULT, HEAD_BYTES_MAX, TARGET_BYTES_DEFAULT};
use std::ops::Range;

/// Reads one head. The memory for its fields is used again for the next.
#[derive(Debug, Default)]
pub struct Scanner {
    limits: Limits,
    state: State,
    /// How many bytes of the head have been looked at.
    position: usize,
    /// Where the element that is being read began.
    mark: usize,
    empty_lines: u8,
    method: Span,
    target: Span,
    version: Version,
    /// The request line, once its end has come.
    line: Span,
    name: Span,
    fields: Vec<(Span, Span)>,
    /// What `position` says, counted where the work is done.
    #[cfg(test)]
    looked_at: usize,
}

/// How much a head may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In all; `HEAD_BYTES_MAX` at most.
    pub bytes: usize,
    /// Of its target.
    pub target_bytes: usize,
    /// How many fields.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: HEAD_BYTES_DEFAULT, target_bytes: TARGET_BYTES_DEFAULT, fields: FIELDS_DEFAULT }
    }
}

/// A part of the head. `HEAD_BYTES_MAX` fits into 16 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u16,
    end: u16,
}

/// The two versions of HTTP/1 that differ. A higher minor version is answered as the highest that
/// is known (RFC 9110 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1 to HTTP/1.9.
    #[default]
    Http11,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    StartLf,
    Method,
    Target,
    Version,
    VersionEnd,
    RequestLineLf,
    FieldStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
}

const BARE_LF: HttpError = HttpError::bad("A line ends in CR LF; here a line feed stands alone.");
const BARE_CR: HttpError = HttpError::bad("A line ends in CR LF; here a carriage return stands alone.");
const NO_HTTP: HttpError = HttpError::bad("The bytes do not begin an HTTP/1.1 request.");
const VERSION: HttpError = HttpError::bad("A request line ends in a version of the form HTTP/1.1.");
const HEAD_LENGTH: HttpError =
    HttpError::fatal(Status::HeadTooLarge, "The request head is longer than this server takes.");
const FIELD_COUNT: HttpError =
    HttpError::fatal(Status::HeadTooLarge, "The request has more fields than this server takes.");

impl Scanner {
    /// For heads within these limits.
    pub fn new(limits: Limits) -> Scanner {
        Scanner { limits, ..Scanner::default() }
    }

    /// Goes on with a head, of which `bytes` are all that have come: from its first byte, with
    /// those that were already scanned. Whether it is complete now; more bytes may follow it.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<bool, HttpError> {
        let bytes = &bytes[..bytes.len().min(self.limits.bytes)];
        if self.position == 0 {
            if let Some(length) = self.scan_usual(bytes) {
                (self.position, self.state) = (length, State::Done);
                return Ok(true);
            }
            self.fields.clear();
        }
        while self.position < bytes.len() && self.state != State::Done {
            self.step(bytes)?;
        }
        match self.state {
            State::Done => Ok(true),
            _ if self.position < self.limits.bytes => Ok(false),
            // A method of any length is an unknown method.
            State::Method => Err(HttpError::fatal(Status::NotImplemented, "No method is as long as this.")),
            _ => Err(HEAD_LENGTH),
        }
    }

    /// Whether more has come than the empty lines that may precede a request line.
    pub fn has_begun(&self) -> bool {
        !matches!(self.state, State::Start | State::StartLf)
    }

    /// How many bytes a complete head took.
    pub fn length(&self) -> usize {
        self.position
    }

    /// Where the line of a complete head is.
    pub fn line(&self) -> Range<usize> {
        self.line.start.into()..self.line.end.into()
    }

    /// What was found, in the bytes that were scanned.
    pub fn head<'a>(&'a self, bytes: &'a [u8]) -> Head<'a> {
        Head { scanner: self, bytes }
    }

    /// Makes ready for the next head.
    pub fn reset(&mut self) {
        self.fields.clear();
        self.state = State::Start;
        self.position = 0;
        self.mark = 0;
        self.empty_lines = 0;
        (self.method, self.target, self.line) = Default::default();
        self.version = Version::default();
        #[cfg(test)]
        {
            self.looked_at = 0;
        }
    }

    /// Reads a head that is there as a whole and in the form that clients send, without a state to
    /// remember. Returns its length; nothing when it is for `step` to read. What is read here,
    /// `step` would read alike.
    fn scan_usual(&mut self, bytes: &[u8]) -> Option<usize> {
        const VERSION_AND_END: &[u8] = b" HTTP/1.1\r\n";
        let method = syntax::prefix(bytes, TOKEN);
        let target = bytes.get(method..)?.strip_prefix(b" ")?;
        let target = &target[..syntax::target_prefix(target)];
        if method == 0 || target.is_empty() || target.len() > self.limits.target_bytes {
            return None;
        }
        let target_start = method + 1;
        let line_end = target_start + target.len() + VERSION_AND_END.len() - 2;
        let mut rest = bytes[target_start + target.len()..].strip_prefix(VERSION_AND_END)?;
        loop {
            if let [b'\r', b'\n', ..] = rest {
                break;
            }
            let name = syntax::prefix(rest, TOKEN);
            let value = rest[name..].strip_prefix(b":")?;
            let value_bytes = syntax::value_prefix(value);
            let next = value[value_bytes..].strip_prefix(b"\r\n")?;
            if name == 0 || self.fields.len() == self.limits.fields {
                return None;
            }
            let start = bytes.len() - rest.len();
            let value_start = start + name + 1;
            self.fields.push((span(start, start + name), trimmed(bytes, value_start, value_start + value_bytes)));
            rest = next;
        }
        self.method = span(0, method);
        self.target = span(target_start, target_start + target.len());
        self.version = Version::Http11;
        self.line = span(0, line_end);
        Some(bytes.len() - rest.len() + 2)
    }

    /// Looks at the next element, or at as much of it as there is.
    fn step(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match self.state {
            State::Start => self.start(bytes),
            State::StartLf => self.expect(bytes, b'\n', State::Start, NO_HTTP),
            State::Method => self.method(bytes),
            State::Target => self.target(bytes),
            State::Version => self.version(bytes),
            State::VersionEnd => self.version_end(bytes),
            State::RequestLineLf | State::ValueLf => self.expect(bytes, b'\n', State::FieldStart, BARE_CR),
            State::FieldStart => self.field_start(bytes),
            State::Name => self.name(bytes),
            State::Value => self.value(bytes),
            State::EndLf => self.expect(bytes, b'\n', State::Done, BARE_CR),
            State::Done => Ok(()),
        }
    }

    /// RFC 9112 §2.2: an empty line before the request line is skipped.
    fn start(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        self.mark = self.position;
        if bytes[self.position] != b'\r' {
            self.state = State::Method;
            return Ok(());
        }
        if self.empty_lines == EMPTY_LINES_MAX {
            return Err(HttpError::bad("A request begins with its method, not with empty lines."));
        }
        self.empty_lines += 1;
        self.advance(State::StartLf);
        Ok(())
    }

    /// RFC 9112 §3: one space after the method, one after the target, and nothing else between
    /// them.
    fn method(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match self.run(bytes, TOKEN) {
            None => Ok(()),
            Some(b' ') if self.position > self.mark => {
                self.method = self.span();
                self.advance(State::Target);
                Ok(())
            }
            Some(_) => Err(NO_HTTP),
        }
    }

    /// RFC 9112 §3.2.
    fn target(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        let end = bytes.len().min(self.mark + self.limits.target_bytes + 1);
        let next = self.run(&bytes[..end], TARGET);
        if self.position - self.mark > self.limits.target_bytes {
            return Err(HttpError::fatal(Status::UriTooLong, "The request target is longer than this server takes."));
        }
        match next {
            None => Ok(()),
            Some(b' ') if self.position > self.mark => {
                self.target = self.span();
                self.advance(State::Version);
                Ok(())
            }
            Some(b'\r' | b'\n') => Err(VERSION),
            Some(b' ') => Err(HttpError::bad("A request line has single spaces between method, target and version.")),
            Some(_) => Err(HttpError::bad("A request target is made of visible ASCII without a fragment.")),
        }
    }

    /// RFC 9112 §2.3: `HTTP/`, a digit, a dot and a digit, in capitals. The HTTP/2 preface ends
    /// here.
    fn version(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        const FORM: &[u8] = b"HTTP/1.1";
        const MAJOR: usize = 5;
        const MINOR: usize = 7;
        let index = self.position - self.mark;
        if index == 0 && bytes[self.position..].starts_with(FORM) {
            self.pass(FORM.len());
            self.state = State::VersionEnd;
            self.version = Version::Http11;
            return Ok(());
        }
        let byte = bytes[self.position];
        let right = match index {
            MAJOR | MINOR => byte.is_ascii_digit(),
            _ => byte == FORM[index],
        };
        if !right {
            return Err(VERSION);
        }
        if index < MINOR {
            self.advance(State::Version);
            return Ok(());
        }
        // RFC 9110 §15.6.6: another major version is refused as soon as it is there.
        if bytes[self.mark + MAJOR] != b'1' {
            return Err(HttpError::fatal(
                Status::VersionNotSupported,
                "This server speaks HTTP/1.1 and HTTP/1.0 only.",
            ));
        }
        self.version = if byte == b'0' { Version::Http10 } else { Version::Http11 };
        self.advance(State::VersionEnd);
        Ok(())
    }

    fn version_end(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if bytes[self.position] != b'\r' {
            return Err(VERSION);
        }
        self.line = Span { start: self.method.start, end: narrow(self.position) };
        self.end_line(bytes, State::RequestLineLf, State::FieldStart);
        Ok(())
    }

    fn field_start(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match bytes[self.position] {
            b'\r' => {
                self.end_line(bytes, State::EndLf, State::Done);
                return Ok(());
            }
            b'\n' => return Err(BARE_LF),
            // RFC 9112 §5.2, and §2.2 for the first line.
            b' ' | b'\t' => return Err(HttpError::bad("A field line does not begin with white space.")),
            _ => (),
        }
        if self.fields.len() == self.limits.fields {
            return Err(FIELD_COUNT);
        }
        self.mark = self.position;
        self.state = State::Name;
        Ok(())
    }

    /// RFC 9112 §5.1: no white space between the name and its colon.
    fn name(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        match self.run(bytes, TOKEN) {
            None => Ok(()),
            Some(b':') if self.position > self.mark => {
                self.name = self.span();
                self.advance(State::Value);
                Ok(())
            }
            Some(b':') => Err(HttpError::bad("A field has a name.")),
            Some(b' ' | b'\t') => Err(HttpError::bad("No white space stands between a field's name and its colon.")),
            Some(b'\r' | b'\n') => Err(HttpError::bad("A field line is a name, a colon and a value.")),
            Some(_) => Err(HttpError::bad("A field's name is a token.")),
        }
    }

    /// RFC 9110 §5.5.
    fn value(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        self.pass(syntax::value_prefix(&bytes[self.position..]));
        match self.run(bytes, VALUE) {
            None => Ok(()),
            Some(b'\r') => {
                let value = trimmed(bytes, self.mark, self.position);
                self.fields.push((self.name, value));
                self.end_line(bytes, State::ValueLf, State::FieldStart);
                Ok(())
            }
            Some(b'\n') => Err(BARE_LF),
            Some(_) => Err(HttpError::bad("A field's value holds no control bytes.")),
        }
    }

    /// Passes over the bytes of a class; the first of another class is next, and is returned when
    /// it is there.
    fn run(&mut self, bytes: &[u8], class: u8) -> Option<u8> {
        let rest = &bytes[self.position..];
        let length = syntax::prefix(rest, class);
        self.pass(length);
        rest.get(length).copied()
    }

    /// Passes over so many bytes that were looked at.
    fn pass(&mut self, length: usize) {
        self.position += length;
        #[cfg(test)]
        {
            self.looked_at += length;
        }
    }

    /// Passes over the CR at which the position is, and over the LF behind it when that is there
    /// already.
    fn end_line(&mut self, bytes: &[u8], then_lf: State, then: State) {
        if bytes.get(self.position + 1) == Some(&b'\n') {
            self.pass(1);
            self.advance(then);
        } else {
            self.advance(then_lf);
        }
    }

    /// Passes over one byte that must be there.
    fn expect(&mut self, bytes: &[u8], byte: u8, then: State, otherwise: HttpError) -> Result<(), HttpError> {
        if bytes[self.position] != byte {
            return Err(otherwise);
        }
        self.advance(then);
        Ok(())
    }

    /// Passes over one byte that was looked at, and moves on to a state. When it is another than
    /// before, a new element begins behind the byte.
    fn advance(&mut self, to: State) {
        self.pass(1);
        if to != self.state {
            self.mark = self.position;
        }
        self.state = to;
    }

    fn span(&self) -> Span {
        span(self.mark, self.position)
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: narrow(start), end: narrow(end) }
}

/// A part of the head without white space on both sides.
fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> Span {
    while start < end && syntax::is_space(bytes[start]) {
        start += 1;
    }
    while start < end && syntax::is_space(bytes[end - 1]) {
        end -= 1;
    }
    span(start, end)
}

/// A position in a head, of which there are no more than `HEAD_BYTES_MAX`.
fn narrow(position: usize) -> u16 {
    const { assert!(HEAD_BYTES_MAX <= u16::MAX as usize) };
    u16::try_from(position).unwrap_or(u16::MAX)
}

/// A head, as far as it was scanned.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    scanner: &'a Scanner,
    bytes: &'a [u8],
}

impl<'a> Head<'a> {
    /// The method; empty when it is not complete.
    pub fn method(&self) -> &'a [u8] {
        self.slice(self.scanner.method)
    }

    /// The request target; empty when it is not complete.
    pub fn target(&self) -> &'a [u8] {
        self.slice(self.scanner.target)
    }

    /// The version, with which the request line ends.
    pub fn version(&self) -> Version {
        self.scanner.version
    }

    /// The request line without its end, or as much of it as came.
    pub fn line(&self) -> &'a [u8] {
        let line = self.slice(self.scanner.line);
        if !line.is_empty() {
            return line;
        }
        let scanned = &self.bytes[..self.bytes.len().min(self.scanner.limits.bytes)];
        let line = &scanned[scanned.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count()..];
        &line[..line.iter().position(|&byte| byte == b'\r' || byte == b'\n').unwrap_or(line.len())]
    }

    /// Names and values of the fields, in their order, without the white space around a value.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let head = *self;
        self.scanner.fields.iter().map(move |&(name, value)| (head.slice(name), head.slice(value)))
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        &self.bytes[usize::from(span.start)..usize::from(span.end)]
    }
}

#[cfg(test)]
mod tests;
