//! Every limit of the web server: its unit ends its name, its reason stands above it.
//!
//! Those that a site can need otherwise are options of the command line (see `options`); the
//! `_DEFAULT`s are what protects a server whose operator gave none. The others are constants,
//! because a reason to change them is a reason to think about the code that rests on them.

/// The most fields that an operator can allow.
pub const FIELDS_MAX: usize = 1_000;

/// The longest path of a file that is kept: what is asked for lately is remembered by its path,
/// and a client can ask for anything.
pub const KEPT_PATH_BYTES_MAX: usize = 1 << 10;

/// Pipelined requests that are looked up together, and files that one write sends: so many, and
/// one more, are open for one client at once, but for those that are kept and shared. Descriptors
/// are scarcer than anything else: a client that asks for many files and reads nothing must not
/// take them from the others.
pub const PIPELINE_MAX: usize = 3;

/// Responses that one write sends. More of them save next to nothing, and each keeps its line for
/// the access log.
pub const GATHER_RESPONSES_MAX: usize = 16;

/// Parts of one write, where the host takes 1,024: a response that is gathered last has as many as
/// two for each range.
pub const GATHER_PARTS_MAX: usize = 512;

/// The server's own bytes (heads, error pages) that may gather before a write is sent.
pub const GATHER_BYTES_MAX: usize = 32 << 10;

/// Content that is sent before the first sign that the client takes it; also what pipelined
/// responses may gather. In `WRITE_SECONDS_DEFAULT` even a client of 5 kB/s takes so much.
pub const PIECE_BYTES_START: u64 = 256 << 10;

/// Least content in one write, once a client has shown that it is slow: 1 kB/s is enough then.
pub const PIECE_BYTES_MIN: u64 = 64 << 10;

/// Most content in one write, for a client that has shown that it is fast. One that slows down to
/// less than 17 kB/s in the middle of such a piece is taken for a stalled one; larger pieces save
/// next to nothing.
pub const PIECE_BYTES_MAX: u64 = 1 << 20;

/// A piece taken sooner than this may be followed by one of twice its size.
pub const PIECE_FAST_MILLIS: u64 = 1_000;

/// A piece that took longer than this is followed by one of half its size.
pub const PIECE_SLOW_MILLIS: u64 = 8_000;

/// What a request line takes when it is escaped. The host cuts a log line at 8 KiB: with three
/// fields, this leaves room for the rest.
pub const LOGGED_LINE_ESCAPED_BYTES_MAX: usize = 4 << 10;

/// What a field takes when it is escaped.
pub const LOGGED_FIELD_ESCAPED_BYTES_MAX: usize = 1 << 10;

/// What responses that gather for one write keep for the access log: 16 request lines as long as
/// they are shown, and fewer with fields.
pub const GATHER_LOGGED_BYTES_MAX: usize = 16 << 10;

/// What the files that are kept may take, all together, where each counts with what is held of it:
/// about 3,000 of 3 KiB, or 800 large ones. Each shard keeps its own.
pub const KEPT_BYTES_MAX: usize = 32 << 20;

/// What a kept file counts besides its content: so there are 4,096 of them at most, in a shard.
/// What is known of one takes about 2 KiB, but its watch is scarcer: Linux allows a user 8,192 at
/// least, for all programs. Without one age decides.
pub const KEPT_ENTRY_BYTES: usize = 8 << 10;

/// What is kept of a file whose content is not, its descriptor, counts as so much: descriptors are
/// scarcer than memory.
pub const KEPT_DESCRIPTOR_BYTES: usize = 32 << 10;

/// Paths of which it is remembered that they were asked for. A file is kept when it is asked for
/// again before half as many, or as many, others that are not kept. With more of them files would
/// be kept that are asked for too seldom, in the place of better ones.
pub const FILES_ASKED_MAX: usize = 512;

/// Paths that were found to name nothing and are remembered: with the longest of them 1 MiB.
pub const MISSING_KEPT_MAX: usize = 1_024;

/// What was missing is looked for again after so long: nobody tells that it has appeared. The page
/// that says so is mostly no older than `KEPT_FRESH_MILLIS` by then, so that both together are
/// about `KEPT_MILLIS_MAX`.
pub const MISSING_KEPT_MILLIS: u64 = KEPT_MILLIS_MAX - KEPT_FRESH_MILLIS;

/// A kept file up to this size has its content in memory of the host. A larger one is sent from
/// the system's own cache without being copied, which takes two calls instead of one. Of 10 KiB a
/// copy cost 0.86 of that, of 32 KiB 1.07.
pub const BODY_KEPT_BYTES_MAX: u64 = 16 << 10;

/// A kept file is opened again when it is asked for after this time, although the host has told of
/// no change: to see whether it is still the same.
pub const KEPT_FRESH_MILLIS: u64 = 900;

/// What is sent is never older than this, as far as a file's metadata tell.
pub const KEPT_MILLIS_MAX: u64 = 1_000;

/// A kept file is read again after so long, although its metadata are the same: a store through a
/// mapping need not show in them, nor any change on a file system that keeps no time of change.
pub const KEPT_UNREAD_MILLIS_MAX: u64 = 60_000;

/// Digests that are remembered, so that a file is read for its entity tag once and not for each
/// request: 12 MiB, of a site with so many files.
pub const DIGESTS_KEPT_MAX: usize = 131_072;

/// Bytes that are read at once of a file which is too long for the host to digest it: a quarter
/// of a millisecond of computing, in which nobody else is served.
pub const LONG_FILE_PIECE_BYTES: u64 = 512 << 10;

/// How long reading rests behind each such piece, at least; where a disk was slower, as long as it
/// took. So a file of 1 GiB takes some three seconds, and at most a quarter of a shard's time.
pub const LONG_FILE_REST_MICROS_MIN: u64 = 1_000;

/// Long files that wait to be read, which is one at a time. When there are more, a file is read
/// when it is asked for again.
pub const LONG_FILES_WAITING_MAX: usize = 64;

/// A file that changed less than so long ago may change again without its times showing it: the
/// system counts in ticks of some milliseconds, some file systems in seconds. What is told by its
/// times is not relied on so soon.
pub const RACY_MILLIS: u64 = 2_000;

/// Connections in all: a desktop's usual limit of descriptors is more than ten times that, and the
/// memory below 3/4 GiB whatever each of them sends and does not read (the test `memory` counts
/// it: 58 KB for each).
pub const CONNECTIONS_DEFAULT: u64 = 10_000;

/// Most connections that an operator can ask for. Each can have fourteen requests pending (a file
/// and its three encodings for each of `PIPELINE_MAX` requests, a read and a write), and the host
/// bears 786,432. Idle, so many take 55 MB; to bear whatever each of them sends they want 3 GiB
/// (see the host's `--memory-max`), of the 4 GiB that a guest can have. A quarter of the
/// descriptors is left to files, so that the host wants 67,000 of them.
pub const CONNECTIONS_MAX: u64 = 50_000;

/// Clients of the port for metrics: a Prometheus, a health check or two, and one that looks. More
/// of them wait.
pub const METRICS_CONNECTIONS_MAX: u32 = 64;

/// How often a shard tells the others what it has counted, at most: what a page of metrics can be
/// late. Prometheus asks every 15 s or so.
pub const FIGURES_SECONDS: u64 = 1;

/// Time for one request head, from its first byte to its last. An honest one comes in one or two
/// segments; this leaves room for several that are lost and sent again.
pub const HEAD_SECONDS_DEFAULT: u64 = 20;

/// Time for a request body, which is only read to be dropped.
pub const BODY_SECONDS_DEFAULT: u64 = 20;

/// Time that a client may keep a connection without a request. Browsers give theirs up after one
/// to five minutes. A load balancer keeps one for 60 s by default (AWS, nginx): with the same
/// time, or a shorter one, it would often send a request into a connection that ends just then.
pub const IDLE_SECONDS_DEFAULT: u64 = 75;

/// Time for a client to take one piece of a response (see `PIECE_BYTES_START`). Not shorter than
/// the idle time, so that the deadline of a connection only ever moves later, which costs nothing.
pub const WRITE_SECONDS_DEFAULT: u64 = 75;

/// Time for a client to take one piece of a file while others wait for a file and the host has no
/// descriptor for it. A client of 87 kB/s takes the first piece in so long.
pub const SCARCE_WRITE_SECONDS: u64 = 3;

/// A file for which the host has no descriptor is asked for again after so long.
pub const SCARCE_OPEN_MILLIS: u64 = 250;

/// Such a file is asked for so often, for 15 s: five times as long as others may hold theirs then.
/// Then its client is told to try again.
pub const SCARCE_OPENS_MAX: u32 = 60;

/// Time that the server reads on after its last response without getting on, so that no reset
/// overtakes it (RFC 9112 §9.6); from a client that has not said itself that it sends no more.
pub const LINGER_SECONDS_DEFAULT: u64 = 5;

/// What a client has to send in that time to get it once more: 6.5 kB/s. A client that sends less
/// has had the time to read its response.
pub const LINGER_PROGRESS_BYTES: u64 = 32 << 10;

/// Bytes that the server reads and drops after its last response: a client in the middle of an
/// upload still gets to read why it was refused. To read so many takes less than a second of
/// processor time.
pub const LINGER_BYTES_DEFAULT: u64 = 1 << 30;

/// Clients that the server reads on from like this, all together. Others are let go at once.
pub const LINGERING_CLIENTS_MAX: usize = 1_000;

/// Time for clients that are still served when the server is told to stop; the host allows 9 s.
pub const GRACE_SECONDS_DEFAULT: u64 = 8;

/// The site's configuration file. A rule takes about 100 bytes.
pub const CONFIG_BYTES_MAX: u64 = 64 << 10;

/// Problems of a configuration that are told at once: all of them, but for files that are
/// something else.
pub const PROBLEMS_MAX: usize = 1_000;

/// Redirects, rules for fields, and rules for authentication: so many of each. They are tried one
/// after the other, most of them at the cost of one comparison.
pub const RULES_MAX: usize = 256;

/// Names of index files: each that is not there costs a request for a directory another look.
pub const INDEX_NAMES_MAX: usize = 8;

/// A glob. The operations that it is compiled to are about as many as its bytes, and each byte of
/// a path costs at most one step for each of them.
pub const GLOB_BYTES_MAX: usize = 256;

/// Wildcards of one glob: `$1` to `$9`.
pub const CAPTURES_MAX: usize = 9;

/// An address that a redirect leads to: what any server takes for a target (RFC 9112 §3 asks for
/// 8000 bytes).
pub const LOCATION_BYTES_MAX: usize = 8 << 10;

/// Redirects that follow each other when a configuration is checked. Browsers give up after 20.
pub const REDIRECTS_FOLLOWED_MAX: usize = 10;

/// The value of a field that a rule sets. Policies for content and permissions are the longest,
/// with about 2 KiB.
pub const FIELD_VALUE_BYTES_MAX: usize = 4 << 10;

/// Fields that one rule sets or removes.
pub const FIELDS_OF_RULE_MAX: usize = 32;

/// A file of users and their passwords.
pub const USERS_BYTES_MAX: u64 = 64 << 10;

/// The cost of a password's hash, as a power of two: 2^12 rounds take about half a second of
/// computing, in which the others are served all the same. `htpasswd -B` takes 5 unless told
/// otherwise, and 10 is usual.
pub const BCRYPT_COST_MAX: u32 = 12;

/// Rounds of a hash that are computed before the other clients have their turn: about 1 ms.
pub const BCRYPT_ROUNDS_AT_ONCE: u32 = 8;

/// How long a hash rests after each of these turns: it takes at most half of the server's time.
pub const BCRYPT_REST_MILLIS: u64 = 1;

/// Logins that wait for one that is being verified. When there are more, a client is told to come
/// again.
pub const LOGINS_WAITING_MAX: usize = 32;

/// Credentials whose verification is remembered, so that their hash is not computed for each
/// request.
pub const LOGINS_KEPT_MAX: usize = 1_024;

/// Entries on one page of a listing. A page of so many takes about 1 MiB; a larger directory has
/// several pages.
pub const LISTING_ENTRIES_MAX: usize = 5_000;

/// Links in a directory that are followed to see where they lead. Each costs as much as a request.
pub const LISTING_LINKS_MAX: usize = 256;

/// Links that are followed together: each takes a descriptor for a moment.
pub const LISTING_LINKS_AT_ONCE: usize = 16;

/// A page of a listing in HTML. With longer names it has fewer entries.
pub const LISTING_BYTES_MAX: usize = 1 << 20;

/// Entries of a listing in JSON, which has all entries of nearly every directory. A larger one has
/// a `Link` to the next part.
pub const LISTING_JSON_ENTRIES_MAX: usize = 30_000;

/// A listing in JSON. What the host takes in one write is 4 MiB, with the head.
pub const LISTING_JSON_BYTES_MAX: usize = 3 << 20;

/// Listings on their way to clients, all together: those who ask for them and read nothing cost
/// the others no memory.
pub const LISTINGS_BYTES_MAX: usize = 32 << 20;

/// Requests that wait for a listing to be made, which is one at a time. When there are more, a
/// client is told to come again.
pub const LISTINGS_WAITING_MAX: usize = 32;

/// How long a listing rests for each entry of its directory before the next one is made: as long
/// as it takes the server (one of 5,000 entries was measured at 15 ms of processor time), so that
/// listings take half of its time at most.
pub const LISTING_REST_NANOS: u64 = 3_000;

/// Folders above a missing file in which its error page is looked for, the root among them.
pub const ERROR_PAGE_FOLDERS_MAX: usize = 4;

/// A path beneath the root: the host takes no longer one.
pub const PATH_BYTES_MAX: usize = 4_095;

/// Hosts with a folder of their own.
pub const HOSTS_MAX: usize = 1_024;

/// Paths of which a policy remembers what it changes in their responses.
pub const EDITS_KEPT_MAX: usize = 1_024;

/// Folders of which it is remembered where their error page is.
pub const ERROR_PAGES_KEPT_MAX: usize = 1_024;

/// A file that is compressed on the fly is at least so long: a shorter one takes one segment of
/// TCP as it is.
pub const COMPRESSED_FILE_BYTES_MIN: u64 = 1 << 10;

/// A file that is compressed on the fly is at most so long: its first client waits for all of it.
/// Larger ones are worth a file beside them.
pub const COMPRESSED_FILE_BYTES_MAX: u64 = 1 << 20;

/// What is compressed of a file before the other clients have their turn.
pub const COMPRESSED_PIECE_BYTES: u64 = 32 << 10;

/// How hard it is tried, from 1 to 9.
pub const COMPRESSION_LEVEL: i32 = 6;

/// What was compressed, all together, also what is no longer kept and still being sent. When there
/// is no room files are sent as they are.
pub const COMPRESSED_BYTES_MAX: usize = 32 << 20;

/// What is known of a compressed file takes so much besides its bytes.
pub const COMPRESSED_ENTRY_BYTES: usize = 1 << 10;

/// What was compressed is kept for so long at least: whoever asks for more files than there is
/// room for makes the server compress no more than that room in so much time.
pub const COMPRESSED_MILLIS_MIN: u64 = 60_000;

/// Requests that wait for a file to be compressed, which is one at a time. When there are more
/// they get it as it is.
pub const COMPRESSIONS_WAITING_MAX: usize = 64;
