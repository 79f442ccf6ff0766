//! Files that are asked for again and again: kept open, the small ones with their content in a buffer of the host.
//!
//! A kept file is never wrong. The host is asked to watch it before it is opened, and one that has changed is forgotten
//! with the turn in which that is told; and since not every file system tells, it is opened again each second, to see
//! whether it is still the same. A response is made of one opening alone: its length, its date and its content belong
//! together.

use crate::generations::Generations;
use crate::limits::{FILES_ASKED_MAX, KEPT_BYTES_MAX, KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX, KEPT_PATH_BYTES_MAX};
use crate::site::representation::Resource;
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

/// A file that is to be kept once it is open.
#[derive(Debug)]
pub struct Keeping {
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
    kept: Generations<Vec<u8>, Rc<Entry>>,
    /// Paths that were asked for lately, and whether one is being opened to be kept: a file is kept when it is asked for
    /// the second time.
    asked: Generations<Vec<u8>, Rc<Cell<bool>>>,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            kept: Generations::weighing(KEPT_BYTES_MAX, |entry: &Rc<Entry>| entry.weight.get()),
            asked: Generations::new(FILES_ASKED_MAX),
        }
    }
}

impl Store {
    /// Takes an entry out, if it is still there, which the caller drops.
    fn take(&mut self, path: &[u8], entry: &Rc<Entry>) -> bool {
        let is_there = self.kept.get(path).is_some_and(|kept| Rc::ptr_eq(&kept, entry));
        is_there && self.kept.remove(path).is_some()
    }
}

#[derive(Debug)]
struct Entry {
    resource: Rc<Resource>,
    /// What it counts among all that is kept.
    weight: Cell<usize>,
    /// When it was last asked to be opened: nanoseconds since the Unix epoch.
    opened: Cell<u64>,
    /// Somebody is opening it again.
    opening: Cell<bool>,
    /// Forgets it when it changes.
    _watch: Handler,
}

impl Cache {
    /// What that path names, if it is kept and may be sent.
    pub fn get(&self, path: &[u8]) -> Option<Rc<Resource>> {
        let entry = self.store.borrow_mut().kept.get(path)?;
        let age_millis = now().saturating_sub(entry.opened.get()) / 1_000_000;
        // The first to ask when it is no longer fresh opens it again; until that is done it does for the others.
        let is_due = age_millis >= KEPT_FRESH_MILLIS && !entry.opening.replace(true);
        if is_due || age_millis >= KEPT_MILLIS_MAX {
            return None;
        }
        Some(Rc::clone(&entry.resource))
    }

    /// Whether the file of that path, which is about to be opened, is to be kept: it is already, or it was asked for before
    /// and nobody else is opening it to keep it.
    pub fn begin(&self, path: &[u8]) -> Option<Keeping> {
        if path.len() > KEPT_PATH_BYTES_MAX {
            return None;
        }
        let mut store = self.store.borrow_mut();
        let how = if let Some(entry) = store.kept.get(path) {
            How::Again(entry)
        } else {
            let Some(opening) = store.asked.get(path) else {
                store.asked.insert(path.to_vec(), Rc::default());
                return None;
            };
            if opening.replace(true) {
                return None;
            }
            let changed = Rc::new(Cell::new(false));
            let watch = self.watch(path.to_vec(), Rc::clone(&changed));
            How::Anew { changed, watch, _opening: Opening(opening) }
        };
        Some(Keeping { store: Rc::clone(&self.store), path: path.to_vec(), began: now(), how })
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

impl Keeping {
    /// What is kept already.
    pub fn known(&self) -> Option<&Rc<Resource>> {
        match &self.how {
            How::Again(entry) => Some(&entry.resource),
            How::Anew { .. } => None,
        }
    }

    /// Now that the file is open: nothing when something else was kept, which is forgotten.
    pub fn confirm(self, file: &File) -> Option<Keeping> {
        if self.known().is_some_and(|known| !known.is_of(file)) {
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
        let entry = match self.how {
            How::Again(entry) => {
                entry.opened.set(self.began);
                entry.opening.set(false);
                // More of its forms may be known by now.
                if entry.weight.get() == resource.weight() || !self.store.borrow_mut().take(&self.path, &entry) {
                    return;
                }
                entry.weight.set(resource.weight());
                entry
            }
            How::Anew { changed, .. } if changed.get() => return,
            How::Anew { watch, .. } => Rc::new(Entry {
                resource: Rc::clone(resource),
                weight: Cell::new(resource.weight()),
                opened: Cell::new(self.began),
                opening: Cell::default(),
                _watch: watch,
            }),
        };
        let replaced = self.store.borrow_mut().kept.insert(self.path, entry);
        drop(replaced);
    }
}
