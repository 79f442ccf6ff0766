//! The folder beneath which a guest may read, and the resolution of paths beneath it.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::medium::Medium;
use crate::limits;

/// The folder beneath which a guest may read.
#[derive(Clone)]
pub struct Root {
    /// The folder's descriptor. A thread that resolves a path holds it too.
    fd: Arc<OwnedFd>,
    /// Whether a call beneath it may wait.
    pub(super) medium: Medium,
    /// Whether the system can be asked to open only what is in its memory (Linux 5.12).
    can_try: bool,
}

impl Root {
    /// Opens the folder, and makes sure that the system can confine a guest to it.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self::of(rustix::fs::open(path, flags, Mode::empty())?)
    }

    /// Opens the same folder again, so that two shards share no descriptor.
    pub fn another(&self) -> Result<Self, Errno> {
        Self::of(self.resolve(c".", OFlags::PATH | OFlags::DIRECTORY, ResolveFlags::empty())?)
    }

    fn of(fd: OwnedFd) -> Result<Self, Errno> {
        let medium = Medium::of(&fd);
        let mut root = Self { fd: Arc::new(fd), medium, can_try: true };
        root.resolve(c".", OFlags::PATH, ResolveFlags::empty())?;
        root.can_try = root.resolve_once(c".", OFlags::PATH, ResolveFlags::CACHED).err() != Some(Errno::INVAL);
        Ok(root)
    }

    /// Opens the file or directory of a path. The system itself makes sure that no name and no
    /// symbolic link on the way leads out of the folder.
    pub(super) fn resolve(&self, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        for _ in 0..limits::OPEN_RETRIES_MAX {
            match self.resolve_once(path, flags, resolve) {
                // Something was renamed while the system made sure that the path stays beneath the
                // root.
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    fn resolve_once(&self, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// Opens the file or directory of a path, or returns none if that would wait for the disk.
    pub(super) fn resolve_at_once(
        &self,
        path: &CStr,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> Option<Result<OwnedFd, Errno>> {
        match self.medium {
            Medium::Remote => None,
            Medium::Disk if self.can_try => match self.resolve_once(path, flags, resolve | ResolveFlags::CACHED) {
                Err(Errno::AGAIN | Errno::INTR) => None,
                result => Some(result),
            },
            Medium::Disk | Medium::Memory => Some(self.resolve(path, flags, resolve)),
        }
    }
}
