//! Runs guests in a recorded world.

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use super::extract::Extractor;
use super::replaying::{Memory, Run, begins_at, play};
use crate::behaviour::{Behaviour, Store};
use crate::limits;
use crate::scene::Scene;
use crate::sim::{Sim, Unknown};
use pluto_contract::Level;
use pluto_engine::engine::Engine;
use pluto_engine::guest::{Guest, RunResult};
use pluto_trace::Header;
use pluto_trace::binary::TraceReader;
use pluto_trace::key_frames::WithoutKeyFrames;
use pluto_trace::replay::Step;

/// A recorded world, and the behaviour of the recorded guest in it.
pub struct Stage {
    /// The world.
    pub scene: Rc<Scene>,
    /// The behaviour of the recorded guest.
    pub recorded: Behaviour,
    /// The bytes and paths of all guests' behaviours.
    pub store: Rc<RefCell<Store>>,
    /// The memory of guests in this world.
    memory: Memory,
    /// The header of the trace.
    header: Header,
}

/// The results of a guest in a recorded world.
pub struct GuestRun {
    /// The guest's behaviour, as clients and files have seen it.
    pub behaviour: Behaviour,
    /// The guest's questions that the trace cannot answer.
    pub unknown: Unknown,
    /// The guest's trap, if it trapped.
    pub trap: Option<Trap>,
}

/// A trap of a guest.
pub struct Trap {
    /// wasmtime's message.
    pub message: String,
    /// The last lines of the guest's log.
    pub log: Vec<(Level, String)>,
}

impl Stage {
    /// Takes a trace apart by replaying it with the guest in it. Errors name the trace by its
    /// path. Guests get no more memory than the given number of bytes, whatever the trace says.
    pub fn within<R: Read + 'static>(
        engine: &Engine,
        mut reader: TraceReader<R>,
        trace: &Path,
        memory_max: u64,
    ) -> Result<Self> {
        if let Some(key) = begins_at(&mut reader) {
            let (trace, turn) = (trace.display(), key.turn);
            bail!(
                "{trace} begins at turn {turn}: another guest can only take part from the beginning, as `--record` alone writes it"
            );
        }
        let header = reader.header.clone();
        let (guest, memory) = (std::mem::take(&mut reader.guest), Memory::of(&reader.header, memory_max));
        let store = Rc::<RefCell<Store>>::default();
        let extractor = Rc::new(RefCell::new(Some(Extractor::new(&reader.header, store.clone()))));
        let end = Rc::new(RefCell::new(None));
        let (listener, ending) = (extractor.clone(), end.clone());
        let watcher = Box::new(move |step: &mut Step| {
            if let Some(extractor) = listener.borrow_mut().as_mut() {
                extractor.step(step);
            }
            ending.borrow_mut().clone_from(&step.end);
        });
        let outcome =
            play(engine, &guest, reader, memory_max, u64::MAX, Some(watcher)).context("the guest in the trace")?;
        if let Some(error) = &outcome.error {
            bail!("{}: {error}", trace.display());
        }
        if outcome.divergence.is_some() {
            bail!(
                "{}: the guest in the trace does another thing than was recorded, after turn {}: see pluto-host explain",
                trace.display(),
                outcome.turns
            );
        }
        let extractor = extractor.take().context("the replay has ended")?;
        if extractor.is_over() {
            let (scene, output) = (limits::SCENE_BYTES_MAX >> 20, limits::SCENE_OUTPUT_BYTES_MAX >> 20);
            bail!(
                "{}: what happens in it takes more memory than is kept for a comparison: {scene} MiB of what clients and \
                 files did, or {output} MiB of what the guest sent",
                trace.display()
            );
        }
        if extractor.requests() < outcome.requests {
            // A replay keeps no more, and what was left out cannot be compared.
            bail!(
                "{}: in one turn the guest sends more than {} MiB, which is more than can be compared",
                trace.display(),
                pluto_trace::limits::REPLAY_BYTES_KEPT_MAX >> 20
            );
        }
        let ended = if outcome.ended { end.take() } else { None };
        let (scene, recorded) = extractor.finish(ended);
        Ok(Self { scene: Rc::new(scene), recorded, store, memory, header })
    }

    /// Runs a guest in this world, and returns its results.
    pub fn run(&self, engine: &Engine, path: &Path, guest: &[u8]) -> Result<GuestRun> {
        let name = path.display();
        let run = Run::of(engine, &self.header)?;
        let engine = run.engine(engine);
        let admitted = run.admit(engine, guest).with_context(|| name.to_string())?;
        let (world, seen) = Sim::new(self.scene.clone(), self.store.clone());
        let world = Box::new(WithoutKeyFrames(world));
        let mut guest = Guest::new(engine, admitted, world, self.memory.allowed()).within(run.limits);
        let ended = guest.run(&self.scene.arguments);
        drop(guest);
        self.memory.was_enough(&ended).with_context(|| name.to_string())?;
        let seen = Rc::into_inner(seen).context("the run has ended, and nobody looks at it any more")?.into_inner();
        let trap = match &ended {
            RunResult::Trapped(message) => Some(Trap { message: message.clone(), log: seen.log().cloned().collect() }),
            _ => None,
        };
        let (behaviour, unknown) = seen.into_behaviour(&ended.exit());
        Ok(GuestRun { behaviour, unknown, trap })
    }
}
