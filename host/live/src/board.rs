//! The board on which the shards of a server leave posts for each other. Shards share nothing
//! else; the board is read only when a guest asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pluto_contract::world::Answers;
use pluto_contract::{Error, Reply, checks};

/// One shard's access to the posts of all shards.
pub struct Board {
    /// The last post of each shard.
    left: Arc<[Mutex<Vec<u8>>]>,
    /// The place of this shard.
    own: usize,
}

impl Board {
    /// Creates one board, with an access to it for each of this many shards.
    pub fn shared(shards: usize) -> Vec<Self> {
        let left: Arc<[_]> = (0..shards).map(|_| Mutex::default()).collect();
        (0..shards).map(|own| Self { left: left.clone(), own }).collect()
    }

    /// Creates the board of a server with one shard.
    pub fn alone() -> Self {
        Self { left: Arc::new([Mutex::default()]), own: 0 }
    }

    /// Implements the contract's `post`.
    pub(super) fn post(&self, bytes: Vec<u8>) -> Result<Reply, Error> {
        checks::post(&bytes)?;
        *lock(&self.left[self.own]) = bytes;
        Ok(Reply::Done)
    }

    /// Implements the contract's `gather`. Fails if there is no room among the answers that wait.
    pub(super) fn gather(&self, answers: &Answers) -> Result<Reply, Error> {
        // Count before anything is copied: a guest can ask many times at once.
        let bytes: usize = self.all().map(|left| left.len() + size_of::<Vec<u8>>()).sum();
        answers.has_room(bytes)?;
        Ok(Reply::Gathered(self.all().map(|left| left.clone()).collect()))
    }

    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Vec<u8>>> {
        self.left.iter().map(lock)
    }
}

fn lock(left: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}
