//! Files: beneath one root, for reading, regular ones only.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::Live;
use super::disk::Outcome;
use super::errors::from_errno;
use super::handles::Object;
use super::medium::Medium;
use super::objects::{Buffer, File};
use super::reading::read_at_once;
use super::root::Root;
use super::transfer::Part;
use super::waiting::Waiting;
use crate::contract::{Entry, Error, Kind, Loaded, Metadata, Open, Opened, Range, Reply};
use crate::limits;

/// Non-blocking, or a FIFO would wait for its writer. It is opened all the same before it is known to be none of ours: asking first
/// what a path names (`O_PATH`, `fstat`, opening again) would cost each request two more calls.
const OPEN_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Live {
    pub(super) fn open(&mut self, id: u64, open: &Open) -> Result<Option<Reply>, Error> {
        let links = if open.follow_symlinks { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
        let (root, path) = self.beneath_root(&open.path)?;
        if let Some(file) = self.resolve_at_once(&root, &path, OPEN_FLAGS, links) {
            let (file, metadata) = look_at(file.map_err(from_errno)?)?;
            return self.opened(file, metadata).map(Some);
        }
        let waiting = Waiting::Open(self.wait_with_path(id, &path)?);
        let open = move || look_at(root.resolve(&path, OPEN_FLAGS, links).map_err(from_errno)?);
        self.wait_for_disk(waiting, Box::new(move || Outcome::Opened(open())));
        Ok(None)
    }

    /// Gives a file that was opened its handle.
    pub(super) fn opened(&mut self, file: OwnedFd, metadata: Metadata) -> Result<Reply, Error> {
        let medium = self.root.as_ref().map_or(Medium::Memory, |root| root.medium);
        let room = match self.handles.room_for_file() {
            Ok(room) => room,
            Err(error) => {
                if medium == Medium::Remote {
                    self.close_on_thread(file, None);
                }
                return Err(error);
            }
        };
        let file = Rc::new(File::new(file, metadata.size, medium, room, &self.closing));
        let file = self.handles.insert(Object::File(file))?;
        Ok(Reply::Opened(Opened { file, metadata }))
    }

    pub(super) fn read_file(&mut self, id: u64, range: &Range) -> Result<Option<Reply>, Error> {
        let length = range.length.min(limits::FILE_READ_BYTES_MAX);
        self.answers.has_room(length as usize)?;
        let file = self.handles.file(range.handle)?.clone();
        let mut bytes = Vec::new();
        if read_at_once(&file, range.offset, length, &mut bytes).map_err(from_errno)?.is_some() {
            return Ok(Some(data(bytes)));
        }
        let waiting = Waiting::ReadFile(id, file.clone());
        self.wait_for_bytes(&Part { file, offset: range.offset, length }, waiting);
        Ok(None)
    }

    pub(super) fn load(&mut self, id: u64, range: &Range) -> Result<Option<Reply>, Error> {
        if range.length > limits::BUFFER_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let file = self.handles.file(range.handle)?.clone();
        // Before anything is read, for a guest can ask again and again.
        let room = self.buffer_bytes.hold(range.length.min(file.size), limits::BUFFERS_BYTES_MAX)?;
        let mut bytes = Vec::new();
        if read_at_once(&file, range.offset, range.length, &mut bytes).map_err(from_errno)?.is_some() {
            drop(room);
            return self.loaded(bytes).map(Some);
        }
        let waiting = Waiting::Load(id, file.clone(), room);
        self.wait_for_bytes(&Part { file, offset: range.offset, length: range.length }, waiting);
        Ok(None)
    }

    /// Gives a buffer with these bytes its handle.
    pub(super) fn loaded(&mut self, mut bytes: Vec<u8>) -> Result<Reply, Error> {
        bytes.shrink_to_fit();
        let length = bytes.len() as u64;
        let buffer = Rc::new(Buffer::new(bytes, &self.buffer_bytes)?);
        let buffer = self.handles.insert(Object::Buffer(buffer))?;
        Ok(Reply::Loaded(Loaded { buffer, length }))
    }

    /// Lists a directory: at once on a disk of this machine, for what the host computes for a guest is part of its turn, and a
    /// large directory takes a while.
    pub(super) fn list(&mut self, id: u64, path: &[u8]) -> Result<Option<Reply>, Error> {
        let (root, path) = self.beneath_root(path)?;
        let room = self.answers.room();
        if root.medium != Medium::Remote {
            return list(&root, &path, room).map(|entries| Some(Reply::Listed(entries)));
        }
        let waiting = Waiting::List(self.wait_with_path(id, &path)?);
        self.wait_for_disk(waiting, Box::new(move || Outcome::Listed(list(&root, &path, room))));
        Ok(None)
    }

    /// The root, and a path in the system's form: of the root itself, when it is empty.
    pub(super) fn beneath_root(&self, path: &[u8]) -> Result<(Root, CString), Error> {
        let root = self.root.as_ref().ok_or(Error::NotPermitted)?;
        if path.len() > limits::PATH_BYTES_MAX {
            return Err(Error::Invalid);
        }
        let path = if path.is_empty() { b"." } else { path };
        Ok((root.clone(), CString::new(path).map_err(|_| Error::Invalid)?))
    }

    /// Opens what a path names, if that need not wait.
    pub(super) fn resolve_at_once(
        &mut self,
        root: &Root,
        path: &CStr,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> Option<Result<OwnedFd, Errno>> {
        match root.resolve_at_once(path, flags, resolve)? {
            // The descriptors of connections that were closed in this turn are given back when the queue has heard of it: most
            // of them at once.
            Err(Errno::MFILE) => {
                self.driver.settle();
                root.resolve_at_once(path, flags, resolve)
            }
            resolved => Some(resolved),
        }
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

/// The entries of a directory, in the order of their names, while they hold no more than so many bytes.
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

pub(super) fn metadata(stat: &Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    let size = if kind == Kind::Regular { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 };
    Metadata {
        kind,
        size,
        modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
        changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        inode: stat.st_ino,
    }
}

/// Dates before 1677 and after 2262 become the first and last that fit.
fn nanoseconds(seconds: i64, nanoseconds: u64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add_unsigned(nanoseconds)
}
