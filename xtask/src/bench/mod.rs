//! `cargo xtask bench`: the web server against its peers, in CPU time for each request.
//!
//! A server has one core, the load generator another. All servers of a work are measured in turn, several rounds, so that
//! what the machine does beside hits each of them; ratios are taken within a round. The web server takes part twice: how
//! far it is from itself is the noise.

mod load;
mod machine;
mod report;
mod servers;
mod site;
mod works;

use std::fs;

use crate::workspace::{self, say};
use crate::{Result, debian};
use report::{Measured, Report};
use servers::Running;
use works::{QUICK, WORKS, Work};

/// The load generators, and what the web server is held against.
const PACKAGES: [&str; 5] = ["wrk", "nginx", "lighttpd", "h2o", "util-linux"];

/// How long and how often.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    seconds: u64,
}

const USUAL: Effort = Effort { rounds: 5, seconds: 3 };
const BRIEF: Effort = Effort { rounds: 3, seconds: 1 };

/// Measures, prints a table, and writes it into the documentation when all was measured.
pub(crate) fn bench(options: &[&str]) -> Result<()> {
    let (mut effort, mut names, mut only) = (USUAL, None, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--quick" => (effort, names) = (BRIEF, Some(QUICK)),
            "--only" => only = Some(*options.next().ok_or("--only: expected a word of a work's name")?),
            other => return Err(format!("bench: expected --quick or --only WORD, found {other:?}")),
        }
    }
    let chosen = |work: &&Work| {
        names.is_none_or(|names| names.contains(&work.name)) && only.is_none_or(|word| work.name.contains(word))
    };
    let works: Vec<&Work> = WORKS.iter().filter(chosen).collect();
    if works.is_empty() {
        let names: Vec<&str> = WORKS.iter().map(|work| work.name).collect();
        return Err(format!("no work has such a name; there are: {}", names.join(", ")));
    }
    if machine::cores() < 2 {
        return Err("two cores are needed: one for the server, one for the load".into());
    }
    workspace::build()?;
    if !debian::installed(&PACKAGES) {
        debian::install(&PACKAGES)?;
    }
    fs::create_dir_all(folder()).map_err(|error| format!("cannot make {}: {error}", folder().display()))?;
    let mut report = Report::default();
    for work in works {
        report.add(measure(work, effort)?);
    }
    println!("{}", report.markdown(effort.rounds, effort.seconds));
    if names.is_none() && only.is_none() {
        report.write(effort.rounds, effort.seconds)?;
    }
    Ok(())
}

/// Where sites, configurations and logs of a run are.
fn folder() -> std::path::PathBuf {
    workspace::target().join("bench")
}

fn measure(work: &'static Work, effort: Effort) -> Result<Measured> {
    say(&format!("measuring: {}", work.name));
    let root = work.site.make()?;
    let script = work.script(&root)?;
    let servers: Vec<Running> =
        work.servers.iter().map(|server| server.start(&root, work.logs)).collect::<Result<_>>()?;
    let mut measured = Measured::new(work);
    for running in &servers {
        work.check(running)?;
        // Whatever is kept is kept before it counts.
        load::run(running, work, script.as_deref(), 1)?;
    }
    for round in 0..effort.rounds {
        // Nobody is always the first.
        let mut order: Vec<usize> = (0..servers.len()).collect();
        order.rotate_left(round % servers.len());
        let mut samples = vec![None; servers.len()];
        for index in order {
            samples[index] = Some(load::run(&servers[index], work, script.as_deref(), effort.seconds)?);
        }
        measured.add(samples.into_iter().flatten().collect());
    }
    say(&measured.line());
    Ok(measured)
}
