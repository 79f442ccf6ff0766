//! The results as tables.

use std::fmt::Write;
use std::fs;

use crate::machine;
use crate::plot::plot;
use crate::results::{Effort, Line, Measured, Spread};
use crate::servers::Server;
use crate::works::Work;
use crate::workspace::{self, Result, say};

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    works: Vec<Measured>,
    figures: Vec<Line>,
    /// What was left out, and why.
    skipped: Vec<String>,
}

const PEERS: [Server; 3] = [Server::Nginx, Server::Lighttpd, Server::H2o];

impl Report {
    pub(crate) fn add(&mut self, measured: Measured) {
        self.works.push(measured);
    }

    pub(crate) fn add_figures(&mut self, lines: Vec<Line>) {
        self.figures.extend(lines);
    }

    pub(crate) fn skip(&mut self, why: String) {
        self.skipped.push(why);
    }

    /// The tables, and how they came about.
    pub(crate) fn markdown(&self, effort: Effort) -> String {
        let (works, ways): (Vec<&Measured>, Vec<&Measured>) = self.works.iter().partition(|it| it.is_of_pluto());
        let mut out = String::new();
        if !works.is_empty() {
            out.push_str(
                "| work | pluto, µs | in the kernel | nginx, µs | of nginx | of lighttpd | of h2o | goal | reached | floor, of nginx | of itself |\n\
                 |---|---|---|---|---|---|---|---|---|---|---|\n",
            );
        }
        works.iter().for_each(|it| out.push_str(&peers_row(it)));
        if !ways.is_empty() {
            out.push_str("\n| 1 KiB in other ways | µs | of pluto as usual | of nginx | goal | reached | pluto, of itself |\n|---|---|---|---|---|---|---|\n");
        }
        ways.iter().for_each(|it| out.push_str(&ways_row(it)));
        if !self.figures.is_empty() {
            out.push_str("\n| besides | pluto | nginx | of nginx | goal | reached |\n|---|---|---|---|---|---|\n");
        }
        self.figures.iter().for_each(|line| out.push_str(&figure_row(line)));
        let _ = write!(out, "\n{}\n{}", wrapped(&method(effort)), wrapped(&machine::describe()));
        self.skipped.iter().for_each(|why| {
            let _ = write!(out, "\n{}", wrapped(&format!("Not measured: {why}.")));
        });
        out
    }

    /// Writes the table and the plot into the documentation.
    pub(crate) fn write(&self, effort: Effort) -> Result<()> {
        let docs = workspace::root().join("docs");
        let text = format!(
            "# Speed\n\n`cargo xtask bench` measures this, and writes it here.\n\n![CPU time for each request, as a part of nginx's](speed.svg)\n\n{}",
            self.markdown(effort)
        );
        let written = fs::create_dir_all(&docs)
            .and_then(|()| fs::write(docs.join("speed.md"), text))
            .and_then(|()| fs::write(docs.join("speed.svg"), self.plot()));
        written.map_err(|error| format!("cannot write into docs/: {error}"))?;
        say("written: docs/speed.md, docs/speed.svg");
        Ok(())
    }

    /// The works, as a picture.
    pub(crate) fn plot(&self) -> String {
        plot(&self.works)
    }
}

fn peers_row(it: &Measured) -> String {
    let [nginx, lighttpd, h2o] = PEERS.map(|peer| show(it.ratio(peer)));
    let [ours, theirs] = [Server::Pluto, Server::Nginx].map(|server| show(it.micros(server)));
    let (system, again) = (100.0 * it.system(), show(it.ratio(Server::Again)));
    let floor = show(it.between(Server::Floor, Server::Nginx));
    format!(
        "| {} | {ours} | {system:.0} % | {theirs} | {nginx} | {lighttpd} | {h2o} | {} | {} | {floor} | {again} |\n",
        it.name(),
        goals(it.work),
        reached(it.is_met())
    )
}

fn ways_row(it: &Measured) -> String {
    let usual = it.ratio(Server::Pluto).or_else(|| it.ratio(Server::OneShard));
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |\n",
        it.name(),
        show(it.micros(it.work.servers[0])),
        show(usual),
        show(it.ratio(Server::Nginx)),
        goals(it.work),
        reached(it.is_met()),
        show(it.between(Server::Again, Server::Pluto))
    )
}

fn figure_row(line: &Line) -> String {
    let Line { what, pluto, nginx, ratio, goal, met } = line;
    let ratio = ratio.map_or_else(String::new, |ratio| ratio.to_string());
    format!("| {what} | {pluto} | {nginx} | {ratio} | {goal} | {} |\n", reached(*met))
}

fn show(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| spread.to_string())
}

fn reached(met: Option<bool>) -> &'static str {
    met.map_or("", |met| if met { "yes" } else { "no" })
}

fn method(Effort { rounds, seconds, latency }: Effort) -> String {
    let latency_rounds = latency * rounds;
    format!(
        "CPU time of the server (user and system) for each request, and ratios of it within a round: the median of {rounds} rounds of \
         {seconds} s (recorded: four times as many; latency: {latency_rounds} rounds; two shards: twice; documentation, skewed: at least 3 s, just started: 2 s), with the least and the greatest. The servers take turns within a round; each has one thread and one core, and wrk another \
         core; 64 connections where nothing else is said. `of itself` is the noise: the same server measured twice. The *floor* is a server without any \
         logic (`bench/floor.rs`), which sends what pluto has sent: less than that no server costs with `epoll`, `recv` and `send`. *Warm* and *just \
         started* are about what a server keeps: the page cache is warm for all. Two shards and one of them share all cores with wrk, with 64 connections and a thread of wrk for each; their goal is \
         1.9 times the work for twice the CPU time. Latency is counted from when a request was due, at a fixed rate (half of what nginx can do at \
         most) over 64 connections, whatever the answers do. Start is the least that a client sees who tries every 0.1 ms. Memory for a connection is \
         resident memory of the process; what the kernel keeps for a socket is not in it."
    )
}

/// The last column of prose in the documentation.
const COLUMNS_MAX: usize = 99;

/// A paragraph, in lines that are no longer than prose may be.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    let mut columns = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        let begins = columns == 0;
        if !begins && columns + 1 + length > COLUMNS_MAX {
            out.push('\n');
            columns = 0;
        } else if !begins {
            out.push(' ');
            columns += 1;
        }
        out.push_str(word);
        columns += length;
    }
    out + "\n"
}

fn goals(work: &Work) -> String {
    let goals = work.goals.iter().map(|(server, goal)| format!("{goal:.2} of {}", server.name()));
    goals.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS_MAX, wrapped};

    #[test]
    fn paragraphs_are_wrapped() {
        assert_eq!(wrapped("a  few\nwords"), "a few words\n");
        let text = wrapped(&"fünf ".repeat(100));
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{text}");
        assert_eq!(text.lines().next().map(|line| line.chars().count()), Some(99));
        assert_eq!(text.split_whitespace().count(), 100);
        let word = "a".repeat(200);
        assert_eq!(wrapped(&format!("b {word} c")), format!("b\n{word}\nc\n"));
    }
}
