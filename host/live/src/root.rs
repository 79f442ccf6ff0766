//! The folder beneath which a guest may read, and the resolution of paths beneath it.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::medium::Medium;
use crate::limits;

/// The folder beneath which a guest may read.
///
/// Its path is a name: a deploy may give the name to another folder, by a symbolic link that is
/// switched or by a folder that is moved into its place. `replaced` finds that.
#[derive(Clone)]
pub struct Root {
    /// The folder as it is open. A thread that resolves a path holds it too.
    folder: Folder,
    /// The folder's path, as the operator gave it.
    path: Arc<Path>,
    /// The folder that the path named when it was opened.
    identity: Identity,
    /// Further folders into which symbolic links may lead.
    granted: Arc<[GrantedFolder]>,
}

/// A folder into which symbolic links may lead.
pub struct GrantedFolder {
    /// Its path, absolute and without symbolic links.
    path: PathBuf,
    folder: Folder,
}

/// A folder that is open, and how paths beneath it can be resolved.
#[derive(Clone)]
struct Folder {
    fd: Arc<OwnedFd>,
    /// Whether a call beneath it may wait.
    medium: Medium,
    /// Whether the system can be asked to open only what is in its memory (Linux 5.12).
    can_try: bool,
}

/// Tells folders apart: the numbers of the file system and of the folder in it.
type Identity = (u64, u64);

/// Whether the path of a root names another folder by now.
pub enum Replaced {
    /// The path names the same folder, or none.
    No,
    /// The path names this folder.
    By(Box<Root>),
    /// Looking would wait for the disk.
    Unknown,
}

const FOLDER_FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Symbolic links that lead into granted folders, in one path. As Linux has it for all links.
const LINKS_MAX: usize = 40;

impl Root {
    /// Opens the folder, and makes sure that the system can confine a guest to it. Symbolic links
    /// that leave the folder may lead into the granted ones.
    pub fn open(path: &Path, granted: Vec<GrantedFolder>) -> Result<Self, Errno> {
        Self::of(path.into(), granted.into())
    }

    /// Opens the same folder again, so that two shards share no descriptor.
    pub fn another(&self) -> Result<Self, Errno> {
        let granted: Result<Vec<_>, Errno> = self.granted.iter().map(GrantedFolder::another).collect();
        let folder = Folder::of(self.folder.resolve(c".", FOLDER_FLAGS, ResolveFlags::empty())?)?;
        Ok(Self { folder, path: self.path.clone(), identity: self.identity, granted: granted?.into() })
    }

    fn of(path: Arc<Path>, granted: Arc<[GrantedFolder]>) -> Result<Self, Errno> {
        let fd = rustix::fs::open(&*path, FOLDER_FLAGS, Mode::empty())?;
        let identity = identity(&rustix::fs::fstat(&fd)?);
        Ok(Self { folder: Folder::of(fd)?, path, identity, granted })
    }

    /// Returns whether a call beneath the folder may wait.
    pub(super) fn medium(&self) -> Medium {
        self.folder.medium
    }

    /// Returns whether the path names another folder by now. May wait for the disk.
    pub(super) fn replaced(&self) -> Replaced {
        match rustix::fs::stat(&*self.path) {
            Ok(stat) => self.compare(&stat),
            // A deploy may be between two steps.
            Err(_) => Replaced::No,
        }
    }

    /// The same, without a wait for the disk.
    pub(super) fn replaced_at_once(&self) -> Replaced {
        match self.folder.medium {
            Medium::Remote => return Replaced::Unknown,
            Medium::Disk if self.folder.can_try => {}
            Medium::Disk | Medium::Memory => return self.replaced(),
        }
        let found = rustix::fs::openat2(CWD, &*self.path, FOLDER_FLAGS, Mode::empty(), ResolveFlags::CACHED);
        match found.and_then(rustix::fs::fstat) {
            Ok(stat) => self.compare(&stat),
            Err(Errno::AGAIN) => Replaced::Unknown,
            Err(_) => Replaced::No,
        }
    }

    fn compare(&self, stat: &Stat) -> Replaced {
        if identity(stat) == self.identity {
            return Replaced::No;
        }
        match Self::of(self.path.clone(), self.granted.clone()) {
            Ok(root) => Replaced::By(Box::new(root)),
            Err(_) => Replaced::No,
        }
    }

    /// Opens the file or directory of a path. The system itself makes sure that no name and no
    /// symbolic link on the way leads out of the folder, unless into a granted one.
    pub(super) fn resolve(&self, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        match self.folder.resolve(path, flags, resolve) {
            Err(Errno::XDEV) if self.may_leave(resolve) => self.resolve_granted(path, flags),
            result => result,
        }
    }

    /// Opens the file or directory of a path, or returns none if that would wait for the disk.
    pub(super) fn resolve_at_once(
        &self,
        path: &CStr,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> Option<Result<OwnedFd, Errno>> {
        match self.folder.resolve_at_once(path, flags, resolve) {
            // Following a link out of the folder takes several steps, each of which may wait.
            Some(Err(Errno::XDEV)) if self.may_leave(resolve) => match self.folder.medium {
                Medium::Memory => Some(self.resolve_granted(path, flags)),
                Medium::Disk | Medium::Remote => None,
            },
            resolved => resolved,
        }
    }

    fn may_leave(&self, resolve: ResolveFlags) -> bool {
        !self.granted.is_empty() && !resolve.contains(ResolveFlags::NO_SYMLINKS)
    }

    /// Follows the symbolic links that lead from the root into a granted folder, and from one such
    /// folder into another. Each folder's own paths are resolved beneath it by the system.
    fn resolve_granted(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (mut folder, mut path) = (&self.folder, OsStr::from_bytes(path.to_bytes()).to_owned());
        for _ in 0..LINKS_MAX {
            let target = folder.link_out_of(Path::new(&path))?;
            let granted = self.granted.iter().filter_map(|granted| {
                let rest = target.strip_prefix(&granted.path).ok()?;
                Some((&granted.folder, rest, granted.path.as_os_str().len()))
            });
            let (next, rest, _) = granted.max_by_key(|(_, _, length)| *length).ok_or(Errno::XDEV)?;
            let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
            folder = next;
            path = rest.as_os_str().to_owned();
            let name = CString::new(path.as_bytes()).map_err(|_| Errno::INVAL)?;
            match folder.resolve(&name, flags, ResolveFlags::empty()) {
                Err(Errno::XDEV) => {}
                result => return result,
            }
        }
        Err(Errno::LOOP)
    }
}

impl GrantedFolder {
    /// Opens a folder into which symbolic links may lead.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let path = path.canonicalize().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let folder = Folder::of(rustix::fs::open(&path, FOLDER_FLAGS, Mode::empty())?)?;
        Ok(Self { path, folder })
    }

    fn another(&self) -> Result<Self, Errno> {
        let folder = Folder::of(self.folder.resolve(c".", FOLDER_FLAGS, ResolveFlags::empty())?)?;
        Ok(Self { path: self.path.clone(), folder })
    }
}

impl Folder {
    fn of(fd: OwnedFd) -> Result<Self, Errno> {
        let medium = Medium::of(&fd);
        let mut folder = Self { fd: Arc::new(fd), medium, can_try: true };
        folder.resolve(c".", OFlags::PATH, ResolveFlags::empty())?;
        folder.can_try = folder.resolve_once(c".", OFlags::PATH, ResolveFlags::CACHED).err() != Some(Errno::INVAL);
        Ok(folder)
    }

    fn resolve(&self, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
        for _ in 0..limits::OPEN_RETRIES_MAX {
            match self.resolve_once(path, flags, resolve) {
                // Something was renamed while the system made sure that the path stays beneath the
                // folder.
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

    fn resolve_at_once(&self, path: &CStr, flags: OFlags, resolve: ResolveFlags) -> Option<Result<OwnedFd, Errno>> {
        match self.medium {
            Medium::Remote => None,
            Medium::Disk if self.can_try => match self.resolve_once(path, flags, resolve | ResolveFlags::CACHED) {
                Err(Errno::AGAIN | Errno::INTR) => None,
                result => Some(result),
            },
            Medium::Disk | Medium::Memory => Some(self.resolve(path, flags, resolve)),
        }
    }

    /// Returns where the first symbolic link on a path leads that leaves the folder: an absolute
    /// path, with the rest of `path` behind it. The error is `XDEV` when it is not a link that
    /// leaves the folder.
    fn link_out_of(&self, path: &Path) -> Result<PathBuf, Errno> {
        let mut walked = PathBuf::from(".");
        let mut names = path.components();
        while let Some(name) = names.next() {
            let parent = walked.clone();
            walked.push(name);
            let name_of = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL);
            let followed = self.resolve(&name_of(&walked)?, OFlags::PATH, ResolveFlags::empty());
            if followed.as_ref().err() != Some(&Errno::XDEV) {
                followed?;
                continue;
            }
            let link = self.resolve(&name_of(&walked)?, OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::empty())?;
            let target = rustix::fs::readlinkat(&link, c"", Vec::new()).map_err(|_| Errno::XDEV)?;
            let target = Path::new(OsStr::from_bytes(target.to_bytes()));
            let directory = self.resolve(&name_of(&parent)?, FOLDER_FLAGS, ResolveFlags::empty())?;
            let directory = rustix::fs::readlink(format!("/proc/self/fd/{}", directory.as_raw_fd()), Vec::new())?;
            let directory = Path::new(OsStr::from_bytes(directory.to_bytes()));
            return Ok(without_dots(&directory.join(target).join(names.as_path())));
        }
        Err(Errno::XDEV)
    }
}

/// Returns an absolute path with each `..` taken together with the name before it. Where such a
/// name is a symbolic link, this is another place than the system would find; it is resolved
/// beneath a granted folder all the same.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}
