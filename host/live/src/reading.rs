//! Reads files without waiting, where the system can tell whether a read would wait.

use std::io::IoSliceMut;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, ReadWriteFlags};

use super::medium::Medium;
use super::objects::File;
use crate::limits;

/// Appends the bytes of a range of a file to `bytes`, and returns their number. The number is
/// smaller if the file ends early. Returns none, and appends nothing, if reading would wait.
pub fn read_at_once(file: &File, offset: u64, length: u64, bytes: &mut Vec<u8>) -> Result<Option<u64>, Errno> {
    match file.medium.get() {
        Medium::Memory => read_range(&file.fd, offset, length, bytes).map(Some),
        Medium::Remote => Ok(None),
        Medium::Disk => {
            let start = bytes.len();
            let read = read_without_waiting(&file.fd, offset, length, bytes);
            bytes.truncate(start + read.as_ref().map_or(0, |read| *read as usize));
            match read {
                Err(Errno::AGAIN) => Ok(None),
                // Such as on overlayfs.
                Err(Errno::OPNOTSUPP) => {
                    file.medium.set(Medium::Memory);
                    read_range(&file.fd, offset, length, bytes).map(Some)
                }
                read => read.map(Some),
            }
        }
    }
}

/// Appends the bytes of a range, and perhaps others behind them.
fn read_without_waiting(file: &OwnedFd, offset: u64, length: u64, bytes: &mut Vec<u8>) -> Result<u64, Errno> {
    let start = bytes.len();
    let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length)).ok_or(Errno::INVAL)?;
    bytes.reserve_exact(end - start);
    bytes.resize(end, 0);
    let mut read = 0;
    while read < length {
        let at = offset.checked_add(read).ok_or(Errno::INVAL)?;
        let mut rest = [IoSliceMut::new(&mut bytes[start + read as usize..])];
        match rustix::io::preadv2(file, &mut rest, at, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(count) => read += count as u64,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(read)
}

/// Returns whether a part of a file can be sent without waiting for the disk: whether its
/// beginning is in the system's memory, and its end too if it is long.
pub fn is_cached(file: &File, offset: u64, length: u64) -> bool {
    let is_there = |at: u64| {
        let mut byte = Vec::new();
        // A read error is found when the part is sent.
        read_at_once(file, at, 1, &mut byte).map_or(true, |read| read.is_some())
    };
    match file.medium.get() {
        Medium::Memory => true,
        Medium::Remote => false,
        Medium::Disk => is_there(offset) && (length <= limits::DISK_LOOK_BYTES || is_there(offset + length - 1)),
    }
}

/// Reads a part of a file so that it is in the system's memory, and returns its length. Waits for
/// that.
pub fn cache(file: &OwnedFd, offset: u64, length: u64) -> Result<u64, Errno> {
    let mut buffer = vec![0; limits::DISK_BUFFER_BYTES];
    let mut at = 0;
    while at < length {
        let count = (length - at).min(buffer.len() as u64) as usize;
        match rustix::io::pread(file, &mut buffer[..count], offset.saturating_add(at)) {
            Ok(0) => break,
            Ok(count) => at += count as u64,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(length)
}

/// Returns the bytes of a range of a file, fewer if the file ends early. Waits for them.
pub fn read_part(file: &OwnedFd, offset: u64, length: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    read_range(file, offset, length, &mut bytes)?;
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Appends the bytes of a range of a file to `bytes`, and returns their number. The number is
/// smaller if the file ends early. Waits for the bytes.
pub fn read_range(file: &OwnedFd, offset: u64, length: u64, bytes: &mut Vec<u8>) -> Result<u64, Errno> {
    let start = bytes.len();
    let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length)).ok_or(Errno::INVAL)?;
    bytes.reserve_exact(end - start);
    while bytes.len() < end {
        let at = offset.checked_add((bytes.len() - start) as u64).ok_or(Errno::INVAL)?;
        match rustix::io::pread(file, spare_capacity(bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            // Some file systems return it. The caller would take it for a full socket.
            Err(Errno::AGAIN) => return Err(Errno::IO),
            Err(errno) => return Err(errno),
        }
    }
    // The allocation may be larger than what was asked for.
    bytes.truncate(end);
    Ok((bytes.len() - start) as u64)
}
