//! The trace as a file. Its blocks have checksums, so that a host that is killed at any moment
//! leaves a file that can be read.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use xxhash_rust::xxh3::xxh3_64;

use super::format::{Format, parse_header, put_header};
use super::hex::hex;
use super::records::{Context, Head, put_cut, put_end, put_key_frame};
use super::wire::{Malformed, Reader};
use super::{End, Header, KeyFrame, Record, Sent, Turn};
use crate::limits;
use pluto_contract::Answer;

/// The first bytes of a trace. The first one is not text, so that no program takes a trace for
/// text.
pub const MAGIC: [u8; 8] = *b"\x89PLUTO\r\n";

/// The size of the frame before each block: the block's length in bytes, a checksum of the length,
/// and the XXH3 of the block. Without the checksum, a damaged length would look like a host that
/// was killed.
const FRAME_BYTES: usize = 4 + 4 + 8;

/// Returns the bytes with which a trace begins: the header, and the guest itself, so that a replay
/// needs only this file.
pub fn begin(header: &Header, guest: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(Format::of(header).number().to_le_bytes());
    let named = put_header(header);
    if named.len() > limits::TRACE_HEADER_BYTES_MAX {
        return Err(io::Error::other("the arguments are longer than a trace can hold"));
    }
    bytes.extend(frame(&named));
    bytes.extend(frame(&zstd::bulk::compress(guest, zstd::DEFAULT_COMPRESSION_LEVEL)?));
    Ok(bytes)
}

/// Records that are being collected for the next block. Each block can be read without those
/// before it.
pub struct Block {
    /// Room for the frame, and the records.
    bytes: Vec<u8>,
    context: Context,
}

impl Default for Block {
    fn default() -> Self {
        Self::within(Vec::new())
    }
}

impl Block {
    /// Creates an empty block in memory that was used before.
    pub fn within(mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.extend([0; FRAME_BYTES]);
        Self { bytes: memory, context: Context::default() }
    }

    /// Returns whether the block has no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of bytes of the records.
    pub fn len(&self) -> usize {
        self.bytes.len() - FRAME_BYTES
    }

    /// Makes room for exactly this many more bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Adds a turn.
    pub fn turn(&mut self, sent: Sent, time: u64, answers: &[Answer]) {
        self.context.put_turn(&mut self.bytes, sent, time, answers);
    }

    /// Adds the end.
    pub fn end(&mut self, end: &End) {
        put_end(&mut self.bytes, end);
    }

    /// Adds a record that stands in the place of this many turns.
    pub fn cut(&mut self, turns: u64) {
        put_cut(&mut self.bytes, turns);
    }

    /// Returns the block as it stands in the file.
    pub fn seal(mut self) -> Vec<u8> {
        let (room, payload) = self.bytes.split_at_mut(FRAME_BYTES);
        room.copy_from_slice(&frame_of(payload));
        self.bytes
    }
}

/// Returns a key frame as it stands in the file, in a block of its own. None when it is larger
/// than a block can be.
pub fn key_frame(key: &KeyFrame) -> Option<Vec<u8>> {
    let payload = put_key_frame(key);
    (payload.len() <= limits::TRACE_BLOCK_BYTES_MAX).then(|| frame(&payload))
}

/// The bytes of records that a writer puts into one block.
const WRITER_BLOCK_BYTES: usize = 64 << 10;

/// Writes a trace whose records are known, one after the other.
pub struct TraceWriter<W> {
    output: W,
    block: Block,
}

impl<W: Write> TraceWriter<W> {
    /// Writes the beginning of a trace. The caller makes sure that `guest` is the one that the
    /// header names.
    pub fn new(mut output: W, header: &Header, guest: &[u8]) -> io::Result<Self> {
        output.write_all(&begin(header, guest)?)?;
        Ok(Self { output, block: Block::default() })
    }

    /// Writes a record. A record that is larger than a reader takes is an error.
    pub fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Turn(turn) => self.block.turn(turn.sent, turn.time, &turn.answers),
            Record::End(end) => self.block.end(end),
            Record::Cut(turns) => self.block.cut(*turns),
            Record::KeyFrame(key) => {
                self.flush()?;
                let key = key_frame(key).ok_or_else(|| too_large("a key frame"))?;
                return self.output.write_all(&key);
            }
        }
        if self.block.len() >= WRITER_BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the remaining records.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.len() > limits::TRACE_BLOCK_BYTES_MAX {
            return Err(too_large("a turn"));
        }
        if self.block.is_empty() {
            return Ok(());
        }
        self.output.write_all(&std::mem::take(&mut self.block).seal())
    }
}

fn too_large(what: &str) -> io::Error {
    io::Error::other(format!("{what} is larger than one can be: {} MiB", limits::TRACE_BLOCK_BYTES_MAX >> 20))
}

/// Reads a trace, from its beginning.
pub struct TraceReader<R> {
    input: R,
    /// The header, which describes the run.
    pub header: Header,
    /// The guest, as the bytes that were given to the host.
    pub guest: Vec<u8>,
    block: Vec<u8>,
    /// The number of the block's bytes that are read.
    read: usize,
    context: Context,
    /// Where in the file the block begins.
    offset: u64,
    /// Where in the file the first block begins.
    first: u64,
    /// The record that `peek` has read ahead.
    ahead: Option<Result<Option<Record>, TraceError>>,
    /// Whether the run has ended. Nothing may follow then.
    ended: bool,
    /// The number of answers of the last turn that are not read.
    answers: usize,
}

/// A part of a trace: a turn comes in pieces, because a small file can hold a large one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A turn begins, with what the guest had sent before it. Its answers follow.
    Turn {
        /// What the guest had sent since the last record.
        sent: Sent,
        /// The time of the batch: nanoseconds since the Unix epoch.
        time: u64,
    },
    /// The next answer of the turn.
    Answer(Answer),
    /// Any other record.
    Record(Record),
}

/// Why a trace cannot be read.
#[derive(Debug)]
pub enum TraceError {
    /// It is no trace.
    Foreign,
    /// It is a trace of this other version.
    Version(u16),
    /// It ends within the header or the guest.
    Headless,
    /// The block that begins at this offset is not what was written.
    Damaged(u64),
    /// The block that begins at this offset was written like this and makes no sense, for this
    /// reason.
    Malformed(u64, Malformed),
    /// The guest inside is not the one that the header names.
    OtherGuest {
        /// SHA-256 as the header has it.
        named: [u8; 32],
        /// SHA-256 of the guest.
        found: [u8; 32],
    },
    /// The file cannot be read.
    Io(io::Error),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is no trace: a file that `pluto-host --record` has written is expected"),
            Self::Version(version) => write!(
                f,
                "this trace is of format version {version}, and this pluto-host reads versions {} and {}: \
                 use the pluto-host that has written it{}",
                Format::V5.number(),
                Format::V6.number(),
                if *version > Format::V6.number() { ", or a newer one" } else { "" }
            ),
            Self::Headless => f.write_str("the trace ends before the first record: the host was killed as it started"),
            Self::Damaged(at) => write!(f, "the trace is damaged: the checksum of the block at byte {at} is wrong"),
            Self::Malformed(at, why) => write!(f, "the trace is malformed: in the block at byte {at}, {why}"),
            Self::OtherGuest { named, found } => write!(
                f,
                "the trace is damaged or forged: its header names the guest with SHA-256 {}, and the guest inside has {}",
                hex(named),
                hex(found)
            ),
            Self::Io(error) if error.kind() == io::ErrorKind::NotSeekable => {
                f.write_str("it comes through a pipe, of which no part can be passed over: give a file")
            }
            Self::Io(error) => write!(f, "the trace cannot be read: {error}"),
        }
    }
}

impl std::error::Error for TraceError {}

impl<R: Read> TraceReader<R> {
    /// Reads the beginning of a trace.
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
        let format = Format::numbered(version).ok_or(TraceError::Version(version))?;
        let mut at = preamble.len() as u64;
        let header = read_block(&mut input, at, limits::TRACE_HEADER_BYTES_MAX)?.ok_or(TraceError::Headless)?;
        let malformed = |why| TraceError::Malformed(at, why);
        let parsed = parse_header(format, &header).map_err(malformed)?;
        at += (header.len() + FRAME_BYTES) as u64;
        let packed = read_block(&mut input, at, limits::TRACE_BLOCK_BYTES_MAX)?.ok_or(TraceError::Headless)?;
        let guest = unpack_guest(&packed).map_err(|why| TraceError::Malformed(at, why))?;
        let (named, found) = (parsed.guest_sha256, Header::digest(&guest));
        if named != found {
            return Err(TraceError::OtherGuest { named, found });
        }
        at += (packed.len() + FRAME_BYTES) as u64;
        Ok(Self {
            input,
            header: parsed,
            guest,
            block: Vec::new(),
            read: 0,
            context: Context::default(),
            offset: at,
            first: at,
            ahead: None,
            ended: false,
            answers: 0,
        })
    }

    /// Reads the next record. Returns none at the end of the file. An incomplete last block counts
    /// as the end: the host was killed while it wrote the block.
    pub fn record(&mut self) -> Result<Option<Record>, TraceError> {
        match self.ahead.take() {
            Some(record) => record,
            None => self.read(),
        }
    }

    /// Looks at the next record. Returns none also if the record cannot be read; the next call of
    /// `record` returns the error.
    pub fn peek(&mut self) -> Option<&Record> {
        if self.ahead.is_none() {
            self.ahead = Some(self.read());
        }
        self.ahead.as_ref()?.as_ref().ok()?.as_ref()
    }

    /// Returns where in the file the block with the last record begins. A key frame has a block of
    /// its own.
    pub fn place(&self) -> u64 {
        self.offset
    }

    fn read(&mut self) -> Result<Option<Record>, TraceError> {
        let Some(head) = self.head()? else { return Ok(None) };
        Ok(Some(match head {
            Head::Whole(record) => record,
            Head::Turn { sent, time, answers: length } => {
                let mut answers = Vec::with_capacity(length);
                while let Some(answer) = self.answer()? {
                    answers.push(answer);
                }
                Record::Turn(Turn { sent, time, answers })
            }
        }))
    }

    /// Reads the next part of the trace. Returns none at the end of the file. Do not mix calls of
    /// this and of `record` within a turn.
    pub fn piece(&mut self) -> Result<Option<Piece>, TraceError> {
        if let Some(answer) = self.answer()? {
            return Ok(Some(Piece::Answer(answer)));
        }
        Ok(self.head()?.map(|head| match head {
            Head::Whole(record) => Piece::Record(record),
            Head::Turn { sent, time, .. } => Piece::Turn { sent, time },
        }))
    }

    /// Reads the next answer of a turn, if there is one.
    fn answer(&mut self) -> Result<Option<Answer>, TraceError> {
        let Some(left) = self.answers.checked_sub(1) else { return Ok(None) };
        let mut reader = Reader::new(&self.block[self.read..]);
        let answer = self.context.answer(&mut reader).map_err(|why| TraceError::Malformed(self.offset, why))?;
        self.read = self.block.len() - reader.len();
        self.answers = left;
        Ok(Some(answer))
    }

    /// Reads the next record, or the beginning of a turn.
    fn head(&mut self) -> Result<Option<Head>, TraceError> {
        if self.read == self.block.len() {
            if !self.block.is_empty() {
                self.offset += (self.block.len() + FRAME_BYTES) as u64;
            }
            // Do not hold two blocks at once.
            (self.block, self.read) = (Vec::new(), 0);
            let block = read_block(&mut self.input, self.offset, limits::TRACE_BLOCK_BYTES_MAX)?;
            let Some(block) = block else { return Ok(None) };
            (self.block, self.context) = (block, Context::default());
        }
        if self.ended {
            return Err(TraceError::Malformed(self.offset, Malformed::Rest));
        }
        let mut reader = Reader::new(&self.block[self.read..]);
        let head = self.context.head(&mut reader).map_err(|why| TraceError::Malformed(self.offset, why))?;
        let (begins, ends) = (self.read == 0, reader.is_empty());
        let is_in_place = match &head {
            Head::Whole(Record::KeyFrame(_)) => begins && ends,
            Head::Whole(Record::Cut(_)) => begins && self.offset == self.first,
            Head::Whole(_) | Head::Turn { .. } => true,
        };
        if !is_in_place {
            return Err(TraceError::Malformed(self.offset, Malformed::Place));
        }
        self.read = self.block.len() - reader.len();
        self.ended = matches!(head, Head::Whole(Record::End(_)));
        self.answers = if let Head::Turn { answers, .. } = head { answers } else { 0 };
        Ok(Some(head))
    }
}

impl<R: Read + Seek> TraceReader<R> {
    /// Goes to the block at this place, which `place` has returned.
    pub fn seek(&mut self, place: u64) -> Result<(), TraceError> {
        self.input.seek(SeekFrom::Start(place)).map_err(TraceError::Io)?;
        (self.block, self.read, self.offset) = (Vec::new(), 0, place);
        (self.ahead, self.ended, self.answers) = (None, false, 0);
        Ok(())
    }

    /// Goes to the first record.
    pub fn rewind(&mut self) -> Result<(), TraceError> {
        self.seek(self.first)
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    [&frame_of(payload), payload].concat()
}

/// Returns the frame of a block.
fn frame_of(payload: &[u8]) -> [u8; FRAME_BYTES] {
    let length = u32::try_from(payload.len()).expect("a turn is far below 4 GiB");
    let mut bytes = [0; FRAME_BYTES];
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..8].copy_from_slice(&check_of_length(length).to_le_bytes());
    bytes[8..].copy_from_slice(&xxh3_64(payload).to_le_bytes());
    bytes
}

/// Returns the checksum of a length: the lower half of its XXH3.
fn check_of_length(length: u32) -> u32 {
    xxh3_64(&length.to_le_bytes()) as u32
}

/// Reads the next block of at most `bytes_max` bytes. Returns none when the file ends before the
/// block does. Never allocates more than the file holds.
fn read_block(input: &mut impl Read, at: u64, bytes_max: usize) -> Result<Option<Vec<u8>>, TraceError> {
    let mut frame = [0; FRAME_BYTES];
    match input.read_exact(&mut frame) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result.map_err(TraceError::Io)?,
    }
    let four = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().expect("four bytes"));
    let (length, check) = (four(0), four(4));
    let sum = u64::from_le_bytes(frame[8..].try_into().expect("eight bytes"));
    if check != check_of_length(length) {
        return Err(TraceError::Damaged(at));
    }
    if length as usize > bytes_max {
        return Err(TraceError::Malformed(at, Malformed::Long));
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

/// Unpacks the guest. Never takes more memory than the largest guest.
fn unpack_guest(packed: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut guest = zstd::bulk::decompress(packed, limits::GUEST_BYTES_MAX as usize).map_err(|_| Malformed::Guest)?;
    // The buffer has room for the largest guest.
    guest.shrink_to_fit();
    Ok(guest)
}
