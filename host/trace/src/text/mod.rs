//! The trace as text, for people: to be read, compared line by line, and edited by hand.
//!
//! ```text
//! pluto-trace 2
//! guest sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! contract "0.2.0" identity 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//! host "pluto-host 0.1.0"
//! engine "wasmtime 48.0.8 x86_64"
//! limit "stack-bytes=524288"
//! memory-max 1073741824
//! argument "8000"
//! start 1763675000000000000
//! # Nanoseconds since the turn before (or since the start), and what the guest sent since then.
//! turn +1234 sent 2 0123456789abcdef
//!   0.3 listening 8000
//!   1.3 accepted 1.7 127.0.0.1:51234
//! turn +800 sent ?
//!   0.4 data
//!     "GET / HTTP/1.1\r\n"
//!     "\r\n"
//!   0.5 opened 2.7 regular size 12 modified 1700000000000000000 changed 1700000000000000000 inode 5
//!   0.6 listed
//!     entry "caf\xe9" directory size 0 modified 0 changed 0 inode 6
//!   0.7 gathered
//!     post "what a shard has left"
//! # A key frame: its turn, the time, what was sent since then and in all, what is pending,
//! # and the packed state of the guest.
//! key-frame 2 +0 sent 0 requests 4
//!   pending 0.3 many
//!   image KLUv/QQAAQAAmenY2Q==
//! end exit 0 sent 0
//! ```
//!
//! Ids and handles are written as their halves. Strings hold bytes: `\xNN` is one, `\n \r \t \"
//! \\` are as in Rust, and a string goes on in the next line that begins with one. What a hand
//! cannot know it leaves open: `sent ?` is not compared. The indentation, empty lines, and what
//! follows a `#` mean nothing.
//!
//! `cut 7`, in front of all else, stands in the place of seven turns.
//!
//! A trace of format 5 is a text of version 1: `contract sha256` names the source text of the
//! contract, and there is no `host`.
//!
//! The guest's bytes are not in the text, which only names their digest.

mod names;
mod parse;
mod strings;
mod words;
mod write;

use std::fmt;
use std::io;

use super::binary::TraceWriter;
use super::{Header, Record};

pub use parse::TextReader;
pub use write::{TextWriter, request};

/// The content of a text: a trace without its guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The header, which describes the run.
    pub header: Header,
    /// The records.
    pub records: Vec<Record>,
}

impl Text {
    /// Reads a text.
    pub fn parse(text: &[u8]) -> Result<Self, TextError> {
        let mut reader = TextReader::new(text)?;
        let mut records = Vec::new();
        while let Some(record) = reader.record()? {
            records.push(record);
        }
        Ok(Self { header: reader.header, records })
    }

    /// Returns the trace in its binary form. The caller makes sure that `guest` is the one that
    /// the header names.
    pub fn to_binary(&self, guest: &[u8]) -> io::Result<Vec<u8>> {
        let mut writer = TraceWriter::new(Vec::new(), &self.header, guest)?;
        self.records.iter().try_for_each(|record| writer.record(record))?;
        writer.finish()
    }
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The line, counted from 1.
    pub line: usize,
    /// The expected words.
    pub expected: String,
    /// The found words.
    pub found: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}, found {}", self.line, self.expected, self.found)
    }
}

impl std::error::Error for TextError {}
