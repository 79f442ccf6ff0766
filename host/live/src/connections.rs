//! The requests of a guest for connections: reading, writing, ending.

use std::collections::VecDeque;
use std::io;

use compio_driver::op::Interest;
use rustix::io::Errno;

use super::connection::{Ahead, Connection, Outgoing, Reading, Wait};
use super::errors::{from_errno, from_io};
use super::handles::Handles;
use super::held::Total;
use super::pending::Pending;
use super::reactor::{Owner, Reactor};
use super::transfer::{Fetched, Progress, Segment, Transfer};
use crate::limits;
use pluto_contract::{Error, Part, Read, Reply, Write, checks};

/// The memory that the host holds for all connections of a guest together.
#[derive(Default)]
pub struct Connections {
    /// A buffer in which the parts of a small write are joined.
    gathered: Vec<u8>,
    /// Memory of pending writes.
    write_bytes: Total,
    /// Memory of the bytes that clients have sent and the guest has not read.
    ahead_bytes: Total,
}

impl Connections {
    /// Implements the contract's `read`.
    pub fn read(&mut self, reactor: &mut Reactor, id: u64, read: &Read) -> Result<Option<Reply>, Error> {
        let connection = reactor.handles.connection(read.connection)?;
        let bytes_max = read.limit()?;
        if connection.read.is_some() {
            return Err(Error::Busy);
        }
        if let Some(ahead) = &mut connection.ahead {
            let reply = ahead.take(bytes_max);
            if ahead.is_empty() {
                connection.ahead = None;
            }
            return Ok(Some(reply));
        }
        connection.read = Some(Reading { id, bytes_max });
        reactor.requests.wait(id, Pending::Read(read.connection));
        self.receive(reactor, read.connection);
        Ok(None)
    }

    /// Begins to receive from a client, unless a receive is under way.
    fn receive(&mut self, reactor: &mut Reactor, handle: u64) {
        let Ok(connection) = reactor.handles.connection(handle) else { return };
        if connection.receiving.is_none() {
            if reactor.driver.is_io_uring() {
                connection.socket.make_blocking();
            }
            let is_first = !std::mem::replace(&mut connection.has_received, true);
            // When much of what clients have sent is unread, no receive runs ahead of its read.
            let goes_on = !is_first && self.ahead_bytes.get() < limits::READ_AHEAD_ALL_BYTES_MAX;
            connection.receiving =
                Some(reactor.driver.receive(connection.socket.fd(), goes_on, Owner::Receive(handle)));
        }
    }

    /// Takes bytes that a client has sent, for the pending read or the next one.
    pub fn received(&mut self, reactor: &mut Reactor, handle: u64, result: io::Result<Vec<u8>>, goes_on: bool) {
        let Ok(connection) = reactor.handles.connection(handle) else { return };
        if !goes_on {
            connection.receiving = None;
        }
        let result = result.map_err(|error| from_io(&error));
        let Some(Reading { id, bytes_max }) = connection.read.take() else {
            return self.keep(reactor, handle, result);
        };
        let reply = match result {
            Ok(bytes) if bytes.len() > bytes_max => {
                let (now, later) = bytes.split_at(bytes_max);
                self.keep(reactor, handle, Ok(later.to_vec()));
                Reply::Data(now.to_vec())
            }
            Ok(bytes) => Reply::Data(bytes),
            Err(error) => Reply::Failed(error),
        };
        reactor.requests.finish(id, reply);
    }

    /// Keeps bytes until the guest reads them. The receive that brings them ends by itself: see
    /// `READ_AHEAD_BYTES_MAX`.
    fn keep(&mut self, reactor: &mut Reactor, handle: u64, result: Result<Vec<u8>, Error>) {
        let Ok(connection) = reactor.handles.connection(handle) else { return };
        connection.ahead.get_or_insert_with(|| Box::new(Ahead::new(&self.ahead_bytes))).add(result);
    }

    /// Handles a receive that has ended without bytes. The receive is begun again if a read is
    /// pending, else with the next read.
    pub fn ended_receiving(&mut self, reactor: &mut Reactor, handle: u64) {
        let Ok(connection) = reactor.handles.connection(handle) else { return };
        connection.receiving = None;
        if connection.read.is_some() {
            self.receive(reactor, handle);
        }
    }

    /// Cancels a read.
    pub fn end_read(reactor: &mut Reactor, handle: u64) {
        if let Ok(connection) = reactor.handles.connection(handle) {
            connection.read = None;
        }
    }

    /// Sends what the socket takes at once. Returns the answer if that was everything, which is
    /// the usual case.
    pub fn write(&mut self, reactor: &mut Reactor, id: u64, write: Write) -> Result<Option<Reply>, Error> {
        if reactor.handles.connection(write.connection)?.write.is_some() {
            return Err(Error::Busy);
        }
        let mut transfer = if self.gather_small(&mut reactor.handles, &write.parts) {
            let connection = reactor.handles.connection(write.connection)?;
            Transfer::of_small(&connection.socket, &self.gathered, write.ends)?
        } else {
            let transfer = Transfer::new(segments(&mut reactor.handles, write.parts)?, write.ends);
            if self.write_bytes.get() + transfer.held() > limits::WRITE_BYTES_PENDING_MAX {
                return Err(Error::Exhausted);
            }
            transfer
        };
        let copies = self.copies_files();
        let connection = reactor.handles.connection(write.connection)?;
        match transfer.advance(&mut connection.socket, copies) {
            Progress::Done(bytes) => Ok(Some(Reply::Written(bytes))),
            Progress::Failed(error) => Err(error),
            progress => {
                let held = self.write_bytes.hold_anyway(transfer.held());
                let wait = wait_with_write(reactor, write.connection, progress)?;
                let connection = reactor.handles.connection(write.connection)?;
                connection.write = Some(Box::new(Outgoing { id, transfer, wait, held }));
                reactor.requests.wait(id, Pending::Write(write.connection));
                Ok(None)
            }
        }
    }

    /// Returns whether the content of small files may be copied, to be sent with the bytes before
    /// it. Such a copy is held until the client takes it.
    fn copies_files(&self) -> bool {
        self.write_bytes.get() <= limits::WRITE_BYTES_PENDING_MAX / 2
    }

    /// Joins the parts of a small write that are in memory, so that the system gets one piece and
    /// nothing is allocated. Returns whether all parts are joined. Errors of a part are found
    /// elsewhere.
    fn gather_small(&mut self, handles: &mut Handles, parts: &[Part]) -> bool {
        self.gathered.clear();
        self.write_bytes.get() + limits::WRITE_SMALL_BYTES_MAX as u64 <= limits::WRITE_BYTES_PENDING_MAX
            && parts.len() <= limits::WRITE_PARTS_MAX
            && parts.iter().all(|part| {
                let bytes = match part {
                    Part::Bytes(bytes) => &bytes[..],
                    Part::Buffer(range) if range.length <= limits::BUFFER_COPY_BYTES_MAX => {
                        let Ok(buffer) = handles.buffer(range.handle) else { return false };
                        let Ok(range) = range.of_buffer(buffer.bytes.len()) else { return false };
                        &buffer.bytes[range]
                    }
                    Part::Buffer(_) | Part::File(_) => return false,
                };
                let fits = self.gathered.len() + bytes.len() <= limits::WRITE_SMALL_BYTES_MAX;
                if fits {
                    self.gathered.extend_from_slice(bytes);
                }
                fits
            })
    }

    /// Sends as much of the pending write as the socket takes now.
    pub fn advance(&mut self, reactor: &mut Reactor, handle: u64) {
        let copies = self.copies_files();
        let Ok(connection) = reactor.handles.connection(handle) else { return };
        let Some(outgoing) = &mut connection.write else { return };
        let reply = match outgoing.transfer.advance(&mut connection.socket, copies) {
            Progress::Done(bytes) => Reply::Written(bytes),
            Progress::Failed(error) => Reply::Failed(error),
            progress => {
                outgoing.held.change(outgoing.transfer.held());
                let Ok(wait) = wait_with_write(reactor, handle, progress) else { return };
                let Ok(connection) = reactor.handles.connection(handle) else { return };
                if let Some(outgoing) = &mut connection.write {
                    outgoing.wait = wait;
                }
                return;
            }
        };
        written(reactor, handle, reply);
    }

    /// Goes on with a write whose next part of a file was fetched, or could not be.
    pub fn go_on_with_write(&mut self, reactor: &mut Reactor, handle: u64, fetched: Result<Fetched, Errno>) {
        match fetched {
            Ok(fetched) => {
                let Ok(connection) = reactor.handles.connection(handle) else { return };
                let Some(outgoing) = &mut connection.write else { return };
                outgoing.transfer.has_fetched(fetched);
                self.advance(reactor, handle);
            }
            Err(errno) => written(reactor, handle, Reply::Failed(from_errno(errno))),
        }
    }

    /// Fails a write because the queue cannot wait for the socket.
    pub fn fail_write(reactor: &mut Reactor, handle: u64) {
        written(reactor, handle, Reply::Failed(Error::Io));
    }

    /// Returns the memory that waits in connections, in bytes.
    pub fn held(&self) -> u64 {
        self.ahead_bytes.get() + self.write_bytes.get()
    }

    /// Cancels a write.
    pub fn end_write(reactor: &mut Reactor, handle: u64) {
        let Ok(connection) = reactor.handles.connection(handle) else { return };
        let Some(outgoing) = connection.write.take() else { return };
        end_wait(reactor, outgoing.wait);
    }

    /// Implements the contract's `shutdown`.
    pub fn shutdown(reactor: &mut Reactor, handle: u64) -> Result<Reply, Error> {
        let connection = reactor.handles.connection(handle)?;
        if connection.write.is_some() {
            return Err(Error::Busy);
        }
        connection.socket.end().map_err(from_errno)?;
        Ok(Reply::Done)
    }

    /// Ends what belongs to a closed connection: its requests are answered, and its place is free
    /// for the next client.
    pub fn closed(reactor: &mut Reactor, connection: Connection) {
        let read = connection.read.map(|reading| reading.id);
        let (write, wait) = connection.write.map(|outgoing| (outgoing.id, outgoing.wait)).unzip();
        if connection.receiving.is_some() || wait.is_some() {
            connection.socket.abandon();
        }
        if let Some(token) = connection.receiving {
            reactor.driver.cancel(token);
        }
        if let Some(wait) = wait {
            end_wait(reactor, wait);
        }
        for id in read.into_iter().chain(write) {
            reactor.requests.finish(id, Reply::Failed(Error::Cancelled));
        }
    }
}

/// Waits for the event that a write needs to go on.
fn wait_with_write(reactor: &mut Reactor, handle: u64, progress: Progress) -> Result<Wait, Error> {
    if let Progress::WaitsForDisk(part) = progress {
        return Ok(Wait::Disk(reactor.disk.wait_for_part(&mut reactor.requests, handle, &part)));
    }
    let connection = reactor.handles.connection(handle)?;
    let token = reactor.driver.poll(connection.socket.fd(), Interest::Writable, Owner::Write(handle));
    Ok(Wait::Socket(token))
}

fn end_wait(reactor: &mut Reactor, wait: Wait) {
    match wait {
        Wait::Socket(token) => reactor.driver.cancel(token),
        Wait::Disk(serial) => reactor.disk.forget(serial),
    }
}

/// Gives a write its final answer.
fn written(reactor: &mut Reactor, handle: u64, reply: Reply) {
    let Ok(connection) = reactor.handles.connection(handle) else { return };
    let Some(outgoing) = connection.write.take() else { return };
    reactor.requests.finish(outgoing.id, reply);
}

/// Returns the parts of a write as segments.
fn segments(handles: &mut Handles, parts: Vec<Part>) -> Result<VecDeque<Segment>, Error> {
    let mut check = checks::Parts::new(&parts)?;
    let mut segments: VecDeque<Segment> = VecDeque::with_capacity(parts.len());
    for part in parts {
        let segment = match part {
            Part::Bytes(bytes) => {
                check.own(&bytes);
                Segment::Bytes { bytes, start: 0 }
            }
            Part::Buffer(range) => {
                let buffer = handles.buffer(range.handle)?;
                let range = range.of_buffer(buffer.bytes.len())?;
                Segment::Buffer(buffer.clone(), range)
            }
            Part::File(range) => {
                let file = handles.file(range.handle)?.clone();
                range.end()?;
                Segment::File { file, offset: range.offset, length: range.length, cached: 0 }
            }
        };
        // An empty segment would be waited for.
        if segment.len() > 0 {
            segments.push_back(segment);
        }
    }
    check.finish()?;
    Ok(segments)
}
