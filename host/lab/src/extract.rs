//! Takes a recorded run apart: into what the world did, and what the guest did.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};

use crate::behaviour::{Behaviour, Ended, Observer, Seen, Store};
use crate::limits;
use crate::scene::{Change, Client, Scene, Segment, Wait};
use pluto_contract::stop::Exit;
use pluto_contract::{Answer, Arity, Error, Reply, Request, Signal, Submission};
use pluto_trace::Header;
use pluto_trace::replay::Step;

/// Makes a [`Scene`] and a [`Behaviour`] of the steps of an exact replay.
pub struct Extractor {
    scene: Scene,
    observer: Observer,
    /// Of the last batch.
    time: u64,
    pending: HashMap<u64, PendingRequest>,
    /// When something happened last on each client's connection.
    last: Vec<u64>,
    requests: u64,
    /// What clients, changes and pending requests take of memory.
    bytes: u64,
    /// The changes of this batch.
    changed_now: HashSet<(Vec<u8>, bool)>,
    /// It takes more than is kept for a comparison: nothing more is kept.
    is_over: bool,
}

/// A request that is not answered for good, and when it was sent.
struct PendingRequest {
    time: u64,
    arity: Arity,
    question: Question,
}

enum Question {
    /// The port that was asked for, and the one that was given.
    Listen(u16, u16),
    Read(usize),
    /// To that client; what had happened last on its connection.
    Write(usize, u64),
    Shutdown(usize),
    Open(Vec<u8>, bool),
    ReadFile(Rc<[u8]>, u64),
    Load(Rc<[u8]>, u64, u64),
    Digest(Rc<[u8]>),
    List(Vec<u8>),
    Watch(Vec<u8>),
    Signals,
}

impl Question {
    /// What it takes of memory while it is pending.
    fn bytes(&self) -> u64 {
        let path = match self {
            Self::Open(path, _) | Self::List(path) | Self::Watch(path) => path.len(),
            _ => 0,
        };
        (2 * size_of::<(u64, PendingRequest)>() + path) as u64
    }
}

impl Extractor {
    /// Takes a run apart that began so.
    pub fn new(header: &Header, store: Rc<RefCell<Store>>) -> Self {
        let scene = Scene::new(header.arguments.clone(), header.memory_max, header.start);
        let time = scene.start;
        Self {
            scene,
            observer: Observer::new(store),
            time,
            pending: HashMap::new(),
            last: Vec::new(),
            requests: 0,
            bytes: 0,
            changed_now: HashSet::new(),
            is_over: false,
        }
    }

    /// The next step.
    pub fn step(&mut self, step: &Step) {
        self.requests += step.sent.len() as u64;
        for submission in &step.sent {
            if self.is_too_much() {
                return;
            }
            self.request(submission);
            self.observer.request(self.time, submission);
        }
        if step.end.is_some() {
            return;
        }
        self.time = self.time.max(step.time);
        self.scene.turns = step.turn;
        self.changed_now.clear();
        for answer in &step.answers {
            if self.is_too_much() {
                return;
            }
            self.answer(answer);
            self.observer.answer(answer);
        }
    }

    /// Whether the run takes more memory than is kept for a comparison. What was taken of it then
    /// is of no use.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn is_too_much(&mut self) -> bool {
        self.is_over |= self.bytes + self.scene.files.bytes() > limits::SCENE_BYTES_MAX
            || self.observer.bytes() > limits::SCENE_OUTPUT_BYTES_MAX;
        self.is_over
    }

    /// How many requests there were in the steps so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// All steps are taken. How the run ended is known unless the recording broke off.
    pub fn finish(mut self, ended: Option<Exit>) -> (Scene, Behaviour) {
        let pending = std::mem::take(&mut self.pending);
        // What was not answered: a client that never took what it was sent, and watches that had
        // nothing to tell.
        let mut pending: Vec<PendingRequest> = pending.into_values().collect();
        pending.sort_unstable_by_key(|asked| asked.time);
        for asked in pending {
            match asked.question {
                Question::Write(client, from) => self.wait(client, Wait { from, to: None, error: None }),
                Question::Watch(path) => self.scene.files.watched(asked.time, &path, None),
                _ => {}
            }
        }
        if ended == Some(Exit::Stopped(pluto_contract::stop::StopReason::Asked)) && self.scene.stopped().is_none() {
            // The guest had not asked to be told.
            self.scene.signals.push((self.time, Signal::Stop));
        }
        self.scene.end = self.time;
        self.scene.ended.clone_from(&ended);
        let broken_off = ended.is_none();
        self.observer.ended(self.time, ended.map_or(Ended::BrokenOff, Ended::Exit));
        let behaviour = self.observer.into_behaviour();
        for (client, seen) in self.scene.clients.iter_mut().zip(&behaviour.clients) {
            client.cut |= broken_off && seen.closed.is_none();
        }
        (self.scene, behaviour)
    }

    fn request(&mut self, submission: &Submission) {
        let question = match &submission.request {
            Request::Listen(listen) => Some(Question::Listen(listen.port, 0)),
            Request::Read(read) => self.observer.client(read.connection).map(Question::Read),
            Request::Write(write) => {
                self.observer.client(write.connection).map(|client| Question::Write(client, self.last[client]))
            }
            Request::Shutdown(handle) => self.observer.client(*handle).map(Question::Shutdown),
            Request::Open(open) => Some(Question::Open(open.path.clone(), open.follow_symlinks)),
            // Nothing is what is read where a file ends, unless nothing was asked for.
            Request::ReadFile(it) if it.length == 0 => None,
            Request::ReadFile(it) => self.observer.path(it.handle).map(|path| Question::ReadFile(path, it.offset)),
            Request::Load(it) => self.observer.path(it.handle).map(|path| Question::Load(path, it.offset, it.length)),
            Request::Digest(file) => self.observer.path(*file).map(Question::Digest),
            Request::List(path) => Some(Question::List(path.clone())),
            Request::Watch(path) => Some(Question::Watch(path.clone())),
            Request::Signals => Some(Question::Signals),
            // The answers to the others say nothing of clients, files or the operator.
            _ => None,
        };
        if let Some(question) = question {
            self.bytes += question.bytes();
            let replaced = self.pending.insert(
                submission.id,
                PendingRequest { time: self.time, arity: Arity::of(&submission.request), question },
            );
            self.bytes -= replaced.map_or(0, |asked| asked.question.bytes());
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let Some(mut asked) = self.pending.remove(&answer.id) else { return };
        if let (Question::Listen(_, given), Reply::Listening(port)) = (&mut asked.question, &answer.reply) {
            *given = *port;
        }
        self.learn(&asked, &answer.reply);
        if asked.arity.is_final(&answer.reply) {
            self.bytes -= asked.question.bytes();
        } else {
            self.pending.insert(answer.id, asked);
        }
    }

    fn learn(&mut self, asked: &PendingRequest, reply: &Reply) {
        let PendingRequest { time, question, .. } = asked;
        match (question, reply) {
            (Question::Listen(wanted, given), Reply::Listening(_)) => {
                if !self.scene.ports.contains(&(*wanted, *given)) {
                    self.scene.ports.push((*wanted, *given));
                }
            }
            (Question::Listen(_, port), Reply::Accepted(accepted)) => {
                self.scene.clients.push(Client::new(self.time, *port, accepted.peer));
                self.last.push(self.time);
                // With what a behaviour says of it, for the recorded guest and two others. A list
                // has up to twice the room that it needs.
                self.bytes += 2 * (size_of::<Client>() + size_of::<u64>() + 3 * size_of::<Seen>()) as u64;
            }
            (Question::Read(client), reply) => self.read(*client, reply),
            (Question::Write(client, from), reply) => self.written(*client, *from, reply),
            (Question::Shutdown(client), Reply::Failed(Error::Disconnected)) => self.gone(*client),
            // The recorder's own: nobody else says it, and there is no recorder in a scene.
            (Question::Signals, Reply::Signal(Signal::Pause)) => {}
            (Question::Signals, Reply::Signal(signal)) => {
                // Each of several requests is told.
                if self.scene.signals.last() != Some(&(self.time, *signal)) {
                    self.bytes += 32;
                    self.scene.signals.push((self.time, *signal));
                }
            }
            (Question::Watch(path), Reply::Changed(name)) => self.changed(path, name),
            (Question::Watch(path), Reply::Failed(error)) => self.unwatched(*time, path, *error),
            _ => self.learn_of_files(asked, reply),
        }
    }

    fn learn_of_files(&mut self, PendingRequest { time, question, .. }: &PendingRequest, reply: &Reply) {
        let files = &mut self.scene.files;
        match (question, reply) {
            (_, Reply::Failed(Error::Cancelled | Error::BadHandle)) => {}
            (Question::Open(path, follow), Reply::Opened(it)) => files.opened(*time, path, *follow, Ok(it.metadata)),
            (Question::Open(path, follow), Reply::Failed(error)) => files.opened(*time, path, *follow, Err(*error)),
            (Question::ReadFile(path, offset), Reply::Data(bytes)) => files.content(*time, path, *offset, Ok(bytes)),
            (Question::ReadFile(path, offset), Reply::Failed(error)) => {
                files.content(*time, path, *offset, Err(*error));
            }
            (Question::Load(path, offset, length), Reply::Loaded(it)) => {
                files.loaded(*time, path, (*offset, *length), Ok(it.length));
            }
            (Question::Load(path, offset, length), Reply::Failed(error)) => {
                files.loaded(*time, path, (*offset, *length), Err(*error));
            }
            (Question::Digest(path), Reply::Digested(it)) => files.digested(*time, path, Ok(*it)),
            (Question::Digest(path), Reply::Failed(error)) => files.digested(*time, path, Err(*error)),
            (Question::List(path), Reply::Listed(entries)) => files.listed(*time, path, Ok(entries)),
            (Question::List(path), Reply::Failed(error)) => files.listed(*time, path, Err(*error)),
            _ => {}
        }
    }

    fn read(&mut self, client: usize, reply: &Reply) {
        let it = &mut self.scene.clients[client];
        match reply {
            Reply::Data(bytes) if bytes.is_empty() => {
                it.ended.get_or_insert(self.time);
            }
            Reply::Data(bytes) => {
                it.bytes.extend(bytes);
                it.segments.push(Segment { time: self.time, end: it.bytes.len() });
                self.bytes += 2 * (bytes.len() + size_of::<Segment>()) as u64;
            }
            Reply::Failed(Error::Cancelled | Error::Busy | Error::Invalid | Error::BadHandle) => return,
            _ => return self.gone(client),
        }
        self.last[client] = self.time;
    }

    fn written(&mut self, client: usize, from: u64, reply: &Reply) {
        let to = Some(self.time);
        match reply {
            Reply::Written(_) => {
                if from < self.time {
                    self.scene.clients[client].waits.push(Wait { from, to, error: None });
                    self.bytes += 2 * size_of::<Wait>() as u64;
                }
            }
            // The guest gave up.
            Reply::Failed(Error::Cancelled) => self.wait(client, Wait { from, to: None, error: None }),
            Reply::Failed(Error::Disconnected) => self.gone(client),
            Reply::Failed(error @ (Error::Truncated | Error::Io)) => {
                self.wait(client, Wait { from, to, error: Some(*error) });
            }
            _ => return,
        }
        self.last[client] = self.time;
    }

    /// Nobody knows how much of it the client has received.
    fn wait(&mut self, client: usize, wait: Wait) {
        let it = &mut self.scene.clients[client];
        it.waits.push(wait);
        it.cut = true;
        self.bytes += 2 * size_of::<Wait>() as u64;
    }

    fn gone(&mut self, client: usize) {
        let it = &mut self.scene.clients[client];
        it.gone.get_or_insert(self.time);
        it.cut = true;
    }

    fn changed(&mut self, watched: &[u8], name: &[u8]) {
        let mut path = watched.to_vec();
        if !name.is_empty() && !path.is_empty() {
            path.push(b'/');
        }
        path.extend(name);
        self.change(Change { time: self.time, path, gone: false });
    }

    fn unwatched(&mut self, asked: u64, path: &[u8], error: Error) {
        match error {
            Error::Cancelled => self.scene.files.watched(asked, path, None),
            // The final answer is given long after the question; what could never be watched is
            // answered at once.
            Error::NotFound if self.has_changed(path) => {
                self.scene.files.watched(asked, path, None);
                self.change(Change { time: self.time, path: path.to_vec(), gone: true });
            }
            error => self.scene.files.watched(asked, path, Some(error)),
        }
    }

    /// Whether this batch tells of a change there: before a watch ends for what is gone, its
    /// change is told.
    fn has_changed(&self, path: &[u8]) -> bool {
        [false, true].into_iter().any(|gone| self.changed_now.contains(&(path.to_owned(), gone)))
    }

    /// Each of several requests is told of a change: in one batch it counts once.
    fn change(&mut self, change: Change) {
        if !self.changed_now.insert((change.path.clone(), change.gone)) {
            return;
        }
        self.scene.files.changed(change.time, &change.path);
        self.bytes += 2 * (size_of::<Change>() + change.path.len()) as u64;
        self.scene.changes.push(change);
    }
}
