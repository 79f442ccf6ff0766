//! Observes what passes between a guest and its world, and keeps what others see of it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use hashbrown::HashMap;

use super::{Behaviour, Closed, Ended, Key, Output, Piece, Seen, Store, Touch};
use pluto_contract::{Answer, Error, Part, Range, Reply, Request, Submission, Write};

/// Makes a [`Behaviour`] of requests and answers, from whichever world they come.
pub struct Observer {
    store: Rc<RefCell<Store>>,
    behaviour: Behaviour,
    handles: HashMap<u64, Object>,
    pending: HashMap<u64, Pending>,
    /// The numbers of the clients whose answers are on their way.
    accepted: VecDeque<usize>,
    /// What writes and their pieces take of memory.
    bytes: u64,
}

/// What a handle names.
#[derive(Clone, Copy)]
enum Object {
    Client(usize),
    File(Key),
    /// A range of a file, beginning at that offset.
    Buffer(Key, u64),
}

/// What an answer will tell.
enum Pending {
    Listen,
    Read(usize),
    /// To that client: its write of that number, and the end of our direction, if it is written.
    Write {
        client: usize,
        output: usize,
        ends: Option<Closed>,
    },
    /// Of that client, and the end of our direction, unless it is refused.
    Shutdown(usize, Closed),
    Open(Key),
    Load(Key, u64),
}

impl Observer {
    /// Has seen nothing yet.
    pub fn new(store: Rc<RefCell<Store>>) -> Self {
        let behaviour = Behaviour::default();
        Self { store, behaviour, handles: HashMap::new(), pending: HashMap::new(), accepted: VecDeque::new(), bytes: 0 }
    }

    /// What it has seen.
    pub fn into_behaviour(self) -> Behaviour {
        self.behaviour
    }

    /// How many bytes it takes to remember what was sent: those of the store, which is shared, of
    /// the writes and the pieces.
    pub fn bytes(&self) -> u64 {
        self.store.borrow().bytes() + self.bytes
    }

    /// The next answer that brings a client brings the one of that number, of which there is none
    /// yet. Without this they are counted from 0, as they are accepted.
    pub fn accepts(&mut self, client: usize) {
        self.accepted.push_back(client);
    }

    /// The number of the client of that handle.
    pub fn client(&self, handle: u64) -> Option<usize> {
        match self.handles.get(&handle) {
            Some(Object::Client(client)) => Some(*client),
            _ => None,
        }
    }

    /// The path of the open file of that handle.
    pub fn path(&self, handle: u64) -> Option<Rc<[u8]>> {
        match self.handles.get(&handle) {
            Some(Object::File(path)) => Some(self.store.borrow().get(*path).clone()),
            _ => None,
        }
    }

    /// The guest sends a request, at a time in nanoseconds since the Unix epoch.
    pub fn request(&mut self, time: u64, submission: &Submission) {
        let pending = match &submission.request {
            Request::Listen(_) => Some(Pending::Listen),
            Request::Read(read) => self.client(read.connection).map(Pending::Read),
            Request::Write(write) => self.write(time, write),
            Request::Shutdown(handle) => self.client(*handle).map(|client| {
                let taken = self.behaviour.clients[client].taken;
                Pending::Shutdown(client, Closed { taken, time })
            }),
            Request::Close(handle) => {
                if let Some(Object::Client(client)) = self.handles.remove(handle) {
                    self.closed(time, client);
                }
                None
            }
            Request::Open(open) => {
                let path = self.store.borrow_mut().key(&open.path);
                self.behaviour.files.insert(Touch::Opened(path));
                Some(Pending::Open(path))
            }
            Request::Load(range) => match self.handles.get(&range.handle) {
                Some(Object::File(path)) => Some(Pending::Load(*path, range.offset)),
                _ => None,
            },
            Request::List(it) => {
                let path = self.store.borrow_mut().key(&it.path);
                self.behaviour.files.insert(Touch::Listed(path));
                None
            }
            // No client and no file sees anything of the others.
            _ => None,
        };
        if let Some(pending) = pending {
            self.pending.insert(submission.id, pending);
        }
    }

    /// The guest receives an answer.
    pub fn answer(&mut self, answer: &Answer) {
        if let (Some(Pending::Listen), Reply::Accepted(accepted)) = (self.pending.get(&answer.id), &answer.reply) {
            let client = self.accepted.pop_front().unwrap_or(self.behaviour.clients.len());
            self.handles.insert(accepted.connection, Object::Client(client));
            if client >= self.behaviour.clients.len() {
                self.behaviour.clients.resize_with(client + 1, Seen::default);
            }
            self.behaviour.clients[client].accepted = true;
            return;
        }
        if matches!(answer.reply, Reply::Listening(_)) {
            return;
        }
        let Some(pending) = self.pending.remove(&answer.id) else { return };
        match (pending, &answer.reply) {
            (Pending::Read(client), Reply::Data(bytes)) => {
                self.behaviour.clients[client].taken += bytes.len().max(1) as u64;
            }
            (Pending::Write { client, output, .. }, Reply::Failed(error)) if was_refused(*error) => {
                self.behaviour.clients[client].outputs[output].pieces = 0..0;
            }
            (Pending::Write { client, ends: Some(closed), .. }, Reply::Written(_)) => {
                self.behaviour.clients[client].closed.get_or_insert(closed);
            }
            (Pending::Shutdown(..), Reply::Failed(Error::Busy)) => {}
            (Pending::Shutdown(client, closed), _) => {
                self.behaviour.clients[client].closed.get_or_insert(closed);
            }
            (Pending::Open(path), Reply::Opened(opened)) => {
                self.handles.insert(opened.file, Object::File(path));
            }
            (Pending::Load(path, offset), Reply::Loaded(loaded)) => {
                self.handles.insert(loaded.buffer, Object::Buffer(path, offset));
            }
            _ => {}
        }
    }

    /// The run has ended.
    pub fn ended(&mut self, time: u64, ended: Ended) {
        (self.behaviour.ended, self.behaviour.end) = (Some(ended), time);
    }

    fn closed(&mut self, time: u64, client: usize) {
        let seen = &mut self.behaviour.clients[client];
        seen.closed.get_or_insert(Closed { taken: seen.taken, time });
    }

    /// What is written counts as sent until the answer tells that it was refused as a whole.
    fn write(&mut self, time: u64, write: &Write) -> Option<Pending> {
        let client = self.client(write.connection)?;
        let mut store = self.store.borrow_mut();
        let seen = &mut self.behaviour.clients[client];
        let start = seen.pieces.len();
        for part in &write.parts {
            let piece = match part {
                Part::Bytes(bytes) if bytes.is_empty() => continue,
                Part::Bytes(bytes) => Piece::Bytes(store.key(bytes)),
                Part::Buffer(Range { length: 0, .. }) | Part::File(Range { length: 0, .. }) => continue,
                Part::Buffer(range) | Part::File(range) => {
                    let (path, begin) = match self.handles.get(&range.handle)? {
                        Object::Client(_) => return None,
                        Object::File(path) => (*path, 0),
                        Object::Buffer(path, begin) => (*path, *begin),
                    };
                    Piece::File { path, offset: begin.saturating_add(range.offset), length: range.length }
                }
            };
            seen.pieces.push(piece);
        }
        self.bytes += (size_of::<Output>() + (seen.pieces.len() - start) * size_of::<Piece>()) as u64;
        seen.outputs.push(Output { taken: seen.taken, pieces: start..seen.pieces.len() });
        let ends = write.ends.then_some(Closed { taken: seen.taken, time });
        Some(Pending::Write { client, output: seen.outputs.len() - 1, ends })
    }
}

/// Whether an error means that not one byte was sent. After any other nobody knows how many.
fn was_refused(error: Error) -> bool {
    matches!(error, Error::Busy | Error::BadHandle | Error::Invalid | Error::TooLarge | Error::Exhausted)
}
