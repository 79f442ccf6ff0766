//! The flight recorder: the last blocks of a trace, in memory.
//!
//! A trace can be replayed only from its beginning or from a key frame. So when there is too much,
//! everything before a key frame is dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use super::background_writer::{Moment, SealedBlock, Sink, Snapshot};
use crate::binary::Block;
use crate::limits;

/// Keeps the last blocks.
pub struct Flight {
    kept: VecDeque<KeptBlock>,
    /// What they take of memory.
    bytes: u64,
    bytes_max: u64,
    /// Of the last key frame.
    key_frame_bytes: u64,
    end: Moment,
    notified: Notified,
    tell: fn(&str),
}

struct KeptBlock {
    bytes: Arc<[u8]>,
    is_key_frame: bool,
    begin: Moment,
}

/// What the operator was told already.
#[derive(Default)]
struct Notified {
    cut: bool,
    larger: bool,
}

/// What a block takes besides its bytes.
const BLOCK_BYTES_BESIDES: u64 = size_of::<KeptBlock>() as u64 + 32;

impl Flight {
    /// Keeps about so many bytes.
    pub fn new(bytes_max: u64, tell: fn(&str)) -> Self {
        let (kept, end, notified) = (VecDeque::new(), Moment::default(), Notified::default());
        Self { kept, bytes: 0, bytes_max, key_frame_bytes: 0, end, notified, tell }
    }

    /// Bytes between two key frames, for a recorder of this size.
    pub fn key_frame_every(bytes_max: u64) -> u64 {
        bytes_max / limits::FLIGHT_PARTS
    }

    fn limit(&mut self) -> u64 {
        let least = limits::FLIGHT_KEY_FRAMES_MIN * self.key_frame_bytes;
        if least > self.bytes_max && !std::mem::replace(&mut self.notified.larger, true) {
            let [size, key, least] = [self.bytes_max, self.key_frame_bytes, least].map(|bytes| bytes.div_ceil(1 << 10));
            (self.tell)(&format!(
                "note: the flight recorder needs up to {least} KiB instead of {size}, because a key frame of this guest has {key} KiB"
            ));
        }
        self.bytes_max.max(least)
    }

    fn drop_first(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            let bytes = kept.bytes.len() as u64 + BLOCK_BYTES_BESIDES;
            self.bytes = self.bytes.checked_sub(bytes).expect("what is kept was counted");
        }
    }

    /// Drops what stands before the second place at which a replay can begin, if there is one.
    fn drop_before_key_frame(&mut self) -> bool {
        let next = self.kept.iter().skip(1).position(|kept| kept.is_key_frame);
        (0..next.map_or(0, |before| before + 1)).for_each(|_| self.drop_first());
        next.is_some()
    }

    /// Drops the first block, without which the next cannot be replayed.
    fn cut(&mut self) {
        self.drop_first();
        if !std::mem::replace(&mut self.notified.cut, true) {
            (self.tell)(
                "note: the flight recorder is full, and this guest gives no key frame to begin at: what it keeps from now on can be \
                 read, and not be replayed",
            );
        }
    }
}

impl KeptBlock {
    /// Whether a replay can begin with it.
    fn begins_replay(&self) -> bool {
        self.is_key_frame || self.begin.turn == 0
    }
}

impl Sink for Flight {
    fn put(&mut self, sealed: &SealedBlock, guest_pauses: bool) -> Result<(), String> {
        let SealedBlock { bytes, is_key_frame, begin, end } = sealed;
        self.bytes += bytes.len() as u64 + BLOCK_BYTES_BESIDES;
        if *is_key_frame {
            self.key_frame_bytes = bytes.len() as u64;
        }
        self.kept.push_back(KeptBlock { bytes: bytes.as_slice().into(), is_key_frame: *is_key_frame, begin: *begin });
        self.end = *end;
        let limit = self.limit();
        while self.bytes > limit && self.drop_before_key_frame() {}
        // The next key frame may be on its way, behind what came while the last one was packed.
        let slack = if guest_pauses { limits::FLIGHT_BYTES_LATE_MAX } else { 0 };
        while self.bytes > limit.saturating_add(slack) && self.kept.len() > 1 {
            self.cut();
        }
        Ok(())
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let begin = self.kept.front().map_or(self.end, |kept| kept.begin);
        let is_cut = self.kept.front().is_some_and(|kept| !kept.begins_replay());
        let first = self.kept.iter().find(|kept| kept.begins_replay());
        let replays_from = if is_cut { first.map(|kept| kept.begin.turn) } else { Some(begin.turn) };
        let mut blocks: Vec<Arc<[u8]>> = self.kept.iter().map(|kept| kept.bytes.clone()).collect();
        if is_cut {
            let mut cut = Block::default();
            cut.cut(begin.turn);
            blocks.insert(0, cut.seal().into());
        }
        Some(Snapshot { blocks, begin, end: self.end, replays_from })
    }
}
