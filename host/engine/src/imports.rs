//! What a guest imports: the contract's four functions, and the state behind them.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::contract::{self, Server};
use crate::engine::{self, Engine};
use crate::exchange::Exchange;
use crate::turn::Turn;
use pluto_contract::stop::StopReason;
use pluto_contract::{Answer, Level, Submission};
use pluto_trace::key_frames::PausableWorld;
use pluto_trace::run_limits::RunLimits;

/// What the store of a guest holds besides the guest.
pub(crate) struct State {
    /// Between the guest and its world.
    pub(crate) exchange: Exchange<dyn PausableWorld>,
    memory: MemoryLimits,
    /// How long the guest has computed without receiving.
    pub(crate) turn: Turn,
}

/// A store for a guest in a world, with memory for it of so many bytes at most.
pub(crate) fn store(engine: &Engine, world: Box<dyn PausableWorld>, memory_bytes_max: u64) -> Store<State> {
    let state = State {
        exchange: Exchange::new(world),
        memory: MemoryLimits { bytes: 0, bytes_max: memory_bytes_max, elements: 0, run: RunLimits::HOST },
        turn: Turn::new(engine.ticks()),
    };
    let mut store = Store::new(engine.wasmtime(), state);
    limit(&mut store, RunLimits::HOST);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        context.data_mut().turn.look()?;
        Ok(UpdateDeadline::Continue(1))
    });
    store
}

/// Applies limits to a guest that has not run. The stack is the engine's: see
/// `Engine::with_stack`.
pub(crate) fn limit(store: &mut Store<State>, limits: RunLimits) {
    store.set_hostcall_fuel(limits.send_bytes);
    let state = store.data_mut();
    state.exchange.allow_pending(limits.requests_pending);
    state.memory.run = limits;
    // The engine asks here how many instances there may be.
    store.limiter(|state| &mut state.memory);
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

/// Why there is no memory, if it is the system that refuses it.
pub(crate) fn no_memory(error: &wasmtime::Error) -> Option<StopReason> {
    let error = engine::of_the_system(error)?;
    let what = format!("no memory for the guest ({error}): is there a limit, as of `ulimit -v` or `-d`?");
    Some(StopReason::System(what))
}

/// What a guest has of memory and tables, against what it may have.
struct MemoryLimits {
    bytes: u64,
    bytes_max: u64,
    elements: usize,
    /// What it may have besides memory.
    run: RunLimits,
}

impl ResourceLimiter for MemoryLimits {
    /// Growth beyond the limit ends the guest: a guest that goes on without the memory it asked
    /// for fails later, in a place that says nothing.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Beyond the memory's own maximum the engine refuses, and the guest has asked in vain.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.bytes + (desired - current) as u64;
        if wanted > self.bytes_max {
            return Err(StopReason::Memory { wanted, limit: self.bytes_max }.into());
        }
        self.bytes = wanted;
        Ok(true)
    }

    /// What the system refuses is chance: a guest that saw it in one run would not see it in the
    /// next. What the memory's type refuses is the guest's to see.
    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        no_memory(&error).map_or(Ok(()), |stop| Err(stop.into()))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let wanted = self.elements + (desired - current);
        if wanted > self.run.table_elements {
            return Err(StopReason::Tables { wanted: wanted as u64 }.into());
        }
        self.elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.run.instances
    }

    fn tables(&self) -> usize {
        self.run.instances
    }

    fn memories(&self) -> usize {
        self.run.instances
    }
}
