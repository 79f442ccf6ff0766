//! Files that are asked for again and again: kept open, the small ones with their content in a buffer of the host.
//!
//! A kept file is never wrong. The host is asked to watch it before it is opened, and one that has changed is forgotten
//! with the turn in which that is told; and since not every file system tells, it is opened again twice a second. A
//! response is made of one opening alone: its length, its date and its content belong together.

use crate::generations::Generations;
use crate::limits::{FILES_KEPT_MAX, KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX, KEPT_PATH_BYTES_MAX};
use crate::site::representation::Resource;
use pluto_sdk::fs::WatchPath;
use pluto_sdk::request::handle;
use pluto_sdk::{Handler, now};
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

#[derive(Debug)]
struct Store {
    kept: Generations<Vec<u8>, Rc<Entry>>,
    /// Paths that were asked for lately, and whether one is being opened to be kept: a file is kept when it is asked for
    /// the second time.
    asked: Generations<Vec<u8>, Rc<Cell<bool>>>,
}

impl Default for Store {
    fn default() -> Store {
        Store { kept: Generations::new(FILES_KEPT_MAX), asked: Generations::new(FILES_KEPT_MAX) }
    }
}

#[derive(Debug)]
struct Entry {
    resource: Rc<Resource>,
    /// When it was asked to be opened: nanoseconds since the Unix epoch.
    opened: u64,
    /// Somebody is opening it again.
    renewing: Cell<bool>,
    /// Forgets it when it changes.
    _watch: Handler,
}

impl Cache {
    /// What that path names, if it is kept and still holds.
    pub fn get(&self, path: &[u8]) -> Option<Rc<Resource>> {
        let entry = self.store.borrow_mut().kept.get(path)?;
        let age_millis = now().saturating_sub(entry.opened) / 1_000_000;
        if age_millis >= KEPT_MILLIS_MAX {
            let forgotten = self.store.borrow_mut().kept.remove(path);
            drop(forgotten);
            return None;
        }
        // The first to ask when it is no longer fresh opens it again; until that is done it does for the others.
        if age_millis >= KEPT_FRESH_MILLIS && !entry.renewing.replace(true) {
            return None;
        }
        Some(Rc::clone(&entry.resource))
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
        let opening = Opening(opening);
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
        self.store.borrow().kept.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives up all that is kept.
    pub fn clear(&self) {
        let forgotten = std::mem::replace(&mut self.store.borrow_mut().kept, Generations::new(FILES_KEPT_MAX));
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
    /// Keeps the resource, unless it has changed meanwhile.
    pub fn keep(self, resource: Rc<Resource>) {
        if !self.changed.get() {
            let entry = Entry { resource, opened: self.began, renewing: Cell::new(false), _watch: self.watch };
            let replaced = self.store.borrow_mut().kept.insert(self.path, Rc::new(entry));
            drop(replaced);
        }
    }
}
