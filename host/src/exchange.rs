//! Between a guest and a world: ids, pending requests, batches, time. It cannot tell which world is below.

use hashbrown::HashMap;

use crate::backend::{AtPause, Backend};
use crate::contract::{Answer, Level, Reply, Request, Submission};
use crate::image::{Image, Mismatch};
use crate::limits;
use crate::stop::Stop;
use crate::trace::{How, KeyFrame};

/// One guest's side of a world.
pub struct Exchange {
    backend: Box<dyn Backend>,
    /// The requests whose final answer the guest has not received, by id.
    pending: HashMap<u64, Arity>,
    /// Of the last batch: nanoseconds since the Unix epoch.
    time: u64,
    has_received: bool,
}

/// How often a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// The first answer is the final one.
    Once,
    /// Only `failed` is.
    Many,
}

impl Exchange {
    /// An exchange with `backend`, at the time at which that begins.
    pub fn new(mut backend: Box<dyn Backend>) -> Self {
        let time = backend.start();
        Self { backend, pending: HashMap::new(), time, has_received: false }
    }

    /// One request of the contract's `send`.
    pub fn send(&mut self, submission: Submission) -> Result<(), Stop> {
        if self.pending.insert(submission.id, Arity::of(&submission.request)).is_some() {
            return Err(Stop::DuplicateId(submission.id));
        }
        if self.pending.len() > limits::REQUESTS_PENDING_MAX {
            return Err(Stop::RequestsPending);
        }
        self.backend.submit(submission);
        Ok(())
    }

    /// The contract's `receive`.
    pub fn receive(&mut self) -> Result<Vec<Answer>, Stop> {
        if self.pending.is_empty() {
            return Err(Stop::NothingPending);
        }
        let batch = self.backend.wait()?;
        self.has_received = true;
        self.time = self.time.max(batch.time);
        for answer in &batch.answers {
            self.settle(answer);
        }
        Ok(batch.answers)
    }

    /// Whether there was a batch.
    pub fn has_received(&self) -> bool {
        self.has_received
    }

    /// The contract's `time`.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The contract's `log`.
    pub fn log(&mut self, level: Level, message: &str) {
        self.backend.log(level, shorten(message));
    }

    /// Where the run begins, when that is not its beginning. What is pending and what time it is are then as they were.
    pub fn resume(&mut self) -> Option<KeyFrame> {
        let key = self.backend.resume()?;
        self.pending = key.pending.iter().copied().collect();
        self.time = key.time;
        Some(key)
    }

    /// What the world wants of the state of a guest that has paused.
    pub fn paused(&mut self) -> Result<AtPause, Stop> {
        self.backend.paused()
    }

    /// Gives the world the image that it wanted, or says why there is none.
    pub fn captured(&mut self, image: Result<Image, String>) {
        let pending = || self.pending.iter().map(|(id, arity)| (*id, *arity)).collect();
        self.backend.captured(image.map(|image| (image, pending())));
    }

    /// Tells the world whether the guest's state is that of its image.
    pub fn compared(&mut self, result: Result<(), Mismatch>) -> Result<(), Stop> {
        self.backend.compared(result)
    }

    /// Tells the world that the run has ended.
    pub fn ended(&mut self, how: &How) {
        self.backend.ended(how);
    }

    /// Frees the id of a final answer. An answer that fits no request frees nothing.
    fn settle(&mut self, answer: &Answer) {
        let is_final = match self.pending.get(&answer.id) {
            Some(Arity::Once) => true,
            Some(Arity::Many) => matches!(answer.reply, Reply::Failed(_)),
            None => false,
        };
        if is_final {
            self.pending.remove(&answer.id);
        }
    }
}

impl Arity {
    /// That of a request.
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Listen(_) | Request::Watch(_) | Request::Signals => Self::Many,
            _ => Self::Once,
        }
    }
}

/// At most `LOG_BYTES_MAX` bytes, cut between characters.
fn shorten(message: &str) -> &str {
    &message[..message.floor_char_boundary(limits::LOG_BYTES_MAX)]
}
