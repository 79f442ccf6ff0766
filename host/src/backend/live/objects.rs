//! Files and buffers that a guest holds, and that a write still sends from when it does not.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::held::{Held, Total};
use super::medium::Medium;
use crate::contract::Error;
use crate::limits;

/// A regular file, open for reading. It lives as long as its handle, or a write that sends from
/// it.
pub struct File {
    /// The file. A thread that waits for the disk holds it, too.
    pub fd: Arc<OwnedFd>,
    /// How many bytes it held when it was opened.
    pub size: u64,
    /// Whether reading it may wait.
    pub medium: Cell<Medium>,
    /// Counts it among the files, of which each takes a descriptor.
    held: Option<Held>,
    /// Where it goes to be closed, if closing it may wait.
    closing: Option<Closing>,
}

/// Files that nobody uses any more and that have yet to be closed. Closing a file waits for
/// whoever has it, where that is another machine or another program: a thread has to do it.
#[derive(Clone, Default)]
pub struct Closing(Rc<RefCell<Vec<Unused>>>);

/// A file that nobody uses any more, with its place among the files that are open.
pub type Unused = (Arc<OwnedFd>, Option<Held>);

/// Bytes that the host holds. They live as long as their handle, or a write that sends from them.
pub struct Buffer {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Counts them among the bytes of buffers.
    _held: Held,
}

impl File {
    /// A file on a medium, for which there is `room`. Unless it can be closed at once, it goes to
    /// `closing` when it is dropped.
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
    /// The files that have come since the last call.
    pub fn take(&self) -> Vec<Unused> {
        self.0.take()
    }
}

impl Buffer {
    /// Bytes, counted among `buffer_bytes`.
    pub fn new(bytes: Vec<u8>, buffer_bytes: &Total) -> Result<Self, Error> {
        // An empty one takes some memory as well.
        let amount = (bytes.capacity() + size_of::<Self>()) as u64;
        Ok(Self { bytes, _held: buffer_bytes.hold(amount, limits::BUFFERS_BYTES_MAX)? })
    }
}
