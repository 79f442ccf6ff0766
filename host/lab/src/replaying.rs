//! Runs guests on traces.

use std::io::{Read, Seek};

use anyhow::{Error, Result, bail};

use super::explain::Explainer;
use pluto_contract::stop::StopReason;
use pluto_engine::admission::{self, Admitted};
use pluto_engine::engine::Engine;
use pluto_engine::guest::{Guest, RunResult};
use pluto_trace::binary::TraceReader;
use pluto_trace::image::Mismatch;
use pluto_trace::replay::{Divergence, Outcome, Replay, Watcher};
use pluto_trace::run_limits::RunLimits;
use pluto_trace::{Header, KeyFrame, Record};

/// Goes to the last key frame for which `is_early` holds; it must hold for all earlier ones.
/// Without such a key frame, goes to the beginning, or to the first key frame behind a cut.
pub fn go_to<R: Read + Seek>(trace: &mut TraceReader<R>, is_early: impl Fn(&KeyFrame) -> bool) -> Result<()> {
    trace.rewind()?;
    let (mut place, mut cut) = (None, None);
    // An unreadable part is an error later, when it is needed.
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

/// Returns the key frame at which a trace begins, or was made to begin.
pub fn begins_at<R: Read>(trace: &mut TraceReader<R>) -> Option<&KeyFrame> {
    match trace.peek() {
        Some(Record::KeyFrame(key)) => Some(key),
        _ => None,
    }
}

/// Tells the explainer what is known of the time before the key frame at which a replay begins.
pub fn skip_to_begin<R: Read + Seek>(trace: &mut TraceReader<R>, explainer: &mut Explainer) -> Result<()> {
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

/// The memory of a guest that is run on a trace. A trace may name any amount; a replay gives it
/// within the limit of its user.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The limit when the guest was recorded, in bytes.
    recorded: u64,
    /// The limit of the replay, in bytes.
    allowed: u64,
}

impl Memory {
    /// Returns the memory for a trace with this header. The replay gives no more than `most`
    /// bytes.
    pub fn of(header: &Header, most: u64) -> Self {
        Self { recorded: header.memory_max, allowed: header.memory_max.min(most) }
    }

    /// Returns the limit of the replay, in bytes.
    pub fn allowed(self) -> u64 {
        self.allowed
    }

    /// Returns an error if the run ended because it had less memory than was recorded. Such a run
    /// cannot be compared.
    pub fn was_enough(self, ended: &RunResult) -> Result<()> {
        match ended {
            RunResult::Stopped(StopReason::Memory { wanted, .. }) if self.allowed < self.recorded => {
                self.too_little(*wanted)
            }
            _ => Ok(()),
        }
    }

    fn too_little(self, wanted: u64) -> Result<()> {
        let [wanted, allowed, recorded] = [wanted, self.allowed, self.recorded].map(|bytes| bytes.div_ceil(1 << 10));
        bail!(
            "the guest wants {wanted} KiB of memory and is given {allowed} KiB here, while the trace says that it could have \
             {recorded} KiB: if that is right, give it with --memory-max {recorded}K"
        )
    }
}

/// The settings of a guest in a recorded world: those of the recording, within the bounds of a
/// replay.
pub struct Run {
    /// The limits of the guest.
    pub limits: RunLimits,
    /// An engine for another stack than that of a live run.
    engine: Option<Engine>,
    /// An earlier name of the interface, which the guest may import.
    earlier_interface: Option<&'static str>,
}

impl Run {
    /// Returns the settings for a trace with this header.
    pub fn of(engine: &Engine, header: &Header) -> Result<Self> {
        let limits = RunLimits::recorded(&header.limits).map_err(Error::msg)?;
        let engine = engine.with_stack(limits.stack_bytes)?;
        Ok(Self { limits, engine, earlier_interface: header.earlier_interface() })
    }

    /// Returns the engine for the guest.
    pub fn engine<'a>(&'a self, engine: &'a Engine) -> &'a Engine {
        self.engine.as_ref().unwrap_or(engine)
    }

    /// Admits a guest.
    pub fn admit(&self, engine: &Engine, guest: &[u8]) -> Result<Admitted> {
        admission::inspect_recorded(engine, guest, self.earlier_interface)?.admitted
    }
}

/// Runs a guest on a trace, up to turn number `until`, with so much memory at most, and shows each
/// turn to a watcher.
pub fn play<R: Read + 'static>(
    engine: &Engine,
    guest: &[u8],
    mut trace: TraceReader<R>,
    memory_max: u64,
    until: u64,
    watcher: Option<Watcher>,
) -> Result<Outcome> {
    let header = trace.header.clone();
    let (arguments, memory) = (header.arguments.clone(), Memory::of(&header, memory_max));
    // The guest is in `guest`, or is not needed.
    trace.guest = Vec::new();
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
    if let Some(watcher) = watcher {
        world = world.watched(watcher);
    }
    let run = Run::of(engine, &header)?;
    let engine = run.engine(engine);
    let admitted = run.admit(engine, guest)?;
    let ended = Guest::new(engine, admitted, Box::new(world), memory.allowed()).within(run.limits).run(&arguments);
    memory.was_enough(&ended)?;
    let mut outcome = outcome.take();
    if let Some(Divergence::Image(Mismatch::Memory(_, wanted))) = &outcome.divergence
        && *wanted > memory.allowed()
        && memory.allowed() < memory.recorded
    {
        memory.too_little(*wanted)?;
    }
    if let RunResult::Trapped(message) = ended {
        outcome.trap = Some(message);
    }
    Ok(outcome)
}
