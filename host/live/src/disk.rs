//! Threads that wait for the disk, so that a shard need not: while one file is slow, other clients
//! are served.
//!
//! The shard itself answers from the system's memory, because a thread costs more than most of
//! these calls. Only a call that would wait goes to a thread. Threads start when they are needed,
//! and end when they are idle.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use rustix::io::Errno;

use crate::limits;
use pluto_contract::{Entry, Error, Metadata, Reply};

/// A call that may wait, with everything that it needs.
pub type Call = Box<dyn FnOnce() -> Outcome + Send>;

/// The result of a call.
pub enum Outcome {
    /// A regular file was opened, and looked at.
    Opened(Result<(OwnedFd, Metadata), Error>),
    /// A file was closed.
    Closed,
    /// A path was resolved.
    Resolved(Result<OwnedFd, Errno>),
    /// A directory was listed. At most one such result waits for the shard, because it may hold
    /// `ANSWER_BYTES_QUEUED_MAX`.
    Listed(Result<Vec<Entry>, Error>),
    /// A file's content was digested, or could not be read.
    Digested(Result<Reply, Errno>),
    /// A part of a file was read.
    Read(Result<Vec<u8>, Errno>),
    /// A part of a file was read into the system's memory. This is the number of bytes.
    Cached(Result<u64, Errno>),
}

/// A call that a thread is about to make.
struct Queued {
    /// The number of the call.
    serial: u64,
    /// The call itself.
    call: Call,
    /// Whether the call lists a directory.
    lists: bool,
}

/// Calls that no thread makes yet, by their numbers, which is the order of the requests.
type Queue = BTreeMap<u64, Call>;

/// The calls of one shard that are under way.
pub struct Disk {
    /// The state that the shard and its threads share.
    shared: Arc<Shared>,
    /// The number of calls so far. Each call has its own number.
    serial: u64,
}

struct Shared {
    /// Never locked while a call is made.
    state: Mutex<State>,
    /// Signalled when there is a call to be made, or the shard has ended.
    changed: Condvar,
    /// Whether a call is done. The shard looks at this each time it waits, without taking the
    /// lock.
    has_done: AtomicBool,
    /// Wakes the shard.
    waker: Waker,
}

#[derive(Default)]
struct State {
    /// Calls that neither close a file nor list a directory.
    queue: Queue,
    /// Calls that close a file. They come before all others, because others may open more files.
    closes_queue: Queue,
    /// Calls that list a directory. One is made at a time.
    lists_queue: Queue,
    /// The results of calls that are done, by the calls' numbers, until the shard takes them.
    done: Vec<(u64, Outcome)>,
    /// Whether a directory is being listed, or was listed and the shard has not taken the entries.
    lists: bool,
    /// The number of threads that have not ended.
    threads: usize,
    /// The number of threads that wait for a call.
    idle: usize,
    /// The number of calls that threads are making.
    running: usize,
    /// Whether the shard has ended.
    closed: bool,
}

impl Disk {
    /// Creates a disk without calls or threads. The waker ends the shard's wait.
    pub fn new(waker: Waker) -> Self {
        let (state, changed, has_done) = (Mutex::default(), Condvar::new(), AtomicBool::new(false));
        Self { shared: Arc::new(Shared { state, changed, has_done, waker }), serial: 0 }
    }

    /// Has a thread make a call, or makes it here if the system gives no thread. Returns the
    /// number of the call.
    pub fn call(&mut self, call: Call) -> u64 {
        self.queue(call, |state| &mut state.queue)
    }

    /// Makes a call that closes a file. Such a call comes before all others.
    pub fn call_to_close(&mut self, call: Call) -> u64 {
        self.queue(call, |state| &mut state.closes_queue)
    }

    /// Makes a call that lists a directory. Such calls are made one after the other.
    pub fn call_to_list(&mut self, call: Call) -> u64 {
        self.queue(call, |state| &mut state.lists_queue)
    }

    fn queue(&mut self, call: Call, queue: fn(&mut State) -> &mut Queue) -> u64 {
        self.serial += 1;
        let mut state = self.shared.state();
        queue(&mut state).insert(self.serial, call);
        if state.queued() > state.idle && state.threads < limits::DISK_THREADS_MAX {
            if self.shared.start_thread() {
                state.threads += 1;
            } else if state.threads == 0 {
                // No thread would ever make this call.
                state = self.shared.make_next(state);
            }
        }
        drop(state);
        self.shared.changed.notify_one();
        self.serial
    }

    /// Takes back a call that no thread makes yet, and frees all that it holds, because a guest
    /// can ask and cancel faster than a disk answers. Returns whether the call was taken back. If
    /// not, a thread is making it, and holds what it needs.
    pub fn forget(&mut self, serial: u64) -> bool {
        let mut state = self.shared.state();
        let call = state.lists_queue.remove(&serial).or_else(|| state.queue.remove(&serial));
        // Drop the call's resources without the lock.
        drop(state);
        call.is_some()
    }

    /// Returns whether a call is done.
    pub fn has_done(&self) -> bool {
        self.shared.has_done.load(Ordering::Acquire)
    }

    /// Takes the results of the calls that are done, with the calls' numbers.
    pub fn done(&mut self) -> Vec<(u64, Outcome)> {
        self.shared.has_done.store(false, Ordering::Release);
        let mut state = self.shared.state();
        let done = std::mem::take(&mut state.done);
        state.lists &= !done.iter().any(|(_, outcome)| matches!(outcome, Outcome::Listed(_)));
        // If the system gave no thread, nobody else makes the remaining calls.
        while state.threads == 0 && state.has_next() {
            if self.shared.start_thread() {
                state.threads += 1;
            } else {
                state = self.shared.make_next(state);
            }
        }
        drop(state);
        self.shared.changed.notify_all();
        done
    }
}

impl Drop for Disk {
    /// Do not wait for the threads: the disk may never answer.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        state.queue.clear();
        state.closes_queue.clear();
        state.lists_queue.clear();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl State {
    fn queued(&self) -> usize {
        self.queue.len() + self.closes_queue.len() + self.lists_queue.len()
    }

    /// Returns whether a call can be made now. No call can while the shard has not taken too many
    /// results, because results and running calls hold descriptors.
    fn has_next(&self) -> bool {
        let can_list = !self.lists && !self.lists_queue.is_empty();
        let has_any = can_list || !self.queue.is_empty() || !self.closes_queue.is_empty();
        self.done.len() + self.running < limits::DISK_DONE_MAX && has_any
    }

    fn end_thread(&mut self) {
        self.threads = self.threads.checked_sub(1).expect("a thread that ends was counted");
    }

    /// Takes the next call.
    fn take_next(&mut self) -> Option<Queued> {
        if !self.has_next() {
            return None;
        }
        if let Some((serial, call)) = self.closes_queue.pop_first() {
            return Some(Queued { serial, call, lists: false });
        }
        let first = |queue: &Queue| queue.keys().next().copied();
        let list = first(&self.lists_queue).filter(|_| !self.lists);
        let lists = list.is_some_and(|list| first(&self.queue).is_none_or(|other| list < other));
        let queue = if lists { &mut self.lists_queue } else { &mut self.queue };
        queue.pop_first().map(|(serial, call)| Queued { serial, call, lists })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_thread(self: &Arc<Self>) -> bool {
        let shared = self.clone();
        std::thread::Builder::new().name("disk".into()).spawn(move || shared.work()).is_ok()
    }

    /// Makes calls until there have been none for a while.
    fn work(&self) {
        let _working = Working(self);
        let mut state = self.state();
        while !state.closed {
            if state.has_next() {
                state = self.make_next(state);
                continue;
            }
            state.idle += 1;
            let rest = Duration::from_secs(limits::DISK_THREAD_IDLE_SECONDS);
            let (woken, waited) = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queued() == 0 {
                break;
            }
        }
        // Still under the lock under which the thread saw that there is nothing to do: from now on
        // nobody may count on this thread.
        state.end_thread();
    }

    /// Makes the next call without the lock, and tells the shard.
    fn make_next<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let Some(Queued { serial, call, lists }) = state.take_next() else { return state };
        state.lists |= lists;
        state.running += 1;
        drop(state);
        let running = Running(self);
        let outcome = call();
        self.state().done.push((serial, outcome));
        drop(running);
        self.has_done.store(true, Ordering::Release);
        self.waker.wake_by_ref();
        self.state()
    }
}

/// Stops counting a thread that ends because a call has panicked.
struct Working<'a>(&'a Shared);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().end_thread();
        }
    }
}

/// Counts a call as running until it has returned or panicked.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.checked_sub(1).expect("a call that ends was counted");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    fn call(work: impl FnOnce() + Send + 'static) -> Call {
        Box::new(move || {
            work();
            Outcome::Cached(Ok(0))
        })
    }

    #[test]
    fn a_call_that_waits_keeps_no_other_waiting() {
        let mut disk = Disk::new(Waker::noop().clone());
        let (release, wait) = channel::<()>();
        let slow = disk.call(call(move || assert!(wait.recv().is_err(), "it is released")));
        let quick = disk.call(call(|| {}));
        let begin = Instant::now();
        let mut done = Vec::new();
        while done.is_empty() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the quick one is not done");
            done.extend(disk.done().into_iter().map(|(serial, _)| serial));
        }
        assert_eq!(done, [quick]);
        drop(release);
        while done.len() < 2 {
            assert!(begin.elapsed() < Duration::from_secs(20), "the slow one is not done");
            done.extend(disk.done().into_iter().map(|(serial, _)| serial));
        }
        assert_eq!(done, [quick, slow]);
    }

    #[test]
    fn a_call_that_nobody_waits_for_is_not_made() {
        let mut disk = Disk::new(Waker::noop().clone());
        let (release, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let slow: Vec<u64> = (0..limits::DISK_THREADS_MAX)
            .map(|_| {
                let wait = wait.clone();
                disk.call(call(move || assert!(wait.lock().expect("nobody panics").recv().is_err(), "it is released")))
            })
            .collect();
        let begin = Instant::now();
        while disk.shared.state().running < slow.len() {
            assert!(begin.elapsed() < Duration::from_secs(20), "all threads are busy");
        }
        let forgotten = disk.call(call(|| unreachable!("nobody waits for it")));
        assert!(disk.forget(forgotten) && !disk.forget(slow[0]), "one is queued, the other is under way");
        drop(release);
        let mut done = 0;
        while done < slow.len() {
            assert!(begin.elapsed() < Duration::from_secs(20), "they are done");
            done += disk.done().len();
        }
    }

    #[test]
    fn there_are_no_more_threads_than_allowed_and_each_call_is_made_once() {
        let mut disk = Disk::new(Waker::noop().clone());
        let calls = 10 * limits::DISK_THREADS_MAX;
        let (begun, count) = channel();
        for _ in 0..calls {
            let begun = begun.clone();
            disk.call(call(move || begun.send(()).expect("it is counted")));
        }
        assert!(disk.shared.state().threads <= limits::DISK_THREADS_MAX);
        for made in 0..calls {
            while count.recv_timeout(Duration::from_millis(10)).is_err() {
                assert!(made >= limits::DISK_DONE_MAX, "it waits for nobody");
                assert!(disk.done().len() >= limits::DISK_DONE_MAX, "the threads wait for the shard");
            }
        }
        assert!(count.try_recv().is_err());
    }

    #[test]
    fn one_directory_is_listed_at_a_time_and_keeps_no_file_waiting() {
        let mut disk = Disk::new(Waker::noop().clone());
        let list = || Box::new(|| Outcome::Listed(Ok(Vec::new())));
        let first = disk.call_to_list(list());
        let second = disk.call_to_list(list());
        let file = disk.call(call(|| {}));
        let begin = Instant::now();
        while disk.shared.state().done.len() < 2 {
            assert!(begin.elapsed() < Duration::from_secs(20), "the first and the file are not done");
        }
        let mut done: Vec<u64> = disk.done().into_iter().map(|(serial, _)| serial).collect();
        done.sort_unstable();
        assert_eq!(done, [first, file]);
        while !disk.has_done() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the second is not done");
        }
        assert_eq!(disk.done().into_iter().map(|(serial, _)| serial).collect::<Vec<_>>(), [second]);
    }
}
