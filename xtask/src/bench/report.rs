//! What was measured, as a table and as a plot.

use std::fmt::Write;
use std::fs;

use super::load::Sample;
use super::machine;
use super::servers::Server;
use super::works::Work;
use crate::Result;
use crate::workspace::{self, say};

/// A work, and the rounds of its servers.
pub(super) struct Measured {
    work: &'static Work,
    /// Of each round, in the order of the work's servers.
    rounds: Vec<Vec<Sample>>,
}

/// The middle of several figures, with the least and the greatest.
#[derive(Clone, Copy)]
struct Spread {
    least: f64,
    median: f64,
    greatest: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (least, greatest) = (figures[0], figures[figures.len() - 1]);
        Self { least, median: figures[figures.len() / 2], greatest }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} – {:.2})", self.median, self.least, self.greatest)
    }
}

impl Measured {
    pub(super) fn new(work: &'static Work) -> Self {
        Self { work, rounds: Vec::new() }
    }

    pub(super) fn add(&mut self, round: Vec<Sample>) {
        self.rounds.push(round);
    }

    fn place(&self, server: Server) -> Option<usize> {
        self.work.servers.iter().position(|it| *it == server)
    }

    /// CPU time for each request, in microseconds.
    fn micros(&self, server: Server) -> Option<Spread> {
        let place = self.place(server)?;
        Some(Spread::of(self.rounds.iter().map(|round| round[place].micros()).collect()))
    }

    /// The first server's part of that of another, within a round.
    fn ratio(&self, other: Server) -> Option<Spread> {
        let place = self.place(other)?;
        Some(Spread::of(self.rounds.iter().map(|round| round[0].micros() / round[place].micros()).collect()))
    }

    /// System time, as a part of the first server's.
    fn system(&self) -> f64 {
        Spread::of(
            self.rounds
                .iter()
                .map(|round| round[0].cpu[1].as_secs_f64() / (round[0].cpu[0] + round[0].cpu[1]).as_secs_f64())
                .collect(),
        )
        .median
    }

    /// In a line, while the others are being measured.
    pub(super) fn line(&self) -> String {
        let others = self
            .work
            .servers
            .iter()
            .skip(1)
            .filter_map(|server| Some(format!("{} of {}", self.ratio(*server)?, server.name())));
        let first = self.work.servers[0];
        let micros = self.micros(first).map_or_else(String::new, |it| it.to_string());
        format!("{}: {} {micros} µs; {}", self.work.name, first.name(), others.collect::<Vec<_>>().join(", "))
    }
}

/// All works.
#[derive(Default)]
pub(super) struct Report {
    works: Vec<Measured>,
}

const PEERS: [Server; 3] = [Server::Nginx, Server::Lighttpd, Server::H2o];

impl Report {
    pub(super) fn add(&mut self, measured: Measured) {
        self.works.push(measured);
    }

    /// The tables, and how they came about.
    pub(super) fn markdown(&self, rounds: usize, seconds: u64) -> String {
        let mut out = String::from(
            "| work | pluto, µs | in the kernel | of nginx | of lighttpd | of h2o | goal | of itself |\n|---|---|---|---|---|---|---|---|\n",
        );
        let (peers, own): (Vec<&Measured>, Vec<&Measured>) =
            self.works.iter().partition(|it| it.work.servers[0] == Server::Pluto);
        for it in peers {
            let show = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |spread| spread.to_string());
            let [nginx, lighttpd, h2o] = PEERS.map(|peer| show(it.ratio(peer)));
            let (micros, again) = (show(it.micros(Server::Pluto)), show(it.ratio(Server::Again)));
            let system = 100.0 * it.system();
            let goal = goals(it.work);
            let _ = writeln!(
                out,
                "| {} | {micros} | {system:.0} % | {nginx} | {lighttpd} | {h2o} | {goal} | {again} |",
                it.work.name
            );
        }
        if !own.is_empty() {
            out.push_str("\n| pluto in other ways | µs | of pluto | goal | of nginx |\n|---|---|---|---|---|\n");
        }
        for it in own {
            let show = |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |spread| spread.to_string());
            let (micros, pluto) = (show(it.micros(it.work.servers[0])), show(it.ratio(Server::Pluto)));
            let _ = writeln!(
                out,
                "| {} | {micros} | {pluto} | {} | {} |",
                it.work.name,
                goals(it.work),
                show(it.ratio(Server::Nginx))
            );
        }
        let _ = writeln!(
            out,
            "\nCPU time of the server (user and system) for each request, and ratios of it within a round: the median of {rounds} rounds of \
             {seconds} s, with the least and the greatest. The servers take turns within a round; each has one core, and wrk another; 64 \
             connections where nothing else is said. `of itself` is the noise: the same server measured twice.\n\n{}",
            machine::describe()
        );
        out
    }

    /// Writes the table and the plot into the documentation.
    pub(super) fn write(&self, rounds: usize, seconds: u64) -> Result<()> {
        let docs = workspace::root().join("docs");
        let text = format!(
            "# Speed\n\n`cargo xtask bench` measures this, and writes it here.\n\n![CPU time for each request, of nginx's](speed.svg)\n\n{}",
            self.markdown(rounds, seconds)
        );
        let written = fs::create_dir_all(&docs)
            .and_then(|()| fs::write(docs.join("speed.md"), text))
            .and_then(|()| fs::write(docs.join("speed.svg"), self.plot()));
        written.map_err(|error| format!("cannot write into docs/: {error}"))?;
        say("written: docs/speed.md, docs/speed.svg");
        Ok(())
    }

    /// A bar for each server and work: its CPU time for a request as a part of nginx's.
    fn plot(&self) -> String {
        let works: Vec<&Measured> = self.works.iter().filter(|it| it.ratio(Server::Nginx).is_some()).collect();
        let mut out = String::new();
        let mut y = 46;
        for it in works.iter().filter(|it| it.work.servers[0] == Server::Pluto) {
            let nginx = it.micros(Server::Nginx).map_or(1.0, |spread| spread.median);
            let _ = writeln!(out, "<text class='w' x='236' y='{}' text-anchor='end'>{}</text>", y + 12, it.work.name);
            for (server, colour) in
                [(Server::Pluto, "#2563eb"), (Server::H2o, "#94a3b8"), (Server::Lighttpd, "#cbd5e1")]
            {
                let Some(spread) = it.micros(server) else { continue };
                let part = spread.median / nginx;
                let width = (part * UNIT).min(560.0);
                let _ = writeln!(
                    out,
                    "<rect x='244' y='{y}' width='{width:.1}' height='10' fill='{colour}'/><text x='{:.1}' y='{}'>{part:.2} {}</text>",
                    248.0 + width,
                    y + 9,
                    server.name()
                );
                y += 12;
            }
            y += 10;
        }
        let line = 244.0 + UNIT;
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 900 {height}' font-family='system-ui,sans-serif' font-size='9' fill='#334155'>\n\
             <style>.w{{font-size:12px}}</style><rect width='900' height='{height}' fill='#fff'/>\n\
             <text x='20' y='22' style='font-size:14px'>CPU time of the server for each request, as a part of nginx's; less is better</text>\n{out}\
             <path d='M{line} 34V{end}' stroke='#dc2626' stroke-dasharray='3'/><text x='{line}' y='32' text-anchor='middle' fill='#dc2626'>nginx</text>\n</svg>\n",
            height = y + 10,
            end = y,
        )
    }
}

/// Where nginx's line is, from where the bars begin.
const UNIT: f64 = 320.0;

fn goals(work: &Work) -> String {
    let goals = work.goals.iter().map(|(server, goal)| format!("{goal:.2} of {}", server.name()));
    goals.collect::<Vec<_>>().join(", ")
}
