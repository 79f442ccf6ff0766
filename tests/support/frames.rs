//! The blocks of a trace with their frames, to be changed in ways in which a writer would not
//! write them.

use pluto_trace::binary::MAGIC;
use xxhash_rust::xxh3::xxh3_64;

/// What stands before the first block.
pub const PREAMBLE_BYTES: usize = MAGIC.len() + 2;

/// A block with its frame.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let check = (xxh3_64(&length) as u32).to_le_bytes();
    [&length[..], &check, &xxh3_64(payload).to_le_bytes(), payload].concat()
}

/// The blocks of a trace, without their frames.
pub fn blocks(trace: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut blocks) = (&trace[PREAMBLE_BYTES..], Vec::new());
    while let Some((frame, after)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(frame[..4].try_into().expect("four bytes")) as usize;
        blocks.push(after[..length].to_vec());
        rest = &after[length..];
    }
    blocks
}

/// A trace of blocks.
pub fn of_blocks(preamble: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
    let framed: Vec<u8> = blocks.iter().flat_map(|block| framed(block)).collect();
    [preamble, &framed].concat()
}
