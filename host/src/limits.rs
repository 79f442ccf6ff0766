//! The limits of the commands. Each name ends in its unit, and the reason stands above it.

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

/// With fewer descriptors the operator is told how to have more: they are enough for about 750
/// clients.
pub const DESCRIPTORS_FEW: u64 = 1_025;

/// Ports granted with `--grant-port`. A server has one for metrics, perhaps one for its operator;
/// each takes a descriptor.
pub const PORTS_GRANTED_MAX: usize = 16;

/// The text form of a trace, which is read as a whole: about five times the trace.
pub const TRACE_TEXT_BYTES_MAX: usize = 1 << 30;

/// Default of `--key-frame-every`: bytes of trace between two key frames. Replaying so much takes
/// a few seconds; the key frames of a busy web server then make a trace about a tenth larger.
pub const KEY_FRAME_BYTES_BETWEEN: u64 = 32 << 20;

/// Key frames are at least so many times their own size apart: most of a trace is to be what
/// happened.
pub const KEY_FRAME_DISTANCE_FACTOR: u64 = 4;

/// What a flight recorder writes before it asks the disk whether that is there: a disk that takes
/// less within `TRACE_STALL_SECONDS_MAX` is no longer waited for when the process ends.
pub const FLIGHT_SYNC_BYTES: usize = 4 << 20;
