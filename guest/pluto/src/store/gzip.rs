//! The gzip format (RFC 1952) around the encoder of `miniz_oxide`.

use crate::limits::COMPRESSION_LEVEL;
use crc32fast::Hasher;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params};

/// A stream that is being compressed. The same content gives the same bytes.
pub struct Gzip {
    encoder: Box<CompressorOxide>,
    crc: Hasher,
    length: u32,
    out: Vec<u8>,
}

/// RFC 1952 §2.3.1: deflate; no name, no time, and from an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A deflate stream without a format of its own around it, and no special strategy.
const RAW: i32 = -15;
const STRATEGY_DEFAULT: i32 = 0;

impl Gzip {
    /// An empty one.
    pub fn new() -> Gzip {
        let flags = create_comp_flags_from_zip_params(COMPRESSION_LEVEL, RAW, STRATEGY_DEFAULT);
        Gzip { encoder: Box::new(CompressorOxide::new(flags)), crc: Hasher::new(), length: 0, out: HEADER.to_vec() }
    }

    /// Takes more content.
    pub fn write(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        // RFC 1952 §2.3.1: the length is told modulo 2^32.
        self.length = self.length.wrapping_add(bytes.len() as u32);
        self.compress(bytes, TDEFLFlush::None);
    }

    /// All of it, compressed.
    pub fn finish(mut self) -> Vec<u8> {
        self.compress(&[], TDEFLFlush::Finish);
        self.out.extend_from_slice(&self.crc.finalize().to_le_bytes());
        self.out.extend_from_slice(&self.length.to_le_bytes());
        self.out
    }

    fn compress(&mut self, bytes: &[u8], flush: TDEFLFlush) {
        // All of it is taken, for the vector takes all that comes.
        compress_to_output(&mut self.encoder, bytes, flush, |more| {
            self.out.extend_from_slice(more);
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::inflate::decompress_to_vec;

    #[test]
    fn what_is_compressed_in_pieces_comes_out_again() {
        let content: Vec<u8> =
            (0..100_000_u32).flat_map(|number| number.wrapping_mul(number).to_string().into_bytes()).collect();
        for (length, piece) in [(0, 1), (1, 1), (1_000, 7), (100_000, 32 << 10), (content.len(), content.len())] {
            let mut gzip = Gzip::new();
            content[..length].chunks(piece).for_each(|piece| gzip.write(piece));
            let bytes = gzip.finish();
            let (stream, trailer) = bytes[HEADER.len()..].split_at(bytes.len() - HEADER.len() - 8);
            assert!(decompress_to_vec(stream).expect("deflate") == content[..length], "{length} in {piece}");
            assert_eq!(trailer[..4], crc32fast::hash(&content[..length]).to_le_bytes());
            assert_eq!(trailer[4..], (length as u32).to_le_bytes());
        }
    }

    /// RFC 1952 §8: the CRC of the nine digits is known.
    #[test]
    fn the_checksum_is_that_of_the_format() {
        let mut gzip = Gzip::new();
        gzip.write(b"123456789");
        assert!(gzip.finish().ends_with(&[0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0]));
    }
}
