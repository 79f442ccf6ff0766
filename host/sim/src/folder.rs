//! The requests of a guest for files, and its watches.

use pluto_contract::limits::{self, room};
use pluto_contract::world::Object;
use pluto_contract::{Error, Handle, Id, Listing, Loaded, Open, Opened, Range, Reply, checks};

use crate::files::{Change, Files};
use crate::reactor::{Pending, Reactor};

/// Files, and who watches them.
pub struct Folder<F> {
    pub files: F,
    /// The watches, in the order in which they were asked for: ids, and the paths that they watch.
    watches: Vec<(Id, Vec<u8>)>,
}

impl<F: Files> Folder<F> {
    pub fn new(files: F) -> Self {
        Self { files, watches: Vec::new() }
    }

    pub fn open(&mut self, reactor: &mut Reactor<F::File>, open: &Open) -> Result<Reply, Error> {
        checks::path(&open.path)?;
        let (file, metadata) = self.files.open(reactor.now, open)?;
        let file = reactor.objects.insert(Object::File(file))?;
        Ok(Reply::Opened(Opened { file, metadata }))
    }

    pub fn list(&mut self, reactor: &Reactor<F::File>, listing: &Listing) -> Result<Reply, Error> {
        let entries_max = listing.limit()?;
        let entries = self.files.list(reactor.now, listing, entries_max)?;
        let bytes = entries.iter().map(|entry| entry.name.len() + size_of_val(entry)).sum();
        reactor.requests.answers.has_room(bytes)?;
        Ok(Reply::Listed(entries.into_owned()))
    }

    pub fn read_file(&mut self, reactor: &Reactor<F::File>, range: &Range) -> Result<Reply, Error> {
        let file = reactor.objects.file(range.handle)?;
        let length = range.to_read().of_file(self.files.size(file));
        reactor.requests.answers.has_room(length as usize)?;
        self.files.read(reactor.now, file, Range { length, ..*range }).map(Reply::Data)
    }

    pub fn load(&mut self, reactor: &mut Reactor<F::File>, range: &Range) -> Result<Reply, Error> {
        range.to_load()?;
        let file = reactor.objects.file(range.handle)?;
        let content = self.files.load(reactor.now, file, *range)?;
        let length = content.length();
        let buffer = reactor.objects.insert_buffer(content, length)?;
        Ok(Reply::Loaded(Loaded { buffer, length }))
    }

    pub fn digest(&mut self, reactor: &Reactor<F::File>, handle: Handle) -> Result<Reply, Error> {
        let file = reactor.objects.file(handle)?;
        checks::digest(self.files.size(file))?;
        self.files.digest(reactor.now, file).map(Reply::Digested)
    }

    pub fn watch(&mut self, reactor: &mut Reactor<F::File>, id: Id, path: &[u8]) -> Result<(), Error> {
        checks::path(path)?;
        room(self.watches.len(), limits::WATCHES_MAX)?;
        let path = self.files.watch(reactor.now, path)?;
        let of_this = self.watches.iter().filter(|(_, watched)| *watched == path).count();
        room(of_this, limits::WATCHES_OF_ONE_MAX)?;
        self.watches.push((id, path));
        reactor.requests.wait(id, Pending::Watch);
        Ok(())
    }

    pub fn end_watch(&mut self, id: Id) {
        self.watches.retain(|(other, _)| *other != id);
    }

    /// Tells the watches of what has changed, and those of the directory that holds it.
    pub fn changed(&mut self, reactor: &mut Reactor<F::File>, change: &Change) {
        if change.gone {
            for (id, _) in self.watches.extract_if(.., |(_, watched)| *watched == change.path) {
                reactor.requests.finish(id, Reply::Failed(Error::NotFound));
            }
            return;
        }
        let (directory, name) = match change.path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&change.path[..slash], &change.path[slash + 1..]),
            None => (&[][..], &change.path[..]),
        };
        for (id, watched) in &self.watches {
            let changed = match watched {
                watched if *watched == change.path => Vec::new(),
                watched if watched == directory => name.to_vec(),
                _ => continue,
            };
            reactor.requests.answers.push(*id, Reply::Changed(changed));
        }
    }
}
