//! What the commands that read traces share.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::admission;
use crate::backend::replay::{Observer, Outcome, Replay};
use crate::engine::Engine;
use crate::guest::{Ended, Guest};
use crate::trace::binary::{TraceError, TraceReader};
use crate::trace::explain::Explainer;
use crate::trace::{Header, KeyFrame, Record};

/// A trace in a file.
pub type Trace = TraceReader<BufReader<File>>;

/// Opens a trace that this host can replay exactly.
pub fn open(path: &Path) -> Result<Trace> {
    let file = File::open(path).with_context(|| format!("no trace at {}", path.display()))?;
    let reader = TraceReader::open(BufReader::new(file));
    if matches!(reader, Err(TraceError::Foreign)) && is_wasm(path) {
        bail!(
            "{} is WebAssembly, where a trace is expected: see --help for the order of guests and trace",
            path.display()
        );
    }
    let mut reader = reader.with_context(|| path.display().to_string())?;
    if let Some(difference) = reader.header.differs() {
        bail!(
            "{} cannot be replayed exactly by this pluto-host: {difference}: use the one that has recorded it",
            path.display()
        );
    }
    if let Some(Record::Cut(_)) = reader.peek() {
        go_to(&mut reader, |_| false).with_context(|| path.display().to_string())?;
    }
    Ok(reader)
}

/// Whether a file begins as WebAssembly does, be it a module or a component.
fn is_wasm(path: &Path) -> bool {
    let mut magic = [0; 4];
    path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\0asm"
}

/// Goes to the last key frame for which `is_early` holds, as it does for all before it. Where there is none, to the
/// beginning, or to the first key frame behind what was cut off there.
pub fn go_to(trace: &mut Trace, is_early: impl Fn(&KeyFrame) -> bool) -> Result<()> {
    trace.rewind()?;
    let (mut place, mut cut) = (None, None);
    // What cannot be read is told when it is needed.
    while let Ok(Some(record)) = trace.record() {
        match record {
            Record::Cut(turns) => cut = Some(turns),
            Record::KeyFrame(key) if !key.image.is_empty() => {
                let early = is_early(&key);
                if early || (cut.is_some() && place.is_none()) {
                    place = Some(trace.place());
                }
                if !early {
                    break;
                }
            }
            _ => {}
        }
    }
    match (place, cut) {
        (Some(place), _) => trace.seek(place)?,
        (None, None) => trace.rewind()?,
        (None, Some(turns)) => bail!(
            "it cannot be replayed: the {turns} turns at its beginning were dropped by the flight recorder, and the guest gave no \
             key frame to begin at (it must ask for signals and pause when it is told to); `pluto-host trace text` shows what is there"
        ),
    }
    Ok(())
}

/// The key frame at which a trace begins, or was made to begin.
pub fn begins_at(trace: &mut Trace) -> Option<&KeyFrame> {
    match trace.peek() {
        Some(Record::KeyFrame(key)) => Some(key),
        _ => None,
    }
}

/// Tells the explainer what is known of the time before the key frame at which a replay begins.
pub fn skip_to_begin(trace: &mut Trace, explainer: &mut Explainer) -> Result<()> {
    let Some(begin) = begins_at(trace).map(|key| key.turn) else { return Ok(()) };
    trace.rewind()?;
    while begins_at(trace).is_none_or(|key| key.turn != begin || key.image.is_empty()) {
        match trace.record()? {
            Some(Record::Turn(turn)) => explainer.skip(&turn),
            Some(_) => {}
            None => break,
        }
    }
    begins_at(trace).into_iter().for_each(|key| explainer.resume(key));
    Ok(())
}

/// Runs a guest on a trace, up to turn number `until`, and tells an observer of each turn.
pub fn play(
    engine: &Engine,
    guest: &[u8],
    mut trace: Trace,
    until: u64,
    observer: Option<Observer>,
) -> Result<Outcome> {
    let (arguments, memory_max) = (trace.header.arguments.clone(), trace.header.memory_max);
    let is_recorded_guest = trace.header.guest_sha256 == Header::digest(guest);
    if let Some(key) = begins_at(&mut trace)
        && !is_recorded_guest
    {
        let turn = key.turn;
        bail!(
            "the replay begins with the memory that the recorded guest had at turn {turn}, which no other guest can take over"
        );
    }
    let (mut world, outcome) = Replay::new(trace, until);
    if is_recorded_guest {
        world = world.comparing_images();
    }
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
