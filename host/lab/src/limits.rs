//! Limits of what is kept and shown of recorded runs, and of guests in recorded worlds.

/// A recorded world that had no signal to stop gives one so long after its end: what was under way
/// then can be finished.
pub const SCENE_GRACE_SECONDS: u64 = 1;

/// Batches that any guest may take in a recorded world.
pub const SCENE_TURNS_MIN: u64 = 1 << 20;

/// Batches that a guest may take in a recorded world for each that the recorded one took. One that
/// asks for a byte at a time needs about as many as a request has bytes.
pub const SCENE_TURNS_FACTOR: u64 = 256;

/// What is kept of what guests send in a recorded world, in bytes of memory, each different write
/// once. A million responses of the web server take about 100 MiB.
pub const SCENE_OUTPUT_BYTES_MAX: u64 = 1 << 30;

/// What is kept of a recorded world itself, in bytes of memory: what clients sent, and what was
/// known of files. A million requests to the web server take about 200 MiB.
pub const SCENE_BYTES_MAX: u64 = 1 << 30;

/// What one connection was sent between two of its segments, or in all, as far as it is put
/// together to be compared.
pub const STREAM_BYTES_COMPARED_MAX: usize = 64 << 20;

/// What `explain` keeps of pending requests in words, in bytes. Beyond it they are told without.
pub const EXPLAIN_WORDS_BYTES_MAX: usize = 64 << 20;

/// Paths that are remembered because a recorded world knew nothing of them: more than anybody
/// reads.
pub const SCENE_UNKNOWN_PATHS_MAX: usize = 1_000;

/// Lines of a guest's log that are kept in a recorded world for whoever looks for the reason.
pub const SCENE_LOG_LINES: usize = 20;

/// Kinds of difference between two guests that are told apart. More of them are no kinds.
pub const DIFFERENCE_KINDS_MAX: usize = 1_000;

/// Kinds of difference that are told.
pub const DIFFERENCE_KINDS_TOLD_MAX: usize = 20;

/// New kinds of difference that one answer can make: a page that is another page is one
/// difference, and not one for each line.
pub const DIFFERENCE_KINDS_OF_ONE_MAX: usize = 4;

/// What is shown of what a client had sent before a difference, in characters.
pub const DIFFERENCE_SENT_CHARS_MAX: usize = 80;

/// Segments of a client during which one side may be silent and still send the same as the other.
pub const DIFFERENCE_LATE_SEGMENTS_MAX: usize = 64;

/// Answers that were compared, and are remembered: a server gives the same ones again and again.
pub const DIFFERENCE_KNOWN_MAX: usize = 1 << 16;

/// Lines that are looked at of one answer. Two that differ further down differ in bytes that are
/// not shown.
pub const DIFFERENCE_LINES_MAX: usize = 256;

/// What is shown of a line of an answer, in characters.
pub const DIFFERENCE_LINE_CHARS_MAX: usize = 160;

/// What tells kinds of difference apart of a line without a name, in characters.
pub const DIFFERENCE_KIND_CHARS_MAX: usize = 72;

/// A field's name in an answer, in bytes. Longer ones are no names.
pub const DIFFERENCE_NAME_BYTES_MAX: usize = 64;

/// What `explain` shows of data, in characters: the first line of a request, or the status of a
/// response.
pub const EXPLAIN_DATA_CHARS_MAX: usize = 64;

/// What `explain` shows of a path or of a log line, in characters.
pub const EXPLAIN_LINE_CHARS_MAX: usize = 160;

/// Parts of a write, or entries of a folder, that `explain` shows.
pub const EXPLAIN_ITEMS_MAX: usize = 3;

/// Events in a page of `explain`: so many are about 20 MB, and a browser still draws them while
/// one scrolls.
pub const EXPLAIN_PAGE_EVENTS_MAX: usize = 150_000;

/// Events before a divergence that `replay` tells.
pub const REPLAY_EVENTS_TOLD: usize = 5;

/// Paths that are told of those that a scene knows nothing about.
pub const SCENE_UNKNOWN_PATHS_TOLD: usize = 5;
