//! An image as bytes: zstd around numbers of eight bytes, the lowest first.
//!
//! ```text
//! image  = count of memories, memory..., count of globals, global...
//! memory = its size in bytes, (pages of zeros, count of pages, these pages)..., 0, 0
//! global = type, 16 bytes
//! ```
//!
//! It is unpacked piece by piece, into a memory or beside it, so that packed bytes of any kind
//! take no room of their own.

use std::fmt;
use std::io::{self, BufReader, Read, Write};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::{Image, PAGE_BYTES, Pages, Value};
use crate::limits;

/// How hard zstd tries to make a key frame small. The lowest level does 500 MB a second, and more
/// would take its time from the guest where there are few cores.
const PACK_LEVEL: i32 = 1;

/// Why a state is not that of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The image is not one that was written.
    Malformed,
    /// It is one of a guest with other parts: which, how many it has, and how many there are.
    Parts(&'static str, u64, u64),
    /// A memory has another size.
    Size,
    /// There is not so much memory: why, and how many bytes the memory has in the image.
    Memory(String, u64),
    /// Of this guest there are no images: why.
    Guest(String),
    /// A byte of a memory is another one.
    Byte {
        /// The memory, counted from 0.
        memory: usize,
        /// Its address.
        address: usize,
        /// As the image has it.
        recorded: u8,
        /// Now.
        found: u8,
    },
    /// A global has another value.
    Global {
        /// The mutable global, counted from 0.
        number: usize,
        /// Its bits, as the image has it.
        recorded: u128,
        /// Now.
        found: u128,
    },
}

impl Mismatch {
    /// The same of the memory of this number.
    pub fn in_memory(mut self, number: usize) -> Self {
        if let Self::Byte { memory, .. } = &mut self {
            *memory = number;
        }
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the image in the key frame cannot be unpacked"),
            Self::Parts(what, recorded, found) => {
                write!(f, "the image in the key frame has {recorded} {what}, and the guest has {found}")
            }
            Self::Size => f.write_str("a memory has another size than the image in the key frame"),
            Self::Memory(why, _) => write!(f, "there is no memory for the image in the key frame: {why}"),
            Self::Guest(why) => write!(f, "there is an image in the key frame, and there can be none: {why}"),
            Self::Byte { memory, address, recorded, found } => {
                write!(
                    f,
                    "in memory {memory} the byte at {address:#x} is {found:#04x}, and {recorded:#04x} was recorded"
                )
            }
            Self::Global { number, recorded, found } => {
                write!(f, "the mutable global {number} is {found:#x}, and {recorded:#x} was recorded")
            }
        }
    }
}

impl std::error::Error for Mismatch {}

impl Image {
    /// Packs it into `out`. Takes about a second for each 500 MB that are not zero.
    pub fn pack<W: Write>(&self, out: W) -> io::Result<W> {
        let mut out = Encoder::new(out, PACK_LEVEL)?;
        put(&mut out, self.memories.len())?;
        self.memories.iter().try_for_each(|pages| pages.put(&mut out))?;
        put(&mut out, self.globals.len())?;
        for value in &self.globals {
            out.write_all(&[value.kind])?;
            out.write_all(&value.bits.to_le_bytes())?;
        }
        out.finish()
    }
}

impl Pages {
    fn put(&self, out: &mut impl Write) -> io::Result<()> {
        put(out, self.size)?;
        let mut content = &self.content[..];
        for run in &self.runs {
            let (these, rest) = content.split_at(content.len().min(run.count * PAGE_BYTES));
            content = rest;
            put(out, run.skip)?;
            put(out, run.count)?;
            out.write_all(these)?;
        }
        put(out, 0)?;
        put(out, 0)
    }
}

fn put(out: &mut impl Write, number: usize) -> io::Result<()> {
    out.write_all(&(number as u64).to_le_bytes())
}

/// Reads a packed image from its beginning.
pub struct Unpacker<'a> {
    input: BufReader<Decoder<'static, &'a [u8]>>,
}

/// What is compared at a time.
const PIECE_BYTES: usize = 64 << 10;

impl<'a> Unpacker<'a> {
    /// Begins to unpack.
    pub fn new(packed: &'a [u8]) -> Result<Self, Mismatch> {
        let mut decoder = Decoder::with_buffer(packed).map_err(|_| Mismatch::Malformed)?;
        // Else a few bytes could have 128 MiB reserved for what they were packed with.
        decoder.window_log_max(limits::KEY_FRAME_WINDOW_LOG_MAX).map_err(|_| Mismatch::Malformed)?;
        Ok(Self { input: BufReader::with_capacity(PIECE_BYTES, decoder) })
    }

    /// So many things follow.
    pub fn expect(&mut self, found: u64, what: &'static str) -> Result<(), Mismatch> {
        let recorded = self.number()?;
        if recorded == found { Ok(()) } else { Err(Mismatch::Parts(what, recorded, found)) }
    }

    /// The size of a memory in bytes.
    pub fn size(&mut self) -> Result<usize, Mismatch> {
        usize::try_from(self.number()?).map_err(|_| Mismatch::Malformed)
    }

    /// Reads a memory into one of its size.
    pub fn read_into(&mut self, memory: &mut [u8]) -> Result<(), Mismatch> {
        let mut rest = memory;
        while let Some((zeros, bytes)) = self.run(rest.len())? {
            let (skipped, after) = rest.split_at_mut(zeros);
            clear(skipped);
            let (these, after) = after.split_at_mut(bytes);
            self.input.read_exact(these).map_err(|_| Mismatch::Malformed)?;
            rest = after;
        }
        clear(rest);
        Ok(())
    }

    /// Holds a memory against one of its size.
    pub fn compare_with(&mut self, memory: &[u8]) -> Result<(), Mismatch> {
        let mut at = 0;
        let mut piece = vec![0; PIECE_BYTES];
        while let Some((zeros, bytes)) = self.run(memory.len() - at)? {
            expect_zeros(memory, at, at + zeros)?;
            at += zeros;
            let end = at + bytes;
            while at < end {
                let length = PIECE_BYTES.min(end - at);
                self.input.read_exact(&mut piece[..length]).map_err(|_| Mismatch::Malformed)?;
                same(&piece[..length], &memory[at..at + length], at)?;
                at += length;
            }
        }
        expect_zeros(memory, at, memory.len())
    }

    /// The next pages of a memory of which so many bytes are left: bytes of zeros, and bytes that
    /// follow here.
    fn run(&mut self, left: usize) -> Result<Option<(usize, usize)>, Mismatch> {
        let (skip, count) = (self.number()?, self.number()?);
        if count == 0 {
            return Ok(None);
        }
        let bytes = |pages: u64| usize::try_from(pages).ok()?.checked_mul(PAGE_BYTES);
        let (skip, count) = bytes(skip).zip(bytes(count)).ok_or(Mismatch::Malformed)?;
        let fits = skip.checked_add(count).is_some_and(|both| both <= left);
        if fits { Ok(Some((skip, count))) } else { Err(Mismatch::Malformed) }
    }

    /// The next global.
    pub fn value(&mut self) -> Result<Value, Mismatch> {
        let ([kind], bits) = (self.take()?, self.take()?);
        Ok(Value { kind, bits: u128::from_le_bytes(bits) })
    }

    /// Nothing follows.
    pub fn end(&mut self) -> Result<(), Mismatch> {
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(Mismatch::Malformed),
        }
    }

    fn number(&mut self) -> Result<u64, Mismatch> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Mismatch> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| Mismatch::Malformed)?;
        Ok(bytes)
    }
}

/// Writes no page that is zero already: it would then take memory.
fn clear(memory: &mut [u8]) {
    memory.chunks_mut(PAGE_BYTES).filter(|page| page.iter().any(|byte| *byte != 0)).for_each(|page| page.fill(0));
}

fn expect_zeros(memory: &[u8], from: usize, to: usize) -> Result<(), Mismatch> {
    let mut at = from;
    for piece in memory[from..to].chunks(PAGE_BYTES) {
        same(&[0; PAGE_BYTES][..piece.len()], piece, at)?;
        at += piece.len();
    }
    Ok(())
}

fn same(recorded: &[u8], found: &[u8], at: usize) -> Result<(), Mismatch> {
    if recorded == found {
        return Ok(());
    }
    let first = recorded.iter().zip(found).position(|(recorded, found)| recorded != found).unwrap_or_default();
    let (recorded, found) = (recorded[first], found[first]);
    Err(Mismatch::Byte { memory: 0, address: at + first, recorded, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(memory: &[u8]) -> Image {
        let globals = vec![Value { kind: Value::I32, bits: 7 }, Value { kind: Value::V128, bits: u128::MAX }];
        Image { memories: vec![Pages::of(memory).expect("there is room")], globals }
    }

    /// Pages that were never touched, between some that were.
    fn memory() -> Vec<u8> {
        let mut memory = vec![0; 40 * PAGE_BYTES];
        for at in [0, 5 * PAGE_BYTES + 77, 6 * PAGE_BYTES, 30 * PAGE_BYTES, 39 * PAGE_BYTES + PAGE_BYTES - 1] {
            memory[at] = 1 + (at % 200) as u8;
        }
        memory
    }

    /// Holds a packed image against a memory.
    fn compare(packed: &[u8], memory: &[u8]) -> Result<(), Mismatch> {
        let mut image = Unpacker::new(packed)?;
        image.expect(1, "memories")?;
        if image.size()? != memory.len() {
            return Err(Mismatch::Size);
        }
        image.compare_with(memory)?;
        image.expect(2, "globals")?;
        image.value()?;
        image.value()?;
        image.end()
    }

    #[test]
    fn a_memory_comes_back_and_a_changed_byte_is_found() {
        let (mut memory, packed) = (memory(), image(&memory()).pack(Vec::new()).expect("it packs"));
        assert!(packed.len() < 500, "{} bytes", packed.len());
        assert_eq!(compare(&packed, &memory), Ok(()));
        let mut again = vec![9; memory.len()];
        let mut unpacker = Unpacker::new(&packed).expect("sound");
        assert_eq!((unpacker.expect(1, "memories"), unpacker.size()), (Ok(()), Ok(memory.len())));
        assert_eq!(unpacker.read_into(&mut again), Ok(()));
        assert_eq!(again, memory);
        for address in [0, 1, 3 * PAGE_BYTES, 5 * PAGE_BYTES + 77, 20 * PAGE_BYTES + 1, 40 * PAGE_BYTES - 1] {
            let recorded = std::mem::replace(&mut memory[address], 251);
            let mismatch = Mismatch::Byte { memory: 0, address, recorded, found: 251 };
            assert_eq!(compare(&packed, &memory), Err(mismatch));
            memory[address] = recorded;
        }
        assert_eq!(compare(&packed, &memory[PAGE_BYTES..]), Err(Mismatch::Size));
    }

    #[test]
    fn any_bytes_are_borne() {
        let (memory, packed) = (memory(), image(&memory()).pack(Vec::new()).expect("it packs"));
        for at in 0..packed.len() {
            assert!(compare(&packed[..at], &memory).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = packed.clone();
                damaged[at] ^= 1 << bit;
                // Not every bit matters, and zstd has no checksum here: the blocks have one.
                let _ = compare(&damaged, &memory);
            }
        }
        assert_eq!(compare(&[&packed[..], &packed].concat(), &memory), Err(Mismatch::Malformed));
    }

    /// A frame may say that it looks back at 128 MiB, which a reader would keep.
    #[test]
    fn an_image_that_wants_much_memory_to_be_unpacked_is_refused() {
        for (log, is_read) in [(limits::KEY_FRAME_WINDOW_LOG_MAX, true), (27, false)] {
            let mut out = Encoder::new(Vec::new(), 1).expect("it packs");
            out.window_log(log).expect("zstd knows it");
            out.write_all(&1_u64.to_le_bytes()).expect("a vector takes all");
            let packed = out.finish().expect("it packs");
            let mut image = Unpacker::new(&packed).expect("it begins");
            assert_eq!(image.expect(1, "memories").is_ok(), is_read, "{log}");
        }
    }

    /// Each of these says that much follows.
    #[test]
    fn a_length_is_not_believed() {
        for numbers in [[0, u64::MAX], [u64::MAX, u64::MAX], [1 << 52, 1], [30, 11], [41, 1]] {
            let mut out = Encoder::new(Vec::new(), 1).expect("it packs");
            for number in [1, memory().len() as u64].into_iter().chain(numbers) {
                out.write_all(&number.to_le_bytes()).expect("a vector takes all");
            }
            let packed = out.finish().expect("it packs");
            assert_eq!(compare(&packed, &vec![0; memory().len()]), Err(Mismatch::Malformed), "{numbers:?}");
        }
    }
}
