//! Files: beneath one root, for reading, regular ones only.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{AtFlags, Dir, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::disk::Outcome;
use super::disk_waits::Waiting;
use super::driver::Driver;
use super::errors::from_errno;
use super::handles::Object;
use super::held::Total;
use super::medium::Medium;
use super::metadata::metadata;
use super::objects::{Buffer, File};
use super::reactor::{Owner, Reactor};
use super::reading::read_at_once;
use super::root::Root;
use super::transfer::Part;
use crate::contract::{Entry, Error, Kind, Loaded, Metadata, Open, Opened, Range, Reply};
use crate::limits;

/// Non-blocking, or a FIFO would wait for its writer. It is opened all the same before it is known
/// to be none of ours: asking first what a path names (`O_PATH`, `fstat`, opening again) would
/// cost each request two more calls.
const OPEN_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The files that a guest may read, and the buffers that it has loaded from them.
pub struct Files {
    /// The folder beneath which it may read; without one it can read nothing.
    root: Option<Root>,
    /// Memory of all buffers.
    buffer_bytes: Total,
}

impl Files {
    /// The files beneath this root.
    pub fn new(root: Option<Root>) -> Self {
        Self { root, buffer_bytes: Total::default() }
    }

    /// The contract's `open`.
    pub fn open(&self, reactor: &mut Reactor, id: u64, open: &Open) -> Result<Option<Reply>, Error> {
        let links = if open.follow_symlinks { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
        let (root, path) = self.beneath_root(&open.path)?;
        if let Some(file) = resolve_at_once(&mut reactor.driver, root, &path, OPEN_FLAGS, links) {
            let (file, metadata) = look_at(file.map_err(from_errno)?)?;
            return self.opened(reactor, file, metadata).map(Some);
        }
        let (root, waiting) = (root.clone(), Waiting::Open(reactor.disk.path(id, &path)?));
        let open = move || look_at(root.resolve(&path, OPEN_FLAGS, links).map_err(from_errno)?);
        reactor.disk.wait(&mut reactor.requests, waiting, Box::new(move || Outcome::Opened(open())));
        Ok(None)
    }

    /// Gives a file that was opened its handle.
    pub fn opened(&self, reactor: &mut Reactor, file: OwnedFd, metadata: Metadata) -> Result<Reply, Error> {
        let medium = self.root.as_ref().map_or(Medium::Memory, |root| root.medium);
        let room = match reactor.handles.room_for_file() {
            Ok(room) => room,
            Err(error) => {
                if medium == Medium::Remote {
                    reactor.disk.close(file, None);
                }
                return Err(error);
            }
        };
        let file = Rc::new(File::new(file, metadata.size, medium, room, reactor.disk.closing()));
        let file = reactor.handles.insert(Object::File(file))?;
        Ok(Reply::Opened(Opened { file, metadata }))
    }

    /// The contract's `read-file`.
    pub fn read_file(reactor: &mut Reactor, id: u64, range: &Range) -> Result<Option<Reply>, Error> {
        let length = range.length.min(limits::FILE_READ_BYTES_MAX);
        reactor.requests.answers.has_room(length as usize)?;
        let file = reactor.handles.file(range.handle)?.clone();
        let mut bytes = Vec::new();
        if read_at_once(&file, range.offset, length, &mut bytes).map_err(from_errno)?.is_some() {
            return Ok(Some(data(bytes)));
        }
        let waiting = Waiting::ReadFile(id, file.clone());
        let part = Part { file, offset: range.offset, length };
        reactor.disk.wait_for_bytes(&mut reactor.requests, waiting, &part);
        Ok(None)
    }

    /// The contract's `load`.
    pub fn load(&self, reactor: &mut Reactor, id: u64, range: &Range) -> Result<Option<Reply>, Error> {
        if range.length > limits::BUFFER_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let file = reactor.handles.file(range.handle)?.clone();
        // Before anything is read, for a guest can ask again and again.
        let room = self.buffer_bytes.hold(range.length.min(file.size), limits::BUFFERS_BYTES_MAX)?;
        let mut bytes = Vec::new();
        if read_at_once(&file, range.offset, range.length, &mut bytes).map_err(from_errno)?.is_some() {
            drop(room);
            return self.loaded(reactor, bytes).map(Some);
        }
        let waiting = Waiting::Load(id, file.clone(), room);
        let part = Part { file, offset: range.offset, length: range.length };
        reactor.disk.wait_for_bytes(&mut reactor.requests, waiting, &part);
        Ok(None)
    }

    /// Gives a buffer with these bytes its handle.
    pub fn loaded(&self, reactor: &mut Reactor, mut bytes: Vec<u8>) -> Result<Reply, Error> {
        bytes.shrink_to_fit();
        let length = bytes.len() as u64;
        let buffer = Rc::new(Buffer::new(bytes, &self.buffer_bytes)?);
        let buffer = reactor.handles.insert(Object::Buffer(buffer))?;
        Ok(Reply::Loaded(Loaded { buffer, length }))
    }

    /// The contract's `list`: at once on a disk of this machine, for what the host computes for a
    /// guest is part of its turn, and a large directory takes a while.
    pub fn list(&self, reactor: &mut Reactor, id: u64, path: &[u8]) -> Result<Option<Reply>, Error> {
        let (root, path) = self.beneath_root(path)?;
        let room = reactor.requests.answers.room();
        if root.medium != Medium::Remote {
            return list(root, &path, room).map(|entries| Some(Reply::Listed(entries)));
        }
        let (root, waiting) = (root.clone(), Waiting::List(reactor.disk.path(id, &path)?));
        reactor.disk.wait(&mut reactor.requests, waiting, Box::new(move || Outcome::Listed(list(&root, &path, room))));
        Ok(None)
    }

    /// The root, and a path in the system's form: of the root itself, when it is empty.
    pub fn beneath_root(&self, path: &[u8]) -> Result<(&Root, CString), Error> {
        let root = self.root.as_ref().ok_or(Error::NotPermitted)?;
        if path.len() > limits::PATH_BYTES_MAX {
            return Err(Error::Invalid);
        }
        let path = if path.is_empty() { b"." } else { path };
        Ok((root, CString::new(path).map_err(|_| Error::Invalid)?))
    }
}

/// Opens what a path names, if that need not wait.
pub fn resolve_at_once(
    driver: &mut Driver<Owner>,
    root: &Root,
    path: &CStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Option<Result<OwnedFd, Errno>> {
    match root.resolve_at_once(path, flags, resolve)? {
        // The descriptors of connections that were closed in this turn are given back when the
        // queue has heard of it: most of them at once.
        Err(Errno::MFILE) => {
            driver.settle();
            root.resolve_at_once(path, flags, resolve)
        }
        resolved => Some(resolved),
    }
}

/// A file that was opened, with its metadata. What is no regular file is closed again.
fn look_at(file: OwnedFd) -> Result<(OwnedFd, Metadata), Error> {
    let metadata = metadata(&rustix::fs::fstat(&file).map_err(from_errno)?);
    match metadata.kind {
        Kind::Regular => Ok((file, metadata)),
        Kind::Directory => Err(Error::IsDirectory),
        Kind::Symlink | Kind::Other => Err(Error::NotRegular),
    }
}

/// An answer with bytes of a file, which may have ended long before the range did.
fn data(mut bytes: Vec<u8>) -> Reply {
    bytes.shrink_to_fit();
    Reply::Data(bytes)
}

/// The entries of a directory, in the order of their names, while they hold no more than so many
/// bytes.
fn list(root: &Root, path: &CStr, bytes_max: usize) -> Result<Vec<Entry>, Error> {
    let directory =
        root.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY, ResolveFlags::empty()).map_err(from_errno)?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for entry in Dir::read_from(&directory).map_err(from_errno)? {
        let entry = entry.map_err(from_errno)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entries.len() == limits::LIST_ENTRIES_MAX {
            return Err(Error::TooLarge);
        }
        bytes += name.count_bytes() + size_of::<Entry>();
        if bytes > bytes_max {
            return Err(Error::Exhausted);
        }
        match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            // No byte more than was counted: a `CString` would keep the place of its final zero.
            Ok(stat) => entries.push(Entry { name: name.to_bytes().to_vec(), metadata: metadata(&stat) }),
            // It went away in the meantime.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(from_errno(errno)),
        }
    }
    // The system's own order is that of a hash table.
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    entries.shrink_to_fit();
    Ok(entries)
}
