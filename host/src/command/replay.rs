//! Running a guest on a trace.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::trace::{open, play};
use super::{Exit, engine, read_guest, report};
use crate::backend::replay::Divergence;
use crate::contract::Submission;
use crate::trace::{Header, How};

/// Runs a guest on the answers of a trace, and says whether it does what was recorded.
pub fn replay(guest: &Path, trace: &Path) -> Result<Exit> {
    let bytes = read_guest(guest)?;
    let reader = open(trace)?;
    if reader.header.guest_sha256 != Header::digest(&bytes) {
        report("note: this is not the guest that was recorded");
    }
    let engine = engine(false)?;
    let outcome = play(&engine, &bytes, reader, u64::MAX, None).with_context(|| guest.display().to_string())?;
    if let Some(error) = &outcome.error {
        bail!("{}: {error}", trace.display());
    }
    let Some(divergence) = &outcome.divergence else {
        let end = if outcome.ended { "to its end" } else { "as far as it was recorded: the host was killed" };
        report(&format!("the same run, {end}: {} turns, {} requests", outcome.turns, outcome.requests));
        return Ok(Exit::Well);
    };
    report(&format!("another run, after turn {}: {}", outcome.turns, describe(divergence)));
    if let Divergence::Requests { .. } = divergence {
        let original = open(trace)?;
        let recorded = original.guest.clone();
        let original = play(&engine, &recorded, original, outcome.turns, None).context("the guest in the trace")?;
        report(&difference(&original.sent, &outcome.sent));
    }
    for (level, line) in &outcome.log {
        report(&format!("log: {level:?}: {line}"));
    }
    Ok(Exit::Diverged)
}

fn describe(divergence: &Divergence) -> String {
    match divergence {
        Divergence::Requests { recorded, found } if recorded == found => {
            format!("it sent {found} requests as it was recorded to, but other ones")
        }
        Divergence::Requests { recorded, found } => {
            format!("it sent {found} requests, where {recorded} were recorded")
        }
        Divergence::WentOn(how) => format!("it goes on, where the recorded run ended ({})", end(how)),
        Divergence::EndedEarly(how) => format!("it ends ({}), where the recorded run went on", end(how)),
        Divergence::EndedOtherwise { recorded, found } => {
            format!("it ends otherwise ({}) than was recorded ({})", end(found), end(recorded))
        }
    }
}

fn end(how: &How) -> String {
    match how {
        How::Exit(code) => format!("exit code {code}"),
        How::Trapped => "a trap".to_owned(),
        How::Stopped(stop) => stop.to_string(),
    }
}

/// The first request that differs, and in it the first field.
fn difference(recorded: &[Submission], found: &[Submission]) -> String {
    let same = recorded.iter().zip(found).take_while(|(recorded, found)| recorded == found).count();
    let show = |requests: &[Submission]| requests.get(same).map_or("no request".to_owned(), |it| format!("{it:#?}"));
    let (recorded, found) = (show(recorded), show(found));
    let lines = recorded.lines().zip(found.lines()).find(|(recorded, found)| recorded != found);
    let (expected, actual) = lines.unwrap_or((&recorded, &found));
    format!("request {} of that turn\n  recorded: {}\n  found:    {}", same + 1, expected.trim(), actual.trim())
}
