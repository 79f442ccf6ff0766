//! What a guest imports: the contract's four functions, and the state behind them.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use crate::checkpoints::CheckpointedWorld;
use crate::contract::{self, Answer, Level, Server, Submission};
use crate::engine::{self, Engine};
use crate::exchange::Exchange;
use crate::limits;
use crate::stop::StopReason;
use crate::turn::Turn;

/// What the store of a guest holds besides the guest.
pub(crate) struct State {
    /// Between the guest and its world.
    pub(crate) exchange: Exchange<dyn CheckpointedWorld>,
    limits: MemoryLimits,
    /// How long the guest has computed without receiving.
    pub(crate) turn: Turn,
}

/// A store for a guest in a world, with memory for it of so many bytes at most.
pub(crate) fn store(engine: &Engine, world: Box<dyn CheckpointedWorld>, memory_bytes_max: u64) -> Store<State> {
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
    store
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
            return Err(StopReason::Memory { wanted, limit: self.bytes_max }.into());
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
            return Err(StopReason::Tables { wanted: wanted as u64 }.into());
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
