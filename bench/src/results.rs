//! The results: samples for each server and kind of work, and single figures.

use std::fmt;
use std::time::Duration;

use crate::servers::Server;
use crate::works::Work;

/// How long and how often each server is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Of each round.
    pub(crate) seconds: u64,
    /// How many times the rounds latency takes.
    pub(crate) latency: usize,
}

/// What a run has shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// CPU time of the server: user and system.
    pub(crate) cpu: [Duration; 2],
}

impl Sample {
    /// CPU time for each request, in microseconds.
    pub(crate) fn micros(&self) -> f64 {
        (self.cpu[0] + self.cpu[1]).as_secs_f64() * 1e6 / self.requests as f64
    }
}

/// A work, and the rounds of its servers.
pub(crate) struct Measured {
    pub(crate) work: &'static Work,
    /// Of each round, in the order of the work's servers.
    rounds: Vec<Vec<Sample>>,
}

/// The middle of several figures, with the least and the greatest.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// That of at least one.
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (least, greatest) = (figures[0], figures[figures.len() - 1]);
        Self { least, median: figures[figures.len() / 2], greatest }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} ({:.digits$} – {:.digits$})", self.median, self.least, self.greatest)
    }
}

impl Measured {
    pub(crate) fn new(work: &'static Work) -> Self {
        Self { work, rounds: Vec::new() }
    }

    pub(crate) fn add(&mut self, round: Vec<Sample>) {
        self.rounds.push(round);
    }

    fn place(&self, server: Server) -> Option<usize> {
        self.work.servers.iter().position(|it| *it == server)
    }

    /// CPU time for each request, in microseconds.
    pub(crate) fn micros(&self, server: Server) -> Option<Spread> {
        let place = self.place(server)?;
        Some(Spread::of(self.rounds.iter().map(|round| round[place].micros()).collect()))
    }

    /// The first server's part of that of another, within a round.
    pub(crate) fn ratio(&self, other: Server) -> Option<Spread> {
        self.between(self.work.servers[0], other)
    }

    /// A server's part of that of another, within a round.
    pub(crate) fn between(&self, one: Server, other: Server) -> Option<Spread> {
        let (one, other) = (self.place(one)?, self.place(other)?);
        Some(Spread::of(self.rounds.iter().map(|round| round[one].micros() / round[other].micros()).collect()))
    }

    pub(crate) fn name(&self) -> &'static str {
        self.work.name
    }

    /// Whether it is about the server as it is used.
    pub(crate) fn is_of_pluto(&self) -> bool {
        self.work.servers[0] == Server::Pluto
    }

    /// The ratio to a server that is to be reached.
    pub(crate) fn goal(&self, server: Server) -> Option<f64> {
        self.work.goals.iter().find(|(other, _)| *other == server).map(|(_, goal)| *goal)
    }

    /// Whether all goals are reached.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let goals = self.work.goals;
        let met = |(other, goal): &(Server, f64)| self.ratio(*other).is_some_and(|ratio| ratio.median <= *goal);
        (!goals.is_empty()).then(|| goals.iter().all(met))
    }

    /// System time, as a part of the first server's.
    pub(crate) fn system(&self) -> f64 {
        Spread::of(
            self.rounds
                .iter()
                .map(|round| round[0].cpu[1].as_secs_f64() / (round[0].cpu[0] + round[0].cpu[1]).as_secs_f64())
                .collect(),
        )
        .median
    }

    /// In a line, while the others are being measured.
    pub(crate) fn line(&self) -> String {
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

/// A line of the table.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) pluto: String,
    /// The same of nginx.
    pub(crate) nginx: String,
    /// Ours as a part of nginx's.
    pub(crate) ratio: Option<Spread>,
    pub(crate) goal: &'static str,
    /// Whether the goal is reached, where there is one and it could be measured.
    pub(crate) met: Option<bool>,
}
