//! Files beneath the root, for reading.
//!
//! A path is a sequence of names separated by `/`, as bytes; empty for the root itself. One that
//! leads out of the root fails with `not-permitted`, one with a NUL or longer than
//! `path_bytes_max` with `invalid`.

use crate::contract::{self, Digested, Entry, Error, Listing, Loaded, Metadata, Opened, Part, Range, Reply, Request};
use crate::net::Owned;
use crate::request::{Answers, Ask, AskMany, Pending, Sealed, answers, ask};
use std::collections::VecDeque;

/// Opens a regular file. Fails with `not-found`, `access-denied`, `is-directory`, `not-directory`
/// when the path leads through a file, `not-regular`, or `symlink`.
pub fn open(path: impl Into<Vec<u8>>, links: Symlinks) -> Pending<Open> {
    ask(Open { path: path.into(), links })
}

/// Lists the entries of a directory, in the order of their names' bytes: at most
/// `list_entries_max`. Fails as [`open`] does.
pub fn list(path: impl Into<Vec<u8>>) -> Pending<List> {
    list_page(path, &[], u32::MAX)
}

/// Lists at most `entries_max` entries of a directory, beginning with the first one whose name
/// comes after `after`. The directory has no more entries when there are fewer than asked, where
/// `entries_max` is not above `list_entries_max`. Fails as [`open`] does.
pub fn list_page(path: impl Into<Vec<u8>>, after: &[u8], entries_max: u32) -> Pending<List> {
    ask(List(Listing { path: path.into().into(), after: after.into(), entries_max }))
}

/// Asks to be told when a directory's entries change, or a file does. What has changed and was not
/// asked for is kept up to [`CHANGES_KEPT_MAX`] names; more of them become one empty name.
pub fn watch(path: impl Into<Vec<u8>>) -> Watch {
    Watch { answers: answers(WatchPath { path: path.into() }) }
}

/// Changes that a [`Watch`] keeps for whoever is slow to take them.
pub const CHANGES_KEPT_MAX: usize = 1_024;

/// What [`open`] does with symbolic links on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// Follows them inside the root.
    Follow,
    /// Fails with `symlink`.
    Refuse,
}

/// An open file. Dropping it closes it; a write that is sending from it goes on.
#[derive(Debug)]
pub struct File {
    handle: Owned,
    metadata: Metadata,
}

impl File {
    /// Its metadata when it was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How many bytes it held when it was opened.
    #[expect(clippy::len_without_is_empty, reason = "a file is no collection: an empty one is as good as another")]
    pub fn len(&self) -> u64 {
        self.metadata.size
    }

    /// Takes `length` bytes from `offset`, in bytes from the start; fewer only at the end of the
    /// file, or when `length` is over `file_read_bytes_max`.
    pub fn read(&self, offset: u64, length: u64) -> Pending<ReadFile> {
        ask(ReadFile(self.handle.range(offset, length)))
    }

    /// Has the host read a range into a buffer that it holds. Fails with `too-large` over
    /// `buffer_bytes_max`, `exhausted` when all buffers together take too much.
    pub fn load(&self, offset: u64, length: u64) -> Pending<Load> {
        ask(Load(self.handle.range(offset, length)))
    }

    /// Asks for the digest of the whole content. Fails with `too-large` over `digest_bytes_max`.
    pub fn digest(&self) -> Pending<Digest> {
        ask(Digest(self.handle.0))
    }

    /// A range of the file, as part of a write. The file must be open when the write is made, not
    /// until it is done.
    pub fn part(&self, offset: u64, length: u64) -> Part {
        Part::File(self.handle.range(offset, length))
    }
}

/// Bytes that the host holds. Dropping it gives them back; a write that is sending from it goes
/// on.
#[derive(Debug)]
pub struct Buffer {
    handle: Owned,
    length: u64,
}

impl Buffer {
    /// How many bytes it holds; fewer than asked only when the file ended.
    #[expect(clippy::len_without_is_empty, reason = "a counterpart of `File::len`")]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// A range of the buffer, as part of a write, which fails with `invalid` when it ends beyond
    /// the buffer.
    pub fn part(&self, offset: u64, length: u64) -> Part {
        Part::Buffer(self.handle.range(offset, length))
    }
}

/// Changes of a directory or file. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    answers: Answers<WatchPath>,
}

impl Watch {
    /// Waits for a change: the name of the entry that changed. Empty for the watched file or
    /// directory itself, or for more changes than the system could count; then everything beneath
    /// may have changed. After an error there are no more changes, and every further call gives
    /// the same error.
    pub async fn changed(&mut self) -> Result<Vec<u8>, Error> {
        self.answers.next_or_final().await
    }
}

/// The request of [`open`]; answered with the [`File`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Beneath the root.
    pub path: Vec<u8>,
    /// Whether symbolic links are followed.
    pub links: Symlinks,
}

/// The request of [`File::read`]; answered with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFile(Range);

/// The request of [`File::load`]; answered with the [`Buffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load(Range);

/// The request of [`File::digest`]; answered with the XXH3-128 of the content, and the file's
/// metadata after its last byte was read: where these differ from those of the opening the file
/// has changed, and the digest may be of no state of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(contract::Handle);

/// The request of [`list`]; answered with the entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List(pub(crate) Listing);

/// The request of [`watch`]; answered with the name of what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchPath {
    /// Of the directory or file, beneath the root.
    pub path: Vec<u8>,
}

impl Sealed for Open {}
impl Sealed for ReadFile {}
impl Sealed for Load {}
impl Sealed for Digest {}
impl Sealed for List {}
impl Sealed for WatchPath {}

impl Ask for Open {
    type Answer = File;

    fn request(self) -> Request {
        Request::Open(contract::Open { path: self.path, follow_symlinks: self.links == Symlinks::Follow })
    }

    fn answer(reply: Reply) -> Option<Result<File, Error>> {
        match reply {
            Reply::Opened(Opened { file, metadata }) => Some(Ok(File { handle: Owned(file), metadata })),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for ReadFile {
    type Answer = Vec<u8>;

    fn request(self) -> Request {
        Request::ReadFile(self.0)
    }

    fn answer(reply: Reply) -> Option<Result<Vec<u8>, Error>> {
        match reply {
            Reply::Data(bytes) => Some(Ok(bytes)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for Load {
    type Answer = Buffer;

    fn request(self) -> Request {
        Request::Load(self.0)
    }

    fn answer(reply: Reply) -> Option<Result<Buffer, Error>> {
        match reply {
            Reply::Loaded(Loaded { buffer, length }) => Some(Ok(Buffer { handle: Owned(buffer), length })),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for Digest {
    type Answer = Digested;

    fn request(self) -> Request {
        Request::Digest(self.0)
    }

    fn answer(reply: Reply) -> Option<Result<Digested, Error>> {
        match reply {
            Reply::Digested(digested) => Some(Ok(digested)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for List {
    type Answer = Vec<Entry>;

    fn request(self) -> Request {
        Request::List(self.0)
    }

    fn answer(reply: Reply) -> Option<Result<Vec<Entry>, Error>> {
        match reply {
            Reply::Listed(entries) => Some(Ok(entries)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl AskMany for WatchPath {
    type Answer = Vec<u8>;

    fn request(self) -> Request {
        Request::Watch(self.path)
    }

    fn answer(reply: Reply) -> Option<Result<Vec<u8>, Error>> {
        match reply {
            Reply::Changed(name) => Some(Ok(name)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }

    fn condense(queue: &mut VecDeque<Vec<u8>>) {
        let last = queue.len().saturating_sub(1);
        if last > 0 && queue[last] == queue[last - 1] {
            queue.pop_back();
        }
        if queue.len() > CHANGES_KEPT_MAX {
            queue.clear();
            queue.push_back(Vec::new());
        }
    }
}
