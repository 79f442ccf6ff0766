//! Files: beneath one root, for reading, regular ones only.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::Live;
use super::errors::from_errno;
use super::handles::{Buffer, File, Object};
use super::transfer::read_range;
use crate::contract::{Entry, Error, Kind, Loaded, Metadata, Open, Opened, Range, Reply};
use crate::limits;

/// The folder beneath which a guest may read.
pub struct Root(OwnedFd);

impl Root {
    /// Opens the folder, and makes sure that the system can confine a guest to it.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Self(rustix::fs::open(path, flags, Mode::empty())?);
        root.resolve(c".", OFlags::PATH, ResolveFlags::empty())?;
        Ok(root)
    }

    /// The same folder, by a descriptor of its own: for another shard, so that the two share none.
    pub fn another(&self) -> Result<Self, Errno> {
        self.resolve(c".", OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty()).map(Self)
    }

    /// Opens what a path names. The system itself makes sure that no name and no symbolic link on the way leads out.
    fn resolve(&self, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..limits::OPEN_RETRIES_MAX {
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                // Something was renamed while the system made sure that the path stays beneath the root.
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl Live {
    pub(super) fn open(&mut self, open: &Open) -> Result<Reply, Error> {
        let links = if open.follow_symlinks { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
        // Non-blocking, or a FIFO would wait for its writer. It is opened all the same before it is known to be none of
        // ours: asking first what a path names (`O_PATH`, `fstat`, opening again) would cost each request two more calls.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.resolve(&open.path, flags, links)?;
        let metadata = metadata(&rustix::fs::fstat(&file).map_err(from_errno)?);
        match metadata.kind {
            Kind::Regular => {}
            Kind::Directory => return Err(Error::IsDirectory),
            Kind::Symlink | Kind::Other => return Err(Error::NotRegular),
        }
        let file = Rc::new(File::new(file, metadata.size, self.handles.room_for_file()?));
        let file = self.handles.insert(Object::File(file))?;
        Ok(Reply::Opened(Opened { file, metadata }))
    }

    pub(super) fn read_file(&mut self, range: &Range) -> Result<Reply, Error> {
        let length = range.length.min(limits::FILE_READ_BYTES_MAX);
        self.answers.has_room(length as usize)?;
        let file = self.handles.file(range.handle)?;
        let mut bytes = Vec::new();
        read_range(&file.fd, range.offset, length, &mut bytes).map_err(from_errno)?;
        // The file may end long before the range does.
        bytes.shrink_to_fit();
        Ok(Reply::Data(bytes))
    }

    pub(super) fn load(&mut self, range: &Range) -> Result<Reply, Error> {
        if range.length > limits::BUFFER_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let file = self.handles.file(range.handle)?;
        let mut bytes = Vec::new();
        let length = read_range(&file.fd, range.offset, range.length, &mut bytes).map_err(from_errno)?;
        bytes.shrink_to_fit();
        let buffer = Rc::new(Buffer::new(bytes, &self.buffer_bytes)?);
        let buffer = self.handles.insert(Object::Buffer(buffer))?;
        Ok(Reply::Loaded(Loaded { buffer, length }))
    }

    pub(super) fn list(&mut self, path: &[u8]) -> Result<Reply, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = self.resolve(path, flags, ResolveFlags::empty())?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in Dir::read_from(&directory).map_err(from_errno)? {
            let name = entry.map_err(from_errno)?.file_name().to_owned();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() == limits::LIST_ENTRIES_MAX {
                return Err(Error::TooLarge);
            }
            bytes += name.as_bytes().len() + size_of::<Entry>();
            self.answers.has_room(bytes)?;
            match rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => entries.push(Entry { name: name.into_bytes(), metadata: metadata(&stat) }),
                // It went away in the meantime.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(from_errno(errno)),
            }
        }
        // The system's own order is that of a hash table.
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        entries.shrink_to_fit();
        Ok(Reply::Listed(entries))
    }

    pub(super) fn resolve(&mut self, path: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Error> {
        let root = self.root.as_ref().ok_or(Error::NotPermitted)?;
        if path.len() > limits::PATH_BYTES_MAX {
            return Err(Error::Invalid);
        }
        let path = CString::new(path).map_err(|_| Error::Invalid)?;
        let path = if path.is_empty() { c"." } else { &path };
        let resolved = match root.resolve(path, flags, resolve) {
            // The descriptors of connections that were closed in this turn are given back when the queue has heard of it: most
            // of them at once.
            Err(Errno::MFILE) => {
                self.driver.settle();
                root.resolve(path, flags, resolve)
            }
            resolved => resolved,
        };
        resolved.map_err(from_errno)
    }
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
