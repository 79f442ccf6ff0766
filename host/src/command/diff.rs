//! Compares two guests, or a guest and a recording, by what clients and the file system see.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::exit_status::ExitStatus;
use super::report::report;
use super::setup::{engine, engine_for, read_guest};
use pluto_engine::engine::Engine;
use pluto_lab::behaviour::{Behaviour, Ended};
use pluto_lab::difference::{Differences, Sides, TOLERANCE, compare};
use pluto_lab::explain::count;
use pluto_lab::scene::Scene;
use pluto_lab::sim::Unknown;
use pluto_lab::stage::{GuestRun, Stage, Trap};
use pluto_lab::trace_file::open;
use pluto_messages::{printable, quoted};
use pluto_trace::engine_kind::EngineKind;

/// Tells what the second guest answers differently to the clients of a trace.
pub fn diff(trace: &Path, first: &Path, second: &Path, memory_max: u64) -> Result<ExitStatus> {
    let bytes = [read_guest(first)?, read_guest(second)?];
    let engine = engine(false)?;
    let stage = Stage::within(&engine, open(trace)?, trace, memory_max)?;
    let (a, _) = run(&stage, &engine, first, &bytes[0])?;
    let (b, unknown) = run(&stage, &engine, second, &bytes[1])?;
    tell_unknown(second, &unknown);
    let sides = Sides { first: "A", second: "B" };
    // Both have the same clock, so that not even dates may differ.
    let differences = compare(&stage.scene, &stage.store.borrow(), [&a, &b], sides, Duration::ZERO);
    if differences.is_empty() {
        report(&format!("nothing differs: {}", extent(&stage.scene)));
        return Ok(ExitStatus::Well);
    }
    let text = format!("A: {}\nB: {}\n\n{}", first.display(), second.display(), differences.text(sides));
    print(&text)?;
    report(&summary(&stage.scene, &differences));
    Ok(ExitStatus::Diverged)
}

/// Checks that clients and the file system see the same of a guest as was recorded, in whichever
/// way the guest does it.
pub fn loose(guest: &Path, trace: &Path, target: EngineKind, memory_max: u64) -> Result<ExitStatus> {
    let bytes = read_guest(guest)?;
    let stage = Stage::within(&engine(false)?, open(trace)?, trace, memory_max)?;
    let (found, unknown) = run(&stage, &engine_for(target, false)?, guest, &bytes)?;
    let sides = Sides { first: "recorded", second: "found" };
    let differences = compare(&stage.scene, &stage.store.borrow(), [&stage.recorded, &found], sides, TOLERANCE);
    if differences.is_empty() {
        let end = if stage.recorded.ended == Some(Ended::BrokenOff) {
            "as far as it was recorded: the host was killed, or could write no more"
        } else {
            "to its end"
        };
        report(&format!("the same to clients and files, {end}: {}", extent(&stage.scene)));
        return Ok(ExitStatus::Well);
    }
    tell_unknown(guest, &unknown);
    report(&format!("{}\n{}", summary(&stage.scene, &differences), differences.text(sides).trim_end()));
    Ok(ExitStatus::Diverged)
}

/// Runs a guest in a recorded world. Reports a trap.
fn run(stage: &Stage, engine: &Engine, path: &Path, guest: &[u8]) -> Result<(Behaviour, Unknown)> {
    let GuestRun { behaviour, unknown, trap } = stage.run(engine, path, guest)?;
    if let Some(Trap { message, log }) = trap {
        report(&format!("{}: it trapped: {message}", path.display()));
        log.iter().for_each(|(level, line)| report(&format!("log: {}", quoted(*level, line))));
    }
    Ok((behaviour, unknown))
}

fn summary(scene: &Scene, differences: &Differences) -> String {
    let (kinds, connections, all) = (differences.kinds().len(), differences.connections, scene.clients.len());
    format!("{} of difference, on {connections} of {}", count(kinds as u64, "kind"), count(all as u64, "connection"))
}

/// Says how much was compared.
fn extent(scene: &Scene) -> String {
    let segments: usize = scene.clients.iter().map(|client| client.segments.len()).sum();
    let connections = count(scene.clients.len() as u64, "connection");
    format!("{connections}, on which clients sent something {}", count(segments as u64, "time"))
}

/// Tells what a guest asked that the trace cannot answer.
fn tell_unknown(path: &Path, unknown: &Unknown) {
    let told = |paths: &std::collections::BTreeSet<Vec<u8>>| {
        let mut names: Vec<String> = paths
            .iter()
            .take(pluto_lab::limits::SCENE_UNKNOWN_PATHS_TOLD)
            .map(|path| printable(&String::from_utf8_lossy(path)).to_string())
            .collect();
        if paths.len() > pluto_lab::limits::SCENE_UNKNOWN_PATHS_TOLD {
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

fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Nobody reads the output any more, so there is nothing left to do.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write the differences"),
    }
}
