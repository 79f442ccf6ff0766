//! Digests of files: what is small at once, the rest in pieces between which the others have their
//! turn.
//!
//! Each is made from one opening, up to the length that the file had then. What the file's
//! metadata are after its last byte goes with the digest, so that the guest can tell whether it
//! changed meanwhile. A file of which a piece is not in the system's memory is read by a thread,
//! and the digests behind it go on.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::disk::Outcome;
use super::disk_waits::Waiting;
use super::errors::from_errno;
use super::metadata::metadata;
use super::objects::File;
use super::reactor::Reactor;
use super::reading::{read_at_once, read_range};
use super::requests::Pending;
use crate::contract::{Digested, Error, Metadata, Reply};
use crate::limits;

/// The digests that are under way.
#[derive(Default)]
pub struct Digests {
    /// By their serial numbers, which is the order in which they were asked for; only the first is
    /// begun.
    queue: BTreeMap<u64, Job>,
    /// How many were ever put into the queue.
    serial: u64,
    /// Bytes that were read since the world last looked at the network.
    read: u64,
    /// Where pieces are read to.
    piece: Vec<u8>,
}

struct Job {
    /// The request.
    id: u64,
    /// The file whose content is digested.
    file: Rc<File>,
    /// How many bytes of it are digested.
    offset: u64,
    /// The digest of these bytes; none before the first.
    hash: Option<Box<Xxh3>>,
}

impl Digests {
    /// Whether nothing is left to do.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets one that was cancelled, with all that it holds. A guest can ask and cancel faster
    /// than files are read.
    pub fn forget(&mut self, serial: u64) {
        self.queue.remove(&serial);
    }

    /// The contract's `digest`.
    pub fn digest(&mut self, reactor: &mut Reactor, id: u64, handle: u64) -> Result<Option<Reply>, Error> {
        let file = reactor.handles.file(handle)?.clone();
        if file.size > limits::DIGEST_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        if file.size <= limits::DIGEST_PIECE_BYTES
            && self.read + file.size <= limits::DIGEST_TURN_BYTES_MAX
            && let Some(content) = self.read(&file, 0).map_err(from_errno)?
        {
            return digested(&file.fd, xxh3_128(content)).map(Some).map_err(from_errno);
        }
        self.serial += 1;
        let serial = self.serial;
        self.queue.insert(serial, Job { id, file, offset: 0, hash: None });
        reactor.requests.wait(id, Pending::Digest(serial));
        Ok(None)
    }

    /// Goes on with what is in the queue, as far as one turn allows. Called when the network has
    /// been looked at.
    pub fn go_on(&mut self, reactor: &mut Reactor) {
        self.read = 0;
        while self.read < limits::DIGEST_TURN_BYTES_MAX
            && let Some((serial, mut job)) = self.queue.pop_first()
        {
            let reply = match self.advance(&mut job) {
                Ok(Step::More) => {
                    self.queue.insert(serial, job);
                    continue;
                }
                Ok(Step::Waits) => {
                    digest_on_thread(reactor, job.id, job.file);
                    continue;
                }
                Ok(Step::Last) => {
                    digested(&job.file.fd, job.hash.map_or_else(|| xxh3_128(&[]), |hash| hash.digest128()))
                }
                Err(errno) => Err(errno),
            };
            reactor.requests.finish(job.id, reply.unwrap_or_else(|errno| Reply::Failed(from_errno(errno))));
        }
    }

    /// Reads the next piece of a file, fewer bytes than there should be when it ends before;
    /// nothing when that would wait.
    fn read(&mut self, file: &File, offset: u64) -> Result<Option<&[u8]>, Errno> {
        self.piece.clear();
        let length = (file.size - offset).min(limits::DIGEST_PIECE_BYTES);
        let read = read_at_once(file, offset, length, &mut self.piece)?;
        self.read += read.unwrap_or(0);
        Ok(read.map(|_| &self.piece[..]))
    }

    /// Reads a piece more.
    fn advance(&mut self, job: &mut Job) -> Result<Step, Errno> {
        let Some(piece) = self.read(&job.file, job.offset)? else { return Ok(Step::Waits) };
        let length = piece.len() as u64;
        job.hash.get_or_insert_default().update(piece);
        job.offset += length;
        let is_last = length == 0 || job.offset == job.file.size;
        Ok(if is_last { Step::Last } else { Step::More })
    }
}

/// How far a digest has come.
enum Step {
    /// There is more to read.
    More,
    /// That was the last piece.
    Last,
    /// The next piece is not in the system's memory.
    Waits,
}

/// Has a thread read the whole file: what it waited for is mostly not all that it would wait for.
fn digest_on_thread(reactor: &mut Reactor, id: u64, file: Rc<File>) {
    let (fd, size) = (file.fd.clone(), file.size);
    reactor.requests.go_on(id);
    let call = Box::new(move || Outcome::Digested(digest_of(&fd, size)));
    reactor.disk.wait(&mut reactor.requests, Waiting::Digest(id, file), call);
}

/// The digest of a file of so many bytes. Waits for its content.
fn digest_of(fd: &OwnedFd, size: u64) -> Result<Reply, Errno> {
    let (mut hash, mut piece, mut offset) = (Xxh3::new(), Vec::new(), 0);
    while offset < size {
        piece.clear();
        let read = read_range(fd, offset, (size - offset).min(limits::DIGEST_PIECE_BYTES), &mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece);
        offset += read;
    }
    digested(fd, hash.digest128())
}

fn digested(fd: &OwnedFd, hash: u128) -> Result<Reply, Errno> {
    let Metadata { size, modified, changed, .. } = metadata(&rustix::fs::fstat(fd)?);
    Ok(Reply::Digested(Digested { digest: ((hash >> 64) as u64, hash as u64), size, modified, changed }))
}
