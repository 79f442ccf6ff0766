//! Files that are asked for again and again: kept open, the small ones with their content in a buffer of the host.
//!
//! A kept file is never wrong. The host is asked to watch it before it is opened, and one that has changed is forgotten
//! with the turn in which that is told; and since not every file system tells, it is opened again twice a second. A
//! response is made of one opening alone: its length, its date and its content belong together.

use crate::http::media::Media;
use crate::http::response::{Fields, Representation};
use crate::limits::{BODY_KEPT_BYTES_MAX, FILES_KEPT_MAX, KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX, KEPT_PATH_BYTES_MAX};
use pluto_sdk::fs::WatchPath;
use pluto_sdk::request::handle;
use pluto_sdk::{Buffer, File, Handler, Part, now};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::ops::ControlFlow;
use std::rc::Rc;

/// What is sent for a path: a file, as it was when it was opened.
#[derive(Debug)]
pub struct Content {
    length: u64,
    /// What its responses say of it.
    fields: Fields,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// An open file, which takes a descriptor.
    File(File),
    /// All of it in memory of the host, which takes none.
    Buffer(Buffer),
}

/// The files that are kept.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    store: Rc<RefCell<Store>>,
}

/// A file that is to be kept once it is open.
#[derive(Debug)]
pub struct Keeping {
    store: Rc<RefCell<Store>>,
    path: Vec<u8>,
    /// Whether it has changed since this began.
    changed: Rc<Cell<bool>>,
    watch: Handler,
    began: u64,
    /// Nobody else opens it to keep it meanwhile.
    _opening: Opening,
}

/// Set while a file is being opened to be kept; taken back when that is done, however it ends.
#[derive(Debug)]
struct Opening(Rc<Cell<bool>>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[derive(Debug, Default)]
struct Store {
    kept: Generations<Entry>,
    /// Paths that were asked for lately, and whether one is being opened to be kept: a file is kept when it is asked for
    /// the second time.
    asked: Generations<Rc<Cell<bool>>>,
}

#[derive(Debug)]
struct Entry {
    content: Rc<Content>,
    /// When it was asked to be opened: nanoseconds since the Unix epoch.
    opened: u64,
    /// Somebody is opening it again.
    renewing: bool,
    /// Forgets it when it changes.
    _watch: Handler,
}

impl Content {
    /// A file that is not kept.
    pub fn new(file: File, media: Media) -> Content {
        let representation = Representation { length: file.len(), modified: file.metadata().modified, media };
        let fields = Fields::new(representation, now());
        Content { length: representation.length, fields, body: Body::File(file) }
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What its responses say of it.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// A range of it.
    pub fn part(&self, offset: u64, length: u64) -> Part {
        match &self.body {
            Body::Buffer(buffer) => buffer.part(offset, length),
            Body::File(file) => file.part(offset, length),
        }
    }
}

impl Cache {
    /// The content of that path, if it is kept and still holds.
    pub fn get(&self, path: &[u8]) -> Option<Rc<Content>> {
        let mut store = self.store.borrow_mut();
        let entry = store.kept.get(path)?;
        let age_millis = now().saturating_sub(entry.opened) / 1_000_000;
        if age_millis >= KEPT_MILLIS_MAX {
            let forgotten = store.kept.remove(path);
            drop(store);
            drop(forgotten);
            return None;
        }
        // The first to ask when it is no longer fresh opens it again; until that is done it does for the others.
        if age_millis >= KEPT_FRESH_MILLIS && !entry.renewing {
            entry.renewing = true;
            return None;
        }
        Some(Rc::clone(&entry.content))
    }

    /// Whether the file of that path, which is about to be opened, is to be kept: it was asked for before, and nobody
    /// else is opening it to keep it.
    pub fn begin(&self, path: &[u8]) -> Option<Keeping> {
        if path.len() > KEPT_PATH_BYTES_MAX {
            return None;
        }
        let mut store = self.store.borrow_mut();
        let Some(opening) = store.asked.get(path) else {
            store.asked.insert(path.to_vec(), Rc::default());
            return None;
        };
        if opening.replace(true) {
            return None;
        }
        let opening = Opening(Rc::clone(opening));
        drop(store);
        let changed = Rc::new(Cell::new(false));
        let watch = self.watch(path.to_vec(), Rc::clone(&changed));
        Some(Keeping {
            store: Rc::clone(&self.store),
            path: path.to_vec(),
            changed,
            watch,
            began: now(),
            _opening: opening,
        })
    }

    /// How many files are kept.
    pub fn len(&self) -> usize {
        let kept = &self.store.borrow().kept;
        kept.young.len() + kept.old.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives up all that is kept.
    pub fn clear(&self) {
        let forgotten = std::mem::take(&mut self.store.borrow_mut().kept);
        drop(forgotten);
    }

    fn watch(&self, path: Vec<u8>, changed: Rc<Cell<bool>>) -> Handler {
        let store = Rc::downgrade(&self.store);
        handle(WatchPath { path: path.clone() }, move |answer| {
            // Where nothing can be watched, age alone decides.
            if answer.is_ok() {
                changed.set(true);
                let forgotten = store.upgrade().map(|store| store.borrow_mut().kept.remove(&path));
                drop(forgotten);
            }
            ControlFlow::Break(())
        })
    }
}

impl Keeping {
    /// Keeps the file, or its content when that is small, unless it has changed meanwhile.
    pub async fn keep(self, file: File, media: Media) -> Rc<Content> {
        let length = file.len();
        let buffer = if (1..=BODY_KEPT_BYTES_MAX).contains(&length) { file.load(0, length).await.ok() } else { None };
        let mut content = Content::new(file, media);
        // One that was being written is not sent from memory: the host finds out that it is too short.
        if let Some(buffer) = buffer.filter(|buffer| buffer.len() == length) {
            content.body = Body::Buffer(buffer);
        }
        let content = Rc::new(content);
        if !self.changed.get() {
            let entry = Entry { content: Rc::clone(&content), opened: self.began, renewing: false, _watch: self.watch };
            let replaced = self.store.borrow_mut().kept.insert(self.path, entry);
            drop(replaced);
        }
        content
    }
}

/// A map that forgets what was not asked for while `FILES_KEPT_MAX` others were: when the young generation is full it
/// becomes the old one, and the old one is dropped. Nothing is ever looked for among all.
#[derive(Debug)]
struct Generations<V> {
    young: HashMap<Vec<u8>, V, Hasher>,
    old: HashMap<Vec<u8>, V, Hasher>,
}

/// The same in each run: a run depends on its answers alone.
type Hasher = BuildHasherDefault<DefaultHasher>;

impl<V> Default for Generations<V> {
    fn default() -> Self {
        Generations { young: HashMap::default(), old: HashMap::default() }
    }
}

impl<V> Generations<V> {
    fn get(&mut self, path: &[u8]) -> Option<&mut V> {
        if !self.young.contains_key(path) {
            let (path, value) = self.old.remove_entry(path)?;
            drop(self.insert(path.clone(), value));
            return self.young.get_mut(&path);
        }
        self.young.get_mut(path)
    }

    /// Returns what is forgotten for it.
    fn insert(&mut self, path: Vec<u8>, value: V) -> (Option<V>, HashMap<Vec<u8>, V, Hasher>) {
        let mut forgotten = HashMap::default();
        if self.young.len() >= FILES_KEPT_MAX / 2 {
            forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        let before = self.old.remove(&path);
        (self.young.insert(path, value).or(before), forgotten)
    }

    fn remove(&mut self, path: &[u8]) -> Option<V> {
        self.young.remove(path).or_else(|| self.old.remove(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let mut map = Generations::default();
        for number in 0..10_000_u32 {
            map.insert(number.to_le_bytes().to_vec(), number);
            assert_eq!(map.get(&0_u32.to_le_bytes()), Some(&mut 0), "after {number}");
            assert!(map.young.len() + map.old.len() <= FILES_KEPT_MAX);
        }
        assert_eq!(map.get(&1_u32.to_le_bytes()), None);
        assert_eq!(map.remove(&9_999_u32.to_le_bytes()), Some(9_999));
        assert_eq!(map.get(&9_999_u32.to_le_bytes()), None);
    }
}
