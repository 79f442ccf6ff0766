//! Regular files beneath one root, for reading.

use std::collections::BinaryHeap;
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
use super::root::{Replaced, Root};
use super::transfer::Part;
use crate::limits;
use pluto_contract::{Entry, Error, Kind, Listing, Loaded, Metadata, Open, Opened, Range, Reply, checks};

/// Non-blocking, because opening a FIFO would otherwise wait for its writer. A FIFO is opened
/// before its kind is known: looking first (`O_PATH`, `fstat`, opening again) would cost each
/// request two more calls.
const OPEN_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The files that a guest may read, and the buffers that it has loaded from them.
pub struct Files {
    /// The folder beneath which the guest may read. Without a folder it can read nothing.
    root: Option<Root>,
    /// When it is next looked at whether the root's path names another folder: nanoseconds of the
    /// monotonic clock.
    look_at_root: u64,
    /// Whether a thread looks at it.
    is_looking: bool,
    /// Memory of all buffers.
    buffer_bytes: Total,
}

impl Files {
    /// Creates the access to the files beneath this root.
    pub fn new(root: Option<Root>) -> Self {
        Self { root, look_at_root: 0, is_looking: false, buffer_bytes: Total::default() }
    }

    /// Looks whether the root's path names another folder by now, unless that was done lately.
    /// Returns whether it does: then every watch has lost its place.
    pub fn follow_root(&mut self, reactor: &mut Reactor) -> bool {
        let now = reactor.clock.monotonic();
        let Some(root) = self.root.as_ref().filter(|_| now >= self.look_at_root && !self.is_looking) else {
            return false;
        };
        self.look_at_root = now + limits::ROOT_LOOK_MILLIS * 1_000_000;
        match root.replaced_at_once() {
            Replaced::Unknown => {
                let root = root.clone();
                self.is_looking = true;
                let call = Box::new(move || Outcome::Replaced(root.replaced()));
                reactor.disk.wait(&mut reactor.requests, Waiting::Root, call);
                false
            }
            replaced => self.replace_root(replaced),
        }
    }

    /// Looks at once, because the operator asks for it.
    pub fn follow_root_now(&mut self) -> bool {
        let replaced = self.root.as_ref().map_or(Replaced::No, Root::replaced);
        self.replace_root(replaced)
    }

    /// A thread has looked at the root.
    pub fn has_looked(&mut self, replaced: Replaced) -> bool {
        self.is_looking = false;
        self.replace_root(replaced)
    }

    /// Files that are open stay open. Everything else is resolved beneath the new root.
    fn replace_root(&mut self, replaced: Replaced) -> bool {
        let Replaced::By(root) = replaced else { return false };
        self.root = Some(*root);
        true
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
        let medium = self.root.as_ref().map_or(Medium::Memory, Root::medium);
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

    /// Implements the contract's `list`. On a local disk a directory of moderate size is listed at
    /// once; a larger one would keep the other clients waiting, and has a thread list it.
    pub fn list(&self, reactor: &mut Reactor, id: u64, listing: &Listing) -> Result<Option<Reply>, Error> {
        let (root, path) = self.beneath_root(&listing.path)?;
        let page = Page {
            after: listing.after.to_vec(),
            entries_max: listing.limit()?,
            bytes_max: reactor.requests.answers.room(),
        };
        if root.medium() != Medium::Remote
            && let Some(entries) = list(root, &path, page.clone(), limits::LIST_NAMES_AT_ONCE_MAX)?
        {
            return Ok(Some(Reply::Listed(entries)));
        }
        let (root, waiting) = (root.clone(), Waiting::List(reactor.disk.path(id, &path)?));
        let all = move || list(&root, &path, page, usize::MAX).map(Option::unwrap_or_default);
        reactor.disk.wait(&mut reactor.requests, waiting, Box::new(move || Outcome::Listed(all())));
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

/// A part of a directory.
#[derive(Clone)]
struct Page {
    /// Only entries whose names come after this one.
    after: Vec<u8>,
    /// The most entries.
    entries_max: usize,
    /// The most bytes of entries. More are an error.
    bytes_max: usize,
}

/// Returns entries of a directory in the order of their names; none when it has more than
/// `names_max`.
fn list(root: &Root, path: &CStr, mut page: Page, names_max: usize) -> Result<Option<Vec<Entry>>, Error> {
    let directory =
        root.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY, ResolveFlags::empty()).map_err(from_errno)?;
    let (mut entries, mut bytes) = (Vec::new(), 0);
    // An entry that is deleted in the meantime leaves a place for the next one, so that fewer
    // entries than asked are always the last ones.
    loop {
        let wanted = page.entries_max - entries.len();
        let Some(names) = first_names(&directory, &page, wanted, names_max)? else { return Ok(None) };
        let are_all = names.len() < wanted;
        for name in names {
            bytes += name.count_bytes() + size_of::<Entry>();
            if bytes > page.bytes_max {
                return Err(Error::Exhausted);
            }
            match rustix::fs::statat(&directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                // Hold no more bytes than are counted: a `CString` would keep the place of its
                // final zero.
                Ok(stat) => entries.push(Entry { name: name.to_bytes().to_vec(), metadata: metadata(&stat) }),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(from_errno(errno)),
            }
            page.after = name.into_bytes();
        }
        if are_all || entries.len() == page.entries_max {
            entries.shrink_to_fit();
            return Ok(Some(entries));
        }
    }
}

/// Returns the first names of a part of a directory, in their order: at most `wanted`. Returns
/// none when the directory has more than `names_max`. The system's own order is that of a hash
/// table, so all names are read.
fn first_names(
    directory: &OwnedFd,
    page: &Page,
    wanted: usize,
    names_max: usize,
) -> Result<Option<Vec<CString>>, Error> {
    let mut first = BinaryHeap::new();
    let mut bytes = 0;
    for (number, entry) in Dir::read_from(directory).map_err(from_errno)?.enumerate() {
        if number == names_max {
            return Ok(None);
        }
        let entry = entry.map_err(from_errno)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes() <= &page.after[..] {
            continue;
        }
        if first.len() == wanted {
            if first.peek().is_none_or(|last: &CString| last.as_c_str() <= name) {
                continue;
            }
            bytes -= first.pop().map_or(0, |last: CString| last.count_bytes());
        }
        bytes += name.count_bytes();
        if bytes > page.bytes_max {
            return Err(Error::Exhausted);
        }
        first.push(name.to_owned());
    }
    Ok(Some(first.into_sorted_vec()))
}
