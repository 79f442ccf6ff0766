//! A world that is a trace: no sockets, no files, no clock. It gives the recorded answers, and
//! compares what the guest sends with what was recorded.

use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;

use crate::binary::{TraceError, TraceReader};
use crate::image::{Image, Mismatch};
use crate::key_frames::{AtPause, KeyFrames};
use crate::limits;
use crate::{End, KeyFrame, Record, RequestHasher, Sent};
use pluto_contract::stop::{Exit, StopReason};
use pluto_contract::world::{Batch, World};
use pluto_contract::{Answer, Arity, Level, Submission};

/// The world of a trace.
pub struct Replay<R> {
    trace: TraceReader<R>,
    hasher: RequestHasher,
    /// Bytes of the requests and the log lines of this turn.
    kept: usize,
    /// The guest behaves otherwise than it was recorded; nothing more is compared.
    outcome: Rc<RefCell<Outcome>>,
    /// Runs up to this turn, and keeps what was sent before it.
    until: u64,
    /// Of the last batch.
    time: u64,
    /// Whether the guest is the recorded one, whose memory must be that of each key frame.
    compares_images: bool,
    watcher: Option<Watcher>,
}

/// Is told of each turn, as it begins.
pub type Observer = Box<dyn FnMut(Step)>;

/// Looks at each turn, as it begins, without a copy of it. It may take what the guest sent and
/// logged, and leaves the answers.
pub type Watcher = Box<dyn FnMut(&mut Step)>;

/// One turn, with what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Counted from 1; the number 0 is what the guest does before it receives for the first time.
    pub turn: u64,
    /// What the guest sent since the turn before.
    pub sent: Vec<Submission>,
    /// What it logged meanwhile.
    pub log: Vec<(Level, String)>,
    /// The time of the batch: nanoseconds since the Unix epoch. At the end of the run, that of the
    /// last batch.
    pub time: u64,
    /// What it receives. Nothing at the end of the run.
    pub answers: Vec<Answer>,
    /// How the run ended; the last step only.
    pub end: Option<Exit>,
}

/// What has come of a replay.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The turn at which the replay began: 0, or that of a key frame.
    pub begin: u64,
    /// The turn that was reached, which is how many batches were given when the replay began at
    /// the beginning.
    pub turns: u64,
    /// The requests of all turns since then.
    pub requests: u64,
    /// Where the guest did something else than it was recorded to do.
    pub divergence: Option<Divergence>,
    /// Why the trace could not be read to its end.
    pub error: Option<TraceError>,
    /// Whether the trace says how the run ended; a host that was killed could not write it.
    pub ended: bool,
    /// What the guest sent since the last turn.
    pub sent: Vec<Submission>,
    /// The last lines of the guest's log.
    pub log: Vec<(Level, String)>,
    /// What wasmtime said of a trap; for whoever runs the guest to put here.
    pub trap: Option<String>,
}

/// How a replay differs from its recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// Other requests were sent.
    Requests {
        /// So many, as the recording has it.
        recorded: u64,
        /// So many, now.
        found: u64,
    },
    /// The guest did not pause, where the recorded one did.
    NotPaused,
    /// The recorded guest had another state at a key frame: where.
    Image(Mismatch),
    /// The guest received once more, where the recorded one ended.
    WentOn(Exit),
    /// The guest ended, where the recorded one received.
    EndedEarly(Exit),
    /// It ended otherwise.
    EndedOtherwise {
        /// As the recording has it.
        recorded: Exit,
        /// Now.
        found: Exit,
    },
}

impl<R: Read> Replay<R> {
    /// The world of `trace`, up to turn number `until`.
    pub fn new(trace: TraceReader<R>, until: u64) -> (Self, Rc<RefCell<Outcome>>) {
        let outcome = Rc::<RefCell<Outcome>>::default();
        let (hasher, theirs) = (RequestHasher::default(), outcome.clone());
        let replay =
            Self { trace, hasher, kept: 0, outcome: theirs, until, time: 0, compares_images: false, watcher: None };
        (replay, outcome)
    }

    /// Holds the guest's memory against each key frame, as only that of the recorded guest can be.
    pub fn comparing_images(mut self) -> Self {
        self.compares_images = true;
        self
    }

    /// Tells `observer` of each turn.
    pub fn observed(self, mut observer: Observer) -> Self {
        self.watched(Box::new(move |step| observer(step.clone())))
    }

    /// Shows `watcher` each turn.
    pub fn watched(mut self, watcher: Watcher) -> Self {
        self.watcher = Some(watcher);
        self
    }

    fn next(&mut self) -> Result<Record, StopReason> {
        match self.trace.record() {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(StopReason::AnswersEnded),
            Err(error) => {
                self.outcome.borrow_mut().error = Some(error);
                Err(StopReason::AnswersEnded)
            }
        }
    }

    /// The next record, if it is a key frame.
    fn key_frame(&mut self) -> Option<KeyFrame> {
        let is_one = matches!(self.trace.peek(), Some(Record::KeyFrame(_)));
        match if is_one { self.next() } else { return None } {
            Ok(Record::KeyFrame(key)) => Some(key),
            _ => None,
        }
    }

    /// Shows a turn to the watcher; the answers come back.
    fn observe(&mut self, time: u64, answers: Vec<Answer>, end: Option<Exit>) -> Vec<Answer> {
        self.time = time;
        let Some(watcher) = &mut self.watcher else { return answers };
        let mut outcome = self.outcome.borrow_mut();
        let turn = if end.is_some() { outcome.turns + 1 } else { outcome.turns };
        let (sent, log) = (std::mem::take(&mut outcome.sent), std::mem::take(&mut outcome.log));
        let mut step = Step { turn, sent, log, time, answers, end };
        watcher(&mut step);
        step.answers
    }

    fn diverge(&self, divergence: Divergence) -> StopReason {
        self.outcome.borrow_mut().divergence = Some(divergence);
        StopReason::AnswersEnded
    }

    /// Holds what was sent since the last turn against the recording.
    fn compare(&mut self, recorded: Sent) -> Result<(), StopReason> {
        let found = self.hasher.take();
        if recorded.allows(found) {
            return Ok(());
        }
        Err(self.diverge(Divergence::Requests { recorded: recorded.count, found: found.count }))
    }
}

impl<R: Read> World for Replay<R> {
    fn start(&mut self) -> u64 {
        self.trace.header.start
    }

    fn submit(&mut self, submission: Submission) {
        self.kept += self.hasher.add(&submission);
        let mut outcome = self.outcome.borrow_mut();
        outcome.requests += 1;
        if self.kept <= limits::REPLAY_BYTES_KEPT_MAX {
            outcome.sent.push(submission);
        }
    }

    fn wait(&mut self) -> Result<Batch, StopReason> {
        if self.outcome.borrow().turns == self.until {
            return Err(StopReason::AnswersEnded);
        }
        match self.next()? {
            Record::Turn(turn) => {
                self.compare(turn.sent)?;
                self.outcome.borrow_mut().turns += 1;
                let answers = self.observe(turn.time, turn.answers, None);
                self.outcome.borrow_mut().sent.clear();
                self.kept = 0;
                Ok(Batch { time: turn.time, answers })
            }
            // The world itself had ended the run as the guest waited.
            Record::End(End { sent, exit: Exit::Stopped(stop) }) if ends_in_wait(&stop) => {
                self.compare(sent)?;
                self.outcome.borrow_mut().ended = true;
                Err(stop)
            }
            // Here the guest was fast enough, or the system gave it what it asked for.
            Record::End(End { exit: Exit::Stopped(stop), .. }) if is_chance(&stop) => {
                self.outcome.borrow_mut().ended = true;
                Err(stop)
            }
            Record::End(end) => Err(self.diverge(Divergence::WentOn(end.exit))),
            Record::KeyFrame(_) => Err(self.diverge(Divergence::NotPaused)),
            // Whoever opened the trace has seen to it that there is none where it begins.
            Record::Cut(_) => Err(StopReason::AnswersEnded),
        }
    }

    fn log(&mut self, level: Level, message: &str) {
        // Lines without text are lines too.
        self.kept += size_of::<(Level, String)>() + message.len();
        if self.kept > limits::REPLAY_BYTES_KEPT_MAX {
            return;
        }
        let log = &mut self.outcome.borrow_mut().log;
        if self.watcher.is_none() && log.len() == limits::REPLAY_LOG_LINES {
            log.remove(0);
        }
        log.push((level, message.to_owned()));
    }
}

impl<R: Read> KeyFrames for Replay<R> {
    fn resume(&mut self) -> Option<KeyFrame> {
        let key = self.key_frame()?;
        self.hasher.take();
        self.kept = 0;
        self.time = key.time;
        *self.outcome.borrow_mut() = Outcome { begin: key.turn, turns: key.turn, ..Outcome::default() };
        Some(key)
    }

    fn paused(&mut self) -> Result<AtPause, StopReason> {
        let Some(key) = self.key_frame() else { return Ok(AtPause::GoOn) };
        self.compare(key.sent)?;
        let compares = self.compares_images && !key.image.is_empty();
        Ok(if compares { AtPause::Compare(key.image) } else { AtPause::GoOn })
    }

    fn captured(&mut self, _: Result<(Image, Vec<(u64, Arity)>), String>) {
        unreachable!("a replay compares, and never wants an image");
    }

    fn compared(&mut self, result: Result<(), Mismatch>) -> Result<(), StopReason> {
        result.map_err(|mismatch| self.diverge(Divergence::Image(mismatch)))
    }

    fn ended(&mut self, exit: &Exit) {
        self.observe(self.time, Vec::new(), Some(exit.clone()));
        let (known, diverged) = {
            let outcome = self.outcome.borrow();
            (outcome.ended, outcome.divergence.is_some() || outcome.error.is_some())
        };
        if known || diverged || *exit == Exit::Stopped(StopReason::AnswersEnded) {
            return;
        }
        let divergence = match self.next() {
            Ok(Record::End(End { exit: Exit::Stopped(stop), .. })) if is_chance(&stop) => {
                self.outcome.borrow_mut().ended = true;
                return;
            }
            Ok(Record::End(End { sent, exit: recorded })) if recorded == *exit => {
                self.outcome.borrow_mut().ended = true;
                let _ = self.compare(sent);
                return;
            }
            Ok(Record::End(end)) => Divergence::EndedOtherwise { recorded: end.exit, found: exit.clone() },
            Ok(Record::Turn(_) | Record::KeyFrame(_) | Record::Cut(_)) => Divergence::EndedEarly(exit.clone()),
            // The recording broke off before the run had ended.
            Err(_) => return,
        };
        self.outcome.borrow_mut().divergence = Some(divergence);
    }
}

fn ends_in_wait(stop: &StopReason) -> bool {
    matches!(stop, StopReason::Asked | StopReason::StopTooSlow | StopReason::AnswersEnded)
}

/// Whether the guest alone cannot bring this about: how far it had come then, and how it goes on
/// here, is no difference.
fn is_chance(stop: &StopReason) -> bool {
    matches!(stop, StopReason::TurnTooLong | StopReason::System(_))
}
