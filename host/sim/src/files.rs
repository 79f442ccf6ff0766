//! What a world asks about files.

use std::borrow::Cow;

use pluto_contract::{Digested, Entry, Error, Listing, Metadata, Open, Range};

use crate::content::Content;

/// The files beneath the root of a world.
///
/// Paths are a guest's own, and were checked by `checks::path`. Times are nanoseconds since the
/// Unix epoch.
pub trait Files {
    /// An open file.
    type File;

    /// Opens a file.
    fn open(&mut self, now: u64, open: &Open) -> Result<(Self::File, Metadata), Error>;

    /// Returns the size of an open file, in bytes.
    fn size(&self, file: &Self::File) -> u64;

    /// Reads a range of an open file that ends within the file.
    fn read(&mut self, now: u64, file: &Self::File, range: Range) -> Result<Vec<u8>, Error>;

    /// Returns a range of an open file that ends within the file, as it is sent to a client.
    fn content(&mut self, file: &Self::File, range: Range) -> Content;

    /// Loads a range of an open file, of which less may be there.
    fn load(&mut self, now: u64, file: &Self::File, range: Range) -> Result<Content, Error>;

    /// Digests an open file.
    fn digest(&mut self, now: u64, file: &Self::File) -> Result<Digested, Error>;

    /// Lists a directory, in the order of the names: at most `entries_max` of the entries that
    /// come after `listing.after`.
    fn list(&mut self, now: u64, listing: &Listing, entries_max: usize) -> Result<Cow<'_, [Entry]>, Error>;

    /// Returns the path that a watch of `path` watches: changes name it.
    fn watch(&mut self, now: u64, path: &[u8]) -> Result<Vec<u8>, Error>;

    /// Returns when the next change happens, if that is known.
    fn next_change(&self) -> Option<u64>;

    /// Takes the next change that has happened.
    fn change(&mut self, now: u64) -> Option<Change>;
}

/// A change beneath the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file or directory that has changed: see [`Files::watch`].
    pub path: Vec<u8>,
    /// Whether it is no longer there: then its own watches end. Otherwise they are told, and those
    /// of the directory that holds it.
    pub gone: bool,
}
