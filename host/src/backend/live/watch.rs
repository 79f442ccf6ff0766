//! Watching files and directories, by inotify.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use compio_driver::op::Interest;
use hashbrown::HashMap;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;

use super::errors::error;
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

impl Live {
    pub(super) fn watch(&mut self, id: u64, path: &[u8]) -> Result<(), Error> {
        if self.watches.count >= limits::WATCHES_MAX {
            return Err(Error::Exhausted);
        }
        let target = self.resolve(path, OFlags::PATH, ResolveFlags::empty())?;
        let inotify = self.inotify().map_err(error)?;
        // The system watches a name; this one names what the path led to, beneath the root.
        let name = format!("/proc/self/fd/{}", target.as_raw_fd());
        let watch = inotify::add_watch(&inotify, name, watched_changes()).map_err(error)?;
        self.watches.requests.entry(watch).or_default().push(id);
        self.watches.count += 1;
        self.pending.insert(id, Pending::Watch(watch));
        Ok(())
    }

    pub(super) fn end_watch(&mut self, id: u64, watch: i32) {
        let Some(requests) = self.watches.requests.get_mut(&watch) else { return };
        requests.retain(|request| *request != id);
        self.watches.count -= 1;
        if requests.is_empty() {
            self.watches.requests.remove(&watch);
            if let Some(inotify) = &self.watches.inotify {
                // Fails when what it watched is gone, and the watch with it.
                let _ = inotify::remove_watch(inotify, watch);
            }
        }
    }

    /// Reads what has changed since it last looked.
    pub(super) fn changed(&mut self) {
        let Some(inotify) = self.watches.inotify.clone() else { return };
        for (watch, name) in read_changes(&inotify) {
            let requests = match watch {
                Some(watch) => self.watches.requests.get(&watch).cloned().unwrap_or_default(),
                None => self.all_watchers(),
            };
            for id in requests {
                self.answers.push(id, Reply::Changed(name.clone()));
            }
        }
        self.driver.poll(&inotify, Interest::Readable, Owner::Watches);
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

/// The changes that the system has counted: for each its watch and the entry's name. No watch: it has lost count.
fn read_changes(inotify: &OwnedFd) -> Vec<(Option<i32>, Vec<u8>)> {
    let mut changes: Vec<(Option<i32>, Vec<u8>)> = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); 16 << 10];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    while let Ok(event) = reader.next() {
        if event.events().contains(ReadFlags::IGNORED) {
            continue;
        }
        let overflow = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
        let name = event.file_name().map(|name| name.to_bytes().to_vec()).unwrap_or_default();
        let change = (if overflow { None } else { Some(event.wd()) }, name);
        // Writing a file tells of each piece.
        if changes.last() != Some(&change) {
            changes.push(change);
        }
    }
    changes
}
