//! The limits of the live world. Each name ends in its unit, and the reason stands above it.
//!
//! The limits that a guest can meet stand in `pluto_contract`, for every world.

pub use pluto_contract::limits::*;

/// A receive that goes on ends when it has taken so many bytes, and begins again when the guest
/// has read them. So the host never holds more of a client whom the guest does not read from. To
/// begin again costs half a microsecond, which eighty requests of 100 bytes share.
pub const READ_AHEAD_BYTES_MAX: u32 = 8 << 10;

/// While the host holds so much of all clients together, no further receive goes on: each takes
/// one piece, when the guest reads. Those that had begun before can bring `READ_AHEAD_BYTES_MAX`
/// each.
pub const READ_AHEAD_ALL_BYTES_MAX: u64 = 16 << 20;

/// What a client is taken to hold of the heap while it is busy: its receive, its place in the
/// queue, what has come of it. An idle one holds about 800 bytes.
pub const CONNECTION_BYTES: u64 = 4 << 10;

/// When so much less is held for clients than before, the heap is given back to the system. Less
/// is soon used again.
pub const HEAP_FREED_BYTES_MIN: u64 = 2 << 20;

/// So long after that it is looked at whether it is still so, for to look through a heap of 100
/// MiB takes some milliseconds.
pub const HEAP_REST_MILLIS: u64 = 1_000;

/// Buffers that the kernel fills on the completion queue, together 4 MiB. More connections than
/// this can wait; so many can become readable in one turn before the others are asked again.
pub const READ_BUFFERS: u16 = 256;

/// A write of no more than this is copied together, to be sent as one piece: that costs the system
/// less than several. Sixteen small responses.
pub const WRITE_SMALL_BYTES_MAX: usize = 32 << 10;

/// A small write is not copied together when a part of it is of a buffer and larger than this:
/// there the copy costs more than a second piece.
pub const BUFFER_COPY_BYTES_MAX: u64 = 4 << 10;

/// A part of a file up to this size is read behind what stands before it, and sent with that; of a
/// larger one the system sends its own pages.
pub const FILE_COPY_BYTES_MAX: u64 = 4 << 10;

/// What `sendfile` is asked to send in one call.
pub const SENDFILE_BYTES_MAX: usize = 1 << 20;

/// Bytes of one write before the other clients have their turn: about 170 µs over the loopback.
/// With half of it 10 MiB cost 5 % more.
pub const WRITE_TURN_BYTES_MAX: u64 = 1 << 20;

/// Content of small files that is read for one `sendmsg`; also what a client that does not read
/// holds of it.
pub const WRITE_GATHER_BYTES_MAX: u64 = 128 << 10;

/// Pieces that one `sendmsg` takes: sixteen responses of head, body and two more.
pub const WRITE_PIECES_MAX: usize = 64;

/// Threads of a shard that wait for the disk. A disk that stalls takes all of them; then its other
/// files wait with them.
pub const DISK_THREADS_MAX: usize = 16;

/// Calls that threads make, or that are done and wait for the shard: each may hold a descriptor.
/// With more the threads wait.
pub const DISK_DONE_MAX: usize = 16;

/// A thread that has had nothing to do for so long ends.
pub const DISK_THREAD_IDLE_SECONDS: u64 = 10;

/// Content that a thread reads at a time: into the system's memory, or of a remote file for a
/// write.
pub const DISK_BUFFER_BYTES: usize = 64 << 10;

/// A part of a file up to this size is taken to be in the system's memory when its beginning is:
/// the system reads ahead as much.
pub const DISK_LOOK_BYTES: u64 = 128 << 10;

/// Content that is read at a time for a digest, and a file that is digested at once: it stays in
/// the processor's cache.
pub const DIGEST_PIECE_BYTES: u64 = 64 << 10;

/// Content that is digested before the other clients have their turn: about 100 µs from the
/// system's cache.
pub const DIGEST_TURN_BYTES_MAX: u64 = 512 << 10;

/// Changes read from the system at a time, in bytes: about 500 of them. The rest waits, and the
/// system counts.
pub const WATCH_BYTES: usize = 16 << 10;

/// Lines that wait for the reader of standard output, with those that are being written, in
/// bytes. When there are more, lines are lost and counted: neither clients nor shards wait for
/// the reader of a log. Some seconds of a busy server, or a minute of a quiet one.
pub const LOG_BYTES_WAITING_MAX: usize = 1 << 20;

/// Messages of the host that wait for the reader of standard error, in bytes. There are few, and
/// one has about 100 bytes.
pub const MESSAGE_BYTES_WAITING_MAX: usize = 64 << 10;

/// Lines of one turn that a shard keeps before it hands them over, and memory of lines that is
/// used again, in bytes.
pub const LOG_BYTES_KEPT: usize = 64 << 10;

/// Several lines that one call writes, in bytes. What is written no longer counts as waiting, so
/// that a larger call would lose lines for which there is room already.
pub const LOG_CALL_BYTES_MAX: usize = 64 << 10;

/// How long the first line of the log waits for others, to be written with them by one call.
pub const LOG_FLUSH_MILLIS: u64 = 5;

/// How long the log rests after an error that may pass, such as a full disk; and at the end of
/// the process, which nothing may keep up for long.
pub const LOG_RETRY_MILLIS: u64 = 1_000;

/// See `LOG_RETRY_MILLIS`.
pub const LOG_RETRY_AT_END_MILLIS: u64 = 50;

/// How long the end of the process waits for the reader of the log, and then for that of standard
/// error.
pub const LAST_WORDS_MILLIS: u64 = 1_000;

/// See `LAST_WORDS_MILLIS`.
pub const LAST_WORDS_MORE_MILLIS: u64 = 200;

/// Lines that shards say before they have a client, which are told once. A server that says more
/// at its start says them as often as it has shards.
pub const START_LINES_MAX: usize = 256;

/// Connections that wait to be accepted. Linux's own default for `net.core.somaxconn`.
pub const LISTEN_BACKLOG: i32 = 4_096;

/// Connections accepted before anything else is looked at.
pub const ACCEPT_BATCH_MAX: usize = 64;

/// A guest that listens and stops again leaves a socket to the queue each time. After so many, the
/// queue gives them up before there is another.
pub const LISTENS_STOPPED_MAX: u32 = 16;

/// After the system refused to give a connection (no descriptors, no memory), accepting rests for
/// so long.
pub const ACCEPT_REST_MILLIS: u64 = 100;

/// Turns that are answered from what is at hand before the network is looked at again.
pub const TURNS_WITHOUT_POLL_MAX: u32 = 4;

/// Entries of the submission queue: receives that begin, waits for full sockets, cancellations.
/// With more, it is handed over in between.
pub const QUEUE_ENTRIES: u32 = 1_024;

/// Entries of the completion queue, 16 bytes each. What does not fit waits in the kernel, which is
/// slower: so many connections may become readable at once.
pub const QUEUE_COMPLETIONS: u32 = 16_384;

/// How often it is looked at most whether the root's path names another folder, as a deploy makes
/// it: a look is a system call. A kept file is opened again after 0.9 s, so that clients see the
/// new folder within a second.
pub const ROOT_LOOK_MILLIS: u64 = 50;

/// Names of a directory that a shard reads itself: they take about 5 ms, with what is looked up of
/// each. A thread lists a larger directory, while the shard serves the others.
pub const LIST_NAMES_AT_ONCE_MAX: usize = 5_000;

/// Times that an `openat2` which met a concurrent rename is tried again before the guest is told.
pub const OPEN_RETRIES_MAX: usize = 8;
