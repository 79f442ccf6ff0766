//! What answers the requests: one function for each kind, as the contract says.

use super::clients::{Clients, Writing};
use super::files::{self, Bytes, Content, Files};
use super::limits::{
    BUFFER_BYTES_MAX, DIGEST_BYTES_MAX, FILE_READ_BYTES_MAX, POST_BYTES_MAX, WRITE_BYTES_MAX, WRITE_PARTS_MAX,
};
use crate::contract::{
    Answer, Digested, Error, Handle, Id, Listen, Loaded, Metadata, Opened, Part, Range, Reply, Request, Signal,
    Submission, Write,
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct System {
    pub(super) now: u64,
    pub(super) clients: Clients,
    pub(super) files: Files,
    /// The first port that the guest may listen on; `None` for any.
    granted: Option<u16>,
    /// The ports that it may listen on besides.
    further: Vec<u16>,
    /// Answers that the guest has not received.
    answers: Vec<Answer>,
    /// Requests without a final answer, for the guest's own invariant: an id is unique among them.
    pending: BTreeSet<Id>,
    listeners: Vec<(Id, Listen)>,
    /// Files and buffers.
    handles: BTreeMap<Handle, Held>,
    /// The last handle that was given out.
    handle: Handle,
    /// By when they end, then by their ids.
    sleeps: BTreeSet<(u64, Id)>,
    signals: Vec<Id>,
    watches: Vec<(Id, Vec<u8>)>,
    /// What each shard has left; the guest is the first.
    pub(super) posts: Vec<Vec<u8>>,
}

/// What a handle other than a connection's names.
enum Held {
    File(Bytes, Metadata),
    Buffer(Vec<u8>),
}

impl System {
    pub(super) fn new(now: u64) -> System {
        System {
            now,
            clients: Clients::default(),
            files: Files::new(now),
            granted: None,
            further: Vec::new(),
            answers: Vec::new(),
            pending: BTreeSet::new(),
            listeners: Vec::new(),
            handles: BTreeMap::new(),
            handle: 0,
            sleeps: BTreeSet::new(),
            signals: Vec::new(),
            watches: Vec::new(),
            posts: vec![Vec::new()],
        }
    }

    pub(super) fn grant(&mut self, port: Option<u16>) {
        self.granted = port;
    }

    pub(super) fn grant_besides(&mut self, port: u16) {
        self.further.push(port);
    }

    /// Takes a request; it is answered by `answers`. Panics on what the host ends a guest for.
    pub(super) fn submit(&mut self, submission: Submission) {
        let Submission { id, request } = submission;
        assert!(self.pending.insert(id), "the guest has sent id {id:#x} again while it was pending");
        let answered = match request {
            Request::Listen(listen) => self.listen(id, listen),
            Request::Read(read) => match self.clients.by_handle(read.connection) {
                Some(client) => client.read(id, read.bytes_max).map(|()| None),
                None => Err(Error::BadHandle),
            },
            Request::Write(write) => self.write(id, &write),
            Request::Shutdown(handle) => match self.clients.by_handle(handle) {
                Some(client) => client.shutdown().map(|()| Some(Reply::Done)),
                None => Err(Error::BadHandle),
            },
            Request::Close(handle) => self.close(handle),
            Request::Open(open) => self.open(&open.path, open.follow_symlinks),
            Request::ReadFile(range) => self.read_file(range),
            Request::Load(range) => self.load(range),
            Request::Digest(file) => self.digest(file),
            Request::List(path) => self.files.list(&path).map(|entries| Some(Reply::Listed(entries))),
            Request::Watch(path) => {
                self.files.resolve(&path, true).map(|path| self.watches.push((id, path))).map(|()| None)
            }
            Request::Sleep(nanos) => {
                self.sleeps.insert((self.now.saturating_add(nanos), id));
                Ok(None)
            }
            Request::Signals => {
                self.signals.push(id);
                Ok(None)
            }
            Request::Cancel(other) => self.cancel(other),
            Request::Post(bytes) if bytes.len() > POST_BYTES_MAX => Err(Error::TooLarge),
            Request::Post(bytes) => {
                self.posts[0] = bytes;
                Ok(Some(Reply::Done))
            }
            Request::Gather => Ok(Some(Reply::Gathered(self.posts.clone()))),
        };
        match answered {
            Ok(None) => {}
            // It is answered again, and last by an error.
            Ok(Some(reply @ Reply::Listening(_))) => self.answers.push(Answer { id, reply }),
            Ok(Some(reply)) => self.answer(id, reply),
            Err(error) => self.answer(id, Reply::Failed(error)),
        }
    }

    /// All answers that there are now.
    pub(super) fn answers(&mut self) -> Vec<Answer> {
        self.accept();
        for Answer { id, reply } in self.clients.pump() {
            self.answer(id, reply);
        }
        while let Some(&(due, id)) = self.sleeps.first().filter(|(due, _)| *due <= self.now) {
            self.sleeps.remove(&(due, id));
            self.answer(id, Reply::Elapsed);
        }
        std::mem::take(&mut self.answers)
    }

    /// When the next of the guest's waits is over.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.sleeps.first().map(|&(due, _)| due)
    }

    pub(super) fn is_pending(&self, id: Id) -> bool {
        self.pending.contains(&id)
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        let told = self.signals.iter().map(|&id| Answer { id, reply: Reply::Signal(signal) });
        self.answers.extend(told);
    }

    // ---- Files, from the test's side.

    pub(super) fn put(&mut self, path: &[u8], content: Content) {
        self.files.put(path, content, self.now);
        self.notify(path);
    }

    pub(super) fn overwrite(&mut self, path: &[u8], bytes: Vec<u8>) {
        self.files.overwrite(path, bytes, self.now);
        self.notify(path);
    }

    pub(super) fn remove(&mut self, path: &[u8]) {
        self.files.remove(path);
        self.notify(path);
    }

    /// Tells those who watch a file, or the directory that holds it, that it has changed.
    pub(super) fn notify(&mut self, path: &[u8]) {
        let path = files::normal(path);
        for (id, watched) in &self.watches {
            let changed = match watched {
                watched if *watched == path => Vec::new(),
                watched if watched == files::parent(&path) => files::name(&path).to_vec(),
                _ => continue,
            };
            self.answers.push(Answer { id: *id, reply: Reply::Changed(changed) });
        }
    }

    // ---- The kinds of requests. `Ok(None)` leaves a request pending.

    fn listen(&mut self, id: Id, listen: Listen) -> Result<Option<Reply>, Error> {
        let is_first = self.granted.is_none_or(|granted| granted == listen.port);
        if !is_first && !self.further.contains(&listen.port) {
            return Err(Error::NotPermitted);
        }
        if self.listeners.iter().any(|(_, other)| other.port == listen.port) {
            return Err(Error::AddressInUse);
        }
        self.listeners.push((id, listen));
        Ok(Some(Reply::Listening(listen.port)))
    }

    fn accept(&mut self) {
        for (id, listen) in self.listeners.clone() {
            let further = self.further.contains(&listen.port).then_some(listen.port);
            while let Some(accepted) = self.clients.accept(further, listen.connections_max, || {
                self.handle += 1;
                self.handle
            }) {
                self.answers.push(Answer { id, reply: Reply::Accepted(accepted) });
            }
        }
    }

    fn write(&mut self, id: Id, write: &Write) -> Result<Option<Reply>, Error> {
        let (bytes, reply) = self.gather(&write.parts)?;
        let client = self.clients.by_handle(write.connection).ok_or(Error::BadHandle)?;
        client.write(Writing { id, bytes, done: 0, reply, ends: write.ends })?;
        Ok(None)
    }

    /// The bytes that a write sends, and how it is answered after the last of them.
    fn gather(&self, parts: &[Part]) -> Result<(Vec<u8>, Reply), Error> {
        let own = parts.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.len() } else { 0 });
        if parts.len() > WRITE_PARTS_MAX || own.sum::<usize>() > WRITE_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let mut gathered = Vec::new();
        let mut truncated = false;
        for part in parts {
            let (held, range) = match part {
                Part::Bytes(bytes) => {
                    gathered.extend_from_slice(bytes);
                    continue;
                }
                Part::Buffer(range) | Part::File(range) => (self.handles.get(&range.handle), range),
            };
            let slice = match (part, held) {
                (Part::File(_), Some(Held::File(bytes, _))) => slice(&bytes.borrow(), *range),
                (Part::Buffer(_), Some(Held::Buffer(bytes))) => {
                    let slice = slice(bytes, *range);
                    if (slice.len() as u64) < range.length {
                        return Err(Error::Invalid);
                    }
                    slice
                }
                _ => return Err(Error::BadHandle),
            };
            gathered.extend_from_slice(&slice);
            if (slice.len() as u64) < range.length {
                truncated = true;
                break;
            }
        }
        let reply = if truncated { Reply::Failed(Error::Truncated) } else { Reply::Written(gathered.len() as u64) };
        Ok((gathered, reply))
    }

    fn close(&mut self, handle: Handle) -> Result<Option<Reply>, Error> {
        if self.handles.remove(&handle).is_none() {
            let pending = self.clients.close(handle).ok_or(Error::BadHandle)?;
            for id in pending {
                self.answer(id, Reply::Failed(Error::Cancelled));
            }
        }
        Ok(Some(Reply::Done))
    }

    fn open(&mut self, path: &[u8], follow: bool) -> Result<Option<Reply>, Error> {
        let (bytes, metadata) = self.files.open(path, follow)?;
        let file = self.hold(Held::File(bytes, metadata));
        Ok(Some(Reply::Opened(Opened { file, metadata })))
    }

    fn read_file(&mut self, range: Range) -> Result<Option<Reply>, Error> {
        let Some(Held::File(bytes, _)) = self.handles.get(&range.handle) else { return Err(Error::BadHandle) };
        let range = Range { length: range.length.min(FILE_READ_BYTES_MAX), ..range };
        let data = slice(&bytes.borrow(), range);
        Ok(Some(Reply::Data(data)))
    }

    fn load(&mut self, range: Range) -> Result<Option<Reply>, Error> {
        let Some(Held::File(bytes, _)) = self.handles.get(&range.handle) else { return Err(Error::BadHandle) };
        if range.length > BUFFER_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let data = slice(&bytes.borrow(), range);
        let length = data.len() as u64;
        let buffer = self.hold(Held::Buffer(data));
        Ok(Some(Reply::Loaded(Loaded { buffer, length })))
    }

    fn digest(&mut self, file: Handle) -> Result<Option<Reply>, Error> {
        let Some(Held::File(bytes, opened)) = self.handles.get(&file) else { return Err(Error::BadHandle) };
        if bytes.borrow().len() as u64 > DIGEST_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let digest = xxhash_rust::xxh3::xxh3_128(&bytes.borrow());
        let Metadata { size, modified, changed, .. } = self.files.metadata(opened.inode).unwrap_or(*opened);
        Ok(Some(Reply::Digested(Digested { digest: ((digest >> 64) as u64, digest as u64), size, modified, changed })))
    }

    /// Ends a pending request, if it still is one.
    fn cancel(&mut self, id: Id) -> Result<Option<Reply>, Error> {
        let count = |system: &System| {
            system.signals.len() + system.watches.len() + system.sleeps.len() + system.listeners.len()
        };
        let waits = count(self);
        self.signals.retain(|&other| other != id);
        self.listeners.retain(|&(other, _)| other != id);
        self.watches.retain(|(other, _)| *other != id);
        self.sleeps.retain(|&(_, other)| other != id);
        if waits > count(self) || self.clients.cancel(id) {
            self.answer(id, Reply::Failed(Error::Cancelled));
        }
        Ok(Some(Reply::Done))
    }

    // ---- Answers and handles.

    pub(super) fn handles(&self) -> usize {
        self.handles.len()
    }

    /// Gives a final answer.
    fn answer(&mut self, id: Id, reply: Reply) {
        assert!(self.pending.remove(&id), "the world has answered id {id:#x} twice");
        self.answers.push(Answer { id, reply });
    }

    fn hold(&mut self, held: Held) -> Handle {
        self.handle += 1;
        self.handles.insert(self.handle, held);
        self.handle
    }
}

/// A range of bytes, or what there is of it.
fn slice(bytes: &[u8], range: Range) -> Vec<u8> {
    let start = bytes.len().min(usize::try_from(range.offset).unwrap_or(usize::MAX));
    let length = usize::try_from(range.length).unwrap_or(usize::MAX).min(bytes.len() - start);
    bytes[start..start + length].to_vec()
}
