//! Requests and answers in words: handles as small numbers, long data shortened, control
//! characters escaped.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt::Write as _;

use hashbrown::{HashMap, HashSet};

use crate::limits;
use pluto_contract::{
    Entry, Error, Field, IpAddress, Kind, Metadata, Part, Range, Reply, Request, Signal, SocketAddress,
};

/// Something that a handle names; numbered in the order in which the guest was told of it, each
/// kind from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A client's connection.
    Connection(u64),
    /// An open file.
    File(u64),
    /// A buffer of the host.
    Buffer(u64),
}

/// Finds the words.
pub struct Words {
    /// Whether content, paths and names may be shown, or only their lengths.
    data: bool,
    names: HashMap<u64, Name>,
    /// The handles among them of which the guest was told before the recording begins, when it
    /// begins late.
    earlier: Option<HashSet<u64>>,
    connections: u64,
    files: u64,
    buffers: u64,
}

impl Words {
    /// Words for a run in which no handle is known yet.
    pub fn new(data: bool) -> Self {
        Self { data, names: HashMap::new(), earlier: None, connections: 0, files: 0, buffers: 0 }
    }

    /// Whether content, paths and names are shown.
    pub fn tells_data(&self) -> bool {
        self.data
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// The handle that an answer brings gets its number.
    pub fn learn(&mut self, reply: &Reply) -> Option<Name> {
        let next = |count: &mut u64| {
            *count += 1;
            *count
        };
        let (handle, name) = match reply {
            Reply::Accepted(it) => (it.connection, Name::Connection(next(&mut self.connections))),
            Reply::Opened(it) => (it.file, Name::File(next(&mut self.files))),
            Reply::Loaded(it) => (it.buffer, Name::Buffer(next(&mut self.buffers))),
            _ => return None,
        };
        self.names.insert(handle, name);
        Some(name)
    }

    /// From here on a handle that is not known was given out before the recording begins.
    pub fn begin_late(&mut self) {
        self.earlier = Some(HashSet::new());
    }

    /// A request names handles: those that were given out before the recording begins get their
    /// numbers as they are met.
    pub fn meet(&mut self, request: &Request) {
        if self.earlier.is_none() {
            return;
        }
        match request {
            Request::Read(it) => self.meet_connection(it.connection),
            Request::Write(it) => {
                self.meet_connection(it.connection);
                for part in &it.parts {
                    match part {
                        Part::Bytes(_) => {}
                        Part::Buffer(range) => self.meet_handle(range.handle, |words| &mut words.buffers, Name::Buffer),
                        Part::File(range) => self.meet_file(range.handle),
                    }
                }
            }
            Request::Shutdown(handle) => self.meet_connection(*handle),
            Request::ReadFile(range) | Request::Load(range) => self.meet_file(range.handle),
            _ => {}
        }
    }

    fn meet_connection(&mut self, handle: u64) {
        self.meet_handle(handle, |words| &mut words.connections, Name::Connection);
    }

    fn meet_file(&mut self, handle: u64) {
        self.meet_handle(handle, |words| &mut words.files, Name::File);
    }

    fn meet_handle(&mut self, handle: u64, count: fn(&mut Self) -> &mut u64, name: fn(u64) -> Name) {
        if self.names.contains_key(&handle) {
            return;
        }
        *count(self) += 1;
        let number = *count(self);
        self.names.insert(handle, name(number));
        if let Some(earlier) = &mut self.earlier {
            earlier.insert(handle);
        }
    }

    /// What a handle names, when it was ever given out.
    pub fn name(&self, handle: u64) -> Option<Name> {
        self.names.get(&handle).copied()
    }

    /// A request as its answers name it.
    pub fn request(&self, request: &Request) -> String {
        match request {
            Request::Listen(it) => format!("listen on port {}", it.port),
            Request::Read(it) => format!("read of {}", self.handle(it.connection)),
            Request::Write(it) => format!("write to {}", self.handle(it.connection)),
            Request::ReadFile(range) => format!("read {}", self.range(range)),
            Request::Load(range) => format!("load {}", self.range(range)),
            Request::Sleep(nanoseconds) => format!("sleep {}", span(*nanoseconds)),
            Request::Cancel(_) => "cancel".to_owned(),
            Request::Post(bytes) => format!("post {} for all shards", count(bytes.len(), "byte")),
            Request::Gather => "gather what the shards have left".to_owned(),
            other => match other.fields().first() {
                Some(Field::Handle(handle, _)) => format!("{} {}", other.name(), self.handle(*handle)),
                Some(Field::Path(path)) => format!("{} {}", other.name(), self.path(path)),
                _ => other.name().to_owned(),
            },
        }
    }

    /// What else a request says.
    pub fn details(&self, request: &Request) -> String {
        match request {
            Request::Listen(it) => format!(", at most {}", count(it.connections_max, "connection")),
            Request::Read(it) if it.bytes_max as usize != pluto_contract::limits::READ_BYTES_MAX => {
                format!(", at most {}", count(it.bytes_max, "byte"))
            }
            Request::Write(it) if it.ends => format!("{}, and the end", self.parts(&it.parts)),
            Request::Write(it) => self.parts(&it.parts),
            Request::Open(it) if it.follow_symlinks => ", links followed".to_owned(),
            _ => String::new(),
        }
    }

    /// What an answer says.
    pub fn reply(&self, reply: &Reply) -> String {
        match reply {
            Reply::Listening(port) => format!("listening on port {port}"),
            Reply::Accepted(it) => format!("{} from {}", self.handle(it.connection), peer(it.peer)),
            Reply::Data(bytes) if bytes.is_empty() => "end of stream".to_owned(),
            Reply::Data(bytes) => self.bytes(bytes),
            Reply::Written(bytes) => format!("{} sent", count(*bytes, "byte")),
            Reply::Done => "done".to_owned(),
            Reply::Opened(it) => format!("{}, {}", self.handle(it.file), metadata(&it.metadata)),
            Reply::Loaded(it) => format!("{}, {}", self.handle(it.buffer), count(it.length, "byte")),
            Reply::Digested(it) => format!("digest {:016x}{:016x}", it.digest.0, it.digest.1),
            Reply::Listed(entries) => self.entries(entries),
            Reply::Gathered(posts) => {
                let bytes: usize = posts.iter().map(Vec::len).sum();
                format!("{} of {}", count(bytes, "byte"), count(posts.len(), "shard"))
            }
            Reply::Changed(name) if name.is_empty() => "changed itself, or more than was counted".to_owned(),
            Reply::Changed(name) => format!("changed {}", self.path(name)),
            Reply::Elapsed => "elapsed".to_owned(),
            Reply::Signal(signal) => match signal {
                Signal::Stop => "stop".to_owned(),
                Signal::Reload => "reload".to_owned(),
                Signal::Pause => "pause".to_owned(),
                Signal::LogLost(lines) => format!("{} of the log lost", count(*lines, "line")),
            },
            Reply::Failed(error) => format!("failed: {}", reason(*error)),
        }
    }

    /// A log line's message, or any other line that was written by others.
    pub fn line(&self, message: &str) -> String {
        if self.data {
            escape(message.as_bytes(), limits::EXPLAIN_LINE_CHARS_MAX, '\\')
        } else {
            count(message.len(), "byte")
        }
    }

    fn handle(&self, handle: u64) -> String {
        let (earlier, is_late) = match &self.earlier {
            Some(earlier) if earlier.contains(&handle) => (" (open before)", true),
            earlier => ("", earlier.is_some()),
        };
        match self.name(handle) {
            Some(Name::Connection(number)) => format!("connection {number}{earlier}"),
            Some(Name::File(number)) => format!("file {number}{earlier}"),
            Some(Name::Buffer(number)) => format!("buffer {number}{earlier}"),
            None if is_late => format!("handle {handle}, from before the recording begins"),
            None => format!("handle {handle}, which was never given out"),
        }
    }

    fn range(&self, range: &Range) -> String {
        let end = u128::from(range.offset) + u128::from(range.length);
        format!("{} [{}..{end}]", self.handle(range.handle), range.offset)
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let length = count(bytes.len(), "byte");
        if self.data && !bytes.is_empty() {
            format!("{length} \"{}\"", escape(bytes, limits::EXPLAIN_DATA_CHARS_MAX, '"'))
        } else {
            length
        }
    }

    fn path(&self, path: &[u8]) -> String {
        if self.data {
            format!("\"{}\"", escape(path, limits::EXPLAIN_LINE_CHARS_MAX, '"'))
        } else {
            format!("a name of {}", count(path.len(), "byte"))
        }
    }

    fn parts(&self, parts: &[Part]) -> String {
        let part = |part: &Part| match part {
            Part::Bytes(bytes) => self.bytes(bytes),
            Part::Buffer(range) | Part::File(range) => self.range(range),
        };
        format!(": {}", listing(parts, " + ", "part", part))
    }

    fn entries(&self, entries: &[Entry]) -> String {
        let names = listing(entries, ", ", "entry", |entry| self.path(&entry.name));
        match entries.len() {
            0 => "no entries".to_owned(),
            1 => format!("1 entry: {names}"),
            number if self.data => format!("{number} entries: {names}"),
            number => format!("{number} entries"),
        }
    }
}

/// The first few, and how many more.
fn listing<T>(items: &[T], between: &str, noun: &str, word: impl Fn(&T) -> String) -> String {
    let mut words: Vec<String> = items.iter().take(limits::EXPLAIN_ITEMS_MAX).map(word).collect();
    match items.len().saturating_sub(limits::EXPLAIN_ITEMS_MAX) {
        0 if words.is_empty() => words.push("nothing".to_owned()),
        0 => {}
        1 => words.push(format!("1 more {noun}")),
        more => words.push(format!("{more} more")),
    }
    words.join(between)
}

fn metadata(metadata: &Metadata) -> String {
    match metadata.kind {
        Kind::Regular => count(metadata.size, "byte"),
        Kind::Directory => "a directory".to_owned(),
        Kind::Symlink => "a symbolic link".to_owned(),
        Kind::Other => "neither file nor directory".to_owned(),
    }
}

fn peer(peer: SocketAddress) -> String {
    match peer.address {
        IpAddress::Ipv4((a, b, c, d)) => format!("{}:{}", Ipv4Addr::new(a, b, c, d), peer.port),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            format!("[{}]:{}", Ipv6Addr::new(a, b, c, d, e, f, g, h), peer.port)
        }
    }
}

fn reason(error: Error) -> &'static str {
    match error {
        Error::NotPermitted => "not permitted",
        Error::BadHandle => "bad handle",
        Error::Invalid => "invalid",
        Error::Busy => "busy",
        Error::Cancelled => "cancelled",
        Error::TooLarge => "too large",
        Error::Exhausted => "exhausted",
        Error::AddressInUse => "address in use",
        Error::Disconnected => "disconnected",
        Error::NotFound => "not found",
        Error::AccessDenied => "access denied",
        Error::IsDirectory => "is a directory",
        Error::NotDirectory => "is no directory",
        Error::NotRegular => "is no regular file",
        Error::Symlink => "symbolic link",
        Error::Truncated => "the file is shorter now",
        Error::Io => "input or output error",
    }
}

/// A number of things.
pub fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A span of time, in the unit that suits it: exact to a microsecond.
pub fn span(nanoseconds: u64) -> String {
    let micros = nanoseconds / 1_000;
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", trimmed(&format!("{}.{:03}", micros / 1_000, micros % 1_000))),
        _ => format!("{} s", trimmed(&format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))),
    }
}

fn trimmed(fraction: &str) -> &str {
    fraction.trim_end_matches('0').trim_end_matches('.')
}

/// Bytes as text of at most so many characters and three dots. What is not printable is escaped,
/// as are `\` and `quote`: what a client sends must not move the cursor of whoever reads it.
fn escape(bytes: &[u8], chars_max: usize, quote: char) -> String {
    // No character has more than four bytes, so what is cut off here is beyond the limit.
    let head = &bytes[..bytes.len().min(4 * (chars_max + 1))];
    let mut out = String::new();
    let mut room = chars_max;
    for chunk in head.utf8_chunks() {
        let valid = chunk.valid().chars().map(|c| if c == '\'' { c.to_string() } else { escaped(c, quote) });
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        for piece in valid.chain(invalid) {
            let Some(rest) = room.checked_sub(piece.chars().count()) else {
                let _ = write!(out, "...");
                return out;
            };
            room = rest;
            out.push_str(&piece);
        }
    }
    out
}

fn escaped(c: char, quote: char) -> String {
    if c == '"' && quote != '"' { c.to_string() } else { c.escape_debug().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_unit_that_suits_them() {
        for (nanoseconds, text) in [
            (0, "0 µs"),
            (999_999, "999 µs"),
            (1_000_000, "1 ms"),
            (250_040_000, "250.04 ms"),
            (1_500_000_000, "1.5 s"),
            (3_600_000_001_000, "3600.000001 s"),
        ] {
            assert_eq!(span(nanoseconds), text);
        }
    }

    #[test]
    fn what_others_wrote_moves_no_cursor_and_is_shortened() {
        for (bytes, text) in [
            (&b"GET / \"'\\\r\n"[..], "GET / \\\"'\\\\\\r\\n"),
            (b"\x1b[2J\0\xff", "\\u{1b}[2J\\0\\xff"),
            ("ü\u{202e}".as_bytes(), "ü\\u{202e}"),
            (&[b'a'; 64], &"a".repeat(64)),
            (&[b'a'; 65], &format!("{}...", "a".repeat(64))),
            ("ü".repeat(500).as_bytes(), &format!("{}...", "ü".repeat(64))),
            (&[1; 500], &format!("{}...", "\\u{1}".repeat(12))),
        ] {
            assert_eq!(escape(bytes, limits::EXPLAIN_DATA_CHARS_MAX, '"'), text);
        }
        assert_eq!(Words::new(true).line("a \"b\"\n"), "a \"b\"\\n");
    }

    #[test]
    fn a_long_list_is_shortened() {
        let numbers = |number: u32| listing(&(0..number).collect::<Vec<_>>(), " + ", "part", ToString::to_string);
        assert_eq!(numbers(0), "nothing");
        assert_eq!(numbers(3), "0 + 1 + 2");
        assert_eq!(numbers(4), "0 + 1 + 2 + 1 more part");
        assert_eq!(numbers(1_024), "0 + 1 + 2 + 1021 more");
    }
}
