//! The requests that wait for the disk.

use std::ffi::CStr;
use std::rc::Rc;
use std::task::Waker;

use hashbrown::HashMap;

use super::disk::{Call, Disk, Outcome};
use super::held::{Held, Total};
use super::medium::Medium;
use super::objects::{Closing, File};
use super::pending::{Pending, Requests};
use super::reading::{cache, read_part};
use super::transfer::Part;
use crate::limits;
use pluto_contract::Error;

/// A request that waits for a thread, which waits for the disk. This owns what the call holds, so
/// that all of it is counted until the call is done.
pub enum Waiting {
    /// An `open`.
    Open(Path),
    /// A `list`.
    List(Path),
    /// A `watch`.
    Watch(Path),
    /// The `read-file` of this id.
    ReadFile(u64, Rc<File>),
    /// The `load` of this id, with its share of the buffers' memory.
    Load(u64, Rc<File>, Held),
    /// The `digest` of this id.
    Digest(u64, Rc<File>),
    /// The write of the connection of this handle.
    Write(u64, Rc<File>),
    /// Nothing: the request was cancelled while a thread made its call.
    Nobody { _file: Option<Rc<File>> },
    /// A file that is being closed, with its place among the open files, if it has one.
    Close { _held: Option<Held> },
}

/// A request that names a path.
pub struct Path {
    /// The id of the request.
    pub id: u64,
    /// Counts the path's memory among that of all waiting paths.
    _held: Held,
}

impl Waiting {
    /// Returns the id of the request that `cancel` can end. A write is ended in another way.
    pub fn request(&self) -> Option<u64> {
        match self {
            Self::Open(path) | Self::List(path) | Self::Watch(path) => Some(path.id),
            Self::ReadFile(id, _) | Self::Load(id, ..) | Self::Digest(id, _) => Some(*id),
            Self::Write(..) | Self::Nobody { .. } | Self::Close { .. } => None,
        }
    }

    /// Returns the file that the call reads.
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

/// The requests that wait for the disk.
pub struct DiskWaits {
    /// The threads, and the calls that they make.
    disk: Disk,
    /// The waiting requests, by the numbers of their calls.
    waiting: HashMap<u64, Waiting>,
    /// Memory of the paths that wait.
    path_bytes: Total,
    /// Files that a thread has yet to close.
    closing: Closing,
}

impl DiskWaits {
    /// Creates the threads' part of a world, with nothing waiting. The waker ends the shard's
    /// wait.
    pub fn new(waker: Waker) -> Self {
        let (waiting, path_bytes, closing) = (HashMap::new(), Total::default(), Closing::default());
        Self { disk: Disk::new(waker), waiting, path_bytes, closing }
    }

    /// Returns whether a waiting request can go on.
    pub fn has_done(&self) -> bool {
        self.disk.has_done()
    }

    /// Returns the list of files that a thread has to close.
    pub fn closing(&self) -> &Closing {
        &self.closing
    }

    /// Has a thread make a call. The waiting request goes on when the call is done. Returns the
    /// number of the call.
    pub fn wait(&mut self, requests: &mut Requests, waiting: Waiting, call: Call) -> u64 {
        let serial = match waiting {
            Waiting::List(..) => self.disk.call_to_list(call),
            _ => self.disk.call(call),
        };
        if let Some(id) = waiting.request() {
            requests.wait(id, Pending::Disk(serial));
        }
        self.waiting.insert(serial, waiting);
        serial
    }

    /// Has a thread read a part of a file.
    pub fn wait_for_bytes(&mut self, requests: &mut Requests, waiting: Waiting, part: &Part) -> u64 {
        let (fd, offset, length) = (part.file.fd.clone(), part.offset, part.length);
        self.wait(requests, waiting, Box::new(move || Outcome::Read(read_part(&fd, offset, length))))
    }

    /// Has a thread fetch the part of a file that a write of this connection sends next. On a
    /// local disk, the thread reads the part into the system's memory. On a remote file system,
    /// where the system might ask the other machine again, the thread returns the first bytes of
    /// the part themselves.
    pub fn wait_for_part(&mut self, requests: &mut Requests, handle: u64, part: &Part) -> u64 {
        let waiting = Waiting::Write(handle, part.file.clone());
        if part.file.medium.get() == Medium::Remote {
            let length = part.length.min(limits::DISK_BUFFER_BYTES as u64);
            return self.wait_for_bytes(requests, waiting, &Part { file: part.file.clone(), length, ..*part });
        }
        let (fd, offset, length) = (part.file.fd.clone(), part.offset, part.length);
        self.wait(requests, waiting, Box::new(move || Outcome::Cached(cache(&fd, offset, length))))
    }

    /// Forgets a call for which nothing waits any more. The call is not made, or its result is
    /// dropped.
    pub fn forget(&mut self, serial: u64) {
        let Some(waiting) = self.waiting.remove(&serial) else { return };
        if !self.disk.forget(serial) {
            self.waiting.insert(serial, Waiting::Nobody { _file: waiting.into_file() });
        }
    }

    /// Counts a path that waits for the disk with the request of this id. The error is `Exhausted`
    /// when there is no room for the path.
    pub fn path(&self, id: u64, path: &CStr) -> Result<Path, Error> {
        let bytes = path.to_bytes_with_nul().len() as u64;
        Ok(Path { id, _held: self.path_bytes.hold(bytes, limits::PATH_BYTES_WAITING_MAX)? })
    }

    /// Has threads close the files that are no longer used and whose closing may wait.
    pub fn close_unused(&mut self) {
        for (file, held) in self.closing.take() {
            self.close(file, held);
        }
    }

    /// Has a thread close a file. The file's place among the open files is held until then.
    pub fn close(&mut self, file: impl Send + 'static, held: Option<Held>) {
        let serial = self.disk.call_to_close(Box::new(move || {
            drop(file);
            Outcome::Closed
        }));
        self.waiting.insert(serial, Waiting::Close { _held: held });
    }

    /// Takes the requests that can go on, with the results of their calls.
    pub fn done(&mut self) -> Vec<(Waiting, Outcome)> {
        if !self.has_done() {
            return Vec::new();
        }
        let done = self.disk.done().into_iter();
        done.map(|(serial, outcome)| (self.take(serial), outcome)).collect()
    }

    fn take(&mut self, serial: u64) -> Waiting {
        self.waiting.remove(&serial).expect("each call is made once, and something waits for it until it is done")
    }
}
