//! Compression on the fly: gzip of files that have nothing beside them which a client likes as
//! much.
//!
//! One file is compressed at a time, in pieces between which everybody else is served, and once
//! for all who ask. What comes of it is kept under the path, together with the validators of the
//! file that it was made of: a file with others is another, whatever is kept. That what was read
//! is what they speak of is seen from its digest, and nothing else; so that no change, however
//! quick, sets a tag of one state beside the bytes of another.

use super::budget::{Budget, Reservation};
use super::digests;
use super::gzip::Gzip;
use super::representation::{About, CompressedFile, CompressionState, Content, Resource};
use crate::limits::{
    COMPRESSED_BYTES_MAX, COMPRESSED_ENTRY_BYTES, COMPRESSED_MILLIS_MIN, COMPRESSED_PIECE_BYTES,
    COMPRESSIONS_WAITING_MAX,
};
use crate::queue::Queue;
use pluto_http::validator::Validators;
use pluto_sdk::fs::open;
use pluto_sdk::{Symlinks, now};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use xxhash_rust::xxh3::Xxh3;

/// Compresses files, and keeps what comes of it.
#[derive(Debug)]
pub struct Compressor {
    symlinks: Symlinks,
    store: RefCell<Store>,
    /// For what is kept, and what is not and still being sent.
    budget: Budget,
    queue: Queue,
}

/// What comes of compressing a file.
#[derive(Debug)]
enum Outcome {
    /// It is compressed.
    Done(Rc<Content>),
    /// It is larger, or not what it was.
    GivenUp,
    /// There is no room for it now, or too many wait.
    Later,
}

/// What is kept, by the hash of its path.
#[derive(Debug, Default)]
struct Store {
    entries: BTreeMap<u64, Entry>,
    /// In the order in which they were made.
    paths: BTreeMap<u64, u64>,
    /// The number of the next one.
    next: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// When it was made: nanoseconds since the Unix epoch.
    made: u64,
    /// Those of the file that it was made of.
    validators: Validators,
    /// Nothing when it would be larger.
    content: Option<Rc<Content>>,
    _reservation: Reservation,
}

/// Why nothing was made.
enum Failure {
    /// It would be larger.
    Larger,
    /// The file is not what it was, or cannot be read.
    Changed,
}

impl Compressor {
    /// Which opens files as the site does.
    pub fn new(symlinks: Symlinks) -> Compressor {
        Compressor {
            symlinks,
            store: RefCell::default(),
            budget: Budget::new(COMPRESSED_BYTES_MAX),
            queue: Queue::default(),
        }
    }

    /// Has a resource compressed, unless it is already. Nothing when it is not to be, or not now.
    pub async fn compress(&self, resource: &Resource) -> Option<Rc<Content>> {
        let path = resource.compressible_path()?;
        match self.compress_file(path, resource.about(), resource.plain()).await {
            Outcome::Done(content) => {
                resource.set_compression(CompressionState::Done(Rc::downgrade(&content)));
                Some(content)
            }
            Outcome::GivenUp => {
                resource.set_compression(CompressionState::GivenUp);
                None
            }
            Outcome::Later => None,
        }
    }

    /// The file of this path, compressed: what is kept, or else what is made of it now.
    async fn compress_file(&self, path: &[u8], about: &About, plain: &Content) -> Outcome {
        if let Some(known) = self.known(about, plain) {
            return known;
        }
        let Some(place) = self.queue.enter(COMPRESSIONS_WAITING_MAX) else { return Outcome::Later };
        place.wait().await;
        // Somebody before may have asked for the same.
        if let Some(known) = self.known(about, plain) {
            return known;
        }
        if !self.make_room(plain.length() as usize + COMPRESSED_ENTRY_BYTES) {
            return Outcome::Later;
        }
        let content = match self.gzip(path, plain).await {
            Ok(compressed) => Some(Rc::new(Content::compressed(plain, about, compressed))),
            Err(Failure::Larger) => None,
            Err(Failure::Changed) => return Outcome::GivenUp,
        };
        // There was room for more than this.
        if let Some(reservation) = self.budget.reserve(COMPRESSED_ENTRY_BYTES) {
            let (made, validators) = (now(), plain.validators().clone());
            let entry = Entry { number: 0, made, validators, content: content.clone(), _reservation: reservation };
            self.store.borrow_mut().insert(about.path, entry);
        }
        content.map_or(Outcome::GivenUp, Outcome::Done)
    }

    fn known(&self, about: &About, plain: &Content) -> Option<Outcome> {
        let store = self.store.borrow();
        let entry = store.entries.get(&about.path).filter(|entry| entry.validators == *plain.validators())?;
        Some(entry.content.clone().map_or(Outcome::GivenUp, Outcome::Done))
    }

    /// Forgets what was made first, as far as that is needed and frees anything. Whether there is
    /// room now.
    fn make_room(&self, bytes: usize) -> bool {
        let mut store = self.store.borrow_mut();
        let mut number = 0;
        while !self.budget.has_room(bytes) {
            let Some((&next, &path)) = store.paths.range(number..).next() else { return false };
            number = next + 1;
            let Some(entry) = store.entries.get(&path) else { continue };
            if now().saturating_sub(entry.made) < COMPRESSED_MILLIS_MIN * 1_000_000 {
                return false;
            }
            // What is being sent takes its room all the same.
            if entry.content.as_ref().is_none_or(|content| Rc::strong_count(content) == 1) {
                store.remove(path);
            }
        }
        true
    }

    /// Reads a file in pieces and compresses each as it comes.
    async fn gzip(&self, path: &[u8], plain: &Content) -> Result<CompressedFile, Failure> {
        let file = open(path, self.symlinks).await.map_err(|_| Failure::Changed)?;
        let length = plain.length();
        let mut gzip = Gzip::new();
        let mut digest = Xxh3::new();
        let mut offset = 0;
        while offset < length {
            let bytes = file.read(offset, COMPRESSED_PIECE_BYTES.min(length - offset)).await;
            let bytes = bytes.ok().filter(|bytes| !bytes.is_empty()).ok_or(Failure::Changed)?;
            offset += bytes.len() as u64;
            digest.update(&bytes);
            gzip.write(&bytes);
        }
        let digest = digest.digest128();
        if plain.validators().tag != Some(digests::of_content(digest, None)) {
            return Err(Failure::Changed);
        }
        let bytes = gzip.finish();
        if bytes.len() as u64 >= length {
            return Err(Failure::Larger);
        }
        let tag = digests::of_compressed(digest, CompressedFile::CODING, &bytes);
        let reservation = self.budget.reserve(bytes.len()).ok_or(Failure::Changed)?;
        Ok(CompressedFile::new(bytes, tag, reservation))
    }
}

impl Store {
    /// In place of what was kept under this path.
    fn insert(&mut self, path: u64, entry: Entry) {
        self.remove(path);
        let number = self.next;
        self.next += 1;
        self.paths.insert(number, path);
        self.entries.insert(path, Entry { number, ..entry });
    }

    fn remove(&mut self, path: u64) {
        if let Some(entry) = self.entries.remove(&path) {
            self.paths.remove(&entry.number);
        }
    }
}
