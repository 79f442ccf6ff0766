//! Every limit of reading HTTP: its unit ends its name, its reason stands above it.
//!
//! A server can set other limits for heads and bodies; the `_DEFAULT`s are what protects one that
//! does not.

/// A request head: request line, fields and the empty line. Four times what browsers send with
/// their largest cookies.
pub const HEAD_BYTES_DEFAULT: usize = 32 << 10;

/// The longest head that an operator can allow: the parser's spans are 16 bits wide.
pub const HEAD_BYTES_MAX: usize = u16::MAX as usize;

/// A request target. RFC 9112 §3 asks for at least 8000 bytes.
pub const TARGET_BYTES_DEFAULT: usize = 8 << 10;

/// Fields of one head. Browsers send about 20; each costs the server 8 bytes for as long as the
/// client is connected.
pub const FIELDS_DEFAULT: usize = 100;

/// Empty lines before a request line. RFC 9112 §2.2 asks for one, which some old clients send
/// after a body.
pub const EMPTY_LINES_MAX: u8 = 4;

/// The line that gives the size of a chunk, with its extensions. A size takes 16 digits;
/// extensions are not in use.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Bytes asked for in one read: one head of a browser with room for a few that are pipelined
/// behind it.
pub const READ_BYTES: u32 = 16 << 10;

/// An input buffer with something in it is given back in part when it is larger than this and the
/// client is idle: it holds a few empty lines. One with nothing in it is given back as a whole.
pub const IDLE_BUFFER_BYTES_MAX: usize = 4 << 10;

/// A buffer up to this size is kept for the line of the only request in it, instead of a copy of
/// the line. Heads of browsers are mostly shorter.
pub const LINE_BUFFER_BYTES_MAX: usize = 1 << 10;

/// Bytes of a request line that the access log shows.
pub const LOGGED_LINE_BYTES_MAX: usize = 1 << 10;

/// Bytes of a field that are kept of those which proxies write: about fifty of them in a row.
pub const FORWARDED_BYTES_MAX: usize = 1 << 10;

/// Bytes of a field that the access log shows: Referer, User-Agent and Host are rarely half as
/// long.
pub const LOGGED_FIELD_BYTES_MAX: usize = 512;

/// Parts that one request may ask for. Readers of PDF files ask for about ten; with more the
/// request is answered as if it asked for none. Each takes about 130 bytes besides its content.
pub const RANGES_MAX: usize = 32;

/// What of the entity tags of a request's conditions is remembered until it is answered. Browsers
/// send one of 30 bytes.
pub const CONDITION_BYTES_MAX: usize = 4 << 10;

/// `Authorization` as far as it is read: names and passwords are short, and bcrypt takes 72 bytes
/// of a password.
pub const AUTHORIZATION_BYTES_MAX: usize = 1 << 10;

/// `Host` and `Origin`, as far as a policy reads them: a name has at most 253 bytes.
pub const FACT_BYTES_MAX: usize = 300;

/// A request body that is read and dropped, framing included, so that the connection can be kept.
/// Dropping more costs more than a new connection.
pub const BODY_BYTES_DEFAULT: u64 = 64 << 10;
