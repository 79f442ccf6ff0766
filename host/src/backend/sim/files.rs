//! Files of a scene: what is known of them, and a note of what is not.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Pending, Sim};
use crate::contract::world::Object;
use crate::contract::{Error, Loaded, Open, Opened, Range, Reply, checks};
use crate::limits::{self, room};

/// An open file.
pub struct File {
    path: Vec<u8>,
    /// As it was when it was opened, in bytes.
    pub size: u64,
}

/// What a guest asked that the scene cannot tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Paths that the recorded guest never asked for; answered `not-found`.
    pub paths: BTreeSet<Vec<u8>>,
    /// Paths of files whose content it had not read; answered `io`.
    pub contents: BTreeSet<Vec<u8>>,
    /// How many more there were of either.
    pub more: u64,
}

impl Unknown {
    fn path(&mut self, path: &[u8]) {
        self.more += note(&mut self.paths, path);
    }

    fn content(&mut self, path: &[u8]) {
        self.more += note(&mut self.contents, path);
    }
}

/// 1 when there is no room.
fn note(paths: &mut BTreeSet<Vec<u8>>, path: &[u8]) -> u64 {
    if paths.contains(path) {
        return 0;
    }
    let room = paths.len() < limits::SCENE_UNKNOWN_PATHS_MAX;
    if room {
        paths.insert(path.to_owned());
    }
    u64::from(!room)
}

impl Sim {
    pub(super) fn open(&mut self, open: &Open) -> Result<Reply, Error> {
        checks::path(&open.path)?;
        let Some(known) = self.scene.files.open(self.now, &open.path, open.follow_symlinks) else {
            return Err(self.unknown(&open.path));
        };
        let metadata = known?;
        let file = Rc::new(File { path: open.path.clone(), size: metadata.size });
        let file = self.objects.insert(Object::File(file))?;
        Ok(Reply::Opened(Opened { file, metadata }))
    }

    pub(super) fn list(&mut self, path: &[u8]) -> Result<Reply, Error> {
        checks::path(path)?;
        match self.scene.files.list(self.now, path) {
            Some(Ok(entries)) => {
                self.requests
                    .answers
                    .has_room(entries.iter().map(|entry| entry.name.len() + size_of_val(entry)).sum())?;
                Ok(Reply::Listed(entries.to_vec()))
            }
            Some(Err(error)) => Err(*error),
            None => Err(self.unknown(path)),
        }
    }

    pub(super) fn read_file(&mut self, range: &Range) -> Result<Reply, Error> {
        let file = self.objects.file(range.handle)?.clone();
        let length = range.to_read().of_file(file.size);
        self.requests.answers.has_room(length as usize)?;
        match self.scene.files.read(self.now, &file.path, range.offset, length as usize) {
            Some(known) => known.map(Reply::Data),
            None => {
                self.seen.borrow_mut().unknown.content(&file.path);
                Err(Error::Io)
            }
        }
    }

    pub(super) fn load(&mut self, range: &Range) -> Result<Reply, Error> {
        range.to_load()?;
        let file = self.objects.file(range.handle)?;
        let known = self.scene.files.load(self.now, &file.path, (range.offset, range.length));
        let length = known.unwrap_or_else(|| Ok(range.of_file(file.size)))?;
        let buffer = self.objects.insert_buffer(length, length)?;
        Ok(Reply::Loaded(Loaded { buffer, length }))
    }

    pub(super) fn digest(&mut self, handle: u64) -> Result<Reply, Error> {
        let file = self.objects.file(handle)?.clone();
        checks::digest(file.size)?;
        match self.scene.files.digest(self.now, &file.path) {
            Some(known) => known.map(Reply::Digested),
            None => {
                self.seen.borrow_mut().unknown.content(&file.path);
                Err(Error::Io)
            }
        }
    }

    pub(super) fn watch(&mut self, id: u64, path: &[u8]) -> Result<(), Error> {
        checks::path(path)?;
        room(self.watches.len(), limits::WATCHES_MAX)?;
        match self.scene.files.watch(self.now, path) {
            Some(None) => {}
            Some(Some(error)) => return Err(error),
            None => return Err(self.unknown(path)),
        }
        let of_this = self.watches.iter().filter(|(_, watched)| watched == path).count();
        room(of_this, limits::WATCHES_OF_ONE_MAX)?;
        self.watches.push((id, path.to_owned()));
        self.requests.wait(id, Pending::Watch);
        Ok(())
    }

    /// Tells the watches of what has changed, and those of the folder in which it is.
    pub(super) fn change(&mut self, index: usize) {
        let scene = self.scene.clone();
        let change = &scene.changes[index];
        let (folder, name) = match change.path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&change.path[..slash], &change.path[slash + 1..]),
            None => (&[][..], &change.path[..]),
        };
        for at in 0..self.watches.len() {
            let (id, path) = &self.watches[at];
            let id = *id;
            if *path == change.path {
                if change.gone {
                    self.requests.finish(id, Reply::Failed(Error::NotFound));
                } else {
                    self.requests.answers.push(id, Reply::Changed(Vec::new()));
                }
            } else if path == folder && !change.gone {
                self.requests.answers.push(id, Reply::Changed(name.to_owned()));
            }
        }
        if change.gone {
            self.watches.retain(|(_, watched)| *watched != change.path);
        }
    }

    fn unknown(&mut self, path: &[u8]) -> Error {
        self.seen.borrow_mut().unknown.path(path);
        Error::NotFound
    }
}
