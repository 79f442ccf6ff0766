//! The medium of files, which decides whether a call for a file may wait.

use std::os::fd::OwnedFd;

use rustix::fs::fstatfs;

/// The kind of medium on which a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Calls never wait, or the system does not tell. They are made at once.
    Memory,
    /// Calls wait for content that is not in the system's memory, and the system tells. They are
    /// tried at once.
    Disk,
    /// Calls may wait even if everything is in memory, because the system asks another machine or
    /// a program. Threads make them.
    Remote,
}

/// File systems that ask another machine or another program, by their numbers in `statfs(2)`: NFS,
/// SMB 1 to 3, FUSE, 9P, Ceph, two of AFS, Coda, Lustre, GPFS, OCFS2, GFS2, VirtualBox's shared
/// folders.
const REMOTE: [u64; 15] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x6b41_4653,
    0x7375_7245,
    0x0bd0_0bd0,
    0x4750_4653,
    0x7461_636f,
    0x0116_1970,
    0x786f_4256,
];

/// File systems that keep everything in memory: tmpfs, ramfs.
const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

impl Medium {
    /// Returns the medium of the file system of a descriptor. File systems that are mounted
    /// beneath it are taken for the same.
    pub fn of(fd: &OwnedFd) -> Self {
        // Some machines sign-extend this number of 32 bits.
        let kind = fstatfs(fd).map_or(0, |stat| u64::from(stat.f_type as u32));
        match kind {
            kind if REMOTE.contains(&kind) => Self::Remote,
            kind if MEMORY.contains(&kind) => Self::Memory,
            _ => Self::Disk,
        }
    }
}
