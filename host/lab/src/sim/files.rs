//! The files of a scene: what is known of them, and a note of what is not.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use pluto_sim::{Change, Content, Files};

use super::seen::Seen;
use crate::scene::Scene;
use pluto_contract::{Digested, Entry, Error, Metadata, Open, Range};

/// The recorded files.
pub struct RecordedFiles {
    scene: Rc<Scene>,
    /// How many of the scene's changes have happened.
    changes: usize,
    seen: Rc<RefCell<Seen>>,
}

/// An open file.
pub struct RecordedFile {
    path: Vec<u8>,
    /// As it was when the file was opened, in bytes.
    size: u64,
}

impl RecordedFiles {
    pub fn new(scene: Rc<Scene>, seen: Rc<RefCell<Seen>>) -> Self {
        Self { scene, changes: 0, seen }
    }

    fn unknown_path(&self, path: &[u8]) -> Error {
        self.seen.borrow_mut().unknown.path(path);
        Error::NotFound
    }

    fn unknown_content(&self, file: &RecordedFile) -> Error {
        self.seen.borrow_mut().unknown.content(&file.path);
        Error::Io
    }
}

impl Files for RecordedFiles {
    type File = RecordedFile;

    fn open(&mut self, now: u64, open: &Open) -> Result<(RecordedFile, Metadata), Error> {
        let known = self.scene.files.open(now, &open.path, open.follow_symlinks);
        let metadata = known.unwrap_or_else(|| Err(self.unknown_path(&open.path)))?;
        Ok((RecordedFile { path: open.path.clone(), size: metadata.size }, metadata))
    }

    fn size(&self, file: &RecordedFile) -> u64 {
        file.size
    }

    fn read(&mut self, now: u64, file: &RecordedFile, range: Range) -> Result<Vec<u8>, Error> {
        let known = self.scene.files.read(now, &file.path, range.offset, range.length as usize);
        known.unwrap_or_else(|| Err(self.unknown_content(file)))
    }

    /// Nobody looks at the bytes that go to a recorded client.
    fn content(&mut self, _: &RecordedFile, range: Range) -> Content {
        Content::Unknown(range.length)
    }

    fn load(&mut self, now: u64, file: &RecordedFile, range: Range) -> Result<Content, Error> {
        let known = self.scene.files.load(now, &file.path, (range.offset, range.length));
        known.unwrap_or_else(|| Ok(range.of_file(file.size))).map(Content::Unknown)
    }

    fn digest(&mut self, now: u64, file: &RecordedFile) -> Result<Digested, Error> {
        self.scene.files.digest(now, &file.path).unwrap_or_else(|| Err(self.unknown_content(file)))
    }

    fn list(&mut self, now: u64, path: &[u8]) -> Result<Cow<'_, [Entry]>, Error> {
        match self.scene.files.list(now, path) {
            Some(known) => known.as_ref().map(|entries| Cow::Borrowed(&**entries)).map_err(|error| *error),
            None => Err(self.unknown_path(path)),
        }
    }

    fn watch(&mut self, now: u64, path: &[u8]) -> Result<Vec<u8>, Error> {
        match self.scene.files.watch(now, path) {
            Some(None) => Ok(path.to_owned()),
            Some(Some(error)) => Err(error),
            None => Err(self.unknown_path(path)),
        }
    }

    fn next_change(&self) -> Option<u64> {
        self.scene.changes.get(self.changes).map(|change| change.time)
    }

    fn change(&mut self, now: u64) -> Option<Change> {
        let change = self.scene.changes.get(self.changes).filter(|change| change.time <= now)?;
        self.changes += 1;
        Some(Change { path: change.path.clone(), gone: change.gone })
    }
}
