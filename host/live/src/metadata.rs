//! Translates the system's metadata to those of the contract.

use rustix::fs::{FileType, Stat};

use pluto_contract::{Kind, Metadata};

/// Returns the contract's metadata of a file or directory.
pub fn metadata(stat: &Stat) -> Metadata {
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

/// Returns a time in nanoseconds. Times before 1677 and after 2262 become the first and last that
/// fit.
fn nanoseconds(seconds: i64, nanoseconds: u64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add_unsigned(nanoseconds)
}
