//! Connections: reading, writing, ending.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use compio_driver::op::Interest;
use rustix::io::Errno;

use super::driver::Token;
use super::errors::{from_errno, from_io};
use super::held::{Held, Total};
use super::transfer::{Fetched, Progress, Segment, Socket, Transfer};
use super::{Live, Owner, Pending};
use crate::contract::{Error, Part, Range, Read, Reply, Write};
use crate::limits;

/// A client.
pub struct Connection {
    socket: Socket,
    /// The serial number of the listener that it came by.
    listener: u64,
    read: Option<Reading>,
    /// Set while bytes are received, whether or not the guest reads.
    receiving: Option<Token>,
    /// A receive was asked for before. The first takes one piece: a client that asks once leaves none then that would have to be
    /// cancelled.
    has_received: bool,
    /// What came before the guest read it. None while a read is pending. Boxed, as what is rare: an idle client has this, too.
    ahead: Option<Box<Ahead>>,
    /// A write that the socket did not take at once.
    write: Option<Box<Outgoing>>,
}

/// A read that is pending.
struct Reading {
    id: u64,
    bytes_max: usize,
}

/// What a client sent and nobody has read.
struct Ahead {
    bytes: VecDeque<u8>,
    /// How the stream ended behind them.
    end: Option<Result<(), Error>>,
    /// Counts the bytes among those of all clients.
    held: Held,
}

struct Outgoing {
    id: u64,
    transfer: Transfer,
    wait: Wait,
    /// Counts its memory among that of all writes.
    held: Held,
}

/// What a write waits for.
#[derive(Clone, Copy)]
enum Wait {
    /// The socket takes more.
    Socket(Token),
    /// The call of this number has read the next part of a file.
    Disk(u64),
}

impl Connection {
    /// A client that came by the listener of this serial number.
    pub fn new(fd: OwnedFd, listener: u64) -> Self {
        Self {
            socket: Socket::new(fd),
            listener,
            read: None,
            receiving: None,
            has_received: false,
            ahead: None,
            write: None,
        }
    }
}

impl Ahead {
    /// Nothing yet, counted among `all`.
    fn new(all: &Total) -> Self {
        Self { bytes: VecDeque::new(), end: None, held: all.hold_anyway(0) }
    }

    /// Adds bytes, or how the stream ended.
    fn add(&mut self, result: Result<Vec<u8>, Error>) {
        match result {
            Ok(bytes) if bytes.is_empty() => self.end = Some(Ok(())),
            Ok(bytes) => self.bytes.extend(&bytes),
            Err(error) => self.end = Some(Err(error)),
        }
        self.held.change(self.bytes.capacity() as u64);
    }

    /// Takes the answer to a read out of it, which holds no more memory than it has bytes.
    fn take(&mut self, bytes_max: usize) -> Reply {
        if !self.bytes.is_empty() {
            let count = bytes_max.min(self.bytes.len());
            let (first, second) = self.bytes.as_slices();
            let first = &first[..count.min(first.len())];
            let taken = [first, &second[..count - first.len()]].concat();
            self.bytes.drain(..count);
            return Reply::Data(taken);
        }
        match self.end.take() {
            Some(Err(error)) => Reply::Failed(error),
            Some(Ok(())) | None => Reply::Data(Vec::new()),
        }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.end.is_none()
    }
}

impl Live {
    pub(super) fn read(&mut self, id: u64, read: &Read) -> Result<Option<Reply>, Error> {
        let connection = self.handles.connection(read.connection)?;
        if connection.read.is_some() {
            return Err(Error::Busy);
        }
        if read.bytes_max == 0 {
            return Err(Error::Invalid);
        }
        let bytes_max = (read.bytes_max as usize).min(limits::READ_BYTES_MAX);
        if let Some(ahead) = &mut connection.ahead {
            let reply = ahead.take(bytes_max);
            if ahead.is_empty() {
                connection.ahead = None;
            }
            return Ok(Some(reply));
        }
        connection.read = Some(Reading { id, bytes_max });
        self.pending.insert(id, Pending::Read(read.connection));
        self.receive(read.connection);
        Ok(None)
    }

    /// Receives from a client, if that is not done already.
    fn receive(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        if connection.receiving.is_none() {
            if self.driver.is_io_uring() {
                connection.socket.make_blocking();
            }
            let is_first = !std::mem::replace(&mut connection.has_received, true);
            // Where clients have sent much that nobody reads, no receive runs ahead of its read.
            let goes_on = !is_first && self.ahead_bytes.get() < limits::READ_AHEAD_ALL_BYTES_MAX;
            connection.receiving = Some(self.driver.receive(connection.socket.fd(), goes_on, Owner::Receive(handle)));
        }
    }

    /// Takes what a client has sent, for the read that is pending or the next one.
    pub(super) fn received(&mut self, handle: u64, result: io::Result<Vec<u8>>, goes_on: bool) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        if !goes_on {
            connection.receiving = None;
        }
        let result = result.map_err(|error| from_io(&error));
        let Some(Reading { id, bytes_max }) = connection.read.take() else { return self.keep(handle, result) };
        self.pending.remove(&id);
        let reply = match result {
            Ok(bytes) if bytes.len() > bytes_max => {
                let (now, later) = bytes.split_at(bytes_max);
                self.keep(handle, Ok(later.to_vec()));
                Reply::Data(now.to_vec())
            }
            Ok(bytes) => Reply::Data(bytes),
            Err(error) => Reply::Failed(error),
        };
        self.answers.push(id, reply);
    }

    /// Keeps what nobody reads yet. The receive that brings it ends by itself: see `READ_AHEAD_BYTES_MAX`.
    fn keep(&mut self, handle: u64, result: Result<Vec<u8>, Error>) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        connection.ahead.get_or_insert_with(|| Box::new(Ahead::new(&self.ahead_bytes))).add(result);
    }

    /// A receive has ended without a word of the client: it is begun again if a read waits for it, else with the next one.
    pub(super) fn ended_receiving(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        connection.receiving = None;
        if connection.read.is_some() {
            self.receive(handle);
        }
    }

    pub(super) fn end_read(&mut self, handle: u64) {
        if let Ok(connection) = self.handles.connection(handle) {
            connection.read = None;
        }
    }

    /// Sends what the socket takes at once, which is mostly all of it: the answer then.
    pub(super) fn write(&mut self, id: u64, write: Write) -> Result<Option<Reply>, Error> {
        if self.handles.connection(write.connection)?.write.is_some() {
            return Err(Error::Busy);
        }
        let mut transfer = if self.gather_small(&write.parts) {
            let connection = self.handles.connection(write.connection)?;
            Transfer::of_small(&connection.socket, &self.gathered, write.ends)?
        } else {
            let transfer = Transfer::new(self.segments(write.parts)?, write.ends);
            if self.write_bytes.get() + transfer.held() > limits::WRITE_BYTES_PENDING_MAX {
                return Err(Error::Exhausted);
            }
            transfer
        };
        let copies = self.copies_files();
        let connection = self.handles.connection(write.connection)?;
        match transfer.advance(&mut connection.socket, copies) {
            Progress::Done(bytes) => Ok(Some(Reply::Written(bytes))),
            Progress::Failed(error) => Err(error),
            progress => {
                let held = self.write_bytes.hold_anyway(transfer.held());
                let wait = self.wait_with_write(write.connection, progress)?;
                let connection = self.handles.connection(write.connection)?;
                connection.write = Some(Box::new(Outgoing { id, transfer, wait, held }));
                self.pending.insert(id, Pending::Write(write.connection));
                Ok(None)
            }
        }
    }

    /// Waits for what a write needs to go on.
    fn wait_with_write(&mut self, handle: u64, progress: Progress) -> Result<Wait, Error> {
        if let Progress::WaitsForDisk(part) = progress {
            return Ok(Wait::Disk(self.wait_for_part(handle, &part)));
        }
        let connection = self.handles.connection(handle)?;
        let token = self.driver.poll(connection.socket.fd(), Interest::Writable, Owner::Write(handle));
        Ok(Wait::Socket(token))
    }

    /// Whether the content of small files may be copied to be sent with what stands before it: what a client does not take of
    /// it is held until he does.
    fn copies_files(&self) -> bool {
        self.write_bytes.get() <= limits::WRITE_BYTES_PENDING_MAX / 2
    }

    /// Puts the parts of a small write next to each other, where they are in memory already: then it is one piece for the
    /// system, and nothing is allocated for it. Whether all of them are there; what is wrong with one is told elsewhere.
    fn gather_small(&mut self, parts: &[Part]) -> bool {
        self.gathered.clear();
        self.write_bytes.get() + limits::WRITE_SMALL_BYTES_MAX as u64 <= limits::WRITE_BYTES_PENDING_MAX
            && parts.len() <= limits::WRITE_PARTS_MAX
            && parts.iter().all(|part| {
                let bytes = match part {
                    Part::Bytes(bytes) => &bytes[..],
                    Part::Buffer(range) if range.length <= limits::BUFFER_COPY_BYTES_MAX => {
                        let Ok(buffer) = self.handles.buffer(range.handle) else { return false };
                        let Ok(range) = indices(range, buffer.bytes.len()) else { return false };
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

    fn segments(&mut self, parts: Vec<Part>) -> Result<VecDeque<Segment>, Error> {
        if parts.len() > limits::WRITE_PARTS_MAX {
            return Err(Error::TooLarge);
        }
        let mut own_bytes = 0;
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
                    Segment::Buffer(buffer.clone(), range)
                }
                Part::File(Range { handle, offset, length }) => {
                    let file = self.handles.file(handle)?.clone();
                    offset.checked_add(length).ok_or(Error::Invalid)?;
                    Segment::File { file, offset, length, cached: 0 }
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
        Ok(segments)
    }

    /// Sends what a connection's socket takes now.
    pub(super) fn advance(&mut self, handle: u64) {
        let copies = self.copies_files();
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = &mut connection.write else { return };
        let reply = match outgoing.transfer.advance(&mut connection.socket, copies) {
            Progress::Done(bytes) => Reply::Written(bytes),
            Progress::Failed(error) => Reply::Failed(error),
            progress => {
                outgoing.held.change(outgoing.transfer.held());
                let Ok(wait) = self.wait_with_write(handle, progress) else { return };
                let Ok(connection) = self.handles.connection(handle) else { return };
                if let Some(outgoing) = &mut connection.write {
                    outgoing.wait = wait;
                }
                return;
            }
        };
        self.written(handle, reply);
    }

    /// The next part of a file was fetched, or cannot be.
    pub(super) fn go_on_with_write(&mut self, handle: u64, fetched: Result<Fetched, Errno>) {
        match fetched {
            Ok(fetched) => {
                let Ok(connection) = self.handles.connection(handle) else { return };
                let Some(outgoing) = &mut connection.write else { return };
                outgoing.transfer.has_fetched(fetched);
                self.advance(handle);
            }
            Err(errno) => self.written(handle, Reply::Failed(from_errno(errno))),
        }
    }

    /// The queue cannot wait for the socket.
    pub(super) fn fail_write(&mut self, handle: u64) {
        self.written(handle, Reply::Failed(Error::Io));
    }

    fn written(&mut self, handle: u64, reply: Reply) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = connection.write.take() else { return };
        self.pending.remove(&outgoing.id);
        self.answers.push(outgoing.id, reply);
    }

    pub(super) fn end_write(&mut self, handle: u64) {
        let Ok(connection) = self.handles.connection(handle) else { return };
        let Some(outgoing) = connection.write.take() else { return };
        self.end_wait(outgoing.wait);
    }

    fn end_wait(&mut self, wait: Wait) {
        match wait {
            Wait::Socket(token) => self.driver.cancel(token),
            Wait::Disk(serial) => self.forget_disk(serial),
        }
    }

    pub(super) fn shutdown(&mut self, handle: u64) -> Result<Reply, Error> {
        let connection = self.handles.connection(handle)?;
        if connection.write.is_some() {
            return Err(Error::Busy);
        }
        connection.socket.end().map_err(from_errno)?;
        Ok(Reply::Done)
    }

    /// What closing a connection ends: its requests are answered, its place is free for the next client.
    pub(super) fn closed(&mut self, connection: Connection) {
        let read = connection.read.map(|reading| reading.id);
        let (write, wait) = connection.write.map(|outgoing| (outgoing.id, outgoing.wait)).unzip();
        if connection.receiving.is_some() || wait.is_some() {
            connection.socket.abandon();
        }
        if let Some(token) = connection.receiving {
            self.driver.cancel(token);
        }
        if let Some(wait) = wait {
            self.end_wait(wait);
        }
        for id in read.into_iter().chain(write) {
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
