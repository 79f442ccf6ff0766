//! What the shards of a server leave for each other: the one thing that they share, looked at when
//! somebody asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answers::Answers;
use crate::contract::{Error, Reply};
use crate::limits;

/// What all shards have left, as one of them sees it.
pub struct Board {
    /// The last post of each shard.
    left: Arc<[Mutex<Vec<u8>>]>,
    /// The place of this shard.
    own: usize,
}

impl Board {
    /// One board, for each of so many shards.
    pub fn shared(shards: usize) -> Vec<Self> {
        let left: Arc<[_]> = (0..shards).map(|_| Mutex::default()).collect();
        (0..shards).map(|own| Self { left: left.clone(), own }).collect()
    }

    /// That of a server which is one shard.
    pub fn alone() -> Self {
        Self { left: Arc::new([Mutex::default()]), own: 0 }
    }

    /// The contract's `post`.
    pub(super) fn post(&self, bytes: Vec<u8>) -> Result<Reply, Error> {
        if bytes.len() > limits::POST_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        *lock(&self.left[self.own]) = bytes;
        Ok(Reply::Done)
    }

    /// The contract's `gather`, when there is room for it among the answers that wait.
    pub(super) fn gather(&self, answers: &Answers) -> Result<Reply, Error> {
        // Before anything is copied: a guest can ask many times at once.
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
