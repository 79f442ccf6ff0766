//! Regular files beneath one root, for reading.

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
use crate::limits;
use pluto_contract::{Entry, Error, Kind, Loaded, Metadata, Open, Opened, Range, Reply, checks};

/// Non-blocking, because opening a FIFO would otherwise wait for its writer. A FIFO is opened
/// before its kind is known: looking first (`O_PATH`, `fstat`, opening again) would cost each
/// request two more calls.
const OPEN_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The files that a guest may read, and the buffers that it has loaded from them.
pub struct Files {
    /// The folder beneath which the guest may read. Without a folder it can read nothing.
    root: Option<Root>,
    /// Memory of all buffers.
    buffer_bytes: Total,
}

impl Files {
    /// Creates the access to the files beneath this root.
    pub fn new(root: Option<Root>) -> Self {
        Self { root, buffer_bytes: Total::default() }
    }

    /// Implements the contract's `open`.
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

    /// Implements the contract's `read-file`.
    pub fn read_file(reactor: &mut Reactor, id: u64, range: &Range) -> Result<Option<Reply>, Error> {
        let length = range.to_read().length;
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

    /// Implements the contract's `load`.
    pub fn load(&self, reactor: &mut Reactor, id: u64, range: &Range) -> Result<Option<Reply>, Error> {
        range.to_load()?;
        let file = reactor.handles.file(range.handle)?.clone();
        // Take the room before anything is read, because a guest can ask again and again.
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

    /// Implements the contract's `list`. On a local disk the directory is listed at once: the
    /// host's work for a guest is part of the guest's turn, and a large directory takes a while.
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

    /// Returns the root, and a path in the system's form. An empty path means the root itself.
    pub fn beneath_root(&self, path: &[u8]) -> Result<(&Root, CString), Error> {
        let root = self.root.as_ref().ok_or(Error::NotPermitted)?;
        checks::path(path)?;
        let path = if path.is_empty() { b"." } else { path };
        Ok((root, CString::new(path).map_err(|_| Error::Invalid)?))
    }
}

/// Opens the file or directory of a path, unless that would wait.
pub fn resolve_at_once(
    driver: &mut Driver<Owner>,
    root: &Root,
    path: &CStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Option<Result<OwnedFd, Errno>> {
    match root.resolve_at_once(path, flags, resolve)? {
        // The queue still holds descriptors of connections that were closed in this turn. Telling
        // it frees most of them at once.
        Err(Errno::MFILE) => {
            driver.settle();
            root.resolve_at_once(path, flags, resolve)
        }
        resolved => Some(resolved),
    }
}

/// Returns an opened file with its metadata. Anything but a regular file is closed again.
fn look_at(file: OwnedFd) -> Result<(OwnedFd, Metadata), Error> {
    let metadata = metadata(&rustix::fs::fstat(&file).map_err(from_errno)?);
    match metadata.kind {
        Kind::Regular => Ok((file, metadata)),
        Kind::Directory => Err(Error::IsDirectory),
        Kind::Symlink | Kind::Other => Err(Error::NotRegular),
    }
}

/// Returns an answer with bytes of a file. The file may have ended long before the range.
fn data(mut bytes: Vec<u8>) -> Reply {
    bytes.shrink_to_fit();
    Reply::Data(bytes)
}

/// Returns the entries of a directory in the order of their names. More than `bytes_max` bytes of
/// entries are an error.
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
            // Hold no more bytes than are counted: a `CString` would keep the place of its final
            // zero.
            Ok(stat) => entries.push(Entry { name: name.to_bytes().to_vec(), metadata: metadata(&stat) }),
            // The entry was deleted in the meantime.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(from_errno(errno)),
        }
    }
    // The system's own order is that of a hash table.
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    entries.shrink_to_fit();
    Ok(entries)
}
