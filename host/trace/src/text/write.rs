//! Writing the text form.

use std::fmt;
use std::io::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::names;
use super::strings::{Following, Quoted};
use crate::binary::Piece;
use crate::format::Format;
use crate::hex::hex;
use crate::{Contract, End, Exit, Header, KeyFrame, Record, Sent, Turn};
use pluto_contract::stop::StopReason;
use pluto_contract::{
    Answer, Digested, Field, IpAddress, Metadata, Part, Range, Reply, Request, Signal, SocketAddress, Submission,
};

/// Writes a trace as text.
pub struct TextWriter<W> {
    output: W,
    /// The time of the last turn.
    time: u64,
}

impl<W: Write> TextWriter<W> {
    /// Writes the header.
    pub fn new(mut output: W, header: &Header) -> io::Result<Self> {
        writeln!(output, "pluto-trace {}", Format::of(header).of_text())?;
        writeln!(output, "guest sha256 {}", hex(&header.guest_sha256))?;
        match &header.contract {
            Contract::Source(sha256) => writeln!(output, "contract sha256 {}", hex(sha256))?,
            Contract::Named { version, identity } => {
                writeln!(output, "contract {} identity {}", Quoted(version.as_bytes()), hex(identity))?;
                writeln!(output, "host {}", Quoted(header.host.as_bytes()))?;
            }
        }
        writeln!(output, "engine {}", Quoted(header.engine.as_bytes()))?;
        header.limits.iter().try_for_each(|limit| writeln!(output, "limit {}", Quoted(limit.as_bytes())))?;
        writeln!(output, "memory-max {}", header.memory_max)?;
        header.arguments.iter().try_for_each(|word| writeln!(output, "argument {}", Quoted(word.as_bytes())))?;
        writeln!(output, "start {}", header.start)?;
        Ok(Self::records(output, header.start))
    }

    /// Creates a writer without a header, for records that begin at the time `start`.
    pub fn records(output: W, start: u64) -> Self {
        Self { output, time: start }
    }

    /// Writes a record.
    pub fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Turn(turn) => self.turn(turn),
            Record::KeyFrame(key) => self.key_frame(key),
            Record::Cut(turns) => writeln!(self.output, "cut {turns}"),
            Record::End(End { sent, exit }) => {
                writeln!(self.output, "end {} sent {}", show_exit(exit), show_sent(*sent))
            }
        }
    }

    /// Writes a part of a trace.
    pub fn piece(&mut self, piece: &Piece) -> io::Result<()> {
        match piece {
            Piece::Turn { sent, time } => self.turn_begins(*sent, *time),
            Piece::Answer(answer) => self.answer(answer),
            Piece::Record(record) => self.record(record),
        }
    }

    fn turn_begins(&mut self, sent: Sent, time: u64) -> io::Result<()> {
        let step = self.step(time);
        writeln!(self.output, "turn {step} sent {}", show_sent(sent))
    }

    fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        writeln!(self.output, "  {} {}", halves(answer.id), Shown(&answer.reply))
    }

    /// Writes what the guest sent, as a comment: a trace does not hold it.
    pub fn request(&mut self, submission: &Submission) -> io::Result<()> {
        request(submission).lines().try_for_each(|line| self.comment(&format!("> {line}")))
    }

    /// Writes a comment of one line.
    pub fn comment(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.output, "# {line}")
    }

    fn turn(&mut self, turn: &Turn) -> io::Result<()> {
        self.turn_begins(turn.sent, turn.time)?;
        turn.answers.iter().try_for_each(|answer| self.answer(answer))
    }

    fn key_frame(&mut self, key: &KeyFrame) -> io::Result<()> {
        let step = self.step(key.time);
        let (sent, requests) = (show_sent(key.sent), key.requests);
        writeln!(self.output, "key-frame {} {step} sent {sent} requests {requests}", key.turn)?;
        for (id, arity) in &key.pending {
            writeln!(self.output, "  pending {} {}", halves(*id), names::arity(*arity))?;
        }
        for piece in key.image.chunks(IMAGE_LINE_BYTES) {
            writeln!(self.output, "  image {}", BASE64_STANDARD.encode(piece))?;
        }
        Ok(())
    }

    /// Returns the time since the last record.
    fn step(&mut self, time: u64) -> String {
        let before = std::mem::replace(&mut self.time, time);
        if time >= before { format!("+{}", time - before) } else { format!("-{}", before - time) }
    }
}

/// Returns a request in words: its id and kind, and a line for each part and each line of bytes of
/// a write.
pub fn request(submission: &Submission) -> String {
    format!("{} {}", halves(submission.id), show_request(&submission.request))
}

/// Bytes of an image in a line: 120 characters.
const IMAGE_LINE_BYTES: usize = 90;

fn halves(number: u64) -> String {
    format!("{}.{}", number >> 32, number & u64::from(u32::MAX))
}

fn show_sent(sent: Sent) -> String {
    match sent {
        Sent::UNKNOWN => "?".to_owned(),
        Sent { count: 0, .. } => "0".to_owned(),
        Sent { count, hash } => format!("{count} {hash:016x}"),
    }
}

fn show_exit(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit {code}"),
        Exit::Trapped => "trapped".to_owned(),
        Exit::Stopped(stop) => format!("stopped {}", show_stop(stop)),
    }
}

fn show_stop(stop: &StopReason) -> String {
    let word = match stop {
        StopReason::Asked => "asked",
        StopReason::StopTooSlow => "stop-too-slow",
        StopReason::TurnTooLong => "turn-too-long",
        StopReason::RequestsPending => "requests-pending",
        StopReason::NothingPending => "nothing-pending",
        StopReason::AnswersEnded => "answers-ended",
        StopReason::Memory { wanted, limit } => return format!("memory wanted {wanted} limit {limit}"),
        StopReason::Tables { wanted } => return format!("tables wanted {wanted}"),
        StopReason::DuplicateId(id) => return format!("duplicate-id {}", halves(*id)),
        StopReason::System(what) => return format!("system {}", Quoted(what.as_bytes())),
        StopReason::PortTaken(port) => return format!("port-taken {port}"),
    };
    word.to_owned()
}

/// An answer, written piece by piece: it can be large.
struct Shown<'a>(&'a Reply);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reply::Listening(port) => write!(f, "listening {port}"),
            Reply::Accepted(it) => write!(f, "accepted {} {}", halves(it.connection), show_peer(&it.peer)),
            Reply::Data(bytes) => write!(f, "data{}", Following(bytes)),
            Reply::Written(bytes) => write!(f, "written {bytes}"),
            Reply::Done => f.write_str("done"),
            Reply::Opened(it) => write!(f, "opened {} {}", halves(it.file), show_metadata(&it.metadata)),
            Reply::Loaded(it) => write!(f, "loaded {} length {}", halves(it.buffer), it.length),
            Reply::Digested(digested) => {
                let Digested { digest: (high, low), size, modified, changed } = digested;
                write!(f, "digested {high:016x}{low:016x} size {size} modified {modified} changed {changed}")
            }
            Reply::Listed(entries) => {
                f.write_str("listed")?;
                entries.iter().try_for_each(|entry| {
                    write!(f, "\n    entry {} {}", Quoted(&entry.name), show_metadata(&entry.metadata))
                })
            }
            Reply::Gathered(posts) => {
                f.write_str("gathered")?;
                posts.iter().try_for_each(|post| write!(f, "\n    post {}", Quoted(post)))
            }
            Reply::Changed(name) => write!(f, "changed {}", Quoted(name)),
            Reply::Elapsed => f.write_str("elapsed"),
            Reply::Signal(Signal::LogLost(lines)) => write!(f, "signal {} {lines}", names::LOG_LOST),
            Reply::Signal(signal) => write!(f, "signal {}", names::signal(*signal)),
            Reply::Failed(error) => write!(f, "failed {}", names::error(*error)),
        }
    }
}

fn show_peer(peer: &SocketAddress) -> String {
    match peer.address {
        IpAddress::Ipv4((a, b, c, d)) => format!("{a}.{b}.{c}.{d}:{}", peer.port),
        IpAddress::Ipv6(groups) => {
            format!("[{}]:{}", core::net::Ipv6Addr::from(<[u16; 8]>::from(groups)), peer.port)
        }
    }
}

fn show_metadata(metadata: &Metadata) -> String {
    let Metadata { kind, size, modified, changed, inode } = metadata;
    format!("{} size {size} modified {modified} changed {changed} inode {inode}", names::kind(*kind))
}

fn show_request(request: &Request) -> String {
    request.fields().iter().map(show_field).fold(request.name().to_owned(), |line, field| line + &field)
}

/// A field, with the space or the line break before it. A flag that is not set is not there.
fn show_field(field: &Field<'_>) -> String {
    match field {
        Field::Handle(handle, _) => format!(" {}", halves(*handle)),
        Field::Id(id) => format!(" {}", halves(*id)),
        Field::Number("", number) => format!(" {number}"),
        Field::Number(name, number) => format!(" {name} {number}"),
        Field::Flag(name, true) => format!(" {name}"),
        Field::Flag(_, false) => String::new(),
        Field::Path(bytes) | Field::Bytes(bytes) => format!(" {}", Quoted(bytes)),
        Field::Parts(parts) => parts.iter().map(|part| format!("\n    {}", show_part(part).trim_start())).collect(),
    }
}

fn show_part(part: &Part) -> String {
    match part {
        Part::Bytes(bytes) => Following(bytes).to_string(),
        Part::Buffer(range) => format!("buffer {}", show_range(range)),
        Part::File(range) => format!("file {}", show_range(range)),
    }
}

fn show_range(range: &Range) -> String {
    format!("{} offset {} length {}", halves(range.handle), range.offset, range.length)
}
