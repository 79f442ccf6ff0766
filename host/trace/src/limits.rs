//! The limits of traces and of runs. Each name ends in its unit, and the reason stands above it.

/// Size of a guest's file. Compiling takes about a second for each MiB, and a server is rarely
/// larger than two.
pub const GUEST_BYTES_MAX: u64 = 64 << 20;

/// Core instances, memories and tables that one component may have. `wit-component` makes three or
/// four.
pub const INSTANCES_MAX: usize = 64;

/// Stack of a guest. wasmtime's own default, stated because a run must replay to the same depth.
pub const STACK_BYTES_MAX: usize = 512 << 10;

/// Stack of the process, of which a guest has its part; the rest is the host's own. Linux gives 8
/// MiB, but an operator may have limited it, and a guest that recurses would then end the host.
pub const STACK_OF_PROCESS_BYTES: u64 = 4 << 20;

/// Shards of one server. More than the cores of most machines; each takes a few MiB and 4 GiB of
/// addresses.
pub const SHARDS_MAX: usize = 256;

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

/// The flight recorder drops what it holds by parts: so many make its size.
pub const FLIGHT_PARTS: u64 = 4;

/// The binary logarithm of what zstd may look back at in a key frame, in bytes: the level at which
/// they are packed uses 19, and a reader keeps as much in memory.
pub const KEY_FRAME_WINDOW_LOG_MAX: u32 = 22;

/// Key frames of a flight recorder that are kept in any case, or what would fill their place: else
/// the time between two of them would be too short to tell anything.
pub const FLIGHT_KEY_FRAMES_MIN: u64 = 6;

/// Lines of a guest's log that a replay keeps for whoever looks for the reason.
pub const REPLAY_LOG_LINES: usize = 20;
