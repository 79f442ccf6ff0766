//! What the shards of a server leave for each other: the one thing that they share, looked at when somebody asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Live;
use crate::contract::{Error, Reply};
use crate::limits;

/// What all shards have left, as one of them sees it.
pub struct Board {
    left: Arc<[Mutex<Vec<u8>>]>,
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

    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Vec<u8>>> {
        self.left.iter().map(lock)
    }
}

fn lock(left: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(super) fn post(&mut self, bytes: Vec<u8>) -> Result<Reply, Error> {
        if bytes.len() > limits::POST_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        *lock(&self.board.left[self.board.own]) = bytes;
        Ok(Reply::Done)
    }

    pub(super) fn gather(&mut self) -> Result<Reply, Error> {
        // Before anything is copied: a guest can ask many times at once.
        let bytes: usize = self.board.all().map(|left| left.len() + size_of::<Vec<u8>>()).sum();
        self.answers.has_room(bytes)?;
        Ok(Reply::Gathered(self.board.all().map(|left| left.clone()).collect()))
    }
}
