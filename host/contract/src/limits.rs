//! The limits that a guest can meet. Each name ends in its unit, and the reason stands above it.
//!
//! A guest must not rely on them beyond what `wit/system.wit` says.

use crate::types::Error;

/// What one call may bring from the guest into the host's memory.
pub const SEND_BYTES_MAX: usize = 64 << 20;

/// Pending requests of a guest, with the answers that it has not yet received. Fifteen for each of
/// 50,000 connections: that is what a web server has whose clients all ask for several files at
/// once, in all encodings. Each takes about 130 bytes of the host at most, so that a guest that
/// makes as many as it can takes 100 MB.
pub const REQUESTS_PENDING_MAX: usize = 786_432;

/// Connections and files that are open at once, where the system allows the process so many
/// descriptors; and, apart from these, buffers, which take none. Most are connections, each of
/// which costs the host about 800 bytes.
pub const HANDLES_MAX: usize = 131_072;

/// One handle of so many is for files, the others are for clients. Neither can take the share of
/// the other: who comes is let in, and who is let in is served.
pub const HANDLES_FOR_FILES_SHARE: usize = 4;

/// A path. `PATH_MAX` of Linux, without the final NUL.
pub const PATH_BYTES_MAX: usize = 4_095;

/// Bytes of one `read` of a connection: what one buffer of the pool holds. A request head is
/// rarely above 2 KiB.
pub const READ_BYTES_MAX: usize = 16 << 10;

/// Parts of one `write`. Sixteen pipelined responses of head, buffer and file, and room to spare.
pub const WRITE_PARTS_MAX: usize = 1_024;

/// The guest's own bytes in one `write`.
pub const WRITE_BYTES_MAX: usize = 4 << 20;

/// Memory of all pending writes: the guests' own bytes, the content of small files that was read
/// for them, and what the host needs to keep each of their parts. A client that does not read
/// holds its share until the guest gives up. Beyond half of it no file is read for a write.
pub const WRITE_BYTES_PENDING_MAX: u64 = 256 << 20;

/// Bytes of one `read-file`.
pub const FILE_READ_BYTES_MAX: u64 = 1 << 20;

/// Size of a host-held buffer.
pub const BUFFER_BYTES_MAX: u64 = 16 << 20;

/// All host-held buffers together.
pub const BUFFERS_BYTES_MAX: u64 = 512 << 20;

/// Paths of all requests that wait for a thread, in bytes. Room for as many requests as can be
/// pending, with paths of 80 bytes each: a guest that names longer ones can have fewer at once.
pub const PATH_BYTES_WAITING_MAX: u64 = 64 << 20;

/// A file whose content is digested: 16 MiB take about 3 ms from the system's cache. A larger one
/// is told by its metadata.
pub const DIGEST_BYTES_MAX: u64 = 16 << 20;

/// Memory of the answers that wait for `receive`: contents of files and directories, bytes of
/// clients, names of changed files. So much can one turn have asked for without looking at any of
/// it. When clients have sent as much, the others of the batch wait for the next one.
pub const ANSWER_BYTES_QUEUED_MAX: usize = 64 << 20;

/// Entries of one answer to `list`.
pub const LIST_ENTRIES_MAX: usize = 100_000;

/// `watch` requests at once; Linux allows a user about as many watches by default.
pub const WATCHES_MAX: usize = 65_536;

/// `watch` requests for one file or directory: each change is told to all of them.
pub const WATCHES_OF_ONE_MAX: usize = 16;

/// `signals` requests at once: each signal is told to all of them.
pub const SIGNAL_REQUESTS_MAX: usize = 16;

/// What a shard leaves with one `post`: some hundred counters, and as much again.
pub const POST_BYTES_MAX: usize = 16 << 10;

/// A log line.
pub const LOG_BYTES_MAX: usize = 8 << 10;

/// A guest is told at most so often of lost lines of its log.
pub const LOG_LOST_TOLD_MILLIS: u64 = 1_000;

/// How long a guest that was told to stop has to finish what is under way. Shorter than the 10 s
/// that container systems wait before they kill.
pub const STOP_SECONDS_MAX: u64 = 9;

/// Elements of all tables of a guest together. A table element takes 8 bytes of the host.
pub const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// How long a guest may compute between two calls of `receive`; what its thread waits for a disk
/// does not count. All other clients wait meanwhile, so it is a bug detector and not a budget: a
/// turn takes microseconds, and this leaves room for a stalled machine.
pub const TURN_SECONDS_MAX: u64 = 5;

/// Returns whether there is room for another when there are so many already: else a request is
/// answered `exhausted`.
pub fn room(count: usize, max: usize) -> Result<(), Error> {
    if count < max { Ok(()) } else { Err(Error::Exhausted) }
}

/// Returns how many clients can be connected at once where there are so many handles. Clients and
/// files each have a share of their own, so that neither can keep the other out.
pub fn clients_max(handles_max: usize) -> usize {
    handles_max - files_max(handles_max)
}

/// Returns how many files can be open at once where there are so many handles.
pub fn files_max(handles_max: usize) -> usize {
    handles_max / HANDLES_FOR_FILES_SHARE
}
