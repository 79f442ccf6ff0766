//! Standard output, on which the logs of all shards meet: no line is torn, and nobody waits for a reader who does not read.

use std::io::{self, Stdout, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::contract::Level;
use crate::limits;

/// Where the logs of a process go. Shared by the consoles of all shards, and by nothing else.
pub struct Output(Mutex<State>);

struct State {
    stdout: Stdout,
    /// What is left of a line of which the reader has taken a part: it comes before anybody else's.
    rest: String,
    /// What shards have said before they had a client, each with the number of its shard.
    said_at_start: Vec<(usize, Level, String)>,
}

/// What a pipe that can be written to takes without blocking: `PIPE_BUF` of Linux.
const PIECE_BYTES: usize = 4 << 10;

impl Output {
    /// That of this process.
    pub fn new() -> Self {
        let stdout = io::stdout();
        Self(Mutex::new(State { stdout, rest: String::new(), said_at_start: Vec::new() }))
    }

    /// Writes lines as far as they are taken at once, and takes them away. Whether nothing is left to write, of these or
    /// of a line that is begun. An error means that nobody can read them any more.
    pub fn write(&self, lines: &mut String) -> io::Result<bool> {
        self.state().write(lines)
    }

    /// Whether another shard has said this at its start; if not, it is said now.
    pub fn is_said_at_start(&self, shard: usize, level: Level, message: &str) -> bool {
        let said = &mut self.state().said_at_start;
        let is_said = said.iter().any(|(by, of, what)| *by != shard && *of == level && what == message);
        if !is_said && said.len() < limits::START_LINES_MAX {
            said.push((shard, level, message.to_owned()));
        }
        is_said
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn write(&mut self, lines: &mut String) -> io::Result<bool> {
        let taken = self.put(&self.rest)?;
        self.rest.drain(..taken);
        if self.rest.is_empty() {
            let taken = self.put(lines)?;
            // A line that is begun is ended by whoever writes next.
            let is_whole = taken == 0 || lines[..taken].ends_with('\n');
            let rest = if is_whole { Some(0) } else { lines[taken..].find('\n').map(|end| end + 1) };
            let end = rest.map_or(lines.len(), |rest| taken + rest);
            self.rest.push_str(&lines[taken..end]);
            lines.drain(..end);
        }
        Ok(lines.is_empty() && self.rest.is_empty())
    }

    /// How many bytes of a text are taken at once. What is left begins with a whole character.
    fn put(&self, text: &str) -> io::Result<usize> {
        let mut output = self.stdout.lock();
        let mut taken = 0;
        while taken < text.len() && self.takes_more() {
            let end = text.floor_char_boundary(taken + PIECE_BYTES);
            output.write_all(&text.as_bytes()[taken..end])?;
            output.flush()?;
            taken = end;
        }
        Ok(taken)
    }

    fn takes_more(&self) -> bool {
        let mut output = [PollFd::new(&self.stdout, PollFlags::OUT)];
        // An error is for `write` to tell.
        poll(&mut output, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}
