//! The seal behind the code in a file of the cache: the length of the code and a checksum. Disks
//! lose bits and file systems lose pages, and the processor would run what is left.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// What the file is: a version that writes another one has other names for its files.
pub const FORMAT: &[u8; 16] = b"pluto-host code1";

/// The format, the length of the code (8 bytes), its XXH3 (16 bytes); numbers with the least
/// significant byte first.
const BYTES: usize = FORMAT.len() + 8 + 16;

/// What is read at a time: it stays in the processor's cache.
const PIECE_BYTES: usize = 256 << 10;

/// The seal of code.
pub fn of(code: &[u8]) -> [u8; BYTES] {
    seal(code.len() as u64, xxh3_128(code))
}

/// Whether a file is code with its seal, as it was written.
pub fn is_whole(file: &File) -> bool {
    digest(file).is_ok_and(|(length, digest, found)| found == seal(length, digest))
}

/// The code in a file, without its seal.
pub fn content(file: &File) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(length(file)?).map_err(io::Error::other)?];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// How long the code in a file is, its digest, and the seal that stands behind it.
fn digest(file: &File) -> io::Result<(u64, u128, [u8; BYTES])> {
    let length = length(file)?;
    let mut digest = Xxh3::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut code = file.take(length);
    loop {
        match code.read(&mut piece)? {
            0 => break,
            read => digest.update(&piece[..read]),
        }
    }
    let mut found = [0; BYTES];
    file.read_exact_at(&mut found, length)?;
    Ok((length, digest.digest128(), found))
}

fn length(file: &File) -> io::Result<u64> {
    file.metadata()?.len().checked_sub(BYTES as u64).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn seal(length: u64, digest: u128) -> [u8; BYTES] {
    let mut seal = [0; BYTES];
    seal[..16].copy_from_slice(FORMAT);
    seal[16..24].copy_from_slice(&length.to_le_bytes());
    seal[24..].copy_from_slice(&digest.to_le_bytes());
    seal
}
