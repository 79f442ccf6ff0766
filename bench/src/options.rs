//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};

use clap::{Parser, Subcommand};

use crate::figures::{self, FIGURES, Figure};
use crate::open_loop::{Hold, OpenLoop};
use crate::results::Effort;
use crate::servers::Server;
use crate::works::{self, WORKS, Work};
use crate::workspace::Result;

const USUAL: Effort = Effort { rounds: 5, seconds: 3, latency: 4 };
const BRIEF: Effort = Effort { rounds: 3, seconds: 1, latency: 1 };

/// Measures the web server against nginx, lighttpd and h2o, in CPU time for each request.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", args_override_self = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// Take a minute or two, and write nothing into docs/.
    #[arg(long)]
    quick: bool,

    /// Measure everything with WORD in its name, and write nothing into docs/.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,

    /// Measure each server N times.
    #[arg(long, value_name = "N")]
    rounds: Option<NonZeroUsize>,

    /// Measure for N seconds each time.
    #[arg(long, value_name = "N")]
    seconds: Option<NonZeroU64>,

    /// Measure nothing: print the programs that the chosen measurements start, one a line.
    #[arg(long, hide = true)]
    pub(crate) needs: bool,

    #[command(subcommand)]
    pub(crate) load: Option<Load>,
}

/// The load generators, which are processes of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// Ask at a fixed rate, and print the latencies.
    #[command(hide = true)]
    OpenLoop(OpenLoop),
    /// Hold connections until standard input ends.
    #[command(hide = true)]
    Hold(Hold),
}

/// What the options choose.
pub(crate) struct Chosen {
    pub(crate) works: Vec<&'static Work>,
    pub(crate) figures: Vec<&'static Figure>,
}

impl Options {
    /// How long and how often each server is measured.
    pub(crate) fn effort(&self) -> Effort {
        let usual = if self.quick { BRIEF } else { USUAL };
        Effort {
            rounds: self.rounds.map_or(usual.rounds, NonZeroUsize::get),
            seconds: self.seconds.map_or(usual.seconds, NonZeroU64::get),
            ..usual
        }
    }

    /// Whether all there is was chosen, so that the result belongs in the documentation.
    pub(crate) fn are_all(&self) -> bool {
        !self.quick && self.only.is_none()
    }

    /// The measurements that are meant. `--only` finds those too that `--quick` leaves out.
    pub(crate) fn chosen(&self) -> Result<Chosen> {
        let is_quick = |name: &str| works::QUICK.contains(&name) || figures::QUICK.contains(&name);
        let is_chosen = |name: &str| match &self.only {
            Some(word) => name.contains(word),
            None => !self.quick || is_quick(name),
        };
        let chosen = Chosen {
            works: WORKS.iter().filter(|work| is_chosen(work.name)).collect(),
            figures: FIGURES.iter().filter(|figure| is_chosen(figure.name)).collect(),
        };
        if chosen.works.is_empty() && chosen.figures.is_empty() {
            let names = WORKS.iter().map(|work| work.name).chain(FIGURES.iter().map(|figure| figure.name));
            return Err(format!("nothing has such a name; there are: {}", names.collect::<Vec<_>>().join("; ")));
        }
        Ok(chosen)
    }
}

impl Chosen {
    /// The programs that must be there, in alphabetical order. `wasmtime` stands for
    /// `wasmtime serve`, which no package has.
    pub(crate) fn programs(&self) -> Vec<&'static str> {
        // wrk makes the load, taskset chooses cores, prlimit raises the limit of open files.
        let mut programs = vec!["wrk", "taskset", "prlimit"];
        programs.extend(self.works.iter().flat_map(|work| work.servers).filter_map(|server| server.program()));
        if !self.figures.is_empty() {
            programs.extend(Server::Nginx.program());
        }
        programs.sort_unstable();
        programs.dedup();
        programs
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Options;

    fn parse(words: &str) -> Options {
        let words = ["bench"].into_iter().chain(words.split_whitespace());
        Options::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn an_effort_is_the_usual_one_unless_options_say_otherwise() {
        let check = |words: &str, rounds, seconds| {
            let effort = parse(words).effort();
            assert_eq!((effort.rounds, effort.seconds), (rounds, seconds), "{words}");
        };
        check("", 5, 3);
        check("--quick", 3, 1);
        check("--seconds 7 --quick --rounds 2", 2, 7);
        check("--rounds 2 --rounds 4", 4, 3);
    }

    #[test]
    fn what_is_no_number_above_zero_is_refused() {
        for words in [["bench", "--rounds", "0"], ["bench", "--seconds", "x"], ["bench", "open-loop", "80"]] {
            assert!(Options::try_parse_from(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn only_finds_what_quick_leaves_out() {
        let chosen = parse("--quick --only epoll").chosen().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(chosen.works.iter().map(|work| work.name).collect::<Vec<_>>(), ["epoll"]);
        assert!(chosen.figures.is_empty());
        assert!(parse("--only nothing-of-this-name").chosen().is_err());
        assert!(parse("").are_all() && !parse("--quick").are_all() && !parse("--only epoll").are_all());
    }

    #[test]
    fn only_the_programs_that_are_started_are_needed() {
        let check = |words: &str, programs: &[&str]| {
            let chosen = parse(words).chosen().unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(chosen.programs(), programs, "{words}");
        };
        check("--only recorded", &["prlimit", "taskset", "wrk"]);
        check("--only memory", &["nginx", "prlimit", "taskset", "wrk"]);
        check("--quick", &["h2o", "lighttpd", "nginx", "prlimit", "taskset", "wrk"]);
        check("--only wasmtime", &["nginx", "prlimit", "taskset", "wasmtime", "wrk"]);
    }
}
