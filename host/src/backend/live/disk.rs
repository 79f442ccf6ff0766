//! Threads that wait for the disk, so that a shard need not: while one file is slow to come, its
//! other clients are served.
//!
//! What is in the system's memory is answered at once, by the shard itself, for a thread costs
//! more than most of these calls do. Only what would wait goes to a thread. The threads are made
//! when they are needed and end when they are not.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use rustix::io::Errno;

use crate::contract::{Entry, Error, Metadata, Reply};
use crate::limits;

/// A call that may wait, with all that it needs.
pub type Call = Box<dyn FnOnce() -> Outcome + Send>;

/// What has come of a call.
pub enum Outcome {
    /// A regular file was opened, and looked at.
    Opened(Result<(OwnedFd, Metadata), Error>),
    /// A file was closed.
    Closed,
    /// What a path names was found.
    Resolved(Result<OwnedFd, Errno>),
    /// A directory was listed. At most one of these waits for the shard, for it may hold
    /// `ANSWER_BYTES_QUEUED_MAX`.
    Listed(Result<Vec<Entry>, Error>),
    /// A file's content was digested, or could not be read.
    Digested(Result<Reply, Errno>),
    /// A part of a file was read.
    Read(Result<Vec<u8>, Errno>),
    /// A part of a file was read into the system's memory: so many bytes of it.
    Cached(Result<u64, Errno>),
}

/// A call that is to be made now.
struct Queued {
    /// The number of the call.
    serial: u64,
    /// What a thread does.
    call: Call,
    /// It lists a directory.
    lists: bool,
}

/// Calls that nobody makes yet, by their numbers: the order in which they were asked for.
type Queue = BTreeMap<u64, Call>;

/// The calls of one shard that are under way.
pub struct Disk {
    /// What the shard and its threads share.
    shared: Arc<Shared>,
    /// How many calls there were: each has its number.
    serial: u64,
}

struct Shared {
    /// Never locked while a call is made.
    state: Mutex<State>,
    /// There is a call to be made, or the shard has ended.
    changed: Condvar,
    /// Something is done. Looked at each time the shard waits, which takes no lock.
    has_done: AtomicBool,
    /// Wakes the shard.
    waker: Waker,
}

#[derive(Default)]
struct State {
    /// Calls that neither close a file nor list a directory.
    queue: Queue,
    /// Those that close a file. They come before all others, for these may open more.
    closes_queue: Queue,
    /// Those that list a directory, of which one is made at a time.
    lists_queue: Queue,
    /// Calls that are made, by their numbers, until the shard takes them.
    done: Vec<(u64, Outcome)>,
    /// A directory is being listed, or was and the shard has not taken the entries.
    lists: bool,
    /// Threads that have not ended.
    threads: usize,
    /// Threads that wait for a call.
    idle: usize,
    /// Calls that threads are making.
    running: usize,
    /// The shard has ended.
    closed: bool,
}

impl Disk {
    /// No calls, and no threads. The waker ends the shard's wait.
    pub fn new(waker: Waker) -> Self {
        let (state, changed, has_done) = (Mutex::default(), Condvar::new(), AtomicBool::new(false));
        Self { shared: Arc::new(Shared { state, changed, has_done, waker }), serial: 0 }
    }

    /// Makes a call, on a thread, or here where the system gives none. Returns its number.
    pub fn call(&mut self, call: Call) -> u64 {
        self.queue(call, |state| &mut state.queue)
    }

    /// Makes a call that closes a file, before all others.
    pub fn call_to_close(&mut self, call: Call) -> u64 {
        self.queue(call, |state| &mut state.closes_queue)
    }

    /// Makes a call that lists a directory, one after the other.
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
                // Nobody else would ever make it.
                state = self.shared.make_next(state);
            }
        }
        drop(state);
        self.shared.changed.notify_one();
        self.serial
    }

    /// Takes a call back that nobody makes yet, with all that it holds: a guest can ask and cancel
    /// faster than a disk answers. Whether that was so; else a thread is about it, and holds what
    /// it needs.
    pub fn forget(&mut self, serial: u64) -> bool {
        let mut state = self.shared.state();
        let call = state.lists_queue.remove(&serial).or_else(|| state.queue.remove(&serial));
        // What it holds is given back without the lock.
        drop(state);
        call.is_some()
    }

    /// Whether a call is done.
    pub fn has_done(&self) -> bool {
        self.shared.has_done.load(Ordering::Acquire)
    }

    /// The calls that are done, by their numbers, with what has come of them.
    pub fn done(&mut self) -> Vec<(u64, Outcome)> {
        self.shared.has_done.store(false, Ordering::Release);
        let mut state = self.shared.state();
        let done = std::mem::take(&mut state.done);
        state.lists &= !done.iter().any(|(_, outcome)| matches!(outcome, Outcome::Listed(_)));
        // Where the system gave no thread, nobody else makes what is left.
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
    /// Nobody waits for the threads: the disk may never answer.
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

    /// Whether a call can be made now. None is while the shard has not taken what is done: that
    /// holds descriptors, and so does what is about to be done.
    fn has_next(&self) -> bool {
        let can_list = !self.lists && !self.lists_queue.is_empty();
        let has_any = can_list || !self.queue.is_empty() || !self.closes_queue.is_empty();
        self.done.len() + self.running < limits::DISK_DONE_MAX && has_any
    }

    fn end_thread(&mut self) {
        self.threads = self.threads.checked_sub(1).expect("a thread that ends was counted");
    }

    /// Takes the call that is to be made next.
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
        // Under the lock under which it has seen that there is nothing to do, for whoever comes
        // next counts on it no more.
        state.end_thread();
    }

    /// Makes the next call, without the lock, and tells the shard.
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

/// Counts a thread no more that ends because a call has panicked.
struct Working<'a>(&'a Shared);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().end_thread();
        }
    }
}

/// Counts a call until it is made, in whichever way.
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
