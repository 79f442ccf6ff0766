//! The types of `wit/system.wit`, which documents them.
#![allow(missing_docs)] // the documentation is that of the WIT

use crate::define::{enumeration, payload, record, variant};

/// Names a pending request.
pub type Id = u64;

/// Names a connection, file or buffer.
pub type Handle = u64;

/// A path beneath the root.
pub type Path = Vec<u8>;

record! { Submission {
    id: Id = "id",
    request: Request = "request",
} }

record! { Answer {
    id: Id = "id",
    reply: Reply = "reply",
} }

variant! { Request {
    Listen(Listen) = "listen",
    Read(Read) = "read",
    Write(Write) = "write",
    Shutdown(Handle) = "shutdown",
    Close(Handle) = "close",
    Open(Open) = "open",
    ReadFile(Range) = "read-file",
    Load(Range) = "load",
    List(Listing) = "list",
    Watch(Path) = "watch",
    Sleep(u64) = "sleep",
    Signals = "signals",
    Cancel(Id) = "cancel",
    Digest(Handle) = "digest",
    Post(Vec<u8>) = "post",
    Gather = "gather",
} }

variant! { Reply {
    Listening(u16) = "listening",
    Accepted(Accepted) = "accepted",
    Data(Vec<u8>) = "data",
    Written(u64) = "written",
    Done = "done",
    Opened(Opened) = "opened",
    Loaded(Loaded) = "loaded",
    Listed(Vec<Entry>) = "listed",
    Changed(Vec<u8>) = "changed",
    Elapsed = "elapsed",
    Signal(Signal) = "signal",
    Failed(Error) = "failed",
    Digested(Digested) = "digested",
    Gathered(Vec<Vec<u8>>) = "gathered",
} }

record! { Listen: Copy {
    port: u16 = "port",
    connections_max: u32 = "connections-max",
    shared: bool = "shared",
} }

record! { Accepted: Copy {
    connection: Handle = "connection",
    peer: SocketAddress = "peer",
} }

record! { SocketAddress: Copy {
    address: IpAddress = "address",
    port: u16 = "port",
} }

variant! { IpAddress: Copy {
    Ipv4((u8, u8, u8, u8)) = "ipv4",
    Ipv6((u16, u16, u16, u16, u16, u16, u16, u16)) = "ipv6",
} }

record! { Read: Copy {
    connection: Handle = "connection",
    bytes_max: u32 = "bytes-max",
} }

record! { Write {
    connection: Handle = "connection",
    parts: Vec<Part> = "parts",
    ends: bool = "ends",
} }

variant! { Part {
    Bytes(Vec<u8>) = "bytes",
    Buffer(Range) = "buffer",
    File(Range) = "file",
} }

record! { Range: Copy {
    handle: Handle = "handle",
    offset: u64 = "offset",
    length: u64 = "length",
} }

record! { Open {
    path: Path = "path",
    follow_symlinks: bool = "follow-symlinks",
} }

// In boxes, so that a request is no larger than one that writes: each is copied several times.
record! { Listing {
    path: Box<[u8]> = "path",
    after: Box<[u8]> = "after",
    entries_max: u32 = "entries-max",
} }

record! { Opened: Copy {
    file: Handle = "file",
    metadata: Metadata = "metadata",
} }

record! { Metadata: Copy {
    kind: Kind = "kind",
    size: u64 = "size",
    modified: i64 = "modified",
    changed: i64 = "changed",
    inode: u64 = "inode",
} }

enumeration! { Kind {
    Regular = "regular",
    Directory = "directory",
    Symlink = "symlink",
    Other = "other",
} }

record! { Loaded: Copy {
    buffer: Handle = "buffer",
    length: u64 = "length",
} }

record! { Digested: Copy {
    digest: (u64, u64) = "digest",
    size: u64 = "size",
    modified: i64 = "modified",
    changed: i64 = "changed",
} }

record! { Entry {
    name: Vec<u8> = "name",
    metadata: Metadata = "metadata",
} }

variant! { Signal: Copy {
    Stop = "stop",
    Reload = "reload",
    Pause = "pause",
    LogLost(u64) = "log-lost",
} }

enumeration! { Error {
    NotPermitted = "not-permitted",
    BadHandle = "bad-handle",
    Invalid = "invalid",
    Busy = "busy",
    Cancelled = "cancelled",
    TooLarge = "too-large",
    Exhausted = "exhausted",
    AddressInUse = "address-in-use",
    Disconnected = "disconnected",
    NotFound = "not-found",
    AccessDenied = "access-denied",
    IsDirectory = "is-directory",
    NotDirectory = "not-directory",
    NotRegular = "not-regular",
    Symlink = "symlink",
    Truncated = "truncated",
    Io = "io",
} }

enumeration! { Level {
    Error = "error",
    Warn = "warn",
    Info = "info",
    Debug = "debug",
} }
