//! Records any world: its answers and, now and then, the state of the guest.
//!
//! A turn costs the encoding of its answers, and a lock that nobody else holds for long; another
//! thread writes. When a key frame is due and the guest has a request for signals pending, the
//! recorder adds `signal(pause)` to the next batch, as if the world had sent it. A guest that
//! knows this signal pauses, and its memory is copied.

mod background_writer;
mod flight;
#[cfg(test)]
mod tests;

pub use self::background_writer::{BackgroundWriter, Snapshot, Snapshots};
pub use self::flight::Flight;
use crate::binary::Block;
use crate::image::{Image, Mismatch};
use crate::key_frames::{AtPause, KeyFrames};
use crate::limits;
use crate::{End, KeyFrame, RequestHasher};
use pluto_contract::stop::{Exit, StopReason};
use pluto_contract::world::{Batch, World};
use pluto_contract::{Answer, Arity, Level, Reply, Request, Signal, Submission};

/// A world whose answers are written down.
pub struct Recorder {
    /// Before the world, whose end may take a while: the last block is written first.
    writer: BackgroundWriter,
    inner: Box<dyn World>,
    hasher: RequestHasher,
    keys: Keys,
    /// How many turns there were.
    turns: u64,
    /// How many requests the guest has sent in them.
    requests: u64,
    /// The time of the last turn.
    time: u64,
    on_end: Option<OnEnd>,
}

/// Is told how a run has ended, when the writer has all of it.
pub type OnEnd = Box<dyn FnMut(&Exit)>;

impl Recorder {
    /// Records `inner` by `writer`, with a key frame after every so many bytes. None is closer to
    /// the last than so many times its own size.
    pub fn new(inner: Box<dyn World>, writer: BackgroundWriter, every: u64, factor: u64) -> Self {
        let keys = Keys { every, factor, since: 0, signals: None, state: State::Running };
        Self { writer, inner, hasher: RequestHasher::default(), keys, turns: 0, requests: 0, time: 0, on_end: None }
    }

    /// Tells `on_end` how the run ends.
    pub fn then(mut self, on_end: OnEnd) -> Self {
        self.on_end = Some(on_end);
        self
    }
}

impl World for Recorder {
    fn start(&mut self) -> u64 {
        self.time = self.inner.start();
        self.writer.begin(self.time);
        self.time
    }

    fn submit(&mut self, submission: Submission) {
        self.hasher.add(&submission);
        self.keys.sent(&submission);
        self.inner.submit(submission);
    }

    fn wait(&mut self) -> Result<Batch, StopReason> {
        if self.keys.state == State::Asked {
            self.writer.guest_does_not_pause();
        }
        let mut batch = self.inner.wait()?;
        self.keys.received(&batch.answers);
        if let Some(id) = self.keys.ask(&self.writer) {
            batch.answers.push(Answer { id, reply: Reply::Signal(Signal::Pause) });
        }
        let sent = self.hasher.take();
        self.turns += 1;
        self.requests += sent.count;
        self.time = self.time.max(batch.time);
        let put = |block: &mut Block| block.turn(sent, batch.time, &batch.answers);
        self.keys.since += match batch.answers.iter().map(content_bytes).sum() {
            bytes if bytes > limits::TRACE_TURN_LARGE_BYTES => self.writer.add_large(self.turns, self.time, bytes, put),
            _ => self.writer.add(self.turns, self.time, put),
        };
        Ok(batch)
    }

    fn log(&mut self, level: Level, message: &str) {
        self.inner.log(level, message);
    }
}

impl KeyFrames for Recorder {
    fn resume(&mut self) -> Option<KeyFrame> {
        None
    }

    fn paused(&mut self) -> Result<AtPause, StopReason> {
        Ok(if self.keys.state == State::Asked { AtPause::Capture } else { AtPause::GoOn })
    }

    fn captured(&mut self, captured: Result<(Image, Vec<(u64, Arity)>), String>) {
        match captured {
            Ok((image, pending)) => {
                let sent = self.hasher.take();
                self.requests += sent.count;
                let (turn, time, requests) = (self.turns, self.time, self.requests);
                self.writer.key_frame(KeyFrame { turn, time, sent, requests, pending, image: Vec::new() }, image);
                self.keys.state = State::Running;
                self.keys.since = 0;
            }
            Err(why) => {
                self.keys.state = State::Never;
                self.writer.guest_does_not_pause();
                self.writer
                    .tell(&format!("note: this guest gets no key frames, so replays start at the beginning: {why}"));
            }
        }
    }

    fn compared(&mut self, _: Result<(), Mismatch>) -> Result<(), StopReason> {
        unreachable!("a recorder wants images, and has none to compare")
    }

    fn ended(&mut self, exit: &Exit) {
        let end = End { sent: self.hasher.take(), exit: exit.clone() };
        self.writer.add(self.turns, self.time, |block| block.end(&end));
        if let Some(on_end) = &mut self.on_end {
            on_end(exit);
        }
    }
}

/// About how many bytes an answer takes in a trace, when it is of the kinds that can take many.
fn content_bytes(answer: &Answer) -> usize {
    let contents = match &answer.reply {
        Reply::Data(bytes) | Reply::Changed(bytes) => bytes.len(),
        Reply::Listed(entries) => entries.iter().map(|entry| entry.name.len() + size_of_val(entry)).sum(),
        Reply::Gathered(posts) => posts.iter().map(|post| post.len() + size_of_val(post)).sum(),
        _ => 0,
    };
    ANSWER_BYTES + contents
}

/// What an answer without contents takes at most: an id, a handle, the metadata of a file.
const ANSWER_BYTES: usize = 64;

/// When a key frame is due.
struct Keys {
    /// Bytes of trace between two of them.
    every: u64,
    /// They are at least so many times the size of the last one apart.
    factor: u64,
    /// Bytes since the last one, or since the guest was asked for one in vain.
    since: u64,
    /// A request for signals that is pending.
    signals: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// The guest was told to pause, and has not yet done it.
    Asked,
    /// Its state cannot be copied.
    Never,
}

impl Keys {
    fn sent(&mut self, submission: &Submission) {
        if submission.request == Request::Signals {
            self.signals = Some(submission.id);
        }
    }

    fn received(&mut self, answers: &[Answer]) {
        let Some(id) = self.signals else { return };
        if answers.iter().any(|answer| answer.id == id && matches!(answer.reply, Reply::Failed(_))) {
            self.signals = None;
        }
    }

    /// The request to be answered `signal(pause)`, when a key frame is due.
    fn ask(&mut self, writer: &BackgroundWriter) -> Option<u64> {
        let id = self.signals?;
        if self.state == State::Never || self.since < self.every {
            return None;
        }
        let last = writer.last_key_frame()?;
        if self.since < self.factor.saturating_mul(last) {
            return None;
        }
        self.state = State::Asked;
        self.since = 0;
        Some(id)
    }
}
