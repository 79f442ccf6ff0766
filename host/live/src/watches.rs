//! Watching files and directories, by inotify.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use hashbrown::HashMap;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

use super::disk::Outcome;
use super::disk_waits::Waiting;
use super::errors::from_errno;
use super::files::{Files, resolve_at_once};
use super::held::{Held, Total};
use super::pending::Pending;
use super::reactor::{Owner, Reactor};
use crate::limits;
use pluto_contract::{Error, Reply};

/// The watches of a guest.
#[derive(Default)]
pub struct Watches {
    /// The system's queue of changes, opened with the first watch.
    inotify: Option<Rc<OwnedFd>>,
    /// The requests for each of the system's watches. The system has one watch for each file, even
    /// for several requests.
    requests: HashMap<i32, Vec<Watch>>,
    /// The number of requests.
    count: Total,
}

/// A `watch` under way.
struct Watch {
    /// The id of the request.
    id: u64,
    /// Counts the request among all watches.
    _held: Held,
}

/// A change that the system reports.
#[derive(PartialEq, Eq)]
enum Change {
    /// An entry of this name has changed; an empty name means the watched file or directory
    /// itself.
    Entry(i32, Vec<u8>),
    /// The watched file or directory was deleted, or moved to where the guest may not look.
    Gone(i32),
    /// There were more changes than the system could count.
    Overflow,
}

impl Watches {
    /// Implements the contract's `watch`.
    pub fn watch(&mut self, reactor: &mut Reactor, files: &Files, id: u64, path: &[u8]) -> Result<(), Error> {
        // The place is taken when the target is known.
        drop(self.room()?);
        let (root, path) = files.beneath_root(path)?;
        if let Some(target) = resolve_at_once(&mut reactor.driver, root, &path, OFlags::PATH, ResolveFlags::empty()) {
            return self.watch_target(reactor, id, &target.map_err(from_errno)?);
        }
        let (root, waiting) = (root.clone(), Waiting::Watch(reactor.disk.path(id, &path)?));
        let resolve = move || root.resolve(&path, OFlags::PATH, ResolveFlags::empty());
        reactor.disk.wait(&mut reactor.requests, waiting, Box::new(move || Outcome::Resolved(resolve())));
        Ok(())
    }

    fn room(&self) -> Result<Held, Error> {
        self.count.hold(1, limits::WATCHES_MAX as u64)
    }

    /// Watches the target of a path.
    pub fn watch_target(&mut self, reactor: &mut Reactor, id: u64, target: &OwnedFd) -> Result<(), Error> {
        let held = self.room()?;
        let inotify = self.inotify(reactor).map_err(from_errno)?;
        // The system watches by name. This name leads to the target that was resolved beneath the
        // root.
        let name = format!("/proc/self/fd/{}", target.as_raw_fd());
        let watch = inotify::add_watch(&inotify, name, watched_changes()).map_err(from_errno)?;
        let requests = self.requests.entry(watch).or_default();
        limits::room(requests.len(), limits::WATCHES_OF_ONE_MAX)?;
        requests.push(Watch { id, _held: held });
        reactor.requests.wait(id, Pending::Watch(watch));
        Ok(())
    }

    /// Cancels a watch.
    pub fn end(&mut self, id: u64, watch: i32) {
        let Some(requests) = self.requests.get_mut(&watch) else { return };
        requests.retain(|request| request.id != id);
        if requests.is_empty() {
            self.remove(watch);
        }
    }

    /// Reads one piece of the changes since the last look, so that a busy directory does not keep
    /// the clients waiting. The rest stays with the system.
    pub fn changed(&mut self, reactor: &mut Reactor) {
        let Some(inotify) = self.inotify.clone() else { return };
        for change in read_changes(&inotify) {
            match change {
                Change::Entry(watch, name) => {
                    for request in self.requests.get(&watch).into_iter().flatten() {
                        reactor.requests.answers.push(request.id, Reply::Changed(name.clone()));
                    }
                }
                Change::Gone(watch) => self.lose(reactor, watch),
                Change::Overflow => {
                    for id in self.all_watchers() {
                        reactor.requests.answers.push(id, Reply::Changed(Vec::new()));
                    }
                }
            }
        }
        reactor.wait_to_read(&inotify, Owner::Watches);
    }

    /// Ends the requests for a target that is gone.
    fn lose(&mut self, reactor: &mut Reactor, watch: i32) {
        for Watch { id, .. } in self.remove(watch) {
            reactor.requests.answers.push(id, Reply::Changed(Vec::new()));
            reactor.requests.finish(id, Reply::Failed(Error::NotFound));
        }
    }

    fn remove(&mut self, watch: i32) -> Vec<Watch> {
        if let Some(inotify) = &self.inotify {
            // This fails when the target was deleted, because the watch was deleted with it.
            let _ = inotify::remove_watch(inotify, watch);
        }
        self.requests.remove(&watch).unwrap_or_default()
    }

    fn all_watchers(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.requests.values().flatten().map(|request| request.id).collect();
        ids.sort_unstable();
        ids
    }

    fn inotify(&mut self, reactor: &mut Reactor) -> Result<Rc<OwnedFd>, Errno> {
        if let Some(inotify) = &self.inotify {
            return Ok(inotify.clone());
        }
        let inotify = Rc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        reactor.wait_to_read(&inotify, Owner::Watches);
        self.inotify = Some(inotify.clone());
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

/// Reads a piece of the system's changes. Equal changes in a row become one, because writing a
/// file reports each piece.
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
