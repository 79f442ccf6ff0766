//! Where records go: to a thread that seals and keeps what has come since it last did.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::image::Image;
use crate::limits;
use crate::trace::KeyFrame;
use crate::trace::binary::{Block, key_frame};

/// The recorder's end of it.
pub struct Tape {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    tell: fn(&str),
}

/// What keeps the records: a file, or the memory of the flight recorder.
pub trait Reel: Send + 'static {
    /// Takes what comes next; `guest_pauses` says whether key frames are to be expected. An error ends the recording, and
    /// says why.
    fn put(&mut self, piece: &Piece, guest_pauses: bool) -> Result<(), String>;

    /// All that it holds, if it is memory.
    fn snapshot(&self) -> Option<Snapshot> {
        None
    }
}

/// A sealed block.
pub struct Piece {
    /// As it stands in a file.
    pub bytes: Vec<u8>,
    /// Whether it is a key frame, at which a replay can begin.
    pub is_key_frame: bool,
    /// What was before it.
    pub begin: Moment,
    /// What is behind it.
    pub end: Moment,
}

/// A place in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// How many turns were before it.
    pub turn: u64,
    /// The time of the last of them: nanoseconds since the Unix epoch.
    pub time: u64,
}

/// What a flight recorder holds.
pub struct Snapshot {
    /// The blocks, as they stand in a file behind the beginning of a trace.
    pub blocks: Vec<Arc<[u8]>>,
    /// Where they begin.
    pub begin: Moment,
    /// Where they end.
    pub end: Moment,
    /// Behind which turn a replay can begin: the one where they begin, or that of the first key frame; none without one.
    pub replays_from: Option<u64>,
}

/// Whatever the recorder's thread does next.
enum Item {
    Block { block: Block, begin: Moment, end: Moment },
    KeyFrame(KeyFrame, Image),
    Snapshot(Sender<Option<Snapshot>>),
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// Bytes of the blocks in the queue.
    queued: usize,
    /// The records that have come since.
    block: Block,
    /// Where they begin.
    begin: Moment,
    /// Where they end.
    end: Moment,
    /// Memory for the block after this one: fresh memory costs more than what is written into it.
    spare: Vec<u8>,
    /// A key frame is being packed.
    packing: bool,
    /// Bytes of the last key frame.
    packed: u64,
    /// The guest did what it was told to, when it was last told to pause.
    guest_pauses: bool,
    /// Key frames have become too large.
    no_key_frames: bool,
    /// Nothing more comes.
    closed: bool,
    /// Nothing more is written.
    failed: bool,
}

impl Tape {
    /// A tape that writes to `output`, after what a trace begins with. `tell` is told when that ends before the run does;
    /// the run goes on.
    pub fn new(output: impl Write + Send + 'static, tell: fn(&str)) -> std::io::Result<Self> {
        Self::onto(Output(output), tell)
    }

    /// A tape whose blocks are kept by `reel`.
    pub fn onto(reel: impl Reel, tell: fn(&str)) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        let write = move || {
            if let Err(why) = theirs.write_to(reel, tell) {
                // In this order, for nobody waits for a tape that has failed.
                tell(&format!("recording has ended: {why}"));
                theirs.state().fail();
            }
        };
        let writer = std::thread::Builder::new().name("recorder".into()).spawn(write)?;
        Ok(Self { shared, writer: Some(writer), tell })
    }

    /// A way to ask for what it holds, from any thread.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots(self.shared.clone())
    }

    /// The run begins at this time.
    pub(super) fn begin(&mut self, time: u64) {
        let mut state = self.shared.state();
        state.end = Moment { turn: 0, time };
        state.begin = state.end;
    }

    /// Adds a record, behind which so many turns have been and it is that time. How many bytes it takes.
    pub(super) fn add(&mut self, turn: u64, time: u64, put: impl FnOnce(&mut Block)) -> u64 {
        let mut state = self.shared.state();
        if state.failed {
            return 0;
        }
        let before = state.block.len();
        if before == 0 {
            state.begin = state.end;
        }
        put(&mut state.block);
        state.end = Moment { turn, time };
        let after = state.block.len();
        if state.queued + after > limits::TRACE_BYTES_BUFFERED_MAX {
            // Told here, for the writer may never come back from what it writes to.
            (self.tell)("recording has ended: what happens comes faster than it can be written");
            state.fail();
        } else if after > limits::TRACE_BLOCK_BYTES {
            state.queue_block();
        }
        drop(state);
        if before == 0 {
            self.shared.changed.notify_one();
        }
        (after - before) as u64
    }

    /// Adds a key frame. The image in it is to be packed, and the pending requests are to be sorted.
    pub(super) fn key_frame(&mut self, key: KeyFrame, image: Image) {
        let mut state = self.shared.state();
        if state.failed {
            return;
        }
        state.packing = true;
        state.guest_pauses = true;
        state.queue_block();
        state.queue.push_back(Item::KeyFrame(key, image));
        drop(state);
        self.shared.changed.notify_one();
    }

    /// The guest has not paused, or its state cannot be copied.
    pub(super) fn guest_does_not_pause(&mut self) {
        self.shared.state().guest_pauses = false;
    }

    /// The packed size of the last key frame; none when there can be no other one now.
    pub(super) fn last_key_frame(&self) -> Option<u64> {
        let state = self.shared.state();
        let busy = state.packing || state.no_key_frames || state.failed;
        (!busy).then_some(state.packed)
    }

    /// Tells the operator.
    pub(super) fn tell(&self, what: &str) {
        (self.tell)(what);
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        let failed = state.failed;
        drop(state);
        self.shared.changed.notify_one();
        if let Some(writer) = self.writer.take().filter(|_| !failed) {
            // It has told of its failure itself.
            let _ = writer.join();
        }
    }
}

/// Asks a tape for what it holds.
#[derive(Clone)]
pub struct Snapshots(Arc<Shared>);

impl Snapshots {
    /// All that has been recorded until now, as far as it is kept. None when the tape is one that keeps nothing, or when
    /// recording has ended.
    pub fn take(&self) -> Option<Snapshot> {
        let (sender, receiver) = channel();
        let mut state = self.0.state();
        if state.closed || state.failed {
            return None;
        }
        state.queue_block();
        state.queue.push_back(Item::Snapshot(sender));
        drop(state);
        self.0.changed.notify_one();
        receiver.recv().ok().flatten()
    }
}

impl State {
    /// What comes next goes into another block.
    fn queue_block(&mut self) {
        if !self.block.is_empty() {
            self.queued += self.block.len();
            let next = Block::within(std::mem::take(&mut self.spare));
            let block = std::mem::replace(&mut self.block, next);
            self.queue.push_back(Item::Block { block, begin: self.begin, end: self.end });
        }
    }

    /// Keeps the memory of a block that is written, unless it is much.
    fn reuse(&mut self, memory: Vec<u8>) {
        if memory.capacity() <= 2 * limits::TRACE_BLOCK_BYTES {
            self.spare = memory;
        }
    }

    /// Whoever waits for something from the queue is told that it does not come.
    fn fail(&mut self) {
        self.failed = true;
        self.queue = VecDeque::new();
        self.queued = 0;
        self.block = Block::default();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until the tape is closed, or the reel takes no more.
    fn write_to(&self, mut reel: impl Reel, tell: fn(&str)) -> Result<(), String> {
        loop {
            let (items, pauses) = self.items()?;
            if items.is_empty() {
                return Ok(());
            }
            for item in items {
                match item {
                    Item::Block { block, begin, end } => {
                        let piece = Piece { bytes: block.seal(), is_key_frame: false, begin, end };
                        reel.put(&piece, pauses)?;
                        self.state().reuse(piece.bytes);
                    }
                    Item::KeyFrame(key, image) => self.put_key_frame(&mut reel, key, image, tell)?,
                    // Nobody may wait for it any more.
                    Item::Snapshot(sender) => drop(sender.send(reel.snapshot())),
                }
            }
        }
    }

    /// What there is to do, once there is something, and whether the guest pauses; nothing when the tape is closed.
    fn items(&self) -> Result<(VecDeque<Item>, bool), String> {
        let mut state = self.state();
        while state.block.is_empty() && state.queue.is_empty() && !state.closed && !state.failed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.queue.is_empty() && !state.closed {
            // What comes in the next milliseconds goes into the same block.
            drop(state);
            std::thread::sleep(Duration::from_millis(limits::TRACE_FLUSH_MILLIS));
            state = self.state();
        }
        state.queue_block();
        state.queued = 0;
        Ok((std::mem::take(&mut state.queue), state.guest_pauses))
    }

    fn put_key_frame(
        &self,
        reel: &mut impl Reel,
        mut key: KeyFrame,
        image: Image,
        tell: fn(&str),
    ) -> Result<(), String> {
        key.pending.sort_unstable_by_key(|(id, _)| *id);
        let packed = image.pack(Hurried { out: Vec::new(), shared: self });
        drop(image);
        key.image = packed.map(|packed| packed.out).unwrap_or_default();
        let moment = Moment { turn: key.turn, time: key.time };
        let mut bytes = key_frame(&key).filter(|_| !key.image.is_empty());
        let is_key_frame = bytes.is_some();
        if !is_key_frame {
            // What the guest had sent until now is summed up in it all the same.
            key.image = Vec::new();
            bytes = key_frame(&key);
            tell("note: the guest's memory has become too large for key frames, of which there are no more");
        }
        let bytes = bytes.ok_or("a key frame is too large")?;
        let size = bytes.len() as u64;
        reel.put(&Piece { bytes, is_key_frame, begin: moment, end: moment }, is_key_frame)?;
        let mut state = self.state();
        (state.packing, state.packed) = (false, size);
        if !is_key_frame {
            (state.no_key_frames, state.guest_pauses) = (true, false);
        }
        Ok(())
    }
}

/// Takes what is packed, as long as what happens meanwhile leaves time for it: a run that is recorded without key frames is
/// better than one whose recording ends.
struct Hurried<'a> {
    out: Vec<u8>,
    shared: &'a Shared,
}

impl Write for Hurried<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.shared.state().queued > limits::TRACE_BYTES_BUFFERED_MAX / 2 {
            return Err(std::io::Error::other("it takes too long"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file.
struct Output<W>(W);

impl<W: Write + Send + 'static> Reel for Output<W> {
    fn put(&mut self, piece: &Piece, _: bool) -> Result<(), String> {
        self.0.write_all(&piece.bytes).and_then(|()| self.0.flush()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Sent;

    /// Whether each piece that came was a key frame.
    struct Pieces(Vec<bool>);

    impl Reel for Pieces {
        fn put(&mut self, piece: &Piece, _: bool) -> Result<(), String> {
            self.0.push(piece.is_key_frame);
            Ok(())
        }
    }

    #[test]
    fn a_key_frame_that_would_end_the_recording_is_given_up() {
        let (shared, mut pieces) = (Shared::default(), Pieces(Vec::new()));
        for waiting in [0, limits::TRACE_BYTES_BUFFERED_MAX / 2 + 1] {
            shared.state().queued = waiting;
            let (sent, pending, image) = (Sent::default(), Vec::new(), Vec::new());
            let key = KeyFrame { turn: 1, time: 1, sent, requests: 0, pending, image };
            shared.put_key_frame(&mut pieces, key, Image::default(), |_| {}).expect("the recording goes on");
        }
        // The other one stands there too, with what had been sent.
        assert_eq!(pieces.0, [true, false]);
        assert!(shared.state().no_key_frames);
    }
}
