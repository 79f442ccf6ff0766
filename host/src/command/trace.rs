//! What the commands that read traces share.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::admission;
use crate::backend::replay::{Observer, Outcome, Replay};
use crate::engine::Engine;
use crate::guest::{Ended, Guest};
use crate::trace::binary::TraceReader;

/// Opens a trace that this host can replay exactly.
pub fn open(path: &Path) -> Result<TraceReader<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("no trace at {}", path.display()))?;
    let reader = TraceReader::open(BufReader::new(file)).with_context(|| path.display().to_string())?;
    if let Some(difference) = reader.header.differs() {
        bail!("{} cannot be replayed exactly by this pluto-host: {difference}", path.display());
    }
    Ok(reader)
}

/// Runs a guest on a trace, up to turn number `until`, and tells an observer of each turn.
pub fn play(
    engine: &Engine,
    guest: &[u8],
    trace: TraceReader<BufReader<File>>,
    until: u64,
    observer: Option<Observer>,
) -> Result<Outcome> {
    let (arguments, memory_max) = (trace.header.arguments.clone(), trace.header.memory_max);
    let (mut world, outcome) = Replay::new(trace, until);
    if let Some(observer) = observer {
        world = world.observed(observer);
    }
    let admitted = admission::inspect(engine, guest)?.admitted?;
    let ended = Guest::new(engine, admitted, Box::new(world), memory_max).run(&arguments);
    let mut outcome = outcome.take();
    if let Ended::Trapped(message) = ended {
        outcome.trap = Some(message);
    }
    Ok(outcome)
}
