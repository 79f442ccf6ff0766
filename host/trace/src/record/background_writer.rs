//! The thread that writes records: it seals and writes what has come since it last did.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::KeyFrame;
use crate::binary::{Block, key_frame};
use crate::image::Image;
use crate::limits;

/// Where a recorder puts its records: a thread of its own seals and keeps them.
pub struct BackgroundWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    tell: fn(&str),
}

/// What keeps the records: a file, or the memory of the flight recorder.
pub trait Sink: Send + 'static {
    /// Takes what comes next; `guest_pauses` says whether key frames are to be expected. An error
    /// ends the recording, and says why.
    fn put(&mut self, sealed: &SealedBlock, guest_pauses: bool) -> Result<(), String>;

    /// All that it holds, if it is memory.
    fn snapshot(&self) -> Option<Snapshot> {
        None
    }
}

/// A sealed block.
pub struct SealedBlock {
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
    /// Behind which turn a replay can begin: the one where they begin, or that of the first key
    /// frame; none without one.
    pub replays_from: Option<u64>,
}

/// Whatever the recorder's thread does next.
enum Item {
    Block { block: Block, is_large: bool, begin: Moment, end: Moment },
    KeyFrame(KeyFrame, Image),
    Snapshot(Sender<Option<Snapshot>>),
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to do for the thread.
    changed: Condvar,
    /// The thread has done something that others may wait for.
    done: Condvar,
    /// How many pieces the file has taken: whether it takes any is what a wait for it depends on.
    taken: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// Bytes of the blocks that are not written, but for those of large turns.
    queued: usize,
    /// Bytes of large turns that are not written.
    large: usize,
    /// How opening the file ended, once it has.
    opened: Option<Result<(), String>>,
    /// The thread has ended.
    over: bool,
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

impl BackgroundWriter {
    /// A writer into the file that `open` opens, which begins with these bytes.
    ///
    /// A disk can stall, and a pipe may have a reader who reads nothing; so the file is opened and
    /// written by a thread of its own. An error that shows within `TRACE_OPEN_MILLIS_MAX` is
    /// returned. `tell` is told of a later one; it ends the recording, and the run goes on.
    pub fn file<W: Write + Send + 'static>(
        beginning: Vec<u8>,
        open: impl FnOnce() -> Result<W, String> + Send + 'static,
        tell: fn(&str),
    ) -> Result<Self, String> {
        let begin = move |shared: &Arc<Shared>| {
            let mut output = Output { file: open()?, shared: shared.clone() };
            output.write(&beginning)?;
            Ok(output)
        };
        Self::spawn(begin, tell)
    }

    /// A writer whose blocks are kept by `sink`.
    pub fn onto(sink: impl Sink, tell: fn(&str)) -> Result<Self, String> {
        Self::spawn(|_| Ok(sink), tell)
    }

    fn spawn<R: Sink>(
        begin: impl FnOnce(&Arc<Shared>) -> Result<R, String> + Send + 'static,
        tell: fn(&str),
    ) -> Result<Self, String> {
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        let write = move || {
            let _over = Over(&theirs);
            let written = begin(&theirs).and_then(|sink| {
                theirs.is_opened(Ok(()));
                theirs.write_to(sink, tell)
            });
            if let Err(why) = written {
                theirs.cannot_go_on(&why, tell);
            }
        };
        let thread = thread::Builder::new().name("recorder".into()).spawn(write).map_err(|error| error.to_string())?;
        let writer = Self { shared, thread: Some(thread), tell };
        writer.wait_until_opened()?;
        Ok(writer)
    }

    /// Waits a moment for the file to be opened, and its beginning to be written.
    fn wait_until_opened(&self) -> Result<(), String> {
        let patience = Duration::from_millis(limits::TRACE_OPEN_MILLIS_MAX);
        let state = self.shared.state();
        let is_pending = |state: &mut State| state.opened.is_none();
        let waited = self.shared.done.wait_timeout_while(state, patience, is_pending);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.opened.clone() {
            Some(Err(why)) => return Err(why),
            Some(Ok(())) => {}
            // From now on an error is told and not returned.
            None => {
                state.opened = Some(Ok(()));
                (self.tell)("note: the trace file takes no data yet; the recording is kept in memory meanwhile");
            }
        }
        Ok(())
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

    /// Adds a record, behind which so many turns have been and it is that time. How many bytes it
    /// takes.
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
            (self.tell)("recording has ended: what happens comes faster than it can be written; the server goes on");
            self.shared.fail(&mut state);
        } else if after > limits::TRACE_BLOCK_BYTES {
            state.queue_block(false);
        }
        drop(state);
        if before == 0 {
            self.shared.changed.notify_one();
        }
        (after - before) as u64
    }

    /// Adds a turn of which about so many bytes are contents, and which goes into a block of its
    /// own. The guest waits until the large turn before it is written: so no more than one of them
    /// is held.
    pub(super) fn add_large(&mut self, turn: u64, time: u64, bytes: usize, put: impl FnOnce(&mut Block)) -> u64 {
        let seconds = limits::TRACE_STALL_SECONDS_MAX;
        let (mut state, is_written) = self.shared.wait_while(seconds, |state| state.large > 0 && !state.failed);
        if state.failed {
            return 0;
        }
        if !is_written {
            (self.tell)(&format!(
                "recording has ended: a turn has {} MiB, and the large turn before it was not written within {seconds} s",
                bytes >> 20
            ));
            self.shared.fail(&mut state);
            return 0;
        }
        state.queue_block(false);
        state.begin = state.end;
        state.block.reserve(bytes);
        put(&mut state.block);
        state.end = Moment { turn, time };
        let length = state.block.len();
        if length > limits::TRACE_BLOCK_BYTES_MAX {
            let (length, most) = (length >> 20, limits::TRACE_BLOCK_BYTES_MAX >> 20);
            (self.tell)(&format!(
                "recording has ended: a turn of {length} MiB is larger than a trace can hold ({most} MiB)"
            ));
            self.shared.fail(&mut state);
        } else {
            state.queue_block(true);
        }
        drop(state);
        self.shared.changed.notify_one();
        length as u64
    }

    /// Adds a key frame. The image in it is to be packed, and the pending requests are to be
    /// sorted.
    pub(super) fn key_frame(&mut self, key: KeyFrame, image: Image) {
        let mut state = self.shared.state();
        if state.failed {
            return;
        }
        state.packing = true;
        state.guest_pauses = true;
        state.queue_block(false);
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

impl Drop for BackgroundWriter {
    /// Waits until all is written, as long as the file takes something.
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
        let seconds = limits::TRACE_END_SECONDS_MAX;
        let (mut state, is_written) = self.shared.wait_while(seconds, |state| !state.over && !state.failed);
        if state.failed {
            // This was told when it came to be so.
            return;
        }
        if !is_written {
            // What is written after that, if anything is, may as well be there.
            state.failed = true;
            (self.tell)("the end of the trace is missing: its file did not take the data in time");
            return;
        }
        drop(state);
        if let Some(thread) = self.thread.take() {
            // It has told of its failure itself.
            let _ = thread.join();
        }
    }
}

/// Says at the end of the recorder's thread that this is it, whatever has led to it.
struct Over<'a>(&'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.state().over = true;
        self.0.done.notify_all();
    }
}

/// Asks a writer for what it holds.
#[derive(Clone)]
pub struct Snapshots(Arc<Shared>);

impl Snapshots {
    /// All that has been recorded until now, as far as it is kept. None when the writer is one
    /// that keeps nothing, or when recording has ended.
    pub fn take(&self) -> Option<Snapshot> {
        let (sender, receiver) = channel();
        let mut state = self.0.state();
        if state.closed || state.failed {
            return None;
        }
        state.queue_block(false);
        state.queue.push_back(Item::Snapshot(sender));
        drop(state);
        self.0.changed.notify_one();
        receiver.recv().ok().flatten()
    }
}

impl State {
    /// What comes next goes into another block.
    fn queue_block(&mut self, is_large: bool) {
        if !self.block.is_empty() {
            *self.held(is_large) += self.block.len();
            let next = Block::within(std::mem::take(&mut self.spare));
            let block = std::mem::replace(&mut self.block, next);
            self.queue.push_back(Item::Block { block, is_large, begin: self.begin, end: self.end });
        }
    }

    /// Bytes of blocks that are not written, of large turns or of all others.
    fn held(&mut self, is_large: bool) -> &mut usize {
        if is_large { &mut self.large } else { &mut self.queued }
    }

    /// Keeps the memory of a block that is written, unless it is much.
    fn reuse(&mut self, memory: Vec<u8>) {
        if memory.capacity() <= 2 * limits::TRACE_BLOCK_BYTES {
            self.spare = memory;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits for something from the queue is told that it does not come.
    fn fail(&self, state: &mut State) {
        state.failed = true;
        state.queue = VecDeque::new();
        (state.queued, state.large) = (0, 0);
        state.block = Block::default();
        self.done.notify_all();
    }

    /// The file is opened, or why not. Whether nobody waits for that any more.
    fn is_opened(&self, result: Result<(), String>) -> bool {
        let mut state = self.state();
        let is_late = state.opened.is_some();
        state.opened.get_or_insert(result);
        self.done.notify_all();
        is_late
    }

    /// The thread ends before the run does.
    fn cannot_go_on(&self, why: &str, tell: fn(&str)) {
        let is_told_by_us = self.is_opened(Err(why.to_owned())) && !self.state().failed;
        if is_told_by_us {
            // Before it is known to have failed, for nobody waits for a writer that has.
            tell(&format!("recording has ended: {why}"));
        }
        self.fail(&mut self.state());
    }

    /// Waits for the thread, so many seconds at most, and as long as the file takes something.
    /// Whether what was waited for has come.
    fn wait_while(&self, seconds_max: u64, is_to_wait: impl Fn(&State) -> bool) -> (MutexGuard<'_, State>, bool) {
        let end = Instant::now() + Duration::from_secs(seconds_max);
        let stall = Duration::from_secs(limits::TRACE_STALL_SECONDS_MAX);
        let mut state = self.state();
        let (mut taken, mut since) = (self.taken.load(Ordering::Relaxed), Instant::now());
        while is_to_wait(&state) {
            let left = end.min(since + stall).saturating_duration_since(Instant::now());
            if left.is_zero() {
                let now = self.taken.load(Ordering::Relaxed);
                if now == taken || Instant::now() >= end {
                    return (state, false);
                }
                (taken, since) = (now, Instant::now());
                continue;
            }
            (state, _) = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        (state, true)
    }

    /// Writes until the writer is closed, or the sink takes no more.
    fn write_to(&self, mut sink: impl Sink, tell: fn(&str)) -> Result<(), String> {
        loop {
            let (items, pauses) = self.items()?;
            if items.is_empty() {
                return Ok(());
            }
            for item in items {
                match item {
                    Item::Block { block, is_large, begin, end } => {
                        let length = block.len();
                        let sealed = SealedBlock { bytes: block.seal(), is_key_frame: false, begin, end };
                        sink.put(&sealed, pauses)?;
                        let mut state = self.state();
                        state.reuse(sealed.bytes);
                        let held = state.held(is_large);
                        *held = held.saturating_sub(length);
                        if is_large {
                            self.done.notify_all();
                        }
                    }
                    Item::KeyFrame(key, image) => self.put_key_frame(&mut sink, key, image, tell)?,
                    // Nobody may wait for it any more.
                    Item::Snapshot(sender) => drop(sender.send(sink.snapshot())),
                }
            }
        }
    }

    /// What there is to do, once there is something, and whether the guest pauses; nothing when
    /// the writer is closed.
    fn items(&self) -> Result<(VecDeque<Item>, bool), String> {
        let mut state = self.state();
        while state.block.is_empty() && state.queue.is_empty() && !state.closed && !state.failed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.queue.is_empty() && !state.closed {
            // What comes in the next milliseconds goes into the same block.
            drop(state);
            thread::sleep(Duration::from_millis(limits::TRACE_FLUSH_MILLIS));
            state = self.state();
        }
        state.queue_block(false);
        Ok((std::mem::take(&mut state.queue), state.guest_pauses))
    }

    fn put_key_frame(
        &self,
        sink: &mut impl Sink,
        mut key: KeyFrame,
        image: Image,
        tell: fn(&str),
    ) -> Result<(), String> {
        key.pending.sort_unstable_by_key(|(id, _)| *id);
        let packed = image.pack(DeadlineWriter { out: Vec::new(), shared: self });
        drop(image);
        key.image = packed.map(|packed| packed.out).unwrap_or_default();
        let moment = Moment { turn: key.turn, time: key.time };
        let mut bytes = key_frame(&key).filter(|_| !key.image.is_empty());
        let is_key_frame = bytes.is_some();
        if !is_key_frame {
            // What the guest had sent until now is summed up in it all the same.
            key.image = Vec::new();
            bytes = key_frame(&key);
            tell("note: no more key frames: the guest's memory has become too large to copy");
        }
        let bytes = bytes.ok_or("a key frame is too large")?;
        let size = bytes.len() as u64;
        sink.put(&SealedBlock { bytes, is_key_frame, begin: moment, end: moment }, is_key_frame)?;
        let mut state = self.state();
        (state.packing, state.packed) = (false, size);
        if !is_key_frame {
            (state.no_key_frames, state.guest_pauses) = (true, false);
        }
        Ok(())
    }
}

/// Takes what is packed, as long as what happens meanwhile leaves time for it: a run that is
/// recorded without key frames is better than one whose recording ends.
struct DeadlineWriter<'a> {
    out: Vec<u8>,
    shared: &'a Shared,
}

impl Write for DeadlineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.shared.state().queued > limits::TRACE_BYTES_BUFFERED_MAX / 2 {
            return Err(std::io::Error::other("it takes too long"));
        }
        if self.out.len() + bytes.len() > limits::TRACE_BLOCK_BYTES_MAX {
            return Err(std::io::Error::other("it is larger than a block can be"));
        }
        // Who waits for the end of the recording waits for this.
        self.shared.taken.fetch_add(1, Ordering::Relaxed);
        self.out.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file.
struct Output<W> {
    file: W,
    shared: Arc<Shared>,
}

impl<W: Write> Output<W> {
    /// Writes all of it, in pieces after each of which it is known that the file takes something.
    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        for piece in bytes.chunks(limits::TRACE_BLOCK_BYTES) {
            self.file.write_all(piece).map_err(|error| error.to_string())?;
            self.shared.taken.fetch_add(1, Ordering::Relaxed);
        }
        self.file.flush().map_err(|error| error.to_string())
    }
}

impl<W: Write + Send + 'static> Sink for Output<W> {
    fn put(&mut self, sealed: &SealedBlock, _: bool) -> Result<(), String> {
        self.write(&sealed.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sent;

    /// Whether each piece that came was a key frame.
    struct Pieces(Vec<bool>);

    impl Sink for Pieces {
        fn put(&mut self, sealed: &SealedBlock, _: bool) -> Result<(), String> {
            self.0.push(sealed.is_key_frame);
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
