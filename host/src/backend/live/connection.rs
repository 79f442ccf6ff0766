//! Connections: reading, writing, ending.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use compio_driver::op::Interest;
use rustix::net::Shutdown;

use super::driver::Token;
use super::errors::{from_errno, from_io};
use super::transfer::{Progress, Segment, Transfer};
use super::{Live, Owner, Pending};
use crate::contract::{Error, Part, Range, Read, Reply, Write};
use crate::limits;

/// A client.
pub struct Connection {
    fd: Rc<OwnedFd>,
    /// The serial number of the listener that it came by.
    listener: u64,
    read: Option<(u64, Token)>,
    /// A write that the socket did not take at once. Boxed, as what is rare: an idle client has this, too.
    write: Option<Box<Outgoing>>,
}

struct Outgoing {
    id: u64,
    transfer: Transfer,
    /// Its wait for the socket.
    token: Token,
}

impl Connection {
    /// A client that came by the listener of this serial number.
    pub fn new(fd: OwnedFd, listener: u64) -> Self {
        Self { fd: Rc::new(fd), listener, read: None, write: None }
    }
}

impl Live {
    pub(super) fn read(&mut self, id: u64, read: &Read) -> Result<(), Error> {
        let connection = self.handles.connection(read.connection)?;
        if connection.read.is_some() {
            return Err(Error::Busy);
        }
        if read.bytes_max == 0 {
            return Err(Error::Invalid);
        }
        let bytes_max = (read.bytes_max as usize).min(limits::READ_BYTES_MAX);
        let token = self.driver.receive(&connection.fd, bytes_max, Owner::Read(read.connection));
        connection.read = Some((id, token));
        self.pending.insert(id, Pending::Read(read.connection));
        Ok(())
    }

    pub(super) fn received(&mut self, handle: u64, result: std::io::Result<Vec<u8>>) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some((id, _)) = connection.read.take() else { return };
        self.pending.remove(&id);
        self.answers.push(id, result.map_or_else(|error| Reply::Failed(from_io(&error)), Reply::Data));
    }

    pub(super) fn end_read(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        if let Some((_, token)) = connection.read.take() {
            self.driver.cancel(token);
        }
    }

    /// Sends what the socket takes at once, which is mostly all of it: the answer then.
    pub(super) fn write(&mut self, id: u64, write: Write) -> Result<Option<Reply>, Error> {
        if self.handles.connection(write.connection)?.write.is_some() {
            return Err(Error::Busy);
        }
        let (segments, held) = self.segments(write.parts)?;
        if self.write_bytes_pending + held > limits::WRITE_BYTES_PENDING_MAX {
            return Err(Error::Exhausted);
        }
        let connection = self.handles.connection(write.connection)?;
        let mut transfer = Transfer::new(segments, held);
        match transfer.advance(&connection.fd) {
            Progress::Done(bytes) => Ok(Some(Reply::Written(bytes))),
            Progress::Failed(error) => Err(error),
            Progress::Waits => {
                let token = self.driver.poll(&connection.fd, Interest::Writable, Owner::Write(write.connection));
                connection.write = Some(Box::new(Outgoing { id, transfer, token }));
                self.write_bytes_pending += held;
                self.pending.insert(id, Pending::Write(write.connection));
                Ok(None)
            }
        }
    }

    fn segments(&mut self, parts: Vec<Part>) -> Result<(VecDeque<Segment>, usize), Error> {
        if parts.len() > limits::WRITE_PARTS_MAX {
            return Err(Error::TooLarge);
        }
        let (mut own_bytes, mut copied_bytes) = (0, 0);
        let mut segments: VecDeque<Segment> = VecDeque::with_capacity(parts.len());
        for part in parts {
            let segment = match part {
                Part::Bytes(bytes) => {
                    own_bytes += bytes.len();
                    Segment::Bytes { bytes, start: 0 }
                }
                Part::Buffer(range) => {
                    let buffer = self.handles.buffer(range.handle)?;
                    let range = indices(&range, buffer.bytes.len())?;
                    // One piece costs the system less than two, and this copy less than that.
                    if let Some(Segment::Bytes { bytes, .. }) = segments.back_mut()
                        && range.len() as u64 <= limits::FILE_COPY_BYTES_MAX
                        && (bytes.len() + range.len()) as u64 <= limits::WRITE_GATHER_BYTES_MAX
                    {
                        let before = bytes.capacity();
                        bytes.extend_from_slice(&buffer.bytes[range]);
                        copied_bytes += bytes.capacity() - before;
                        continue;
                    }
                    Segment::Buffer(buffer.clone(), range)
                }
                Part::File(Range { handle, offset, length }) => {
                    let file = self.handles.file(handle)?.clone();
                    offset.checked_add(length).ok_or(Error::Invalid)?;
                    Segment::File { file, offset, length }
                }
            };
            // An empty one would be waited for.
            if segment.len() > 0 {
                segments.push_back(segment);
            }
        }
        if own_bytes > limits::WRITE_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let held = own_bytes + copied_bytes + segments.capacity() * size_of::<Segment>();
        Ok((segments, held))
    }

    /// Sends what a connection's socket takes now.
    pub(super) fn advance(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = &mut connection.write else { return };
        let reply = match outgoing.transfer.advance(&connection.fd) {
            Progress::Done(bytes) => Reply::Written(bytes),
            Progress::Failed(error) => Reply::Failed(error),
            Progress::Waits => {
                outgoing.token = self.driver.poll(&connection.fd, Interest::Writable, Owner::Write(handle));
                return;
            }
        };
        self.written(handle, reply);
    }

    /// The queue cannot wait for the socket.
    pub(super) fn fail_write(&mut self, handle: u64) {
        self.written(handle, Reply::Failed(Error::Io));
    }

    fn written(&mut self, handle: u64, reply: Reply) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = connection.write.take() else { return };
        self.write_bytes_pending -= outgoing.transfer.held();
        self.pending.remove(&outgoing.id);
        self.answers.push(outgoing.id, reply);
    }

    pub(super) fn end_write(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = connection.write.take() else { return };
        self.write_bytes_pending -= outgoing.transfer.held();
        self.driver.cancel(outgoing.token);
    }

    pub(super) fn shutdown(&mut self, handle: u64) -> Result<Reply, Error> {
        let connection = self.handles.connection(handle)?;
        if connection.write.is_some() {
            return Err(Error::Busy);
        }
        rustix::net::shutdown(&connection.fd, Shutdown::Write).map_err(from_errno)?;
        Ok(Reply::Done)
    }

    /// What closing a connection ends: its requests are answered, its place is free for the next client.
    pub(super) fn closed(&mut self, connection: Connection) {
        let write = connection.write.map(|outgoing| {
            self.write_bytes_pending -= outgoing.transfer.held();
            (outgoing.id, outgoing.token)
        });
        for (id, token) in connection.read.into_iter().chain(write) {
            self.driver.cancel(token);
            // The queue holds the descriptor until the wait has ended; the client is told now.
            let _ = rustix::net::shutdown(&connection.fd, Shutdown::Both);
            self.pending.remove(&id);
            self.answers.push(id, Reply::Failed(Error::Cancelled));
        }
        self.forget(connection.listener);
    }
}

fn indices(range: &Range, length: usize) -> Result<std::ops::Range<usize>, Error> {
    let start = usize::try_from(range.offset).map_err(|_| Error::Invalid)?;
    let count = usize::try_from(range.length).map_err(|_| Error::Invalid)?;
    let end = start.checked_add(count).filter(|end| *end <= length).ok_or(Error::Invalid)?;
    Ok(start..end)
}
