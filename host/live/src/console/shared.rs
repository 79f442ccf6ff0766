//! What a stream and its thread share: lines that wait, and lines that are lost.

use std::os::fd::AsFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::loss::{Loss, Source, Why};
use crate::limits;

/// What lines are written to.
pub type Descriptor = Box<dyn AsFd + Send>;

/// What became of lines that were appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many of them are lost.
    pub lost: u64,
    /// Whether all further lines will be lost as well.
    pub is_gone: bool,
}

/// What the thread and all others share.
#[derive(Default)]
pub struct Shared {
    state: Mutex<State>,
    /// There is something to write, or the process is about to end.
    changed: Condvar,
    /// Everything is written, or nothing can be written any more.
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// Lines that the thread has not taken yet.
    waiting: String,
    /// Bytes that the thread has taken and not written yet.
    writing: usize,
    /// The lines among them, with the one that is begun.
    lines_writing: u64,
    /// What was lost and is not told yet, at most one for each source.
    losses: Vec<Loss>,
    /// What takes the place of the thread's descriptor, before it writes its next line.
    replacement: Option<Descriptor>,
    /// The error of the last write, when it failed.
    trouble: Option<Errno>,
    /// Nobody reads any more. This does not change again.
    is_gone: bool,
    /// The process is about to end.
    is_ending: bool,
}

impl Shared {
    /// Appends whole lines, as many as there is room for. They were made at `time`: nanoseconds
    /// since the Unix epoch.
    pub fn append(&self, source: Source, time: u64, lines: &str) -> Appended {
        let mut state = self.state();
        let was_empty = state.waiting.is_empty();
        let lost = state.append(source, time, lines);
        let is_gone = state.is_gone;
        let is_first = was_empty && !state.waiting.is_empty();
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
        Appended { lost, is_gone }
    }

    /// Waits until everything is written or nobody reads any more, but no longer than until that
    /// moment. Returns how many lines are left, and why, if there are any.
    pub fn finish(&self, until: Instant) -> Option<(u64, Why)> {
        let mut state = self.state();
        state.is_ending = true;
        self.changed.notify_one();
        loop {
            let is_unread = state.is_gone || state.trouble == Some(Errno::PIPE);
            if is_unread || (state.writing == 0 && state.waiting.is_empty() && state.losses.is_empty()) {
                return None;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some((state.lines_writing + lines_in(&state.waiting), state.why()));
            }
            state = self.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there are lines, and takes them all. What comes within a few milliseconds of
    /// the first is taken with it: one call for many lines costs a busy server much less than a
    /// call for each turn.
    pub fn take(&self, lines: &mut String) {
        let mut state = self.state();
        loop {
            if state.waiting.is_empty() {
                state.tell_losses();
            }
            if !state.waiting.is_empty() {
                break;
            }
            self.done.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.is_ending {
            drop(state);
            thread::sleep(Duration::from_millis(limits::LOG_FLUSH_MILLIS));
            state = self.state();
        }
        lines.clear();
        lines.shrink_to(limits::LOG_BYTES_KEPT);
        std::mem::swap(&mut state.waiting, lines);
        state.writing = lines.len();
        drop(state);
        let count = lines_in(lines);
        self.state().lines_writing = count;
    }

    /// So many bytes are still to be written, in so many lines; the last write succeeded.
    pub fn wrote(&self, left: usize, lines: u64) {
        let mut state = self.state();
        (state.writing, state.lines_writing) = (left, state.lines_writing.saturating_sub(lines));
        state.trouble = None;
    }

    /// Lines that were written in part are to be written again.
    pub fn writes_again(&self, left: usize) {
        self.state().writing = left;
    }

    /// Lines that are not written yet go to this descriptor.
    pub fn replace(&self, descriptor: Descriptor) {
        self.state().replacement = Some(descriptor);
    }

    /// The descriptor of the last call of `replace`, once.
    pub fn take_replacement(&self) -> Option<Descriptor> {
        self.state().replacement.take()
    }

    /// A write has failed. Whether the one before had not.
    pub fn fail(&self, errno: Errno) -> bool {
        self.state().trouble.replace(errno).is_none()
    }

    /// Waits before the next attempt, which comes sooner when the process is about to end.
    pub fn rest(&self) {
        let state = self.state();
        if state.is_ending {
            drop(state);
            return thread::sleep(Duration::from_millis(limits::LOG_RETRY_AT_END_MILLIS));
        }
        let rest = Duration::from_millis(limits::LOG_RETRY_MILLIS);
        drop(self.changed.wait_timeout_while(state, rest, |state| !state.is_ending));
    }

    /// Nobody reads any more. Returns how many lines are lost by that.
    pub fn give_up(&self) -> u64 {
        let mut state = self.state();
        state.is_gone = true;
        let lost = state.lines_writing + lines_in(&state.waiting);
        state.waiting = String::new();
        state.losses = Vec::new();
        drop(state);
        self.done.notify_all();
        lost
    }
}

impl State {
    /// Appends lines as far as there is room, and counts the others. Returns how many these are.
    fn append(&mut self, source: Source, time: u64, lines: &str) -> u64 {
        if self.is_gone {
            return lines_in(lines);
        }
        let held = self.waiting.len() + self.writing;
        let loss = self.losses.iter().position(|loss| loss.source == source);
        // Who has lost lines waits for half of the room, so that one gap is not told as many.
        let room = match (source.bytes_max(), loss) {
            (max, Some(_)) if held > max / 2 => 0,
            (max, _) => max.saturating_sub(held),
        };
        let taken = whole_lines(lines, room);
        if let Some(index) = loss.filter(|_| taken > 0) {
            // In the place of the lines that are missing.
            self.losses.swap_remove(index).tell(&mut self.waiting);
        }
        self.waiting.push_str(&lines[..taken]);
        let lost = lines_in(&lines[taken..]);
        if lost > 0 {
            self.lose(source, lost, time);
        }
        lost
    }

    fn lose(&mut self, source: Source, lines: u64, time: u64) {
        let why = self.why();
        match self.losses.iter_mut().find(|loss| loss.source == source) {
            Some(loss) => loss.add(lines, time, why),
            None => self.losses.push(Loss { source, lines, from: time, to: time, why }),
        }
    }

    fn tell_losses(&mut self) {
        for loss in std::mem::take(&mut self.losses) {
            loss.tell(&mut self.waiting);
        }
    }

    fn why(&self) -> Why {
        self.trouble.map_or(Why::Slow, Why::Refused)
    }
}

/// How many bytes at the beginning of these lines are whole lines and not more than so many.
fn whole_lines(lines: &str, bytes_max: usize) -> usize {
    if lines.len() <= bytes_max {
        return lines.len();
    }
    let begin = &lines.as_bytes()[..bytes_max];
    begin.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// How many lines end in this text.
fn lines_in(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}
