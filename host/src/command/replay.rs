//! Runs a guest on a trace.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, bail};

use super::exit_status::ExitStatus;
use super::report::report;
use super::setup::{self, engine_for, read_guest};
use pluto_contract::Submission;
use pluto_contract::stop::Exit;
use pluto_engine::engine::Engine;
use pluto_lab::explain::text::Text;
use pluto_lab::explain::{Event, Explainer, Filter, Mark, count};
use pluto_lab::replaying::{begins_at, go_to, play, skip_to_begin};
use pluto_lab::trace_file::open;
use pluto_messages::quoted;
use pluto_trace::engine_kind::EngineKind;
use pluto_trace::replay::{Divergence, Step};
use pluto_trace::run_limits::RunLimits;
use pluto_trace::{Header, text};

/// Runs a guest on the answers of a trace, and says whether it does what was recorded.
pub fn replay(
    guest: &Path,
    trace: &Path,
    target: EngineKind,
    from: Option<u64>,
    memory_max: u64,
) -> Result<ExitStatus> {
    let bytes = read_guest(guest)?;
    let mut reader = open(trace)?;
    let header = reader.header.clone();
    if header.guest_sha256 != Header::digest(&bytes) {
        report("note: this is not the guest that was recorded");
    }
    if let Some(turn) = from {
        go_to(&mut reader, |key| key.turn <= turn)?;
    }
    if let Some(key) = begins_at(&mut reader) {
        report(&format!("beginning at the key frame of turn {}", key.turn));
    } else if from.is_some() {
        report("note: there is no key frame before that turn: beginning at the beginning");
    }
    let engine = engine_for(target, false)?;
    let outcome =
        play(&engine, &bytes, reader, memory_max, u64::MAX, None).with_context(|| guest.display().to_string())?;
    if let Some(error) = &outcome.error {
        bail!("{}: {error}", trace.display());
    }
    let Some(divergence) = &outcome.divergence else {
        let end = if outcome.ended {
            "to its end"
        } else {
            "as far as it was recorded: the host was killed, could write no more, or was asked for this meanwhile"
        };
        let (turns, requests) = (count(outcome.turns - outcome.begin, "turn"), count(outcome.requests, "request"));
        report(&format!("the same run, {end}: {turns}, {requests}"));
        return Ok(ExitStatus::Well);
    };
    report(&format!("another run, after turn {}: {}", outcome.turns, describe(divergence)));
    for note in [header.differs_in_engine(target), RunLimits::lessened(&header.limits)].into_iter().flatten() {
        report(&format!("note: {note}"));
    }
    if let Some(message) = &outcome.trap {
        report(&format!("the guest trapped: {}", message.trim_end()));
    }
    if trace.is_file() {
        let recorded = Before::of(&setup::engine(false)?, trace, from, memory_max, outcome.turns)?;
        if let Divergence::Requests { .. } = divergence {
            report(&difference(&recorded.sent, &outcome.sent));
        }
        report(&format!("before it, as recorded:{}", recorded.told()?));
    } else {
        report("the trace came through a pipe and cannot be read again: give a file to be told what was recorded");
    }
    for (level, line) in &outcome.log {
        report(&format!("log: {}", quoted(*level, line)));
    }
    Ok(ExitStatus::Diverged)
}

/// The last actions of the recorded guest before a turn. The guest is in the trace, and is run
/// again to find them.
#[derive(Default)]
struct Before {
    /// The last events.
    events: VecDeque<Event>,
    /// The requests that the guest sent after the last event.
    sent: Vec<Submission>,
}

impl Before {
    fn of(engine: &Engine, trace: &Path, from: Option<u64>, memory_max: u64, turns: u64) -> Result<Self> {
        let mut reader = open(trace)?;
        if let Some(turn) = from {
            go_to(&mut reader, |key| key.turn <= turn)?;
        }
        let guest = std::mem::take(&mut reader.guest);
        let mut explainer = Explainer::new(&reader.header, true, Filter::ALL);
        skip_to_begin(&mut reader, &mut explainer)?;
        let before = Rc::new(RefCell::new(Self::default()));
        let seen = before.clone();
        let watcher = Box::new(move |step: &mut Step| {
            let Self { events, sent } = &mut *seen.borrow_mut();
            let is_end = step.end.is_some();
            explainer.step(step, |event| {
                if !is_end && event.mark != Mark::Logged {
                    events.push_back(event);
                    events.drain(..events.len().saturating_sub(pluto_lab::limits::REPLAY_EVENTS_TOLD));
                }
            });
            if is_end {
                *sent = std::mem::take(&mut step.sent);
            }
        });
        play(engine, &guest, reader, memory_max, turns, Some(watcher)).context("the guest in the trace")?;
        Ok(before.take())
    }

    fn told(&self) -> Result<String> {
        let mut out = Vec::new();
        let mut text = Text::new(&mut out);
        self.events.iter().try_for_each(|event| text.event(event))?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }
}

fn describe(divergence: &Divergence) -> String {
    match divergence {
        Divergence::Requests { recorded, found } if recorded == found => {
            format!("the guest sent {}, as recorded, but different ones", count(*found, "request"))
        }
        Divergence::Requests { recorded, found } => {
            format!("it sent {}, where {recorded} were recorded", count(*found, "request"))
        }
        Divergence::NotPaused => "it did not pause, where the recorded guest did".to_owned(),
        Divergence::Image(mismatch) => format!("its memory differs: {mismatch}"),
        Divergence::WentOn(how) => format!("it goes on, where the recorded run ended ({})", end(how)),
        Divergence::EndedEarly(how) => format!("it ends ({}), where the recorded run went on", end(how)),
        Divergence::EndedOtherwise { recorded, found } => {
            format!("it ends otherwise ({}) than was recorded ({})", end(found), end(recorded))
        }
    }
}

fn end(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Trapped => "a trap".to_owned(),
        Exit::Stopped(stop) => stop.to_string(),
    }
}

/// Describes the first request that differs, and the first field that differs in it.
fn difference(recorded: &[Submission], found: &[Submission]) -> String {
    if recorded == found {
        return "the recorded guest, run on this trace here, sends the same: the trace was edited (then write `sent ?` \
                for the requests of this turn and of all that follow), or the engine on which it was recorded computes \
                otherwise"
            .to_owned();
    }
    let same = recorded.iter().zip(found).take_while(|(recorded, found)| recorded == found).count();
    let show = |it: Option<&Submission>| it.map_or("no request".to_owned(), text::request);
    let (recorded, found) = (show(recorded.get(same)), show(found.get(same)));
    let (expected, actual) = first_difference(&recorded, &found);
    let of = recorded.lines().next().filter(|first| *first != expected);
    let of = of.map_or_else(String::new, |first| format!(": {first}"));
    format!("request {} of that turn{of}\n  recorded: {expected}\n  found:    {actual}", same + 1)
}

/// Returns the first lines that differ. A request has a first line, and a line for each part and
/// each line of bytes of a write.
fn first_difference<'a>(recorded: &'a str, found: &'a str) -> (&'a str, &'a str) {
    let lines = |text: &'a str| text.lines().map(str::trim_start).map(Some).chain(std::iter::repeat(None));
    let all = recorded.lines().count().max(found.lines().count());
    let mut pairs = lines(recorded).zip(lines(found)).take(all);
    match pairs.find(|(recorded, found)| recorded != found) {
        Some((recorded, found)) => (recorded.unwrap_or("nothing more"), found.unwrap_or("nothing more")),
        None => ("these bytes", "the same bytes, in other parts"),
    }
}
