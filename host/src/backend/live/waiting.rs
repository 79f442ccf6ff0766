//! What waits for the disk, and how it goes on.

use std::rc::Rc;

use super::disk::{Call, Outcome};
use super::errors::from_errno;
use super::handles::File;
use super::reading::cache;
use super::transfer::Part;
use super::{Live, Pending};
use crate::contract::{Error, Reply};
use crate::limits;

/// Something that waits for a thread, which waits for the disk.
pub enum Waiting {
    /// The `open` of this id.
    Open(u64),
    /// The `list` of this id.
    List(u64),
    /// The `watch` of this id.
    Watch(u64),
    /// The `read-file` of this id, for this part.
    ReadFile(u64, Part),
    /// The `load` of this id, for this part.
    Load(u64, Part),
    /// The `digest` of this id.
    Digest {
        /// Its id.
        id: u64,
        /// Counts as open until it is done.
        _file: Rc<File>,
    },
    /// The write of the connection of this handle, for so many bytes.
    Write(u64, u64),
}

impl Waiting {
    /// The request that `cancel` can end. A write has another way to be ended.
    fn request(&self) -> Option<u64> {
        match self {
            Self::Open(id) | Self::List(id) | Self::Watch(id) => Some(*id),
            Self::ReadFile(id, _) | Self::Load(id, _) | Self::Digest { id, .. } => Some(*id),
            Self::Write(..) => None,
        }
    }
}

impl Live {
    /// Has a thread make a call, and goes on with what waits for it when it is done. Returns the number of the call.
    pub(super) fn wait_for_disk(&mut self, waiting: Waiting, call: Call) -> u64 {
        let serial = match waiting {
            Waiting::List(_) => self.disk.call_to_list(call),
            _ => self.disk.call(call),
        };
        if let Some(id) = waiting.request() {
            self.pending.insert(id, Pending::Disk(serial));
        }
        self.waiting.insert(serial, waiting);
        serial
    }

    /// Has a thread read the beginning of a part of a file, so that it is in the system's memory: all of it, if it is at most
    /// `BUFFER_BYTES_MAX`.
    pub(super) fn wait_for_content(&mut self, part: Part, waiting: impl FnOnce(Part) -> Waiting) -> u64 {
        let (fd, offset, length) = (part.file.fd.clone(), part.offset, part.length.min(limits::BUFFER_BYTES_MAX));
        self.wait_for_disk(waiting(part), Box::new(move || Outcome::Cached(cache(&fd, offset, length))))
    }

    /// Nothing waits for this call any more. What it brings is dropped.
    pub(super) fn forget_disk(&mut self, serial: u64) {
        self.waiting.remove(&serial);
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
            (Waiting::Open(id), Outcome::Opened(opened)) => {
                let opened = opened.map_err(from_errno).and_then(|(file, metadata)| self.opened(file, metadata));
                self.answer(id, opened);
            }
            (Waiting::List(id), Outcome::Listed(entries)) => {
                let reply = entries.map(Reply::Listed).and_then(|reply| self.answers.has_room_for(reply));
                self.answer(id, reply);
            }
            (Waiting::Watch(id), Outcome::Resolved(target)) => {
                let watched = target.map_err(from_errno).and_then(|target| self.watch_target(id, &target));
                if let Err(error) = watched {
                    self.answers.push(id, Reply::Failed(error));
                }
            }
            (Waiting::ReadFile(id, part), Outcome::Cached(cached)) => {
                let reply = cached.map_err(from_errno).and_then(|()| self.read_part(&part));
                self.answer(id, reply);
            }
            (Waiting::Load(id, part), Outcome::Cached(cached)) => {
                let reply = cached.map_err(from_errno).and_then(|()| self.load_part(&part));
                self.answer(id, reply);
            }
            (Waiting::Digest { id, .. }, Outcome::Digested(reply)) => self.answer(id, reply.map_err(from_errno)),
            (Waiting::Write(handle, bytes), Outcome::Cached(cached)) => {
                self.go_on_with_write(handle, cached.map(|()| bytes));
            }
            _ => unreachable!("each call has an outcome of its own kind"),
        }
    }

    fn answer(&mut self, id: u64, reply: Result<Reply, Error>) {
        self.answers.push(id, reply.unwrap_or_else(Reply::Failed));
    }
}
