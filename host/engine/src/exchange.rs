//! The exchange between a guest and a world: ids, pending requests, batches, time. The exchange
//! cannot tell which world it uses.

use hashbrown::HashMap;

use crate::limits;
use pluto_contract::stop::StopReason;
use pluto_contract::world::World;
use pluto_contract::{Answer, Arity, Level, Submission};

/// One guest's side of a world.
pub struct Exchange<W: ?Sized> {
    world: Box<W>,
    /// The requests whose final answer the guest has not received, by id.
    pending: HashMap<u64, Arity>,
    /// The time of the last batch: nanoseconds since the Unix epoch.
    time: u64,
    has_received: bool,
    /// The most requests that may be pending. A guest that exceeds this limit is ended.
    pending_max: usize,
}

impl<W: World + ?Sized> Exchange<W> {
    /// Creates an exchange with `world`, and starts the world.
    pub fn new(mut world: Box<W>) -> Self {
        let time = world.start();
        Self { world, pending: HashMap::new(), time, has_received: false, pending_max: limits::REQUESTS_PENDING_MAX }
    }

    /// Sets how many requests the guest may have pending. The default is the limit of a live run.
    pub fn allow_pending(&mut self, requests: usize) {
        self.pending_max = requests;
    }

    /// Passes on one request of the contract's `send`.
    pub fn send(&mut self, submission: Submission) -> Result<(), StopReason> {
        if self.pending.insert(submission.id, Arity::of(&submission.request)).is_some() {
            return Err(StopReason::DuplicateId(submission.id));
        }
        if self.pending.len() > self.pending_max {
            return Err(StopReason::RequestsPending);
        }
        self.world.submit(submission);
        Ok(())
    }

    /// Implements the contract's `receive`.
    pub fn receive(&mut self) -> Result<Vec<Answer>, StopReason> {
        if self.pending.is_empty() {
            return Err(StopReason::NothingPending);
        }
        let batch = self.world.wait()?;
        self.has_received = true;
        self.time = self.time.max(batch.time);
        for answer in &batch.answers {
            self.settle(answer);
        }
        Ok(batch.answers)
    }

    /// Returns whether the guest has received a batch.
    pub fn has_received(&self) -> bool {
        self.has_received
    }

    /// Implements the contract's `time`.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Implements the contract's `log`.
    pub fn log(&mut self, level: Level, message: &str) {
        self.world.log(level, shorten(message));
    }

    /// Continues the run of another exchange, with the requests that were pending there and the
    /// time of its last batch.
    pub fn resume(&mut self, pending: &[(u64, Arity)], time: u64) {
        self.pending = pending.iter().copied().collect();
        self.time = time;
    }

    /// Returns the pending requests, in no order.
    pub fn pending(&self) -> Vec<(u64, Arity)> {
        self.pending.iter().map(|(id, arity)| (*id, *arity)).collect()
    }

    /// Returns the world.
    pub fn world(&mut self) -> &mut W {
        &mut self.world
    }

    /// Frees the id of a final answer. An answer that fits no request frees nothing.
    fn settle(&mut self, answer: &Answer) {
        if self.pending.get(&answer.id).is_some_and(|arity| arity.is_final(&answer.reply)) {
            self.pending.remove(&answer.id);
        }
    }
}

/// Cuts a message to at most `LOG_BYTES_MAX` bytes, between characters.
fn shorten(message: &str) -> &str {
    &message[..message.floor_char_boundary(limits::LOG_BYTES_MAX)]
}
