//! Watching files and directories, by inotify.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use compio_driver::op::Interest;
use hashbrown::HashMap;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

use super::disk::Outcome;
use super::errors::from_errno;
use super::waiting::Waiting;
use super::{Live, Owner, Pending};
use crate::contract::{Error, Reply};
use crate::limits;

/// What is watched. The descriptor is opened with the first watch.
#[derive(Default)]
pub struct Watches {
    inotify: Option<Rc<OwnedFd>>,
    /// The requests for each of the system's watches, which has one for each file however often it is asked.
    requests: HashMap<i32, Vec<u64>>,
    count: usize,
}

/// Something that the system tells.
#[derive(PartialEq, Eq)]
enum Change {
    /// An entry of this name has changed; an empty name means the watched file or directory itself.
    Entry(i32, Vec<u8>),
    /// What was watched is deleted, or moved to where the guest may not look.
    Gone(i32),
    /// There were more changes than the system could count.
    Overflow,
}

impl Live {
    pub(super) fn watch(&mut self, id: u64, path: &[u8]) -> Result<(), Error> {
        if self.watches.count >= limits::WATCHES_MAX {
            return Err(Error::Exhausted);
        }
        let (root, path) = self.beneath_root(path)?;
        match self.resolve_at_once(&root, &path, OFlags::PATH, ResolveFlags::empty()) {
            Some(target) => self.watch_target(id, &target.map_err(from_errno)?),
            None => {
                let waiting = Waiting::Watch(self.wait_with_path(id, &path)?);
                let resolve = move || root.resolve(&path, OFlags::PATH, ResolveFlags::empty());
                self.wait_for_disk(waiting, Box::new(move || Outcome::Resolved(resolve())));
                Ok(())
            }
        }
    }

    /// Watches what a path has led to.
    pub(super) fn watch_target(&mut self, id: u64, target: &OwnedFd) -> Result<(), Error> {
        if self.watches.count >= limits::WATCHES_MAX {
            return Err(Error::Exhausted);
        }
        let inotify = self.inotify().map_err(from_errno)?;
        // The system watches a name; this one names what the path led to, beneath the root.
        let name = format!("/proc/self/fd/{}", target.as_raw_fd());
        let watch = inotify::add_watch(&inotify, name, watched_changes()).map_err(from_errno)?;
        let requests = self.watches.requests.entry(watch).or_default();
        if requests.len() >= limits::WATCHES_OF_ONE_MAX {
            return Err(Error::Exhausted);
        }
        requests.push(id);
        self.watches.count += 1;
        self.pending.insert(id, Pending::Watch(watch));
        Ok(())
    }

    pub(super) fn end_watch(&mut self, id: u64, watch: i32) {
        let Some(requests) = self.watches.requests.get_mut(&watch) else { return };
        requests.retain(|request| *request != id);
        self.watches.count -= 1;
        if requests.is_empty() {
            self.remove_watch(watch);
        }
    }

    /// Reads what has changed since it last looked: one piece, so that a busy directory does not keep the clients
    /// waiting. The rest stays with the system.
    pub(super) fn changed(&mut self) {
        let Some(inotify) = self.watches.inotify.clone() else { return };
        for change in read_changes(&inotify) {
            match change {
                Change::Entry(watch, name) => {
                    for id in self.watches.requests.get(&watch).into_iter().flatten() {
                        self.answers.push(*id, Reply::Changed(name.clone()));
                    }
                }
                Change::Gone(watch) => self.lose(watch),
                Change::Overflow => {
                    for id in self.all_watchers() {
                        self.answers.push(id, Reply::Changed(Vec::new()));
                    }
                }
            }
        }
        self.driver.poll(&inotify, Interest::Readable, Owner::Watches);
    }

    /// Ends the requests for what is gone.
    fn lose(&mut self, watch: i32) {
        for id in self.remove_watch(watch) {
            self.watches.count -= 1;
            self.pending.remove(&id);
            self.answers.push(id, Reply::Changed(Vec::new()));
            self.answers.push(id, Reply::Failed(Error::NotFound));
        }
    }

    fn remove_watch(&mut self, watch: i32) -> Vec<u64> {
        if let Some(inotify) = &self.watches.inotify {
            // Fails when what it watched is deleted, and the watch with it.
            let _ = inotify::remove_watch(inotify, watch);
        }
        self.watches.requests.remove(&watch).unwrap_or_default()
    }

    fn all_watchers(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.watches.requests.values().flatten().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn inotify(&mut self) -> Result<Rc<OwnedFd>, Errno> {
        if let Some(inotify) = &self.watches.inotify {
            return Ok(inotify.clone());
        }
        let inotify = Rc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        self.driver.poll(&inotify, Interest::Readable, Owner::Watches);
        self.watches.inotify = Some(inotify.clone());
        Ok(inotify)
    }
}

fn watched_changes() -> WatchFlags {
    WatchFlags::MODIFY
        | WatchFlags::ATTRIB
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
}

/// A piece of the changes that the system has counted. Of equal ones after each other there is one: writing a file
/// tells of each piece.
fn read_changes(inotify: &OwnedFd) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); limits::WATCH_BYTES];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    while let Ok(event) = reader.next() {
        let flags = event.events();
        let change = if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            Change::Overflow
        } else if flags.intersects(ReadFlags::MOVE_SELF | ReadFlags::IGNORED) {
            Change::Gone(event.wd())
        } else {
            let name = event.file_name().map(|name| name.to_bytes().to_vec()).unwrap_or_default();
            Change::Entry(event.wd(), name)
        };
        if changes.last() != Some(&change) {
            changes.push(change);
        }
        if reader.is_buffer_empty() {
            break;
        }
    }
    changes
}
