//! A file that is being opened.

use crate::limits::SCARCE_OPENS_MAX;
use crate::scarcity;
use crate::store::cache::Cache;
use pluto_sdk::fs::{Open, open};
use pluto_sdk::{Error, File, Pending, Symlinks};

/// A file that is asked for at once, and again when the host had no descriptor for it: after all
/// that was kept for later has been given up, and when other clients have given up theirs, there
/// may be one.
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

    /// The path.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Waits for it; to be called once.
    pub async fn file(&mut self) -> Result<File, Error> {
        match (&mut self.pending).await {
            // Boxed, as it is rare.
            Err(Error::Exhausted) => Box::pin(self.file_in_scarcity()).await,
            opened => opened,
        }
    }

    async fn file_in_scarcity(&mut self) -> Result<File, Error> {
        // What is kept is closed in the same batch, and before the file is opened.
        self.cache.clear();
        let mut opens = 0;
        loop {
            let opened = open(self.path.clone(), self.symlinks).await;
            opens += 1;
            if !matches!(opened, Err(Error::Exhausted)) || opens > SCARCE_OPENS_MAX || !scarcity::moment().await {
                return opened;
            }
        }
    }
}
