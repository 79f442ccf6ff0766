//! What answers the requests: one function for each kind, as the contract says.

use super::clients::{Clients, Writing};
use super::files::{self, Bytes, Content, Files};
use super::limits::{self, room};
use crate::contract::world::{Object, Objects, Requests};
use crate::contract::{
    Accepted, Answer, Digested, Error, Handle, Id, Listen, Loaded, Metadata, ObjectKind, Opened, Part, Range, Read,
    Reply, Request, Signal, Submission, Write, checks,
};
use std::collections::BTreeSet;

/// The first of the ports that IANA leaves to systems to choose from.
const CHOSEN_PORT: u16 = 49_152;

pub(super) struct System {
    pub(super) now: u64,
    pub(super) clients: Clients,
    pub(super) files: Files,
    /// The port of the first argument: as it was asked for, and as it is.
    first: Option<(u16, u16)>,
    /// The ports that it may listen on besides.
    further: Vec<(u16, u16)>,
    /// Requests without a final answer, and the answers that the guest has not received.
    requests: Requests<Pending>,
    listeners: Vec<(Id, Listen)>,
    /// Connections, by their clients' places; files with what they were when they were opened;
    /// buffers.
    objects: Objects<usize, (Bytes, Metadata), Vec<u8>>,
    /// By when they end, then by their ids.
    sleeps: BTreeSet<(u64, Id)>,
    signals: Vec<Id>,
    watches: Vec<(Id, Vec<u8>)>,
    /// What each shard has left; the guest is the first.
    pub(super) posts: Vec<Vec<u8>>,
}

/// What a pending request waits for: what `cancel` has to end.
enum Pending {
    Listen,
    /// The client in this place.
    Read(usize),
    /// The client in this place.
    Write(usize),
    /// By when it ends.
    Sleep(u64),
    Watch,
    Signals,
}

impl System {
    pub(super) fn new(now: u64) -> System {
        System {
            now,
            clients: Clients::default(),
            files: Files::new(now),
            first: None,
            further: Vec::new(),
            requests: Requests::default(),
            listeners: Vec::new(),
            objects: Objects::default(),
            sleeps: BTreeSet::new(),
            signals: Vec::new(),
            watches: Vec::new(),
            posts: vec![Vec::new()],
        }
    }

    pub(super) fn grant(&mut self, port: Option<u16>) {
        self.first = port.map(|port| self.chosen(port));
    }

    pub(super) fn grant_besides(&mut self, port: u16) {
        let port = self.chosen(port);
        self.further.push(port);
    }

    /// A port as it is asked for, and as it is.
    fn chosen(&self, port: u16) -> (u16, u16) {
        let place = u16::try_from(self.further.len() + 1).expect("a test grants few ports");
        (port, if port == 0 { CHOSEN_PORT + place } else { port })
    }

    /// The number of a further port, by that of a grant; none for the first port.
    pub(super) fn number(&self, port: u16) -> Option<u16> {
        if self.first.is_some_and(|(asked, given)| port == asked || port == given) {
            return None;
        }
        let granted = self.further.iter().find(|(asked, given)| port == *asked || port == *given);
        Some(granted.map_or(port, |(_, given)| *given))
    }

    /// Takes a request; it is answered by `answers`. Panics on what the host ends a guest for.
    pub(super) fn submit(&mut self, submission: Submission) {
        let Submission { id, request } = submission;
        assert!(!self.is_pending(id), "the guest has sent id {id:#x} again while it was pending");
        let answered = match request {
            Request::Listen(listen) => self.listen(id, listen).map(Some),
            Request::Read(read) => self.read(id, &read).map(|()| None),
            Request::Write(write) => self.write(id, &write).map(|()| None),
            Request::Shutdown(handle) => self.shutdown(handle).map(Some),
            Request::Close(handle) => self.close(handle).map(Some),
            Request::Open(open) => self.open(&open.path, open.follow_symlinks).map(Some),
            Request::ReadFile(range) => self.read_file(range).map(Some),
            Request::Load(range) => self.load(range).map(Some),
            Request::Digest(file) => self.digest(file).map(Some),
            Request::List(path) => self.list(&path).map(Some),
            Request::Watch(path) => self.watch(id, &path).map(|()| None),
            Request::Sleep(nanos) => {
                let due = self.now.saturating_add(nanos);
                self.sleeps.insert((due, id));
                self.requests.wait(id, Pending::Sleep(due));
                Ok(None)
            }
            Request::Signals => self.subscribe(id).map(|()| None),
            Request::Cancel(other) => Ok(Some(self.cancel(other))),
            Request::Post(bytes) => self.post(bytes).map(Some),
            Request::Gather => self.gather().map(Some),
        };
        if let Some(reply) = answered.unwrap_or_else(|error| Some(Reply::Failed(error))) {
            self.requests.answers.push(id, reply);
        }
    }

    /// All answers that there are now.
    pub(super) fn answers(&mut self) -> Vec<Answer> {
        self.accept();
        let places: Vec<usize> = self.objects.connections().map(|(_, place)| *place).collect();
        for place in places {
            for Answer { id, reply } in self.clients.get_mut(place).pump() {
                self.requests.finish(id, reply);
            }
        }
        while let Some(&(due, id)) = self.sleeps.first().filter(|(due, _)| *due <= self.now) {
            self.sleeps.remove(&(due, id));
            self.requests.finish(id, Reply::Elapsed);
        }
        self.requests.answers.take()
    }

    /// When the next of the guest's waits is over.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.sleeps.first().map(|&(due, _)| due)
    }

    pub(super) fn is_pending(&self, id: Id) -> bool {
        self.requests.is_pending(id)
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        for &id in &self.signals {
            self.requests.answers.push(id, Reply::Signal(signal));
        }
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
        let removed = files::normal(path);
        let is_gone = |watched: &[u8]| watched == removed || files::is_beneath(watched, &removed);
        for (id, _) in self.watches.extract_if(.., |(_, watched)| is_gone(watched)) {
            self.requests.finish(id, Reply::Failed(Error::NotFound));
        }
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
            self.requests.answers.push(*id, Reply::Changed(changed));
        }
    }

    // ---- The kinds of requests. What is not answered here stays pending.

    fn ports(&self) -> impl Iterator<Item = (u16, u16)> + Clone {
        self.first.into_iter().chain(self.further.iter().copied())
    }

    fn listen(&mut self, id: Id, listen: Listen) -> Result<Reply, Error> {
        let is_taken = |port| self.listeners.iter().any(|(_, other)| other.port == port);
        let place = checks::port(listen.port, self.ports(), is_taken)?;
        let port = self.ports().nth(place).map(|(_, given)| given).ok_or(Error::NotPermitted)?;
        self.listeners.push((id, Listen { port, ..listen }));
        self.requests.wait(id, Pending::Listen);
        Ok(Reply::Listening(port))
    }

    fn accept(&mut self) {
        for (id, listen) in self.listeners.clone() {
            let further = self.number(listen.port);
            while self.clients.has_next(further) && self.has_room(further, listen.connections_max) {
                let Some((place, peer)) = self.clients.next(further) else { break };
                let connection = self.objects.insert(Object::Connection(place)).expect("there is room");
                self.requests.answers.push(id, Reply::Accepted(Accepted { connection, peer }));
            }
        }
    }

    /// Whether another client of a port can be taken.
    fn has_room(&self, further: Option<u16>, connections_max: u32) -> bool {
        let open = self.objects.connections().filter(|(_, place)| self.clients.get(**place).further() == further);
        open.count() < connections_max as usize && self.objects.has_room(ObjectKind::Connection).is_ok()
    }

    fn read(&mut self, id: Id, read: &Read) -> Result<(), Error> {
        let place = *self.objects.connection(read.connection)?;
        self.clients.get_mut(place).read(id, read)?;
        self.requests.wait(id, Pending::Read(place));
        Ok(())
    }

    fn write(&mut self, id: Id, write: &Write) -> Result<(), Error> {
        let place = *self.objects.connection(write.connection)?;
        if self.clients.get(place).has_write() {
            return Err(Error::Busy);
        }
        let (bytes, reply) = self.join(&write.parts)?;
        self.clients.get_mut(place).write(Writing { id, bytes, done: 0, reply, ends: write.ends })?;
        self.requests.wait(id, Pending::Write(place));
        Ok(())
    }

    /// The bytes that a write sends, and how it is answered after the last of them.
    fn join(&self, parts: &[Part]) -> Result<(Vec<u8>, Reply), Error> {
        let mut check = checks::Parts::new(parts)?;
        let (mut joined, mut truncated) = (Vec::new(), false);
        for part in parts {
            let bytes = match part {
                Part::Bytes(bytes) => {
                    check.own(bytes);
                    bytes.clone()
                }
                Part::Buffer(range) => {
                    let buffer = self.objects.buffer(range.handle)?;
                    buffer[range.of_buffer(buffer.len())?].to_vec()
                }
                Part::File(range) => {
                    range.end()?;
                    slice(&self.objects.file(range.handle)?.0.borrow(), *range)
                }
            };
            // Nothing of what is behind the end of a file is sent, and all of it is checked.
            if !truncated {
                joined.extend_from_slice(&bytes);
            }
            truncated |= matches!(part, Part::File(range) if (bytes.len() as u64) < range.length);
        }
        check.finish()?;
        let reply = if truncated { Reply::Failed(Error::Truncated) } else { Reply::Written(joined.len() as u64) };
        Ok((joined, reply))
    }

    fn shutdown(&mut self, handle: Handle) -> Result<Reply, Error> {
        let place = *self.objects.connection(handle)?;
        self.clients.get_mut(place).shutdown()?;
        Ok(Reply::Done)
    }

    fn close(&mut self, handle: Handle) -> Result<Reply, Error> {
        if let Object::Connection(place) = self.objects.remove(handle)? {
            for id in self.clients.get_mut(place).close() {
                self.requests.finish(id, Reply::Failed(Error::Cancelled));
            }
        }
        Ok(Reply::Done)
    }

    fn open(&mut self, path: &[u8], follow: bool) -> Result<Reply, Error> {
        let (bytes, metadata) = self.files.open(path, follow)?;
        let file = self.objects.insert(Object::File((bytes, metadata)))?;
        Ok(Reply::Opened(Opened { file, metadata }))
    }

    fn read_file(&mut self, range: Range) -> Result<Reply, Error> {
        let range = range.to_read();
        let data = slice(&self.objects.file(range.handle)?.0.borrow(), range);
        self.requests.answers.has_room_for(Reply::Data(data))
    }

    fn load(&mut self, range: Range) -> Result<Reply, Error> {
        range.to_load()?;
        let data = slice(&self.objects.file(range.handle)?.0.borrow(), range);
        let length = data.len() as u64;
        let buffer = self.objects.insert_buffer(data, length)?;
        Ok(Reply::Loaded(Loaded { buffer, length }))
    }

    fn digest(&mut self, file: Handle) -> Result<Reply, Error> {
        let (bytes, opened) = self.objects.file(file)?;
        checks::digest(bytes.borrow().len() as u64)?;
        let digest = xxhash_rust::xxh3::xxh3_128(&bytes.borrow());
        let after = self.files.metadata(opened.inode).unwrap_or(*opened);
        Ok(Reply::Digested(Digested::new(digest, &after)))
    }

    fn list(&mut self, path: &[u8]) -> Result<Reply, Error> {
        let entries = self.files.list(path)?;
        if entries.len() > limits::LIST_ENTRIES_MAX {
            return Err(Error::TooLarge);
        }
        self.requests.answers.has_room_for(Reply::Listed(entries))
    }

    fn watch(&mut self, id: Id, path: &[u8]) -> Result<(), Error> {
        let path = self.files.resolve(path, true)?;
        room(self.watches.len(), limits::WATCHES_MAX)?;
        let of_this = self.watches.iter().filter(|(_, watched)| *watched == path).count();
        room(of_this, limits::WATCHES_OF_ONE_MAX)?;
        self.watches.push((id, path));
        self.requests.wait(id, Pending::Watch);
        Ok(())
    }

    fn subscribe(&mut self, id: Id) -> Result<(), Error> {
        room(self.signals.len(), limits::SIGNAL_REQUESTS_MAX)?;
        self.signals.push(id);
        self.requests.wait(id, Pending::Signals);
        Ok(())
    }

    fn post(&mut self, bytes: Vec<u8>) -> Result<Reply, Error> {
        checks::post(&bytes)?;
        self.posts[0] = bytes;
        Ok(Reply::Done)
    }

    fn gather(&mut self) -> Result<Reply, Error> {
        self.requests.answers.has_room_for(Reply::Gathered(self.posts.clone()))
    }

    /// Ends a pending request, if it still is one.
    fn cancel(&mut self, id: Id) -> Reply {
        let Some(pending) = self.requests.cancel(id) else { return Reply::Done };
        match pending {
            Pending::Listen => self.listeners.retain(|&(other, _)| other != id),
            Pending::Read(place) => self.clients.get_mut(place).end_read(),
            Pending::Write(place) => self.clients.get_mut(place).end_write(),
            Pending::Sleep(due) => _ = self.sleeps.remove(&(due, id)),
            Pending::Watch => self.watches.retain(|(other, _)| *other != id),
            Pending::Signals => self.signals.retain(|&other| other != id),
        }
        self.requests.answers.push(id, Reply::Failed(Error::Cancelled));
        Reply::Done
    }

    // ---- What the guest holds.

    pub(super) fn handles(&self) -> usize {
        self.objects.files_and_buffers()
    }
}

/// A range of bytes, or what there is of it.
fn slice(bytes: &[u8], range: Range) -> Vec<u8> {
    let start = bytes.len().min(usize::try_from(range.offset).unwrap_or(usize::MAX));
    let length = usize::try_from(range.length).unwrap_or(usize::MAX).min(bytes.len() - start);
    bytes[start..start + length].to_vec()
}
