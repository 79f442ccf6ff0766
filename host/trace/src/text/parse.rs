//! Reading the text form.

use core::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::words::{Lines, Words};
use super::{TextError, names};
use crate::codec::{ERRORS, KINDS, MemoryBudget, SIGNALS};
use crate::format::Format;
use crate::limits;
use crate::{Contract, End, Exit, Header, KeyFrame, Record, Sent, Turn};
use pluto_contract::stop::StopReason;
use pluto_contract::{
    Accepted, Answer, Digested, Entry, IpAddress, Loaded, Metadata, Opened, Reply, Signal, SocketAddress,
};

const ID: &str = "an id, such as 0.3";
const HANDLE: &str = "a handle, such as 0.3";
const RECORDS: &str = "`turn`, `end`, `key-frame`, or an answer such as `0.3 done`";
const REPLIES: &str = "listening, accepted, data, written, done, opened, loaded, digested, listed, gathered, changed, elapsed, signal or failed";
const HELD: &str = "a turn whose lists take less memory, as those of a host do";
const HOWS: &str = "exit, trapped or stopped";
const STOPS: &str = "asked, stop-too-slow, turn-too-long, memory, tables, requests-pending, duplicate-id, \
                     nothing-pending, answers-ended, system or port-taken";

/// Reads a text record by record, because the records of a text can take more memory than there
/// is.
pub struct TextReader<'a> {
    /// The header, which describes the run.
    pub header: Header,
    lines: Lines<'a>,
    /// The time of the last record.
    time: u64,
    /// Whether no record was read yet.
    is_first: bool,
}

impl<'a> TextReader<'a> {
    /// Reads the header.
    pub fn new(text: &'a [u8]) -> Result<Self, TextError> {
        let text = str::from_utf8(text).map_err(|error| {
            let (before, rest) = text.split_at(error.valid_up_to());
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let found = format!("the byte \\x{:02x}", rest.first().copied().unwrap_or_default());
            TextError { line, expected: "text in UTF-8 (in strings, \\xNN stands for other bytes)".to_owned(), found }
        })?;
        let mut lines = Lines::new(text);
        let header = header(&mut lines)?;
        Ok(Self { time: header.start, header, lines, is_first: true })
    }

    /// Reads the next record. Returns none at the end of the text.
    pub fn record(&mut self) -> Result<Option<Record>, TextError> {
        let Some(mut words) = self.lines.next() else { return Ok(None) };
        let record = match words.word(RECORDS)? {
            "turn" => {
                let turn = turn(words, &mut self.lines, self.time)?;
                self.time = turn.time;
                Record::Turn(turn)
            }
            "key-frame" => {
                let key = key_frame(words, &mut self.lines, self.time)?;
                self.time = key.time;
                Record::KeyFrame(key)
            }
            "cut" if self.is_first => Record::Cut(words.whole(|words| words.number("a number of turns"))?),
            "end" => {
                let end = words.whole(|words| Ok(End { exit: exit(words)?, sent: sent(words)? }))?;
                if let Some(words) = self.lines.next() {
                    return Err(words.error("the end of the file, for the run has ended"));
                }
                Record::End(end)
            }
            other => return Err(words.wrong(other, RECORDS)),
        };
        self.is_first = false;
        Ok(Some(record))
    }
}

fn header(lines: &mut Lines<'_>) -> Result<Header, TextError> {
    let (old, new) = (Format::V5.of_text(), Format::V6.of_text());
    let version = lines.line("pluto-trace", |words| {
        let expected = format!("{old} or {new}, the versions that this pluto-host reads");
        words.take(&expected, |word| word.parse().ok().filter(|version| [old, new].contains(version)))
    })?;
    let guest_sha256 = lines.line("guest", |words| digest(words, "sha256"))?;
    let (contract, host) = if version == old {
        (Contract::Source(lines.line("contract", |words| digest(words, "sha256"))?), String::new())
    } else {
        let contract = lines.line("contract", |words| {
            Ok(Contract::Named { version: short_text(words)?, identity: digest(words, "identity")? })
        })?;
        (contract, lines.line("host", short_text)?)
    };
    Ok(Header {
        guest_sha256,
        contract,
        host,
        engine: lines.line("engine", short_text)?,
        limits: lines.lines("limit", limits::TRACE_LIMITS_MAX, short_text)?,
        memory_max: lines.line("memory-max", |words| words.number("a number of bytes"))?,
        arguments: lines.lines("argument", limits::TRACE_ARGUMENTS_MAX, Words::text)?,
        start: lines.line("start", |words| words.number("nanoseconds since the Unix epoch"))?,
    })
}

/// Reads a line with a keyword and a digest.
fn digest(words: &mut Words<'_>, keyword: &str) -> Result<[u8; 32], TextError> {
    words.keyword(keyword)?;
    words.take("64 hexadecimal digits", |word| {
        let mut digest = [0; 32];
        let digits: Vec<u8> = word.chars().map_while(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
        if digits.len() != 64 || word.len() != 64 {
            return None;
        }
        digest.iter_mut().zip(digits.chunks(2)).for_each(|(byte, pair)| *byte = pair[0] << 4 | pair[1]);
        Some(digest)
    })
}

fn turn(mut words: Words<'_>, lines: &mut Lines<'_>, before: u64) -> Result<Turn, TextError> {
    let (time, sent) = words.whole(|words| Ok((time(words, before)?, sent(words)?)))?;
    let (mut answers, mut budget) = (Vec::new(), MemoryBudget::default());
    while let Some(words) = lines.next_if(|first| first.starts_with(|c: char| c.is_ascii_digit())) {
        if answers.len() == limits::TRACE_TURN_ANSWERS_MAX {
            return Err(words.error(&format!("a turn of at most {} answers", limits::TRACE_TURN_ANSWERS_MAX)));
        }
        answers.push(answer(words, lines, &mut budget)?);
    }
    Ok(Turn { sent, time, answers })
}

fn key_frame(mut words: Words<'_>, lines: &mut Lines<'_>, before: u64) -> Result<KeyFrame, TextError> {
    let mut key = words.whole(|words| {
        let (turn, time) = (words.number("the number of a turn")?, time(words, before)?);
        let (sent, requests) = (sent(words)?, words.field("requests")?);
        Ok(KeyFrame { turn, time, sent, requests, pending: Vec::new(), image: Vec::new() })
    })?;
    key.pending = lines.lines("pending", pluto_contract::limits::REQUESTS_PENDING_MAX, |words| {
        Ok((words.halves(ID)?, words.case(&names::ARITIES, names::arity)?))
    })?;
    let image = &mut key.image;
    lines.each("image", |words| {
        words.take("a part of an image in base64", |word| BASE64_STANDARD.decode_vec(word, image).ok())
    })?;
    Ok(key)
}

fn time(words: &mut Words<'_>, before: u64) -> Result<u64, TextError> {
    words.take("nanoseconds since the turn before, such as +1234", |word| match word.split_at_checked(1)? {
        ("+", step) => before.checked_add(step.parse().ok()?),
        ("-", step) => before.checked_sub(step.parse().ok()?),
        _ => None,
    })
}

fn sent(words: &mut Words<'_>) -> Result<Sent, TextError> {
    words.keyword("sent")?;
    let count = words.take("how many requests were sent, or ?", |word| match word {
        "?" => Some(None),
        _ => word.parse().ok().map(Some),
    })?;
    let hash = |word: &str| if word.len() == 16 { u64::from_str_radix(word, 16).ok() } else { None };
    match count {
        None => Ok(Sent::UNKNOWN),
        Some(0) => Ok(Sent::default()),
        Some(count) => Ok(Sent { count, hash: words.take("16 hexadecimal digits", hash)? }),
    }
}

fn exit(words: &mut Words<'_>) -> Result<Exit, TextError> {
    let word = words.word(HOWS)?;
    Ok(match word {
        "exit" => Exit::Code(words.number("an exit code")?),
        "trapped" => Exit::Trapped,
        "stopped" => Exit::Stopped(stop(words)?),
        _ => return Err(words.wrong(word, HOWS)),
    })
}

fn stop(words: &mut Words<'_>) -> Result<StopReason, TextError> {
    let word = words.word(STOPS)?;
    Ok(match word {
        "asked" => StopReason::Asked,
        "stop-too-slow" => StopReason::StopTooSlow,
        "turn-too-long" => StopReason::TurnTooLong,
        "memory" => StopReason::Memory { wanted: words.field("wanted")?, limit: words.field("limit")? },
        "tables" => StopReason::Tables { wanted: words.field("wanted")? },
        "requests-pending" => StopReason::RequestsPending,
        "duplicate-id" => StopReason::DuplicateId(words.halves(ID)?),
        "nothing-pending" => StopReason::NothingPending,
        "answers-ended" => StopReason::AnswersEnded,
        "system" => StopReason::System(short_text(words)?),
        "port-taken" => StopReason::PortTaken(words.number("a port")?),
        _ => return Err(words.wrong(word, STOPS)),
    })
}

fn answer(mut words: Words<'_>, lines: &mut Lines<'_>, budget: &mut MemoryBudget) -> Result<Answer, TextError> {
    let (id, mut reply) = words.whole(|words| Ok((words.halves(ID)?, reply(words)?)))?;
    match &mut reply {
        Reply::Data(bytes) => {
            while let Some(mut words) = lines.next_if(|first| first.starts_with('"')) {
                words.whole(|words| strings(words, bytes))?;
            }
        }
        Reply::Listed(entries) => {
            *entries = lines.lines("entry", pluto_contract::limits::LIST_ENTRIES_MAX, |words| {
                let entry = entry(words)?;
                budget.take::<Entry>(&entry.name).map_err(|_| words.error(HELD))?;
                Ok(entry)
            })?;
        }
        Reply::Gathered(posts) => {
            *posts = lines.lines("post", limits::SHARDS_MAX, |words| {
                let post = words.bytes()?;
                budget.take::<Vec<u8>>(&post).map_err(|_| words.error(HELD))?;
                Ok(post)
            })?;
        }
        _ => {}
    }
    Ok(Answer { id, reply })
}

/// Reads the part of an answer in its first line.
fn reply(words: &mut Words<'_>) -> Result<Reply, TextError> {
    let word = words.word(REPLIES)?;
    Ok(match word {
        "listening" => Reply::Listening(words.number("a port")?),
        "accepted" => Reply::Accepted(Accepted { connection: words.halves(HANDLE)?, peer: peer(words)? }),
        "data" => {
            let mut bytes = Vec::new();
            strings(words, &mut bytes)?;
            Reply::Data(bytes)
        }
        "written" => Reply::Written(words.number("a number of bytes")?),
        "done" => Reply::Done,
        "opened" => Reply::Opened(Opened { file: words.halves(HANDLE)?, metadata: metadata(words)? }),
        "loaded" => Reply::Loaded(Loaded { buffer: words.halves(HANDLE)?, length: words.field("length")? }),
        "digested" => Reply::Digested(Digested {
            digest: content_digest(words)?,
            size: words.field("size")?,
            modified: words.field("modified")?,
            changed: words.field("changed")?,
        }),
        "listed" => Reply::Listed(Vec::new()),
        "gathered" => Reply::Gathered(Vec::new()),
        "changed" => Reply::Changed(words.bytes()?),
        "elapsed" => Reply::Elapsed,
        "signal" => Reply::Signal(match words.case(&SIGNALS, names::signal)? {
            Signal::LogLost(_) => Signal::LogLost(words.number("a number of lines")?),
            signal => signal,
        }),
        "failed" => Reply::Failed(words.case(&ERRORS, names::error)?),
        _ => return Err(words.wrong(word, REPLIES)),
    })
}

/// Reads a string about the host, which has a limit of its length.
fn short_text(words: &mut Words<'_>) -> Result<String, TextError> {
    let expected = format!("a string of at most {} bytes", limits::TRACE_WORDS_BYTES_MAX);
    let too_long = words.error(&expected);
    let text = words.text()?;
    if text.len() > limits::TRACE_WORDS_BYTES_MAX { Err(too_long) } else { Ok(text) }
}

fn content_digest(words: &mut Words<'_>) -> Result<(u64, u64), TextError> {
    words.take("32 hexadecimal digits", |word| {
        let digest = if word.len() == 32 { u128::from_str_radix(word, 16).ok()? } else { return None };
        Some(((digest >> 64) as u64, digest as u64))
    })
}

fn strings(words: &mut Words<'_>, bytes: &mut Vec<u8>) -> Result<(), TextError> {
    while !words.is_done() {
        bytes.extend(words.bytes()?);
    }
    Ok(())
}

fn entry(words: &mut Words<'_>) -> Result<Entry, TextError> {
    Ok(Entry { name: words.bytes()?, metadata: metadata(words)? })
}

fn metadata(words: &mut Words<'_>) -> Result<Metadata, TextError> {
    Ok(Metadata {
        kind: words.case(&KINDS, names::kind)?,
        size: words.field("size")?,
        modified: words.field("modified")?,
        changed: words.field("changed")?,
        inode: words.field("inode")?,
    })
}

fn peer(words: &mut Words<'_>) -> Result<SocketAddress, TextError> {
    let peer: SocketAddr = words.number("an address and a port, such as 127.0.0.1:51234 or [::1]:51234")?;
    let address = match peer {
        SocketAddr::V4(peer) => IpAddress::Ipv4(peer.ip().octets().into()),
        SocketAddr::V6(peer) => IpAddress::Ipv6(peer.ip().segments().into()),
    };
    Ok(SocketAddress { address, port: peer.port() })
}
