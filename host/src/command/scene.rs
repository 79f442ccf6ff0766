//! Putting guests into a recorded world: what `diff` and `replay --loose` share.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use super::report;
use super::trace::{Memory, begins_at, open, play};
use crate::admission;
use crate::backend::replay::Step;
use crate::backend::sim::{Sim, Unknown};
use crate::checkpoints::WithoutCheckpoints;
use crate::engine::Engine;
use crate::guest::{Ended, Guest};
use crate::limits;
use crate::messages::{printable, quoted};
use crate::trace::behaviour::{Behaviour, Store};
use crate::trace::scene::{Extractor, Scene};

/// Paths that are told of those that a scene knows nothing about.
const UNKNOWN_PATHS_TOLD: usize = 5;

/// A recorded world, and what the recorded guest did in it.
pub struct Stage {
    /// The world.
    pub scene: Rc<Scene>,
    /// What the recorded guest did.
    pub recorded: Behaviour,
    /// The bytes and paths of all that guests did in it.
    pub store: Rc<RefCell<Store>>,
    /// What guests can have in it.
    memory: Memory,
}

impl Stage {
    /// Takes a trace apart, by replaying it with the guest that is in it.
    pub fn of(engine: &Engine, trace: &Path) -> Result<Self> {
        Self::within(engine, trace, limits::MEMORY_BYTES_DEFAULT)
    }

    /// The same for guests that get no more than so many bytes of memory, whatever the trace says.
    pub fn within(engine: &Engine, trace: &Path, memory_max: u64) -> Result<Self> {
        let mut reader = open(trace)?;
        if let Some(key) = begins_at(&mut reader) {
            let (trace, turn) = (trace.display(), key.turn);
            bail!(
                "{trace} begins at turn {turn}: another guest can only take part from the beginning, as `--record` alone writes it"
            );
        }
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
                limits::REPLAY_BYTES_KEPT_MAX >> 20
            );
        }
        let ended = if outcome.ended { end.take() } else { None };
        let (scene, recorded) = extractor.finish(ended);
        Ok(Self { scene: Rc::new(scene), recorded, store, memory })
    }

    /// Runs a guest in this world, and tells what it did.
    pub fn run(&self, engine: &Engine, path: &Path, guest: &[u8]) -> Result<(Behaviour, Unknown)> {
        let name = path.display();
        let admitted = admission::inspect(engine, guest).and_then(|guest| guest.admitted);
        let admitted = admitted.with_context(|| name.to_string())?;
        let (world, seen) = Sim::new(self.scene.clone(), self.store.clone());
        let mut guest = Guest::new(engine, admitted, Box::new(WithoutCheckpoints(world)), self.memory.allowed());
        let ended = guest.run(&self.scene.arguments);
        drop(guest);
        self.memory.was_enough(&ended).with_context(|| name.to_string())?;
        let seen = Rc::into_inner(seen).context("the run has ended, and nobody looks at it any more")?.into_inner();
        if let Ended::Trapped(message) = &ended {
            report(&format!("{name}: it trapped: {message}"));
            seen.log().iter().for_each(|(level, line)| report(&format!("log: {}", quoted(*level, line))));
        }
        Ok(seen.into_behaviour(&ended.how()))
    }
}

/// Tells what a guest asked that the trace cannot answer.
pub fn tell_unknown(path: &Path, unknown: &Unknown) {
    let told = |paths: &std::collections::BTreeSet<Vec<u8>>| {
        let mut names: Vec<String> = paths
            .iter()
            .take(UNKNOWN_PATHS_TOLD)
            .map(|path| printable(&String::from_utf8_lossy(path)).to_string())
            .collect();
        if paths.len() > UNKNOWN_PATHS_TOLD {
            names.push("...".to_owned());
        }
        names.join(", ")
    };
    let name = path.display();
    if !unknown.paths.is_empty() {
        let (count, paths) = (unknown.paths.len() as u64 + unknown.more, told(&unknown.paths));
        report(&format!(
            "note: {name} asks for {count} paths of which the trace knows nothing; answered as not found: {paths}"
        ));
    }
    if !unknown.contents.is_empty() {
        let (count, paths) = (unknown.contents.len(), told(&unknown.contents));
        report(&format!(
            "note: {name} reads the content of {count} files, which is not in the trace; answered with an error: {paths}"
        ));
    }
}
