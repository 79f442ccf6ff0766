//! One running guest: start, run, and why it ended.

use wasmtime::Store;

use crate::admission::Admitted;
use crate::contract::Outcome;
use crate::engine::Engine;
use crate::imports::{self, State, no_memory};
use crate::snapshot::GuestMemory;
use crate::trap;
use pluto_contract::stop::{Exit, StopReason};
use pluto_trace::image::Mismatch;
use pluto_trace::key_frames::{AtPause, PausableWorld};
use pluto_trace::run_limits::RunLimits;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// The guest returned `exit` with this code.
    Exit(u8),
    /// The host ended the guest, for this reason.
    Stopped(StopReason),
    /// The guest trapped. This is wasmtime's message, with the backtrace.
    Trapped(String),
}

impl RunResult {
    /// Returns the result without wasmtime's message about a trap.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Exit(code) => Exit::Code(*code),
            Self::Stopped(stop) => Exit::Stopped(stop.clone()),
            Self::Trapped(_) => Exit::Trapped,
        }
    }
}

/// A guest, connected to the world that answers its requests.
pub struct Guest {
    store: Store<State>,
    admitted: Admitted,
    /// Where the guest's state lies, or why it cannot be copied as a whole. Found when it is first
    /// needed.
    memory: Option<Result<GuestMemory, String>>,
}

impl Guest {
    /// Connects an admitted guest to a world. The guest does not run before `run`.
    pub fn new(engine: &Engine, admitted: Admitted, world: Box<dyn PausableWorld>, memory_bytes_max: u64) -> Self {
        let store = imports::store(engine, world, memory_bytes_max);
        Self { store, admitted, memory: None }
    }

    /// Applies these limits instead of those of a guest that is run live. The stack is the
    /// engine's: see `Engine::with_stack`.
    pub fn within(mut self, limits: RunLimits) -> Self {
        imports::limit(&mut self.store, limits);
        self
    }

    /// Runs the guest to its end. A guest that pauses is called again at once.
    pub fn run(&mut self, arguments: &[String]) -> RunResult {
        let ended = self.run_to_its_end(arguments);
        self.world().ended(&ended.exit());
        ended
    }

    fn run_to_its_end(&mut self, arguments: &[String]) -> RunResult {
        let server = match self.admitted.instance.instantiate(&mut self.store) {
            Ok(server) => server,
            Err(error) => return ended_by(&error),
        };
        if self.store.data().exchange.has_received() {
            self.memory =
                Some(Err("it receives before `run` is called, which a replay from a key frame cannot repeat".into()));
        }
        if let Err(stop) = self.resume() {
            return RunResult::Stopped(stop);
        }
        loop {
            let outcome = match &self.memory {
                Some(Ok(memory)) => memory.call_run(&mut self.store, arguments),
                _ => server.call_run(&mut self.store, arguments),
            };
            match outcome {
                Ok(Outcome::Exit(code)) => return RunResult::Exit(code),
                Ok(Outcome::Paused) => {
                    if let Err(stop) = self.pause() {
                        return RunResult::Stopped(stop);
                    }
                }
                Err(error) => return ended_by(&error),
            }
        }
    }

    /// Restores the guest's state when the run begins at a key frame instead of at its beginning.
    fn resume(&mut self) -> Result<(), StopReason> {
        let Some(key) = self.world().resume() else { return Ok(()) };
        self.store.data_mut().exchange.resume(&key.pending, key.time);
        self.find_memory();
        let restored = match &self.memory {
            Some(Ok(memory)) => memory.restore(&mut self.store, &key.image),
            Some(Err(why)) => Err(Mismatch::Guest(why.clone())),
            None => Ok(()),
        };
        self.store.data_mut().turn.begin();
        self.world().compared(restored)
    }

    /// Copies or compares the state of a guest that has paused, as the world asks.
    fn pause(&mut self) -> Result<(), StopReason> {
        let wanted = self.world().paused()?;
        if wanted == AtPause::GoOn {
            return Ok(());
        }
        self.find_memory();
        let Some(memory) = &self.memory else { return Ok(()) };
        match (wanted, memory) {
            (AtPause::Compare(packed), Ok(memory)) => {
                let compared = memory.compare(&mut self.store, &packed);
                self.world().compared(compared)?;
            }
            (AtPause::Capture, Ok(memory)) => {
                let image = memory.capture(&mut self.store);
                let pending = self.store.data().exchange.pending();
                self.world().captured(image.map(|image| (image, pending)));
            }
            (AtPause::Compare(_), Err(why)) => {
                let why = why.clone();
                self.world().compared(Err(Mismatch::Guest(why)))?;
            }
            (AtPause::Capture, Err(why)) => {
                let why = why.clone();
                self.world().captured(Err(why));
            }
            (AtPause::GoOn, _) => {}
        }
        // Copying is the host's work and does not count as time of the guest.
        self.store.data_mut().turn.begin();
        Ok(())
    }

    fn world(&mut self) -> &mut dyn PausableWorld {
        self.store.data_mut().exchange.world()
    }

    fn find_memory(&mut self) {
        if self.memory.is_none() {
            self.memory = Some(GuestMemory::find(&mut self.store, &self.admitted.component));
        }
    }
}

fn ended_by(error: &wasmtime::Error) -> RunResult {
    match error.downcast_ref::<StopReason>().cloned().or_else(|| no_memory(error)) {
        Some(stop) => RunResult::Stopped(stop),
        None => RunResult::Trapped(trap::explain(error)),
    }
}
