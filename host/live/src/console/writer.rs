//! The thread of a stream: it writes lines, by calls that may block, and tries again what has
//! failed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, write};

use super::shared::{Descriptor, Shared};
use crate::limits;

/// What writes to one descriptor.
pub(super) struct Writer<T> {
    shared: Arc<Shared>,
    descriptor: Descriptor,
    /// Called with what the operator should know.
    tell: T,
    /// None when the system does not tell.
    kind: Option<FileType>,
    /// The lines that were taken last.
    lines: String,
    /// How many of their bytes are written.
    at: usize,
    /// The length of the file behind a line of which a part is written, since the next part was
    /// refused.
    length: Option<i64>,
}

impl<T: Fn(&str)> Writer<T> {
    pub(super) fn new(shared: Arc<Shared>, descriptor: Descriptor, tell: T) -> Self {
        let kind = kind(&descriptor);
        Self { shared, descriptor, tell, kind, lines: String::new(), at: 0, length: None }
    }

    /// Writes until nobody reads any more.
    pub(super) fn run(mut self) {
        loop {
            self.shared.take(&mut self.lines);
            self.at = 0;
            self.adopt_replacement();
            while self.at < self.lines.len() {
                let end = self.end_of_call();
                match write(&self.descriptor, &self.lines.as_bytes()[self.at..end]) {
                    Err(Errno::INTR) => {}
                    Ok(0) | Err(Errno::AGAIN) => self.wait_for_room(),
                    Ok(count) => self.wrote(count),
                    // A pipe with a name can be opened by another reader.
                    Err(Errno::PIPE) if self.kind == Some(FileType::Fifo) => self.failed(Errno::PIPE),
                    Err(errno @ (Errno::PIPE | Errno::BADF)) => return self.give_up(errno),
                    Err(errno) => self.failed(errno),
                }
            }
        }
    }

    /// Where the next call ends: behind a whole line.
    fn end_of_call(&self) -> usize {
        // What several processes write to one pipe is torn apart where a call gives more than
        // this.
        let bytes_max = if self.kind == Some(FileType::Fifo) { PIPE_BUF } else { limits::LOG_CALL_BYTES_MAX };
        let rest = &self.lines.as_bytes()[self.at..];
        if rest.len() <= bytes_max {
            return self.lines.len();
        }
        let (begin, more) = rest.split_at(bytes_max);
        let is_end = |byte: &u8| *byte == b'\n';
        let end = begin.iter().rposition(is_end).or_else(|| Some(begin.len() + more.iter().position(is_end)?));
        end.map_or(self.lines.len(), |end| self.at + end + 1)
    }

    fn wrote(&mut self, count: usize) {
        let written = &self.lines.as_bytes()[self.at..self.at + count];
        let ended = written.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at += count;
        self.length = None;
        self.shared.wrote(self.lines.len() - self.at, ended);
    }

    /// Waits for a reader of a descriptor that somebody has made non-blocking.
    fn wait_for_room(&self) {
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        // An error is for the next write to tell.
        let _ = poll(&mut [PollFd::new(&self.descriptor, PollFlags::OUT)], Some(&second));
        // Some descriptors are said to have room, and take nothing all the same.
        thread::sleep(Duration::from_millis(limits::LOG_FLUSH_MILLIS));
    }

    /// The system refuses for now. Most of these errors pass: a disk that is full, or a quota.
    fn failed(&mut self, errno: Errno) {
        if self.shared.fail(errno) {
            let (reason, kib) = (std::io::Error::from(errno), limits::LOG_BYTES_WAITING_MAX >> 10);
            let what = match errno {
                Errno::PIPE => "nobody reads the log any more",
                _ => "the log cannot be written",
            };
            (self.tell)(&format!(
                "{what}: {reason}; it is tried again every second, and lines are lost when {kib} KiB wait"
            ));
        }
        if self.length.is_none() && self.has_begun_a_line() {
            self.length = self.length_of_file();
        }
        self.shared.rest();
        self.adopt_replacement();
        if let Some(before) = self.length
            && let Some(now) = self.length_of_file()
            && now != before
        {
            self.begin_line_again(now);
        }
    }

    /// Goes on with the descriptor that has taken the place of this one, if there is one. A line
    /// that was begun is written there as a whole.
    fn adopt_replacement(&mut self) {
        let Some(descriptor) = self.shared.take_replacement() else { return };
        (self.kind, self.descriptor) = (kind(&descriptor), descriptor);
        if self.has_begun_a_line() {
            self.begin_line_again(0);
        }
        self.length = None;
    }

    fn has_begun_a_line(&self) -> bool {
        self.at > 0 && self.lines.as_bytes()[self.at - 1] != b'\n'
    }

    fn length_of_file(&self) -> Option<i64> {
        let is_file = self.kind == Some(FileType::RegularFile);
        if is_file { fstat(&self.descriptor).ok().map(|stat| stat.st_size) } else { None }
    }

    /// Somebody has emptied the file, or written behind the part of a line that stands there: so
    /// the line is written as a whole, on a line of its own.
    fn begin_line_again(&mut self, length: i64) {
        let begin = self.lines.as_bytes()[..self.at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.lines.replace_range(..begin, if length > 0 { "\n" } else { "" });
        (self.at, self.length) = (0, None);
        self.shared.writes_again(self.lines.len());
    }

    fn give_up(&self, errno: Errno) {
        let (lost, reason) = (self.shared.give_up(), std::io::Error::from(errno));
        (self.tell)(&format!(
            "nobody reads the log any more: {reason}; {lost} lines that waited are lost, and so is what follows"
        ));
    }
}

fn kind(descriptor: &Descriptor) -> Option<FileType> {
    fstat(descriptor).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// What a pipe takes as one piece. Linux, `limits.h`.
const PIPE_BUF: usize = 4 << 10;
