//! The trace as a file: checksummed blocks, so that a host killed at any moment leaves one that can be read.

use std::fmt;
use std::io::{self, Read};

use xxhash_rust::xxh3::xxh3_64;

use super::codec::{Facts, put_answer, read_answer};
use super::wire::{Malformed, Reader, put_bytes, put_number};
use super::{End, Header, How, Record, Sent, Turn};
use crate::contract::Answer;
use crate::limits;
use crate::stop::Stop;

/// What a trace begins with. The first byte is no text, so that nothing takes it for some.
const MAGIC: [u8; 8] = *b"\x89PLUTO\r\n";

/// The version of the format. It changes with anything in `codec` or here.
const VERSION: u16 = 1;

/// Before each block: its length in bytes, and the XXH3 of these bytes.
const FRAME_BYTES: usize = 4 + 8;

/// A length above this was never written: a block holds what a recording holds back at most, or a guest, which packing
/// can make a little longer.
const BLOCK_BYTES_MAX: usize = limits::TRACE_BYTES_BUFFERED_MAX + limits::GUEST_BYTES_MAX as usize;

const TURN: u8 = 0;
const END: u8 = 1;

/// The bytes with which a trace begins: what was run, and the guest itself, so that the file is all that a replay needs.
pub fn begin(header: &Header, guest: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(frame(&put_header(header)));
    bytes.extend(frame(&zstd::bulk::compress(guest, zstd::DEFAULT_COMPRESSION_LEVEL)?));
    Ok(bytes)
}

/// Records that are being collected for the next block. Each block can be read without those before it.
#[derive(Default)]
pub struct Block {
    bytes: Vec<u8>,
    facts: Facts,
    time: u64,
}

impl Block {
    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes its records take.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a turn.
    pub fn turn(&mut self, sent: Sent, time: u64, answers: &[Answer]) {
        self.bytes.push(TURN);
        put_sent(&mut self.bytes, sent);
        // The first of a block stands for itself.
        put_number(&mut self.bytes, time.wrapping_sub(self.time));
        self.time = time;
        put_number(&mut self.bytes, answers.len() as u64);
        answers.iter().for_each(|answer| put_answer(&mut self.bytes, &mut self.facts, answer));
    }

    /// Adds the end.
    pub fn end(&mut self, end: &End) {
        self.bytes.push(END);
        put_sent(&mut self.bytes, end.sent);
        put_how(&mut self.bytes, &end.how);
    }

    /// The block as it stands in the file, and an empty one in its place.
    pub fn seal(&mut self) -> Vec<u8> {
        frame(&std::mem::take(self).bytes)
    }
}

/// Reads a trace, from its beginning.
pub struct TraceReader<R> {
    input: R,
    /// What was run.
    pub header: Header,
    /// The guest, as the bytes that were given to the host.
    pub guest: Vec<u8>,
    block: Vec<u8>,
    /// How much of the block is read.
    read: usize,
    facts: Facts,
    time: u64,
    /// Where in the file the block begins.
    offset: u64,
    /// The run has ended: nothing may follow.
    ended: bool,
}

/// Why a trace cannot be read.
#[derive(Debug)]
pub enum TraceError {
    /// It is no trace.
    Foreign,
    /// It is one of another version.
    Version(u16),
    /// It ends in the midst of what it must begin with.
    Headless,
    /// A block is not what was written: where it begins.
    Damaged(u64),
    /// A block was written so, and makes no sense: where it begins, and why.
    Malformed(u64, Malformed),
    /// The file cannot be read.
    Io(io::Error),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is no trace: a file that `pluto-host --record` has written is expected"),
            Self::Version(version) => write!(
                f,
                "this trace is of format version {version}, and this pluto-host reads version {VERSION}: \
                 use the pluto-host that has written it, or a newer one"
            ),
            Self::Headless => f.write_str("the trace ends before the first record: the host was killed as it started"),
            Self::Damaged(at) => write!(f, "the trace is damaged: the checksum of the block at byte {at} is wrong"),
            Self::Malformed(at, why) => write!(f, "the trace is malformed: in the block at byte {at}, {why}"),
            Self::Io(error) => write!(f, "the trace cannot be read: {error}"),
        }
    }
}

impl std::error::Error for TraceError {}

impl<R: Read> TraceReader<R> {
    /// Reads what the trace begins with.
    pub fn open(mut input: R) -> Result<Self, TraceError> {
        let mut preamble = [0; MAGIC.len() + 2];
        match input.read_exact(&mut preamble) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(TraceError::Foreign),
            result => result.map_err(TraceError::Io)?,
        }
        let (magic, version) = preamble.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(TraceError::Foreign);
        }
        let version = u16::from_le_bytes([version[0], version[1]]);
        if version != VERSION {
            return Err(TraceError::Version(version));
        }
        let mut at = preamble.len() as u64;
        let header = read_block(&mut input, at)?.ok_or(TraceError::Headless)?;
        let malformed = |why| TraceError::Malformed(at, why);
        let parsed = parse_header(&header).map_err(malformed)?;
        at += (header.len() + FRAME_BYTES) as u64;
        let packed = read_block(&mut input, at)?.ok_or(TraceError::Headless)?;
        let guest = unpack_guest(&packed).map_err(|why| TraceError::Malformed(at, why))?;
        at += (packed.len() + FRAME_BYTES) as u64;
        Ok(Self {
            input,
            header: parsed,
            guest,
            block: Vec::new(),
            read: 0,
            facts: Facts::default(),
            time: 0,
            offset: at,
            ended: false,
        })
    }

    /// The next record; none at the end of the file. A last block that is not whole is no record: the host was killed
    /// as it wrote it.
    pub fn record(&mut self) -> Result<Option<Record>, TraceError> {
        if self.read == self.block.len() {
            if !self.block.is_empty() {
                self.offset += (self.block.len() + FRAME_BYTES) as u64;
            }
            let Some(block) = read_block(&mut self.input, self.offset)? else { return Ok(None) };
            (self.block, self.read, self.facts, self.time) = (block, 0, Facts::default(), 0);
        }
        if self.ended {
            return Err(TraceError::Malformed(self.offset, Malformed::Rest));
        }
        let mut reader = Reader::new(&self.block[self.read..]);
        let record = read_record(&mut reader, &mut self.facts, &mut self.time)
            .map_err(|why| TraceError::Malformed(self.offset, why))?;
        self.read = self.block.len() - reader.len();
        self.ended = matches!(record, Record::End(_));
        Ok(Some(record))
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a turn is far below 4 GiB");
    let mut bytes = Vec::with_capacity(FRAME_BYTES + payload.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(xxh3_64(payload).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// The next block; none when the file ends before it does. Never allocates more than the file holds.
fn read_block(input: &mut impl Read, at: u64) -> Result<Option<Vec<u8>>, TraceError> {
    let mut frame = [0; FRAME_BYTES];
    match input.read_exact(&mut frame) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result.map_err(TraceError::Io)?,
    }
    let (length, sum) = frame.split_at(4);
    let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
    let sum = u64::from_le_bytes(sum.try_into().expect("eight bytes"));
    if length as usize > BLOCK_BYTES_MAX {
        return Err(TraceError::Damaged(at));
    }
    let mut payload = Vec::new();
    input.take(length.into()).read_to_end(&mut payload).map_err(TraceError::Io)?;
    if payload.len() < length as usize {
        return Ok(None);
    }
    if payload.is_empty() || xxh3_64(&payload) != sum {
        return Err(TraceError::Damaged(at));
    }
    Ok(Some(payload))
}

fn read_record(reader: &mut Reader<'_>, facts: &mut Facts, time: &mut u64) -> Result<Record, Malformed> {
    match reader.byte()? {
        TURN => {
            let sent = read_sent(reader)?;
            *time = time.wrapping_add(reader.number()?);
            let length = reader.length()?;
            let mut answers = Vec::new();
            for _ in 0..length {
                answers.push(read_answer(reader, facts)?);
            }
            Ok(Record::Turn(Turn { sent, time: *time, answers }))
        }
        END => Ok(Record::End(End { sent: read_sent(reader)?, how: read_how(reader)? })),
        _ => Err(Malformed::Case),
    }
}

fn put_sent(out: &mut Vec<u8>, sent: Sent) {
    put_number(out, sent.count);
    if sent.count > 0 {
        out.extend(sent.hash.to_le_bytes());
    }
}

fn read_sent(reader: &mut Reader<'_>) -> Result<Sent, Malformed> {
    let count = reader.number()?;
    if count == 0 {
        return Ok(Sent::default());
    }
    let hash = reader.take(8)?.try_into().map_err(|_| Malformed::Short)?;
    Ok(Sent { count, hash: u64::from_le_bytes(hash) })
}

fn put_header(header: &Header) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(header.guest_sha256);
    out.extend(header.contract_sha256);
    put_number(&mut out, header.memory_max);
    for list in [&header.limits, &header.arguments] {
        put_number(&mut out, list.len() as u64);
        list.iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
    }
    put_number(&mut out, header.start);
    out
}

fn parse_header(bytes: &[u8]) -> Result<Header, Malformed> {
    let mut reader = Reader::new(bytes);
    let header = read_header(&mut reader)?;
    if reader.is_empty() { Ok(header) } else { Err(Malformed::Rest) }
}

/// Never takes more memory than the largest guest.
fn unpack_guest(packed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut guest = zstd::bulk::decompress(packed, limits::GUEST_BYTES_MAX as usize).map_err(|_| Malformed::Guest)?;
    // It was unpacked into a buffer for the largest one.
    guest.shrink_to_fit();
    Ok(guest)
}

fn read_header(reader: &mut Reader<'_>) -> Result<Header, Malformed> {
    let digest = |reader: &mut Reader<'_>| reader.take(32)?.try_into().map_err(|_| Malformed::Short);
    let list = |reader: &mut Reader<'_>| {
        let length = reader.length()?;
        (0..length).map(|_| reader.text().map(str::to_owned)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Header {
        guest_sha256: digest(reader)?,
        contract_sha256: digest(reader)?,
        memory_max: reader.number()?,
        limits: list(reader)?,
        arguments: list(reader)?,
        start: reader.number()?,
    })
}

fn put_how(out: &mut Vec<u8>, how: &How) {
    match how {
        How::Exit(code) => out.extend([0, *code]),
        How::Trapped => out.push(1),
        How::Stopped(stop) => {
            out.push(2);
            put_stop(out, stop);
        }
    }
}

fn read_how(reader: &mut Reader<'_>) -> Result<How, Malformed> {
    Ok(match reader.byte()? {
        0 => How::Exit(reader.byte()?),
        1 => How::Trapped,
        2 => How::Stopped(read_stop(reader)?),
        _ => return Err(Malformed::Case),
    })
}

fn put_stop(out: &mut Vec<u8>, stop: &Stop) {
    match stop {
        Stop::Asked => out.push(0),
        Stop::StopTooSlow => out.push(1),
        Stop::TurnTooLong => out.push(2),
        Stop::Memory { wanted, limit } => {
            out.push(3);
            put_number(out, *wanted);
            put_number(out, *limit);
        }
        Stop::Tables { wanted } => {
            out.push(4);
            put_number(out, *wanted);
        }
        Stop::RequestsPending => out.push(5),
        Stop::DuplicateId(id) => {
            out.push(6);
            put_number(out, *id);
        }
        Stop::NothingPending => out.push(7),
        Stop::AnswersEnded => out.push(8),
        Stop::System(what) => {
            out.push(9);
            put_bytes(out, what.as_bytes());
        }
    }
}

fn read_stop(reader: &mut Reader<'_>) -> Result<Stop, Malformed> {
    Ok(match reader.byte()? {
        0 => Stop::Asked,
        1 => Stop::StopTooSlow,
        2 => Stop::TurnTooLong,
        3 => Stop::Memory { wanted: reader.number()?, limit: reader.number()? },
        4 => Stop::Tables { wanted: reader.number()? },
        5 => Stop::RequestsPending,
        6 => Stop::DuplicateId(reader.number()?),
        7 => Stop::NothingPending,
        8 => Stop::AnswersEnded,
        9 => Stop::System(reader.text()?.to_owned()),
        _ => return Err(Malformed::Case),
    })
}
