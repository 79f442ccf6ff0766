//! Digests of files that are too long for the host to digest them at once: the server reads them
//! in the background, one after the other, a piece at a time.
//!
//! Until a file is read it is sent without an entity tag. Its date, where that can be trusted, is
//! its only validator then.

use super::known_digests::{Identity, KnownDigests, is_settled};
use crate::limits::{LONG_FILE_PIECE_BYTES, LONG_FILE_REST_MICROS_MIN, LONG_FILES_WAITING_MAX, RACY_MILLIS};
use crate::queue::Queue;
use pluto_sdk::fs::open;
use pluto_sdk::{File, Symlinks, now, sleep, spawn};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use xxhash_rust::xxh3::Xxh3;

/// Reads long files for their digests.
#[derive(Debug)]
pub struct LongFiles {
    shared: Rc<Shared>,
}

/// What the files' tasks share with the server.
#[derive(Debug)]
struct Shared {
    known: Rc<KnownDigests>,
    queue: Queue,
    /// Paths of files that are being read, or are to be.
    paths: RefCell<BTreeSet<Vec<u8>>>,
    /// Nobody wants to know any more: the site was read again.
    closed: Cell<bool>,
}

impl Drop for LongFiles {
    fn drop(&mut self) {
        self.shared.closed.set(true);
    }
}

impl LongFiles {
    /// Which remembers what it finds there.
    pub fn new(known: Rc<KnownDigests>) -> LongFiles {
        let shared = Shared { known, queue: Queue::default(), paths: RefCell::default(), closed: Cell::new(false) };
        LongFiles { shared: Rc::new(shared) }
    }

    /// Has a file read, unless that is about to happen or too many wait: then the next to ask for
    /// it has it read. `hash` is what its digest is remembered by.
    pub fn read(&self, path: Vec<u8>, hash: u64, symlinks: Symlinks) {
        let mut paths = self.shared.paths.borrow_mut();
        if paths.len() < LONG_FILES_WAITING_MAX && paths.insert(path.clone()) {
            let shared = Rc::clone(&self.shared);
            spawn(async move {
                if let Some(place) = shared.queue.enter(LONG_FILES_WAITING_MAX) {
                    place.wait().await;
                    // Where the file changes meanwhile nothing is remembered, and the next to ask
                    // for it has it read again.
                    let _ = shared.digest(&path, hash, symlinks).await;
                }
                shared.paths.borrow_mut().remove(&path);
            });
        }
    }
}

impl Shared {
    async fn digest(&self, path: &[u8], hash: u64, symlinks: Symlinks) -> Option<()> {
        let file = open(path, symlinks).await.ok()?;
        if !is_settled(file.metadata().changed) {
            sleep(Duration::from_millis(RACY_MILLIS)).await;
        }
        let digest = self.digest_content(&file).await?;
        // The same before and after: these times were set before it was read.
        let after = open(path, symlinks).await.ok()?;
        let identity = Identity::of(hash, &file);
        let is_same = Identity::of(hash, &after) == identity && is_settled(after.metadata().changed);
        is_same.then(|| self.known.insert(identity, digest))
    }

    async fn digest_content(&self, file: &File) -> Option<u128> {
        let mut digest = Xxh3::new();
        let mut offset = 0;
        while offset < file.len() && !self.closed.get() {
            let began = now();
            let bytes = file.read(offset, LONG_FILE_PIECE_BYTES.min(file.len() - offset)).await.ok()?;
            if bytes.is_empty() {
                return None;
            }
            offset += bytes.len() as u64;
            digest.update(&bytes);
            // At most half of what a disk gives.
            let took = Duration::from_nanos(now().saturating_sub(began));
            sleep(took.max(Duration::from_micros(LONG_FILE_REST_MICROS_MIN))).await;
        }
        (offset == file.len()).then(|| digest.digest128())
    }
}
