//! Every limit of the host: its unit ends its name, its reason stands above it.
//!
//! Those that the contract (`wit/system.wit`) names stand in `pluto_contract`, for every world.

mod admission;
mod lab;

pub use self::admission::*;
pub use self::lab::*;
pub use pluto_contract::limits::*;

/// Size of a guest's file. Compiling takes about a second for each MiB, and a server is rarely
/// larger than two.
pub const GUEST_BYTES_MAX: u64 = 64 << 20;

/// Compiled code that is kept, in bytes: that of about eighty web servers. Beyond it goes what was
/// used least lately; what takes more than half of it is not kept.
pub const CODE_KEPT_BYTES_MAX: u64 = 256 << 20;

/// Default of `--memory-max`: linear memory of a guest, all its memories together. Room for 50,000
/// connections of 16 KiB each and as much again; a guest that leaks is stopped before the machine
/// swaps.
pub const MEMORY_BYTES_DEFAULT: u64 = 1 << 30;

/// Elements of all tables of a guest together. A table element takes 8 bytes of the host.
pub const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// Core instances, memories and tables that one component may have. `wit-component` makes three or
/// four.
pub const INSTANCES_MAX: usize = 64;

/// Stack of a guest. wasmtime's own default, stated because a run must replay to the same depth.
pub const STACK_BYTES_MAX: usize = 512 << 10;

/// Stack of the process, of which a guest has its part; the rest is the host's own. Linux gives 8
/// MiB, but an operator may have limited it, and a guest that recurses would then end the host.
pub const STACK_OF_PROCESS_BYTES: u64 = 4 << 20;

/// How long a guest may compute between two calls of `receive`; what its thread waits for a disk
/// does not count. All other clients wait meanwhile, so it is a bug detector and not a budget: a
/// turn takes microseconds, and this leaves room for a stalled machine.
pub const TURN_SECONDS_MAX: u64 = 5;

/// How often the turn limit is looked at.
pub const TURN_TICK_MILLIS: u64 = 100;

/// Ticks between two looks at a turn from which on it is taken to have waited for the system, as
/// far as it did not compute. Fewer may be a machine that has too much to do.
pub const TURN_TICKS_WAITED_MIN: u64 = 5;

/// Descriptors that the host itself needs with one shard: 17 were counted with one granted port
/// (standard input, output and error, signals, the compiled code, the root twice, the queue,
/// watches, what wakes the shard, two listeners), 32 with `PORTS_GRANTED_MAX` of them, 34 while
/// it records. The others are to spare, for files that are open for a moment.
pub const DESCRIPTORS_OF_HOST: u64 = 64;

/// Descriptors that a further shard needs: seven were counted (its queue, its root, a listener,
/// three by which it is woken, its watches), and nine while it records. The others are to spare.
pub const DESCRIPTORS_OF_SHARD: u64 = 16;

/// Descriptors for clients and files without which a shard does not start: twelve clients and
/// four files, so that a browser is served. With less it would accept clients and answer each
/// that it has no descriptor for a file.
pub const DESCRIPTORS_SERVING_MIN: u64 = 16;

/// Shards of one server. More than the cores of most machines; each takes a few MiB and 4 GiB of
/// addresses.
pub const SHARDS_MAX: usize = 256;

/// With fewer descriptors the operator is told how to have more: they are enough for about 750
/// clients.
pub const DESCRIPTORS_FEW: u64 = 1_025;

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

/// Ports granted with `--grant-port`. A server has one for metrics, perhaps one for its operator;
/// each takes a descriptor.
pub const PORTS_GRANTED_MAX: usize = 16;

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

/// How long a recording waits for more before it writes a block: what a host that is killed can
/// lose.
pub const TRACE_FLUSH_MILLIS: u64 = 5;

/// Requests and log lines of one turn that a replay keeps, to tell what differs: so many bytes of
/// them. What a guest sends beyond that in one turn is compared, and not shown.
pub const REPLAY_BYTES_KEPT_MAX: usize = 256 << 20;

/// What a recording holds while its file takes nothing, or a key frame is packed. About a second
/// of a saturated server; then recording ends. Besides, it holds one large turn: at most
/// `TRACE_BLOCK_BYTES_MAX`.
pub const TRACE_BYTES_BUFFERED_MAX: usize = 64 << 20;

/// A turn with more contents than this is a large one, which a recording writes in a block of its
/// own. The guest waits until the large turn before it is written, `TRACE_STALL_SECONDS_MAX` at
/// most. No turn of small requests is as large.
pub const TRACE_TURN_LARGE_BYTES: usize = 4 << 20;

/// The most that one block of a trace holds: a turn, a guest, or a key frame. The largest turn
/// that the limits allow has `ANSWER_BYTES_QUEUED_MAX` of contents, 64 bytes for each of
/// `REQUESTS_PENDING_MAX` other answers, and what thousands of clients have sent at once; that is
/// about 200 MiB.
pub const TRACE_BLOCK_BYTES_MAX: usize = 256 << 20;

/// Answers of one turn, as a reader of traces believes them: all that can be pending, and as many
/// connections, changes and signals of requests that are answered more than once. Each takes about
/// 70 bytes of memory, and 3 in a file.
pub const TRACE_TURN_ANSWERS_MAX: usize = 1 << 20;

/// A name of an engine or a limit, or why the system failed the host, in a trace: whoever reads it
/// is shown these.
pub const TRACE_WORDS_BYTES_MAX: usize = 4 << 10;

/// Limits that the header of a trace names. There are five.
pub const TRACE_LIMITS_MAX: usize = 64;

/// Arguments that the header of a trace names. Linux gives a process 6 MiB of them at most, with 8
/// bytes for each besides.
pub const TRACE_ARGUMENTS_MAX: usize = 700_000;

/// The header of a trace: the arguments, and little else.
pub const TRACE_HEADER_BYTES_MAX: usize = 8 << 20;

/// The text form of a trace, which is read as a whole: about five times the trace.
pub const TRACE_TEXT_BYTES_MAX: usize = 1 << 30;

/// How long the start waits for the file of a recording to be opened and begun, so that what is
/// wrong with it is told before anything is served. A disk that stalls longer is waited for by the
/// recorder alone.
pub const TRACE_OPEN_MILLIS_MAX: u64 = 1_000;

/// A file that takes not one piece of `TRACE_BLOCK_BYTES` in so long stalls, and is no longer
/// waited for.
pub const TRACE_STALL_SECONDS_MAX: u64 = 5;

/// How long the end of a run waits for its recording to be written, even if the file takes some of
/// it now and then. A disk that writes 5 MB a second has written all that is held by then.
pub const TRACE_END_SECONDS_MAX: u64 = 60;

/// A block of a trace takes no more records when it has so many bytes. It is copied as it is
/// sealed.
pub const TRACE_BLOCK_BYTES: usize = 256 << 10;

/// What the flight recorder holds beyond its size while a key frame is on its way: a tenth of a
/// second of all that a saturated server can be sent.
pub const FLIGHT_BYTES_LATE_MAX: u64 = 16 << 20;

/// Default of `--key-frame-every`: bytes of trace between two key frames. Replaying so much takes
/// a few seconds; the key frames of a busy web server then make a trace about a tenth larger.
pub const KEY_FRAME_BYTES_BETWEEN: u64 = 32 << 20;

/// Key frames are at least so many times their own size apart: most of a trace is to be what
/// happened.
pub const KEY_FRAME_DISTANCE_FACTOR: u64 = 4;

/// What a flight recorder writes before it asks the disk whether that is there: a disk that takes
/// less within `TRACE_STALL_SECONDS_MAX` is no longer waited for when the process ends.
pub const FLIGHT_SYNC_BYTES: usize = 4 << 20;

/// The flight recorder drops what it holds by parts: so many make its size.
pub const FLIGHT_PARTS: u64 = 4;

/// The binary logarithm of what zstd may look back at in a key frame, in bytes: the level at which
/// they are packed uses 19, and a reader keeps as much in memory.
pub const KEY_FRAME_WINDOW_LOG_MAX: u32 = 22;

/// Entries of the submission queue: receives that begin, waits for full sockets, cancellations.
/// With more, it is handed over in between.
pub const QUEUE_ENTRIES: u32 = 1_024;

/// Entries of the completion queue, 16 bytes each. What does not fit waits in the kernel, which is
/// slower: so many connections may become readable at once.
pub const QUEUE_COMPLETIONS: u32 = 16_384;

/// Times that an `openat2` which met a concurrent rename is tried again before the guest is told.
pub const OPEN_RETRIES_MAX: usize = 8;

/// A line of a message that names what a guest has chosen. More of a name is no help.
pub const TOLD_LINE_BYTES_MAX: usize = 300;

/// The name of a function or module in a backtrace: twenty of them fit a screen.
pub const TOLD_NAME_BYTES_MAX: usize = 200;

/// Such a message. A backtrace of twenty functions is shorter.
pub const TOLD_BYTES_MAX: usize = 16 << 10;

/// Names in a list of imports or exports that is shown.
pub const TOLD_NAMES_MAX: usize = 50;

/// A mangled name that is made readable. How long that takes can grow faster than the name.
pub const DEMANGLED_BYTES_MAX: usize = 4 << 10;

/// Key frames of a flight recorder that are kept in any case, or what would fill their place: else
/// the time between two of them would be too short to tell anything.
pub const FLIGHT_KEY_FRAMES_MIN: u64 = 6;

/// Lines of a guest's log that a replay keeps for whoever looks for the reason.
pub const REPLAY_LOG_LINES: usize = 20;
