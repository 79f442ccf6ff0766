//! The transfer of a write: parts in, bytes on a socket out.
//!
//! Bytes and small pieces of files go out together in one `sendmsg`; the rest of a file goes by
//! `sendfile`, from the page cache to the socket without entering this process.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

use super::errors::from_errno;
use super::objects::{Buffer, File};
use super::reading::{is_cached, read_at_once, read_range};
use crate::limits;
use pluto_contract::Error;

/// The part of a write that is left to send.
pub struct Transfer {
    /// The segments that are left, in order.
    segments: VecDeque<Segment>,
    /// The number of bytes that the system has taken.
    sent: u64,
    /// Whether a file ended before its range did. Then everything behind it is dropped, and the
    /// transfer fails when the rest is sent.
    truncated: bool,
    /// Whether the sending direction ends behind the write.
    ends: bool,
}

/// A client's socket.
pub struct Socket {
    /// The descriptor. The queue holds it too, while it waits for it.
    fd: Rc<OwnedFd>,
    /// Whether the socket is non-blocking. The other calls have a flag for that, but `sendfile`
    /// has none. So a socket becomes non-blocking with its first large file, until a receive is
    /// armed.
    is_nonblocking: bool,
    /// Whether our direction has ended.
    has_ended: bool,
}

/// A piece of a write, which is never empty.
pub enum Segment {
    /// Bytes of the guest, or bytes that were read for it.
    Bytes {
        /// All of them.
        bytes: Vec<u8>,
        /// The number of bytes that are sent.
        start: usize,
    },
    /// Bytes of a buffer.
    Buffer(Rc<Buffer>, Range<usize>),
    /// Bytes of a file.
    File {
        /// The file.
        file: Rc<File>,
        /// The offset of the first byte.
        offset: u64,
        /// The number of bytes.
        length: u64,
        /// The number of bytes that are known to be in the system's memory.
        cached: u64,
    },
}

/// The reason why a transfer does not go on now.
enum Halt {
    /// The system returned this error for the socket or for a file.
    System(Errno),
    /// This part of a file is not in the system's memory.
    Disk(Part),
}

impl From<Errno> for Halt {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

/// The fetched part of a file.
pub enum Fetched {
    /// This many bytes are in the system's memory.
    Cached(u64),
    /// These are its first bytes; none at the end of the file.
    Read(Vec<u8>),
}

/// A part of a file.
pub struct Part {
    /// The file.
    pub file: Rc<File>,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// The progress of a transfer.
pub enum Progress {
    /// The system has taken all bytes. This is their number.
    Done(u64),
    /// The transfer goes on when the socket can take more.
    Waits,
    /// The transfer goes on when this part of a file is in the system's memory, or could not be
    /// read.
    WaitsForDisk(Part),
    /// The transfer has failed.
    Failed(Error),
}

impl Socket {
    /// Takes a blocking socket.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd: Rc::new(fd), is_nonblocking: false, has_ended: false }
    }

    /// Its descriptor.
    pub fn fd(&self) -> &Rc<OwnedFd> {
        &self.fd
    }

    /// Ends our direction.
    pub fn end(&mut self) -> Result<(), Errno> {
        rustix::net::shutdown(&self.fd, Shutdown::Write)?;
        self.has_ended = true;
        Ok(())
    }

    /// Tells the client that the connection is over, because the queue may hold the descriptor for
    /// a while. This is not needed when our direction has ended.
    pub fn abandon(&self) {
        if !self.has_ended {
            let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
        }
    }

    /// io_uring begins to receive from a blocking socket only; once it has begun, it does not look
    /// again.
    pub fn make_blocking(&mut self) {
        if std::mem::take(&mut self.is_nonblocking) {
            // The opposite call succeeded on the same socket.
            let _ = rustix::io::ioctl_fionbio(&self.fd, false);
        }
    }

    fn make_nonblocking(&mut self) -> Result<(), Errno> {
        if !self.is_nonblocking {
            rustix::io::ioctl_fionbio(&self.fd, true)?;
            self.is_nonblocking = true;
        }
        Ok(())
    }
}

impl Transfer {
    /// Creates a transfer of these segments. `ends` tells whether the sending direction ends
    /// behind it.
    pub fn new(segments: VecDeque<Segment>, ends: bool) -> Self {
        Self { segments, sent: 0, truncated: false, ends }
    }

    /// Sends a few bytes, which the socket takes as a whole unless the client does not read.
    /// Returns the transfer of the bytes that are left.
    pub fn of_small(socket: &Socket, bytes: &[u8], ends: bool) -> Result<Self, Error> {
        let sent = match bytes {
            [] => Ok(0),
            _ => rustix::net::send(&socket.fd, bytes, flags(ends)),
        };
        let sent = match sent {
            Err(Errno::AGAIN | Errno::INTR) => 0,
            sent => sent.map_err(from_errno)?,
        };
        let left = &bytes[sent..];
        let rest = (!left.is_empty()).then(|| Segment::Bytes { bytes: left.to_vec(), start: 0 });
        Ok(Self { sent: sent as u64, ..Self::new(VecDeque::from_iter(rest), ends) })
    }

    /// Returns the memory that the host holds for the transfer, in bytes: the guest's own bytes,
    /// bytes that were read from files, and the segments. Buffers and files count themselves.
    pub fn held(&self) -> u64 {
        let bytes: usize = self.segments.iter().map(Segment::held).sum();
        (bytes + self.segments.capacity() * size_of::<Segment>()) as u64
    }

    /// Sends what the socket takes, but not more than is fair to the other clients. Without
    /// `copies`, no content of a file is read into memory.
    pub fn advance(&mut self, socket: &mut Socket, copies: bool) -> Progress {
        let sent_before = self.sent;
        loop {
            if self.segments.is_empty() {
                return self.finish(socket);
            }
            if self.sent - sent_before >= limits::WRITE_TURN_BYTES_MAX {
                return Progress::Waits;
            }
            match self.step(socket, copies) {
                Ok(()) | Err(Halt::System(Errno::INTR)) => {}
                Err(Halt::System(Errno::AGAIN)) => return Progress::Waits,
                Err(Halt::System(errno)) => return Progress::Failed(from_errno(errno)),
                Err(Halt::Disk(part)) => return Progress::WaitsForDisk(part),
            }
        }
    }

    /// Ends a transfer whose bytes are all sent.
    fn finish(&self, socket: &mut Socket) -> Progress {
        if self.truncated {
            return Progress::Failed(Error::Truncated);
        }
        if self.ends
            && let Err(errno) = socket.end()
        {
            return Progress::Failed(from_errno(errno));
        }
        Progress::Done(self.sent)
    }

    /// Takes what was fetched of the part of a file that comes next.
    pub fn has_fetched(&mut self, fetched: Fetched) {
        let Some(Segment::File { offset, length, cached, .. }) = self.segments.front_mut() else { return };
        match fetched {
            Fetched::Cached(bytes) => *cached = bytes,
            Fetched::Read(bytes) if bytes.is_empty() => self.truncate(0),
            Fetched::Read(bytes) => {
                *offset += bytes.len() as u64;
                *length = less(*length, bytes.len() as u64);
                if *length == 0 {
                    self.segments.pop_front();
                }
                self.segments.push_front(Segment::Bytes { bytes, start: 0 });
            }
        }
    }

    fn step(&mut self, socket: &mut Socket, copies: bool) -> Result<(), Halt> {
        match self.segments.front() {
            Some(Segment::File { length, .. }) if !copies || *length > limits::FILE_COPY_BYTES_MAX => {
                self.send_file(socket)
            }
            _ => self.send_bytes(&socket.fd, copies),
        }
    }

    fn send_file(&mut self, socket: &mut Socket) -> Result<(), Halt> {
        socket.make_nonblocking()?;
        let Some(Segment::File { file, offset, length, cached }) = self.segments.front_mut() else { return Ok(()) };
        let count = (*length).min(limits::SENDFILE_BYTES_MAX as u64);
        if *cached == 0 {
            if !is_cached(file, *offset, count) {
                return Err(Halt::Disk(Part { file: file.clone(), offset: *offset, length: count }));
            }
            *cached = count;
        }
        let count = count.min(*cached);
        let sent = match rustix::fs::sendfile(&socket.fd, &file.fd, Some(offset), count as usize) {
            Err(Errno::AGAIN) => {
                // The client may take its time, and the system may need its memory.
                *cached = 0;
                return Err(Errno::AGAIN.into());
            }
            sent => sent? as u64,
        };
        *length = less(*length, sent);
        *cached = less(*cached, sent);
        self.sent += sent;
        if sent == 0 {
            self.truncate(0);
        } else if *length == 0 {
            self.segments.pop_front();
        }
        Ok(())
    }

    fn send_bytes(&mut self, socket: &OwnedFd, copies: bool) -> Result<(), Halt> {
        if copies {
            self.read_small_files()?;
        }
        let mut pieces = [IoSlice::new(&[]); limits::WRITE_PIECES_MAX];
        let mut count = 0;
        for (piece, segment) in pieces.iter_mut().zip(&self.segments) {
            let Some(bytes) = segment.bytes() else { break };
            *piece = IoSlice::new(bytes);
            count += 1;
        }
        match self.segments.front() {
            Some(Segment::File { file, offset, length, .. }) => {
                return Err(Halt::Disk(Part { file: file.clone(), offset: *offset, length: *length }));
            }
            None => return Ok(()),
            Some(_) => {}
        }
        // More may follow at once, even if it is only the end.
        let flags = flags(count < self.segments.len() || self.ends);
        let sent = if count == 1 {
            rustix::net::send(socket, &pieces[0], flags)?
        } else {
            rustix::net::sendmsg(socket, &pieces[..count], &mut SendAncillaryBuffer::default(), flags)?
        };
        self.consume(sent);
        Ok(())
    }

    /// Reads the small files among the next pieces into memory, behind the bytes before them where
    /// there is room: one piece costs the system less than two. A file that is not in the system's
    /// memory is left as it is.
    fn read_small_files(&mut self) -> Result<(), Errno> {
        let (mut index, mut gathered) = (0, 0);
        while index < limits::WRITE_PIECES_MAX && gathered < limits::WRITE_GATHER_BYTES_MAX {
            match self.segments.get(index) {
                Some(Segment::File { length, .. }) if *length <= limits::FILE_COPY_BYTES_MAX => {
                    gathered += *length;
                    let Some(next) = self.read_file(index)? else { break };
                    index = next;
                }
                Some(Segment::File { .. }) | None => break,
                Some(segment) => {
                    gathered += segment.len();
                    index += 1;
                }
            }
        }
        Ok(())
    }

    /// Replaces the file at an index by its content, or appends the content to the bytes before
    /// it. Returns the next index, or none when the content is not in the system's memory.
    fn read_file(&mut self, index: usize) -> Result<Option<usize>, Errno> {
        let Segment::File { file, offset, length, cached } = &self.segments[index] else { return Ok(Some(index + 1)) };
        let (file, offset, length, cached) = (file.clone(), *offset, *length, *cached);
        let read = |bytes: &mut Vec<u8>| match cached {
            0 => read_at_once(&file, offset, length, bytes),
            _ => read_range(&file.fd, offset, length, bytes).map(Some),
        };
        let before = index.checked_sub(1).and_then(|before| self.segments.get_mut(before));
        let (read, next) = match before {
            Some(Segment::Bytes { bytes, .. }) if bytes.len() as u64 + length <= limits::WRITE_GATHER_BYTES_MAX => {
                let Some(read) = read(bytes)? else { return Ok(None) };
                self.segments.remove(index);
                (read, index)
            }
            _ => {
                let mut bytes = Vec::new();
                let Some(read) = read(&mut bytes)? else { return Ok(None) };
                self.segments[index] = Segment::Bytes { bytes, start: 0 };
                (read, index + 1)
            }
        };
        if read < length {
            self.truncate(next);
        }
        Ok(Some(next))
    }

    /// Keeps the first `segments` segments, and drops the others.
    fn truncate(&mut self, segments: usize) {
        self.truncated = true;
        self.segments.truncate(segments);
        if self.segments.back().is_some_and(|segment| segment.len() == 0) {
            self.segments.pop_back();
        }
    }

    fn consume(&mut self, mut sent: usize) {
        self.sent += sent as u64;
        while sent > 0 {
            let Some(segment) = self.segments.front_mut() else { return };
            let taken = usize::try_from(segment.len()).unwrap_or(usize::MAX).min(sent);
            segment.advance(taken);
            sent -= taken;
            if segment.len() == 0 {
                self.segments.pop_front();
            }
        }
    }
}

impl Segment {
    /// Returns the number of bytes that are left.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes { bytes, start } => (bytes.len() - start) as u64,
            Self::Buffer(_, range) => range.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// Returns the segment's own memory, in bytes.
    fn held(&self) -> usize {
        match self {
            Self::Bytes { bytes, .. } => bytes.capacity(),
            Self::Buffer(..) | Self::File { .. } => 0,
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes { bytes, start } => Some(&bytes[*start..]),
            Self::Buffer(buffer, range) => Some(&buffer.bytes[range.clone()]),
            Self::File { .. } => None,
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes { start, .. } => *start += count,
            Self::Buffer(_, range) => range.start += count,
            Self::File { offset, length, cached, .. } => {
                *offset += count as u64;
                *length = less(*length, count as u64);
                *cached = cached.saturating_sub(count as u64);
            }
        }
    }
}

/// Returns what is left of `all` without `gone`.
fn less(all: u64, gone: u64) -> u64 {
    all.checked_sub(gone).expect("no more is sent than there is")
}

/// Returns the flags for sending. When more bytes follow at once, the system should fill its
/// packets.
fn flags(more: bool) -> SendFlags {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if more { flags | SendFlags::MORE } else { flags }
}
