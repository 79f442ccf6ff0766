//! The benchmark: the web server against its peers, in CPU time for each request. `cargo xtask
//! bench` builds everything and starts this program.
//!
//! A server has one core, and the load generator another. All servers of a work are measured in
//! turn, for several rounds, so that other load on the machine hits each of them. Ratios are taken
//! within a round. The web server takes part twice: the distance between its two results is the
//! noise.
//!
//! Exit codes: 0 when all was measured, 1 when not, 2 when the command line was not understood.

mod figures;
mod load;
mod machine;
mod open_loop;
mod options;
mod plot;
mod report;
mod results;
mod servers;
mod site;
mod works;
mod workspace;

use std::fs;
use std::process::ExitCode;

use clap::Parser;

use options::{Load, Options};
use report::Report;
use results::{Effort, Measured};
use servers::{Running, Server};
use works::Work;
use workspace::{Result, folder, say};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.load {
        Some(Load::OpenLoop(load)) => open_loop::open_loop(load),
        Some(Load::Hold(load)) => open_loop::hold(load),
        None if options.needs => needs(&options),
        None => bench(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the programs that the chosen measurements start.
fn needs(options: &Options) -> Result<()> {
    options.chosen()?.programs().iter().for_each(|program| println!("{program}"));
    Ok(())
}

/// Measures, prints a table, and writes the table into the documentation when all was measured.
fn bench(options: &Options) -> Result<()> {
    let (effort, chosen) = (options.effort(), options.chosen()?);
    if machine::cores() < 2 {
        return Err("two cores are needed: one for the server, one for the load".into());
    }
    fs::create_dir_all(folder()).map_err(|error| format!("cannot make {}: {error}", folder().display()))?;
    let mut report = Report::default();
    let mut failed = Vec::new();
    for work in chosen.works {
        match measure(work, effort) {
            Ok(measured) => report.add(measured),
            Err(why) => failed.push(format!("{}: {why}", work.name)),
        }
    }
    for figure in chosen.figures {
        say(&format!("measuring: {}", figure.name));
        match (figure.measure)(effort) {
            Ok(lines) => report.add_figures(lines),
            Err(why) => failed.push(format!("{}: {why}", figure.name)),
        }
    }
    failed.iter().for_each(|why| report.skip(why.clone()));
    println!("{}", report.markdown(effort));
    if options.are_all() {
        report.write(effort)?;
    } else {
        let path = folder().join("speed.svg");
        fs::write(&path, report.plot()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not all was measured:\n{}", failed.join("\n"))) }
}

fn measure(work: &'static Work, effort: Effort) -> Result<Measured> {
    say(&format!("measuring: {}", work.name));
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
