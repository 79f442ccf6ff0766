//! Any world, with its answers written down.
//!
//! What a turn costs here is the encoding and one lock that nobody else holds for long; a thread of its own writes.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Backend, Batch};
use crate::contract::{Level, Submission};
use crate::limits;
use crate::stop::Stop;
use crate::trace::binary::Block;
use crate::trace::{End, How, Sum};

/// A world whose answers go onto a tape.
pub struct Record {
    /// Before the world, whose end may take a while: the last block is written first.
    tape: Tape,
    inner: Box<dyn Backend>,
    sum: Sum,
}

impl Record {
    /// Records `inner` onto `tape`.
    pub fn new(inner: Box<dyn Backend>, tape: Tape) -> Self {
        Self { tape, inner, sum: Sum::default() }
    }
}

impl Backend for Record {
    fn start(&mut self) -> u64 {
        self.inner.start()
    }

    fn submit(&mut self, submission: Submission) {
        self.sum.add(&submission);
        self.inner.submit(submission);
    }

    fn wait(&mut self) -> Result<Batch, Stop> {
        let batch = self.inner.wait()?;
        let sent = self.sum.take();
        self.tape.add(|block| block.turn(sent, batch.time, &batch.answers));
        Ok(batch)
    }

    fn log(&mut self, level: Level, message: &str) {
        self.inner.log(level, message);
    }

    fn ended(&mut self, how: &How) {
        let end = End { sent: self.sum.take(), how: how.clone() };
        self.tape.add(|block| block.end(&end));
        self.inner.ended(how);
    }
}

/// Where records go: a file, by way of a thread that writes what has come since it last wrote.
pub struct Tape {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    block: Block,
    /// Nothing more comes.
    closed: bool,
    /// Nothing more is written.
    failed: bool,
}

impl Tape {
    /// A tape that writes to `output`, after what a trace begins with. `on_failure` is told when that ends before the
    /// run does; the run goes on.
    pub fn new(output: impl Write + Send + 'static, on_failure: fn(&str)) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        let write = move || {
            if let Err(why) = theirs.write_to(output) {
                theirs.state().failed = true;
                on_failure(&why);
            }
        };
        let writer = std::thread::Builder::new().name("recorder".into()).spawn(write)?;
        Ok(Self { shared, writer: Some(writer) })
    }

    fn add(&mut self, put: impl FnOnce(&mut Block)) {
        let mut state = self.shared.state();
        if state.failed {
            return;
        }
        let was_empty = state.block.is_empty();
        put(&mut state.block);
        drop(state);
        if was_empty {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_one();
        if let Some(writer) = self.writer.take() {
            // It has told of its failure itself.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes blocks until the tape is closed, or the file takes no more.
    fn write_to(&self, mut output: impl Write) -> Result<(), String> {
        loop {
            let mut state = self.state();
            while state.block.is_empty() && !state.closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.block.is_empty() {
                return Ok(());
            }
            if !state.closed {
                // What comes in the next milliseconds goes into the same block.
                drop(state);
                std::thread::sleep(Duration::from_millis(limits::TRACE_FLUSH_MILLIS));
                state = self.state();
            }
            if state.block.len() > limits::TRACE_BYTES_BUFFERED_MAX {
                return Err("recording has ended: the file is too slow for what happens".into());
            }
            let mut block = std::mem::take(&mut state.block);
            drop(state);
            let written = output.write_all(&block.seal()).and_then(|()| output.flush());
            written.map_err(|error| format!("recording has ended: {error}"))?;
        }
    }
}
