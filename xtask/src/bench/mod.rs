//! `cargo xtask bench`: the web server against its peers, in CPU time for each request.
//!
//! A server has one core, the load generator another. All servers of a work are measured in turn, several rounds, so that
//! what the machine does beside hits each of them; ratios are taken within a round. The web server takes part twice: how
//! far it is from itself is the noise.

mod figures;
mod load;
mod machine;
mod open_loop;
mod plot;
mod proxy;
mod report;
mod servers;
mod site;
mod works;

use std::fs;

use crate::workspace::{self, say};
use crate::{Result, debian};
use figures::{FIGURES, Figure};
use report::{Measured, Report};
use servers::{Running, Server};
use works::{WORKS, Work};

pub(crate) use open_loop::{hold, open_loop};

/// The load generators, and what the web server is held against.
const PACKAGES: [&str; 5] = ["wrk", "nginx", "lighttpd", "h2o", "util-linux"];

/// How long and how often.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    seconds: u64,
    /// How many times the rounds latency takes.
    latency: usize,
}

const USUAL: Effort = Effort { rounds: 5, seconds: 3, latency: 4 };
const BRIEF: Effort = Effort { rounds: 3, seconds: 1, latency: 1 };

/// A number above zero, as an option has it.
fn number<T: std::str::FromStr + PartialOrd + From<u8>>(option: &str, value: Option<&&str>) -> Result<T> {
    let number = value.and_then(|value| value.parse().ok()).filter(|number| *number >= T::from(1));
    number.ok_or_else(|| format!("{option}: expected a number above zero behind it"))
}

/// Measures, prints a table, and writes it into the documentation when all was measured.
pub(crate) fn bench(options: &[&str]) -> Result<()> {
    let (mut effort, mut names, mut only) = (USUAL, None, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--quick" => (effort, names) = (BRIEF, Some([works::QUICK, figures::QUICK].concat())),
            "--only" => only = Some(*options.next().ok_or("--only: expected a word of a work's name")?),
            "--rounds" => effort.rounds = number("--rounds", options.next())?,
            "--seconds" => effort.seconds = number("--seconds", options.next())?,
            other => {
                let expected = "--quick, --only WORD, --rounds N or --seconds N";
                return Err(format!("bench: expected {expected}, found {other:?}"));
            }
        }
    }
    // All that has the word is meant, also what is not quick.
    let chosen = |name: &str| match only {
        Some(word) => name.contains(word),
        None => names.as_ref().is_none_or(|names| names.contains(&name)),
    };
    let works: Vec<&Work> = WORKS.iter().filter(|work| chosen(work.name)).collect();
    let figures: Vec<&Figure> = FIGURES.iter().filter(|figure| chosen(figure.name)).collect();
    if works.is_empty() && figures.is_empty() {
        let names = WORKS.iter().map(|work| work.name).chain(FIGURES.iter().map(|figure| figure.name));
        return Err(format!("nothing has such a name; there are: {}", names.collect::<Vec<_>>().join("; ")));
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
    let mut failed = Vec::new();
    for work in works {
        match measure(work, effort) {
            Ok(measured) => report.add(measured),
            Err(why) => failed.push(format!("{}: {why}", work.name)),
        }
    }
    for figure in figures {
        say(&format!("measuring: {}", figure.name));
        match (figure.measure)(effort) {
            Ok(lines) => report.add_figures(lines),
            Err(why) => failed.push(format!("{}: {why}", figure.name)),
        }
    }
    failed.iter().for_each(|why| report.skip(why.clone()));
    println!("{}", report.markdown(effort));
    if names.is_none() && only.is_none() {
        report.write(effort)?;
    } else {
        let path = folder().join("speed.svg");
        fs::write(&path, report.plot()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not all was measured:\n{}", failed.join("\n"))) }
}

/// Where sites, configurations and logs of a run are.
fn folder() -> std::path::PathBuf {
    workspace::target().join("bench")
}

fn measure(work: &'static Work, effort: Effort) -> Result<Measured> {
    say(&format!("measuring: {}", work.name));
    if work.servers.contains(&Server::WasmtimeServe) {
        proxy::prepare()?;
    }
    let root = work.site.make()?;
    let script = work.script(&root)?;
    let start = |place: usize| work.servers[place].start(&root, work.logs);
    let count = work.servers.len();
    let mut servers: Vec<Running> = Vec::new();
    for place in 0..if work.cold { 0 } else { count } {
        if work.servers[place] == Server::Floor {
            work.keep_answer(&servers[0])?;
        }
        servers.push(start(place)?);
    }
    let mut measured = Measured::new(work);
    for running in &servers {
        work.check(running)?;
        // Whatever is kept is kept before it counts.
        load::run(running, work, script.as_deref(), 1)?;
    }
    for round in 0..effort.rounds * work.rounds {
        // Nobody is always the first.
        let mut order: Vec<usize> = (0..count).collect();
        order.rotate_left(round % count);
        let mut samples = vec![None; count];
        for place in order {
            let fresh = if work.cold { Some(start(place)?) } else { None };
            let Some(running) = fresh.as_ref().or(servers.get(place)) else { continue };
            samples[place] = Some(load::run(running, work, script.as_deref(), work.seconds(effort.seconds))?);
        }
        measured.add(samples.into_iter().flatten().collect());
    }
    say(&measured.line());
    Ok(measured)
}
