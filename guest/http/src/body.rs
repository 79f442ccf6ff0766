//! Request bodies: how long they are (RFC 9112 §6.3), and reading them to their end without
//! keeping them.

use super::head::Version;
use super::status::{HttpError, Status};
use super::syntax::{self, TOKEN, VALUE};
use crate::limits::CHUNK_LINE_BYTES_MAX;

/// Where the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes, of which there is at least one.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// The fields that decide it, gathered in their order.
#[derive(Clone, Copy, Debug, Default)]
pub struct FramingFields {
    length: Option<u64>,
    coded: bool,
    chunked: bool,
    unknown: bool,
}

impl FramingFields {
    /// A `Content-Length` (RFC 9110 §8.6). One value, however often the same, is all that is
    /// taken.
    pub fn content_length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        if self.length.is_some() {
            return Err(HttpError::bad("A request has one Content-Length."));
        }
        let number = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = number.and_then(|digits| digits.parse().ok());
        self.length = Some(length.ok_or(HttpError::bad("A Content-Length is a decimal number."))?);
        Ok(())
    }

    /// A `Transfer-Encoding` (RFC 9112 §6.1); several are one list.
    pub fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), HttpError> {
        self.coded = true;
        for coding in value.split(|&byte| byte == b',') {
            let coding = syntax::trim(coding);
            if !syntax::is_token(coding) {
                return Err(HttpError::bad("A Transfer-Encoding is a list of codings without parameters."));
            }
            if self.chunked {
                return Err(HttpError::bad("The chunked coding comes once and last."));
            }
            match coding.eq_ignore_ascii_case(b"chunked") {
                true => self.chunked = true,
                false => self.unknown = true,
            }
        }
        Ok(())
    }

    /// What they say together.
    pub fn framing(&self, version: Version) -> Result<Framing, HttpError> {
        match (self.coded, self.length) {
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
            // RFC 9112 §6.1: what may be an attempt at request smuggling.
            (true, _) if version == Version::Http10 => Err(HttpError::bad("HTTP/1.0 has no Transfer-Encoding.")),
            (true, Some(_)) => Err(HttpError::bad("A request has a Content-Length or a Transfer-Encoding, not both.")),
            (true, None) if self.unknown => {
                Err(HttpError::fatal(Status::NotImplemented, "The only Transfer-Encoding known here is chunked."))
            }
            (true, None) => Ok(Framing::Chunked),
        }
    }
}

/// Reads a body and drops it.
#[derive(Debug)]
pub struct Dropper {
    state: State,
    /// Bytes that are left: of the body, or of the chunk.
    left: u64,
    /// Bytes that may yet be dropped, framing included.
    budget: u64,
    /// Bytes of the chunk line so far.
    line: usize,
}

/// What dropping came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All that came belongs to the body, and more is to come.
    More,
    /// The body has ended after so many of the bytes.
    Done(usize),
    /// There is more than the server cares to drop.
    TooMuch,
}

/// What is expected next (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length,
    SizeStart,
    Size,
    /// White space behind a size: an extension must follow.
    SizeSpace,
    Extension(Extension),
    SizeLf,
    Chunk,
    ChunkCr,
    ChunkLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// Where a chunk's extensions are. RFC 9112 §7.1.1: `*( BWS ";" BWS name [ BWS "=" BWS value ] )`,
/// with a token or a quoted string for the value. They mean nothing here; but what is none is no
/// chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    Start,
    Name,
    NameSpace,
    ValueStart,
    Value,
    Quoted,
    QuotedPair,
    QuotedEnd,
    ValueSpace,
}

impl Extension {
    /// The next state, inside the extensions.
    fn next(self, byte: u8) -> Option<Extension> {
        let is_space = matches!(byte, b' ' | b'\t');
        let is_token = syntax::is(byte, TOKEN);
        Some(match (self, byte) {
            (Extension::Quoted, b'"') => Extension::QuotedEnd,
            (Extension::Quoted, b'\\') => Extension::QuotedPair,
            (Extension::Quoted | Extension::QuotedPair, _) if syntax::is(byte, VALUE) => Extension::Quoted,
            (Extension::Start, _) if is_space => Extension::Start,
            (Extension::Start | Extension::Name, _) if is_token => Extension::Name,
            (Extension::Name | Extension::NameSpace, _) if is_space => Extension::NameSpace,
            (Extension::Name | Extension::NameSpace, b'=') => Extension::ValueStart,
            (Extension::ValueStart, _) if is_space => Extension::ValueStart,
            (Extension::ValueStart, b'"') => Extension::Quoted,
            (Extension::ValueStart | Extension::Value, _) if is_token => Extension::Value,
            (Extension::Value | Extension::QuotedEnd | Extension::ValueSpace, _) if is_space => Extension::ValueSpace,
            (state, b';') if state.can_end() || state.is_space() => Extension::Start,
            _ => return None,
        })
    }

    /// Whether the line can end here.
    fn can_end(self) -> bool {
        matches!(self, Extension::Name | Extension::Value | Extension::QuotedEnd)
    }

    fn is_space(self) -> bool {
        matches!(self, Extension::NameSpace | Extension::ValueSpace)
    }
}

const BAD_SIZE: HttpError = HttpError::bad("A chunk begins with its size, a hexadecimal number in a line of its own.");
const BAD_CHUNK_END: HttpError = HttpError::bad("A chunk ends in CR LF, after as many bytes as it said.");
const BAD_TRAILER: HttpError =
    HttpError::bad("After the last chunk come fields, each in a line of its own, and an empty line.");

impl Dropper {
    /// For a body of this framing; nothing when there is none. At most `budget` bytes are dropped.
    pub fn new(framing: Framing, budget: u64) -> Option<Dropper> {
        let (state, left) = match framing {
            Framing::None => return None,
            Framing::Length(length) => (State::Length, length),
            Framing::Chunked => (State::SizeStart, 0),
        };
        Some(Dropper { state, left, budget, line: 0 })
    }

    /// Goes on with the bytes that came next.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Progress, HttpError> {
        let mut position = 0;
        while self.state != State::Done {
            if matches!(self.state, State::Length | State::Chunk) && self.left > self.budget {
                return Ok(Progress::TooMuch);
            }
            let Some(&byte) = bytes.get(position) else { return Ok(Progress::More) };
            let step = match self.state {
                State::Length | State::Chunk => self.skip(bytes.len() - position),
                _ => {
                    self.framing_byte(byte)?;
                    1
                }
            };
            position += step;
            match self.budget.checked_sub(step as u64) {
                Some(budget) => self.budget = budget,
                None => return Ok(Progress::TooMuch),
            }
        }
        Ok(Progress::Done(position))
    }

    /// Passes over content, of which so many bytes are there.
    fn skip(&mut self, there: usize) -> usize {
        let step = usize::try_from(self.left).map_or(there, |left| left.min(there));
        self.left -= step as u64;
        if self.left == 0 {
            self.state = if self.state == State::Length { State::Done } else { State::ChunkCr };
        }
        step
    }

    fn framing_byte(&mut self, byte: u8) -> Result<(), HttpError> {
        self.state = match self.state {
            State::SizeStart | State::Size | State::SizeSpace | State::Extension(_) => return self.size_byte(byte),
            State::SizeLf if byte == b'\n' && self.left == 0 => State::TrailerStart,
            State::SizeLf if byte == b'\n' => State::Chunk,
            State::SizeLf => return Err(BAD_SIZE),
            State::ChunkCr if byte == b'\r' => State::ChunkLf,
            State::ChunkLf if byte == b'\n' => State::SizeStart,
            State::ChunkCr | State::ChunkLf => return Err(BAD_CHUNK_END),
            // RFC 9112 §7.1.2: trailers are dropped, but what they are made of is known.
            State::TrailerStart if byte == b'\r' => State::EndLf,
            State::TrailerStart | State::TrailerName if syntax::is(byte, TOKEN) => State::TrailerName,
            State::TrailerName if byte == b':' => State::TrailerValue,
            State::TrailerValue if syntax::is(byte, VALUE) => State::TrailerValue,
            State::TrailerValue if byte == b'\r' => State::TrailerLf,
            State::TrailerLf if byte == b'\n' => State::TrailerStart,
            State::EndLf if byte == b'\n' => State::Done,
            _ => return Err(BAD_TRAILER),
        };
        Ok(())
    }

    /// RFC 9112 §7.1: a size in hexadecimal digits, perhaps extensions (§7.1.1), which are
    /// dropped, and CR.
    fn size_byte(&mut self, byte: u8) -> Result<(), HttpError> {
        if self.state == State::SizeStart {
            (self.left, self.line) = (0, 0);
        }
        self.line += 1;
        if self.line > CHUNK_LINE_BYTES_MAX {
            return Err(BAD_SIZE);
        }
        self.state = match (self.state, byte) {
            (State::SizeStart | State::Size, _) if byte.is_ascii_hexdigit() => {
                let digit = u64::from(syntax::hex_digit(byte).ok_or(BAD_SIZE)?);
                self.left = self.left.checked_mul(16).ok_or(BAD_SIZE)? | digit;
                State::Size
            }
            (State::Size, b'\r') => State::SizeLf,
            (State::Extension(extension), b'\r') if extension.can_end() => State::SizeLf,
            (State::Size | State::SizeSpace, b';') => State::Extension(Extension::Start),
            (State::Size | State::SizeSpace, b' ' | b'\t') => State::SizeSpace,
            (State::Extension(extension), _) => State::Extension(extension.next(byte).ok_or(BAD_SIZE)?),
            _ => return Err(BAD_SIZE),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
