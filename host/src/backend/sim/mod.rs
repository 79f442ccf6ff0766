//! A world that was recorded, with another guest in it: clients send what they sent, when they
//! sent it; files are what they were; time is virtual. No sockets, no files, no clock: the same
//! scene and the same guest give the same run.
//!
//! Where this world differs from the one that was recorded:
//!
//! - Files and folders are answered at once, so a guest is often some microseconds earlier than it
//!   was.
//! - A path that nobody asked for then is `not-found`, and content that nobody read cannot be read
//!   (`io`): see [`Unknown`].
//! - A client takes what it is sent as it did then: in the intervals in which it was slow it is
//!   slow again, whatever it is sent. What it had sent before it was reset is not lost.
//! - The guest is the only shard of its server: a trace does not say which of those that it was
//!   told of it was itself.

mod clients;
mod files;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use self::clients::Connection;
use self::files::File;
use super::timers::{TimerKey, Timers};
use crate::behaviour::{Behaviour, Ended, Store, Witness};
use crate::contract::world::{self, Object, Requests};
use crate::contract::{Error, Level, Reply, Request, Signal, Submission, checks};
use crate::limits::{self, room};
use crate::scene::Scene;
use crate::stop::{Exit, StopReason};
use crate::world::{Batch, World};

pub use self::files::Unknown;

const NANOS: u64 = 1_000_000_000;

/// The world of a scene.
pub struct Sim {
    scene: Rc<Scene>,
    /// Nanoseconds since the Unix epoch.
    now: u64,
    timers: Timers<Event>,
    requests: Requests<Pending>,
    objects: Objects,
    /// For each port that clients came to: from which client on nobody is accepted yet.
    next_clients: Vec<(u16, usize)>,
    listeners: Vec<Listener>,
    listens: u64,
    /// Watches, in the order in which they were asked for.
    watches: Vec<(u64, Vec<u8>)>,
    /// What the operator will want. It is told when all else that happens at that time is done.
    signals: VecDeque<(u64, Signal)>,
    signal_requests: Vec<u64>,
    stopping: bool,
    /// What the guest has left for its shards: in a scene it is the only one.
    left: Vec<u8>,
    turns: u64,
    turns_max: u64,
    seen: Rc<RefCell<Seen>>,
}

/// What came of a run in a scene.
pub struct Seen {
    witness: Witness,
    unknown: Unknown,
    log: Vec<(Level, String)>,
    /// The time in the world: nanoseconds since the Unix epoch.
    time: u64,
    /// Why the world could go on no more.
    over: Option<Ended>,
}

/// What happens later.
enum Event {
    /// The next client of the listener of this serial number can be accepted.
    Accept(u64),
    /// Something of the client of this handle can be read.
    Readable(u64),
    /// The write to the client of this handle is done.
    Written(u64, Option<Error>),
    /// The client of this handle is reset.
    Gone(u64),
    Sleep(u64),
    /// The scene's change of this number.
    Change(usize),
    /// The guest has had its time to stop.
    Stop,
}

/// What a pending request waits for: what `cancel` has to end.
enum Pending {
    Listen,
    Read(u64),
    Write(u64),
    Sleep(TimerKey),
    Watch,
    Signals,
}

/// What the guest holds. A buffer is the number of its bytes.
type Objects = world::Objects<Box<Connection>, Rc<File>, u64>;

struct Listener {
    id: u64,
    /// Counts the listeners of a run: unlike the id, never used again.
    serial: u64,
    port: u16,
    connections_max: u32,
    /// Its connections that are open.
    open: u32,
    /// Whether the next client is waited for.
    expects_client: bool,
}

impl Seen {
    /// What the guest did in a run that has ended so.
    pub fn into_behaviour(mut self, how: &Exit) -> (Behaviour, Unknown) {
        let ended = self.over.unwrap_or_else(|| Ended::Exit(how.clone()));
        self.witness.ended(self.time, ended);
        (self.witness.into_behaviour(), self.unknown)
    }

    /// The last lines of the guest's log.
    pub fn log(&self) -> &[(Level, String)] {
        &self.log
    }
}

impl Sim {
    /// The world of `scene`, and what will be seen of the guest in it. Bytes and paths are kept in
    /// `store`.
    pub fn new(scene: Rc<Scene>, store: Rc<RefCell<Store>>) -> (Self, Rc<RefCell<Seen>>) {
        let (witness, time) = (Witness::new(store), scene.start);
        let seen = Seen { witness, unknown: Unknown::default(), log: Vec::new(), time, over: None };
        let seen = Rc::new(RefCell::new(seen));
        let mut timers = Timers::new();
        for (index, change) in scene.changes.iter().enumerate() {
            timers.add(change.time, Event::Change(index));
        }
        let mut signals: VecDeque<(u64, Signal)> = scene.signals.iter().copied().collect();
        if scene.stopped().is_none() && scene.ended.is_some() {
            signals.push_back((scene.end.saturating_add(limits::SCENE_GRACE_SECONDS * NANOS), Signal::Stop));
        }
        let sim = Self {
            now: scene.start,
            timers,
            requests: Requests::default(),
            objects: Objects::default(),
            next_clients: Vec::new(),
            listeners: Vec::new(),
            listens: 0,
            watches: Vec::new(),
            signals,
            signal_requests: Vec::new(),
            stopping: false,
            left: Vec::new(),
            turns: 0,
            turns_max: limits::SCENE_TURNS_MIN.saturating_add(scene.turns.saturating_mul(limits::SCENE_TURNS_FACTOR)),
            seen: seen.clone(),
            scene,
        };
        (sim, seen)
    }

    fn take(&mut self, submission: &Submission) {
        let id = submission.id;
        let result = match &submission.request {
            Request::Listen(listen) => self.listen(id, listen).map(Some),
            Request::Read(read) => self.read(id, read).map(|()| None),
            Request::Write(write) => self.write(id, write).map(|()| None),
            Request::Shutdown(handle) => self.shutdown(*handle).map(Some),
            Request::Close(handle) => self.close(*handle).map(Some),
            Request::Open(open) => self.open(open).map(Some),
            Request::ReadFile(range) => self.read_file(range).map(Some),
            Request::Load(range) => self.load(range).map(Some),
            Request::Digest(handle) => self.digest(*handle).map(Some),
            Request::List(path) => self.list(path).map(Some),
            Request::Watch(path) => self.watch(id, path).map(|()| None),
            Request::Sleep(nanoseconds) => {
                let key = self.timers.add(self.now.saturating_add(*nanoseconds), Event::Sleep(id));
                self.requests.wait(id, Pending::Sleep(key));
                Ok(None)
            }
            Request::Signals => self.subscribe(id).map(|()| None),
            Request::Cancel(target) => Ok(Some(self.cancel(*target))),
            Request::Post(bytes) => self.post(bytes).map(Some),
            Request::Gather => self.gather().map(Some),
        };
        if let Some(reply) = result.unwrap_or_else(|error| Some(Reply::Failed(error))) {
            self.requests.answers.push(id, reply);
        }
    }

    fn gather(&self) -> Result<Reply, Error> {
        self.requests.answers.has_room(self.left.len() + size_of::<Vec<u8>>())?;
        Ok(Reply::Gathered(vec![self.left.clone()]))
    }

    fn close(&mut self, handle: u64) -> Result<Reply, Error> {
        if let Object::Connection(connection) = self.objects.remove(handle)? {
            self.closed(&connection);
        }
        Ok(Reply::Done)
    }

    fn subscribe(&mut self, id: u64) -> Result<(), Error> {
        room(self.signal_requests.len(), limits::SIGNAL_REQUESTS_MAX)?;
        self.signal_requests.push(id);
        self.requests.wait(id, Pending::Signals);
        Ok(())
    }

    fn post(&mut self, bytes: &[u8]) -> Result<Reply, Error> {
        checks::post(bytes)?;
        self.left = bytes.to_vec();
        Ok(Reply::Done)
    }

    fn cancel(&mut self, target: u64) -> Reply {
        let Some(pending) = self.requests.cancel(target) else { return Reply::Done };
        match pending {
            Pending::Listen => self.listeners.retain(|listener| listener.id != target),
            Pending::Read(handle) => self.end_read(handle),
            Pending::Write(handle) => self.end_write(handle),
            Pending::Sleep(key) => self.timers.remove(key),
            Pending::Watch => self.watches.retain(|(id, _)| *id != target),
            Pending::Signals => self.signal_requests.retain(|id| *id != target),
        }
        self.requests.answers.push(target, Reply::Failed(Error::Cancelled));
        Reply::Done
    }

    /// What happens now.
    fn happen(&mut self) -> Result<(), StopReason> {
        while let Some(event) = self.timers.next_due(self.now) {
            match event {
                Event::Accept(serial) => self.accept(serial),
                Event::Readable(handle) => self.readable(handle),
                Event::Written(handle, error) => self.written(handle, error),
                Event::Gone(handle) => self.gone(handle),
                Event::Sleep(id) => self.requests.finish(id, Reply::Elapsed),
                Event::Change(index) => self.change(index),
                Event::Stop => return Err(StopReason::StopTooSlow),
            }
        }
        if self.requests.answers.is_empty()
            && let Some((_, signal)) = self.signals.pop_front_if(|(time, _)| *time <= self.now)
        {
            self.signal(signal)?;
        }
        Ok(())
    }

    /// When something happens next.
    fn next(&self) -> Option<u64> {
        let signal = self.signals.front().map(|(time, _)| *time);
        self.timers.due().into_iter().chain(signal).min()
    }

    fn signal(&mut self, signal: Signal) -> Result<(), StopReason> {
        if signal == Signal::Stop {
            if self.stopping {
                return Ok(());
            }
            if self.signal_requests.is_empty() {
                return Err(StopReason::Asked);
            }
            self.stopping = true;
            self.timers.add(self.now.saturating_add(limits::STOP_SECONDS_MAX * NANOS), Event::Stop);
        }
        for index in 0..self.signal_requests.len() {
            self.requests.answers.push(self.signal_requests[index], Reply::Signal(signal));
        }
        Ok(())
    }

    /// Whether the run must end here: there is a named limit for everything that a guest could do
    /// without end.
    fn is_over(&mut self, next: Option<u64>) -> bool {
        let broken_off = self.scene.ended.is_none() && next.is_none_or(|next| next > self.scene.end);
        let over = if broken_off && self.requests.answers.is_empty() {
            Some(Ended::BrokenOff)
        } else if self.turns >= self.turns_max {
            Some(Ended::Bounded("it receives far more often than the recorded guest did"))
        } else if self.seen.borrow().witness.bytes() > limits::SCENE_OUTPUT_BYTES_MAX {
            Some(Ended::Bounded("it sends more than is kept for a comparison"))
        } else {
            None
        };
        let is_over = over.is_some();
        self.seen.borrow_mut().over = over;
        is_over
    }

    fn next_batch(&mut self) -> Result<Batch, StopReason> {
        self.happen()?;
        while self.requests.answers.is_empty() {
            let next = self.next();
            let (false, Some(next)) = (self.is_over(next), next) else { return Err(StopReason::AnswersEnded) };
            self.now = self.now.max(next);
            self.happen()?;
        }
        if self.is_over(Some(self.now)) {
            return Err(StopReason::AnswersEnded);
        }
        self.turns += 1;
        let answers = self.requests.answers.take();
        let mut seen = self.seen.borrow_mut();
        answers.iter().for_each(|answer| seen.witness.answer(answer));
        Ok(Batch { time: self.now, answers })
    }
}

impl World for Sim {
    fn start(&mut self) -> u64 {
        self.scene.start
    }

    fn submit(&mut self, submission: Submission) {
        self.seen.borrow_mut().witness.request(self.now, &submission);
        self.take(&submission);
    }

    fn wait(&mut self) -> Result<Batch, StopReason> {
        let batch = self.next_batch();
        self.seen.borrow_mut().time = self.now;
        batch
    }

    fn log(&mut self, level: Level, message: &str) {
        let log = &mut self.seen.borrow_mut().log;
        if log.len() == limits::SCENE_LOG_LINES {
            log.remove(0);
        }
        log.push((level, message.to_owned()));
    }
}
