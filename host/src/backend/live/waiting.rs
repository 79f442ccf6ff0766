//! What waits for the disk, and how it goes on.

use std::ffi::CStr;
use std::rc::Rc;

use super::disk::{Call, Outcome};
use super::errors::from_errno;
use super::held::Held;
use super::medium::Medium;
use super::objects::File;
use super::reading::{cache, read_part};
use super::transfer::{Fetched, Part};
use super::{Live, Pending};
use crate::contract::{Error, Reply};
use crate::limits;

/// Something that waits for a thread, which waits for the disk. It owns what the call holds, so that this is counted until the
/// call is done.
pub enum Waiting {
    /// An `open`.
    Open(Path),
    /// A `list`.
    List(Path),
    /// A `watch`.
    Watch(Path),
    /// The `read-file` of this id.
    ReadFile(u64, Rc<File>),
    /// The `load` of this id, and its room among the buffers.
    Load(u64, Rc<File>, Held),
    /// The `digest` of this id.
    Digest(u64, Rc<File>),
    /// The write of the connection of this handle.
    Write(u64, Rc<File>),
    /// Nobody: it was cancelled while a thread was about it.
    Nobody { _file: Option<Rc<File>> },
    /// Nothing but the place of a file that is being closed among the open ones, if it has one.
    Close { _held: Option<Held> },
}

/// A request that names a path.
pub struct Path {
    /// Its id.
    id: u64,
    /// Counts the path among all that wait.
    _held: Held,
}

impl Waiting {
    /// The request that `cancel` can end. A write has another way to be ended.
    fn request(&self) -> Option<u64> {
        match self {
            Self::Open(path) | Self::List(path) | Self::Watch(path) => Some(path.id),
            Self::ReadFile(id, _) | Self::Load(id, ..) | Self::Digest(id, _) => Some(*id),
            Self::Write(..) | Self::Nobody { .. } | Self::Close { .. } => None,
        }
    }

    /// The file that its call reads.
    fn into_file(self) -> Option<Rc<File>> {
        match self {
            Self::Open(_) | Self::List(_) | Self::Watch(_) | Self::Close { .. } => None,
            Self::ReadFile(_, file) | Self::Load(_, file, _) | Self::Digest(_, file) | Self::Write(_, file) => {
                Some(file)
            }
            Self::Nobody { _file } => _file,
        }
    }
}

impl Live {
    /// Has a thread make a call, and goes on with what waits for it when it is done. Returns the number of the call.
    pub(super) fn wait_for_disk(&mut self, waiting: Waiting, call: Call) -> u64 {
        let serial = match waiting {
            Waiting::List(..) => self.disk.call_to_list(call),
            _ => self.disk.call(call),
        };
        if let Some(id) = waiting.request() {
            self.pending.insert(id, Pending::Disk(serial));
        }
        self.waiting.insert(serial, waiting);
        serial
    }

    /// Has a thread read a part of a file.
    pub(super) fn wait_for_bytes(&mut self, part: &Part, waiting: Waiting) -> u64 {
        let (fd, offset, length) = (part.file.fd.clone(), part.offset, part.length);
        self.wait_for_disk(waiting, Box::new(move || Outcome::Read(read_part(&fd, offset, length))))
    }

    /// Has a thread fetch a part of a file that a write of this connection is to send: into the system's memory, where that keeps
    /// it; the first bytes of it themselves, where another machine may be asked again.
    pub(super) fn wait_for_part(&mut self, handle: u64, part: &Part) -> u64 {
        let waiting = Waiting::Write(handle, part.file.clone());
        if part.file.medium.get() == Medium::Remote {
            let length = part.length.min(limits::DISK_BUFFER_BYTES as u64);
            return self.wait_for_bytes(&Part { file: part.file.clone(), length, ..*part }, waiting);
        }
        let (fd, offset, length) = (part.file.fd.clone(), part.offset, part.length);
        self.wait_for_disk(waiting, Box::new(move || Outcome::Cached(cache(&fd, offset, length))))
    }

    /// Nothing waits for this call any more. It is not made, or what it brings is dropped.
    pub(super) fn forget_disk(&mut self, serial: u64) {
        let Some(waiting) = self.waiting.remove(&serial) else { return };
        if !self.disk.forget(serial) {
            self.waiting.insert(serial, Waiting::Nobody { _file: waiting.into_file() });
        }
    }

    /// The request of this id, with a path that waits for the disk: `Exhausted` when there is no room for it.
    pub(super) fn wait_with_path(&self, id: u64, path: &CStr) -> Result<Path, Error> {
        let bytes = path.to_bytes_with_nul().len() as u64;
        Ok(Path { id, _held: self.path_bytes.hold(bytes, limits::PATH_BYTES_WAITING_MAX)? })
    }

    /// Has threads close the files that nobody uses any more, where closing them may wait.
    pub(super) fn close_unused(&mut self) {
        for (file, held) in self.closing.take() {
            self.close_on_thread(file, held);
        }
    }

    /// Has a thread close a file, whose place among the open ones is held until it is closed.
    pub(super) fn close_on_thread(&mut self, file: impl Send + 'static, held: Option<Held>) {
        let serial = self.disk.call_to_close(Box::new(move || {
            drop(file);
            Outcome::Closed
        }));
        self.waiting.insert(serial, Waiting::Close { _held: held });
    }

    /// Goes on with what has waited.
    pub(super) fn disk_has_done(&mut self) {
        if !self.disk.has_done() {
            return;
        }
        for (serial, outcome) in self.disk.done() {
            if let Some(waiting) = self.waiting.remove(&serial) {
                self.go_on(waiting, outcome);
            }
        }
    }

    fn go_on(&mut self, waiting: Waiting, outcome: Outcome) {
        if let Some(id) = waiting.request() {
            self.pending.remove(&id);
        }
        match (waiting, outcome) {
            (Waiting::Open(Path { id, .. }), Outcome::Opened(opened)) => {
                let opened = opened.and_then(|(file, metadata)| self.opened(file, metadata));
                self.answer(id, opened);
            }
            (Waiting::List(Path { id, .. }), Outcome::Listed(entries)) => {
                let reply = entries.map(Reply::Listed).and_then(|reply| self.answers.has_room_for(reply));
                self.answer(id, reply);
            }
            (Waiting::Watch(Path { id, .. }), Outcome::Resolved(target)) => {
                let watched = target.map_err(from_errno).and_then(|target| self.watch_target(id, &target));
                if let Err(error) = watched {
                    self.answers.push(id, Reply::Failed(error));
                }
            }
            (Waiting::ReadFile(id, _), Outcome::Read(read)) => {
                let reply =
                    read.map(Reply::Data).map_err(from_errno).and_then(|reply| self.answers.has_room_for(reply));
                self.answer(id, reply);
            }
            (Waiting::Load(id, _, room), Outcome::Read(read)) => {
                drop(room);
                let reply = read.map_err(from_errno).and_then(|bytes| self.loaded(bytes));
                self.answer(id, reply);
            }
            (Waiting::Digest(id, _), Outcome::Digested(reply)) => self.answer(id, reply.map_err(from_errno)),
            (Waiting::Write(handle, _), Outcome::Cached(cached)) => {
                self.go_on_with_write(handle, cached.map(Fetched::Cached));
            }
            (Waiting::Write(handle, _), Outcome::Read(read)) => {
                self.go_on_with_write(handle, read.map(Fetched::Read));
            }
            // Only a disk that may wait has a thread open a file.
            (Waiting::Nobody { .. }, Outcome::Opened(Ok((file, _)))) => self.close_on_thread(file, None),
            (Waiting::Nobody { .. }, _) | (Waiting::Close { .. }, Outcome::Closed) => {}
            _ => unreachable!("each call has an outcome of its own kind"),
        }
    }

    fn answer(&mut self, id: u64, reply: Result<Reply, Error>) {
        self.answers.push(id, reply.unwrap_or_else(Reply::Failed));
    }
}
