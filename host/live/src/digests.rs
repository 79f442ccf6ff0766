//! Digests of files. Small files are digested at once, others in pieces between which other
//! requests have their turn.
//!
//! Each digest is made from one opening of the file, up to the length that the file had then. The
//! file's metadata after its last byte go with the digest, so that the guest can tell whether the
//! file changed meanwhile. When a piece of a file is not in the system's memory, a thread reads
//! the file, and the digests behind it go on.

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
use super::pending::Pending;
use super::reactor::Reactor;
use super::reading::{read_at_once, read_range};
use crate::limits;
use pluto_contract::{Digested, Error, Reply, checks};

/// The digests that are under way.
#[derive(Default)]
pub struct Digests {
    /// The digests by their serial numbers, in the order of the requests. Only the first is begun.
    queue: BTreeMap<u64, Job>,
    /// The number of digests that were ever put into the queue.
    serial: u64,
    /// Bytes that were read since the world last looked at the network.
    read: u64,
    /// The buffer for pieces.
    piece: Vec<u8>,
}

struct Job {
    /// The id of the request.
    id: u64,
    /// The file whose content is digested.
    file: Rc<File>,
    /// The number of bytes that are digested.
    offset: u64,
    /// The digest of these bytes. None before the first byte.
    hash: Option<Box<Xxh3>>,
}

impl Digests {
    /// Returns whether nothing is left to do.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets a cancelled digest and frees all that it holds, because a guest can ask and cancel
    /// faster than files are read.
    pub fn forget(&mut self, serial: u64) {
        self.queue.remove(&serial);
    }

    /// Implements the contract's `digest`.
    pub fn digest(&mut self, reactor: &mut Reactor, id: u64, handle: u64) -> Result<Option<Reply>, Error> {
        let file = reactor.handles.file(handle)?.clone();
        checks::digest(file.size)?;
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

    /// Goes on with the queue, as far as one turn allows. Called after each look at the network.
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

    /// Reads the next piece of a file. The piece is shorter when the file ends early. Returns none
    /// when reading would wait.
    fn read(&mut self, file: &File, offset: u64) -> Result<Option<&[u8]>, Errno> {
        self.piece.clear();
        let length = (file.size - offset).min(limits::DIGEST_PIECE_BYTES);
        let read = read_at_once(file, offset, length, &mut self.piece)?;
        self.read += read.unwrap_or(0);
        Ok(read.map(|_| &self.piece[..]))
    }

    /// Digests one more piece.
    fn advance(&mut self, job: &mut Job) -> Result<Step, Errno> {
        let Some(piece) = self.read(&job.file, job.offset)? else { return Ok(Step::Waits) };
        let length = piece.len() as u64;
        job.hash.get_or_insert_default().update(piece);
        job.offset += length;
        let is_last = length == 0 || job.offset == job.file.size;
        Ok(if is_last { Step::Last } else { Step::More })
    }
}

/// The progress of a digest.
enum Step {
    /// There is more to read.
    More,
    /// The last piece was read.
    Last,
    /// The next piece is not in the system's memory.
    Waits,
}

/// Has a thread read the whole file: if one piece is not in memory, others are probably not
/// either.
fn digest_on_thread(reactor: &mut Reactor, id: u64, file: Rc<File>) {
    let (fd, size) = (file.fd.clone(), file.size);
    reactor.requests.go_on(id);
    let call = Box::new(move || Outcome::Digested(digest_of(&fd, size)));
    reactor.disk.wait(&mut reactor.requests, Waiting::Digest(id, file), call);
}

/// Digests a file of `size` bytes. Waits for its content.
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
    Ok(Reply::Digested(Digested::new(hash, &metadata(&rustix::fs::fstat(fd)?))))
}
