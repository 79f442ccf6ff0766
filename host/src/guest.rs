//! One running guest: start, run, and why it ended.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::admission::Admitted;
use crate::checkpoints::{AtPause, CheckpointedWorld};
use crate::contract::{self, Answer, Level, Outcome, Server, Submission};
use crate::engine::{self, Engine};
use crate::exchange::Exchange;
use crate::image::{Mismatch, Parts};
use crate::limits;
use crate::stop::Stop;
use crate::trace::How;
use crate::trap;
use crate::turn::Turn;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The guest returned `exit` with this code.
    Exit(u8),
    /// The host ended it.
    Stopped(Stop),
    /// It trapped: wasmtime's message, with the backtrace.
    Trapped(String),
}

impl Ended {
    /// The same without what wasmtime said of a trap.
    pub fn how(&self) -> How {
        match self {
            Self::Exit(code) => How::Exit(*code),
            Self::Stopped(stop) => How::Stopped(stop.clone()),
            Self::Trapped(_) => How::Trapped,
        }
    }
}

/// A guest in a world.
pub struct Guest {
    store: Store<State>,
    admitted: Admitted,
    /// Where its state lies, once that was wanted; or why no copy would be all of it.
    parts: Option<Result<Parts, String>>,
}

pub(crate) struct State {
    exchange: Exchange<dyn CheckpointedWorld>,
    limits: MemoryLimits,
    turn: Turn,
}

impl Guest {
    /// Puts an admitted guest into a world. Nothing of it has run yet.
    pub fn new(engine: &Engine, admitted: Admitted, world: Box<dyn CheckpointedWorld>, memory_bytes_max: u64) -> Self {
        let state = State {
            exchange: Exchange::new(world),
            limits: MemoryLimits { bytes: 0, bytes_max: memory_bytes_max, elements: 0 },
            turn: Turn::new(engine.ticks()),
        };
        let mut store = Store::new(engine.wasmtime(), state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(limits::SEND_BYTES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().turn.look()?;
            Ok(UpdateDeadline::Continue(1))
        });
        Self { store, admitted, parts: None }
    }

    /// Runs it to its end. A guest that pauses is called again at once.
    pub fn run(&mut self, arguments: &[String]) -> Ended {
        let ended = self.run_to_its_end(arguments);
        self.world().ended(&ended.how());
        ended
    }

    fn run_to_its_end(&mut self, arguments: &[String]) -> Ended {
        let server = match self.admitted.instance.instantiate(&mut self.store) {
            Ok(server) => server,
            Err(error) => return ended_by(&error),
        };
        if self.store.data().exchange.has_received() {
            self.parts =
                Some(Err("it receives before `run` is called, which a replay from a key frame cannot repeat".into()));
        }
        if let Err(stop) = self.resume() {
            return Ended::Stopped(stop);
        }
        loop {
            let outcome = match &self.parts {
                Some(Ok(parts)) => parts.call_run(&mut self.store, arguments),
                _ => server.call_run(&mut self.store, arguments),
            };
            match outcome {
                Ok(Outcome::Exit(code)) => return Ended::Exit(code),
                Ok(Outcome::Paused) => {
                    if let Err(stop) = self.pause() {
                        return Ended::Stopped(stop);
                    }
                }
                Err(error) => return ended_by(&error),
            }
        }
    }

    /// Puts the state in place with which the run begins, when that is not its beginning.
    fn resume(&mut self) -> Result<(), Stop> {
        let Some(key) = self.world().resume() else { return Ok(()) };
        self.store.data_mut().exchange.resume(&key.pending, key.time);
        self.find_parts();
        let restored = match &self.parts {
            Some(Ok(parts)) => parts.restore(&mut self.store, &key.image),
            Some(Err(why)) => Err(Mismatch::Guest(why.clone())),
            None => Ok(()),
        };
        self.store.data_mut().turn.begin();
        self.world().compared(restored)
    }

    /// Does what the world wants with the state of a guest that has paused.
    fn pause(&mut self) -> Result<(), Stop> {
        let wanted = self.world().paused()?;
        if wanted == AtPause::GoOn {
            return Ok(());
        }
        self.find_parts();
        let Some(parts) = &self.parts else { return Ok(()) };
        match (wanted, parts) {
            (AtPause::Compare(packed), Ok(parts)) => {
                let compared = parts.compare(&mut self.store, &packed);
                self.world().compared(compared)?;
            }
            (AtPause::Capture, Ok(parts)) => {
                let image = parts.capture(&mut self.store);
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
        // Copying is the host's work, and not the guest's.
        self.store.data_mut().turn.begin();
        Ok(())
    }

    fn world(&mut self) -> &mut dyn CheckpointedWorld {
        self.store.data_mut().exchange.world()
    }

    fn find_parts(&mut self) {
        if self.parts.is_none() {
            self.parts = Some(Parts::find(&mut self.store, &self.admitted.component));
        }
    }
}

fn ended_by(error: &wasmtime::Error) -> Ended {
    match error.downcast_ref::<Stop>().cloned().or_else(|| no_memory(error)) {
        Some(stop) => Ended::Stopped(stop),
        None => Ended::Trapped(trap::explain(error)),
    }
}

/// Why there is no memory, if it is the system that refuses it.
fn no_memory(error: &wasmtime::Error) -> Option<Stop> {
    let error = engine::of_the_system(error)?;
    let what = format!("no memory for the guest ({error}): is there a limit, as of `ulimit -v` or `-d`?");
    Some(Stop::System(what))
}

/// Tells wasmtime what a guest may import: the contract's four functions.
pub(crate) fn link(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::<State>::new(engine.wasmtime());
    Server::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl contract::Host for State {
    fn send(&mut self, requests: Vec<Submission>) -> wasmtime::Result<()> {
        for request in requests {
            self.turn.look()?;
            self.exchange.send(request)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> wasmtime::Result<Vec<Answer>> {
        self.turn.look()?;
        let answers = self.exchange.receive()?;
        self.turn.begin();
        Ok(answers)
    }

    fn time(&mut self) -> wasmtime::Result<u64> {
        Ok(self.exchange.time())
    }

    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.exchange.log(level, &message);
        Ok(())
    }
}

/// What a guest has of memory and tables, against what it may have.
struct MemoryLimits {
    bytes: u64,
    bytes_max: u64,
    elements: usize,
}

impl ResourceLimiter for MemoryLimits {
    /// Growth beyond the limit ends the guest: a guest that goes on without the memory it asked for fails later, in a
    /// place that says nothing.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Beyond the memory's own maximum the engine refuses, and the guest has asked in vain.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.bytes + (desired - current) as u64;
        if wanted > self.bytes_max {
            return Err(Stop::Memory { wanted, limit: self.bytes_max }.into());
        }
        self.bytes = wanted;
        Ok(true)
    }

    /// What the system refuses is chance: a guest that saw it in one run would not see it in the next. What the memory's
    /// type refuses is the guest's to see.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        no_memory(&error).map_or(Ok(()), |stop| Err(stop.into()))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.elements + (desired - current);
        if wanted > limits::TABLE_ELEMENTS_MAX {
            return Err(Stop::Tables { wanted: wanted as u64 }.into());
        }
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        limits::INSTANCES_MAX
    }

    fn memories(&self) -> usize {
        limits::INSTANCES_MAX
    }
}
