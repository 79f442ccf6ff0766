//! Files and buffers. Each is held by a guest's handle, or by a write that still sends from it.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::held::{Held, Total};
use super::medium::Medium;
use crate::limits;
use pluto_contract::Error;

/// A regular file, open for reading. The file lives as long as its handle, or a write that sends
/// from it.
pub struct File {
    /// The file. A thread that waits for the disk holds it, too.
    pub fd: Arc<OwnedFd>,
    /// The size of the file in bytes when it was opened.
    pub size: u64,
    /// Whether reading it may wait.
    pub medium: Cell<Medium>,
    /// Counts the file among the open ones. Each takes a descriptor.
    held: Option<Held>,
    /// The list to which the file goes to be closed, if closing it may wait.
    closing: Option<Closing>,
}

/// Files that are no longer used and have yet to be closed. Closing a file may wait for another
/// machine or another program, so a thread has to do it.
#[derive(Clone, Default)]
pub struct Closing(Rc<RefCell<Vec<Unused>>>);

/// A file that is no longer used, with its place among the open files.
pub type Unused = (Arc<OwnedFd>, Option<Held>);

/// A buffer of the host. The buffer lives as long as its handle, or a write that sends from it.
pub struct Buffer {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Counts the bytes among those of all buffers.
    _held: Held,
}

impl File {
    /// Creates a file, with its `room` among the open files. A file that cannot be closed at once
    /// goes to `closing` when it is dropped.
    pub fn new(fd: OwnedFd, size: u64, medium: Medium, room: Held, closing: &Closing) -> Self {
        let closing = (medium == Medium::Remote).then(|| closing.clone());
        Self { fd: Arc::new(fd), size, medium: Cell::new(medium), held: Some(room), closing }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(Closing(files)) = &self.closing {
            files.borrow_mut().push((self.fd.clone(), self.held.take()));
        }
    }
}

impl Closing {
    /// Takes the files that were added since the last call.
    pub fn take(&self) -> Vec<Unused> {
        self.0.take()
    }
}

impl Buffer {
    /// Creates a buffer that is counted in `buffer_bytes`.
    pub fn new(bytes: Vec<u8>, buffer_bytes: &Total) -> Result<Self, Error> {
        // Even an empty buffer takes some memory.
        let amount = (bytes.capacity() + size_of::<Self>()) as u64;
        Ok(Self { bytes, _held: buffer_bytes.hold(amount, limits::BUFFERS_BYTES_MAX)? })
    }
}
