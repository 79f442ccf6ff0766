//! Files that are asked for again and again: kept open, the small ones with their content in a
//! buffer of the host.
//!
//! A kept file is never wrong for long. The host is asked to watch it before it is opened, and one
//! that has changed is forgotten with the turn in which that is told. Not every file system tells,
//! and nobody tells that a link leads elsewhere: so after 0.9 s the next to ask has it opened
//! again, to see by its metadata whether it is still the same. Not every change shows there
//! either: so after a minute it is read again. A response is made of one opening alone: its
//! length, its date and its content belong together.

use super::representation::Resource;
use super::two_generation_map::{Forgotten, TwoGenerationMap};
use crate::limits::{
    FILES_ASKED_MAX, KEPT_BYTES_MAX, KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX, KEPT_PATH_BYTES_MAX, KEPT_UNREAD_MILLIS_MAX,
};
use pluto_sdk::fs::WatchPath;
use pluto_sdk::request::handle;
use pluto_sdk::{File, Handler, now};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;

/// The files that are kept.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    store: Rc<RefCell<Store>>,
}

/// What is kept of a path.
#[derive(Debug)]
pub enum CacheLookup {
    /// This may be sent.
    Fresh(Rc<Resource>),
    /// This is to be opened again before.
    Due(CacheFill),
    /// Nothing.
    Nothing,
}

/// A file that is to be kept once it is open, or to be kept on.
#[derive(Debug)]
pub struct CacheFill {
    store: Rc<RefCell<Store>>,
    path: Vec<u8>,
    began: u64,
    how: How,
}

#[derive(Debug)]
enum How {
    /// It was not kept before.
    Anew {
        /// Whether it has changed since this began.
        changed: Rc<Cell<bool>>,
        watch: Handler,
        /// Nobody else opens it to keep it meanwhile.
        _opening: Opening,
    },
    /// It is opened to see whether it is still what is kept.
    Again(Rc<Entry>),
}

/// Set while a file is being opened to be kept; taken back when that is done, however it ends.
#[derive(Debug)]
struct Opening(Rc<Cell<bool>>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[derive(Debug)]
struct Store {
    kept: TwoGenerationMap<Vec<u8>, Rc<Entry>>,
    /// Paths that were asked for lately, and whether one is being opened to be kept: a file is
    /// kept when it is asked for the second time.
    asked: TwoGenerationMap<Vec<u8>, Rc<Cell<bool>>>,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            kept: TwoGenerationMap::weighing(KEPT_BYTES_MAX, |entry: &Rc<Entry>| entry.weight.get()),
            asked: TwoGenerationMap::new(FILES_ASKED_MAX),
        }
    }
}

impl Store {
    /// Takes an entry out, if it is still there. The caller holds it, too.
    fn take(&mut self, path: &[u8], entry: &Rc<Entry>) -> bool {
        self.kept.remove_if(path, |kept| Rc::ptr_eq(kept, entry)).is_some()
    }

    /// Puts an entry back that weighs another amount by now.
    fn reweigh(&mut self, path: &[u8], entry: &Rc<Entry>) -> Forgotten<Vec<u8>, Rc<Entry>> {
        let weight = entry.resource.borrow().weight();
        if entry.weight.get() == weight || !self.take(path, entry) {
            return Forgotten::default();
        }
        entry.weight.set(weight);
        self.kept.insert(path.to_vec(), Rc::clone(entry))
    }
}

#[derive(Debug)]
struct Entry {
    resource: RefCell<Rc<Resource>>,
    /// What it counts among all that is kept.
    weight: Cell<usize>,
    /// When it was asked to be opened to be read: nanoseconds since the Unix epoch.
    read: Cell<u64>,
    /// When it was asked to be opened last.
    opened: Cell<u64>,
    /// Somebody is opening it again. Where that comes to nothing this stays set, which matters
    /// only until it is too old.
    renewing: Cell<bool>,
    /// Forgets it when it changes.
    _watch: Handler,
}

impl Entry {
    fn resource(&self) -> Rc<Resource> {
        Rc::clone(&self.resource.borrow())
    }

    fn is_to_be_read_again(&self) -> bool {
        millis_since(self.read.get()) >= KEPT_UNREAD_MILLIS_MAX
    }
}

impl Cache {
    /// What is kept of what that path names.
    pub fn get(&self, path: &[u8]) -> CacheLookup {
        let Some(entry) = self.store.borrow_mut().kept.get(path) else { return CacheLookup::Nothing };
        let age_millis = millis_since(entry.opened.get());
        // The first to ask when it is no longer fresh opens it again; until that is done it does
        // for the others.
        let is_due = age_millis >= KEPT_FRESH_MILLIS && !entry.renewing.replace(true);
        if is_due || age_millis >= KEPT_MILLIS_MAX {
            return CacheLookup::Due(self.fill(path, How::Again(entry)));
        }
        CacheLookup::Fresh(entry.resource())
    }

    /// Whether the file of that path, of which nothing is kept and which is about to be opened, is
    /// to be kept: it was asked for before, and nobody else is opening it to keep it.
    pub fn begin(&self, path: &[u8]) -> Option<CacheFill> {
        if path.len() > KEPT_PATH_BYTES_MAX {
            return None;
        }
        let mut store = self.store.borrow_mut();
        let Some(opening) = store.asked.get(path) else {
            store.asked.insert(path.to_vec(), Rc::default());
            return None;
        };
        drop(store);
        if opening.replace(true) {
            return None;
        }
        let changed = Rc::new(Cell::new(false));
        let watch = self.watch(path.to_vec(), Rc::clone(&changed));
        Some(self.fill(path, How::Anew { changed, watch, _opening: Opening(opening) }))
    }

    fn fill(&self, path: &[u8], how: How) -> CacheFill {
        CacheFill { store: Rc::clone(&self.store), path: path.to_vec(), began: now(), how }
    }

    /// More forms are known by now of what is kept under that path.
    pub fn reweigh(&self, path: &[u8], resource: &Rc<Resource>) {
        let mut store = self.store.borrow_mut();
        let entry = store.kept.get(path).filter(|entry| Rc::ptr_eq(&entry.resource.borrow(), resource));
        let forgotten = entry.map(|entry| store.reweigh(path, &entry));
        drop(store);
        drop(forgotten);
    }

    /// How many files are kept.
    pub fn len(&self) -> usize {
        self.store.borrow().kept.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives up all that is kept.
    pub fn clear(&self) {
        let nothing = Store::default().kept;
        let forgotten = std::mem::replace(&mut self.store.borrow_mut().kept, nothing);
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

impl CacheFill {
    /// What is kept already and need not be read again.
    pub fn known(&self) -> Option<Rc<Resource>> {
        match &self.how {
            How::Again(entry) if !entry.is_to_be_read_again() => Some(entry.resource()),
            How::Again(_) | How::Anew { .. } => None,
        }
    }

    /// Whether it is read again although its metadata are the same.
    pub fn distrusts(&self) -> bool {
        matches!(&self.how, How::Again(entry) if entry.is_to_be_read_again())
    }

    /// Now that the file is open. None when it is another than what was kept, which is then
    /// forgotten.
    pub fn confirm(self, file: &File) -> Option<CacheFill> {
        if let How::Again(entry) = &self.how
            && !entry.resource.borrow().is_of(file)
        {
            self.forget();
            return None;
        }
        Some(self)
    }

    /// What is kept is there no longer.
    pub fn forget(self) {
        if let How::Again(entry) = &self.how {
            self.store.borrow_mut().take(&self.path, entry);
        }
    }

    /// Keeps the resource, unless it has changed meanwhile.
    pub fn keep(self, resource: &Rc<Resource>) {
        let forgotten = match self.how {
            How::Again(entry) => {
                if !Rc::ptr_eq(&entry.resource.borrow(), resource) {
                    entry.read.set(self.began);
                }
                let before = entry.resource.replace(Rc::clone(resource));
                drop(before);
                entry.opened.set(self.began);
                entry.renewing.set(false);
                self.store.borrow_mut().reweigh(&self.path, &entry)
            }
            How::Anew { changed, .. } if changed.get() => return,
            How::Anew { watch, .. } => {
                let entry = Entry {
                    resource: RefCell::new(Rc::clone(resource)),
                    weight: Cell::new(resource.weight()),
                    read: Cell::new(self.began),
                    opened: Cell::new(self.began),
                    renewing: Cell::default(),
                    _watch: watch,
                };
                self.store.borrow_mut().kept.insert(self.path, Rc::new(entry))
            }
        };
        drop(forgotten);
    }
}

fn millis_since(time: u64) -> u64 {
    now().saturating_sub(time) / 1_000_000
}
