//! A file that is being opened.

use crate::cache::Cache;
use pluto_sdk::fs::{Open, open};
use pluto_sdk::{Error, File, Pending, Symlinks};

/// A file that is asked for at once, and once more when the host had no descriptor for it: after all that was kept for
/// later has been given up, there may be one.
#[derive(Debug)]
pub struct Opening {
    pending: Pending<Open>,
    path: Vec<u8>,
    symlinks: Symlinks,
    cache: Cache,
}

impl Opening {
    /// Asks for the file of a path.
    pub fn new(path: Vec<u8>, symlinks: Symlinks, cache: &Cache) -> Opening {
        Opening { pending: open(path.clone(), symlinks), path, symlinks, cache: cache.clone() }
    }

    /// The path, when nothing more is to be asked.
    pub fn into_path(self) -> Vec<u8> {
        self.path
    }

    /// Waits for it; to be called once.
    pub async fn file(&mut self) -> Result<File, Error> {
        match (&mut self.pending).await {
            Err(Error::Exhausted) => {
                // What is kept is closed in the same batch, and before the file is opened.
                self.cache.clear();
                self.pending = open(self.path.clone(), self.symlinks);
                (&mut self.pending).await
            }
            opened => opened,
        }
    }
}
