//! The earlier counts, in a file that people read: `tests/instructions.toml`.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::fs;
use std::process::Command;

use serde::Deserialize;

use super::callgrind::Cost;
use super::mixes::MIXES;
use crate::support::guests;

/// Beneath the repository's folder.
pub const PATH: &str = "tests/instructions.toml";

/// A mix may cost so much more than before, in percent. Two counts of the same differ by less than
/// 0.1.
const GROWTH_PERCENT_MAX: f64 = 3.0;

/// The same where another compiler has made the code: then counts can be compared only roughly.
const GROWTH_PERCENT_MAX_ELSEWHERE: f64 = 10.0;

/// Smaller changes are not written down.
const CHANGE_PERCENT_MIN: f64 = 0.1;

const HEAD: &str = "\
# Instructions for each request, counted by callgrind on a replay (tests/instructions/), of the guest's compiled code and of
# the host without its system calls. `cargo xtask test` fails when one grows by more than 3 %; then make it cheaper, or write
# the new count down with its reason, as also when it has shrunk:
#
#     cargo xtask count --update \"REASON\"
#
# `history` has a line for each change: the day, the sum of both counts, and the reason.
";

/// The file.
#[derive(Debug, Deserialize)]
pub struct Baseline {
    compilers: String,
    #[serde(default)]
    mixes: Vec<Known>,
}

#[derive(Debug, Deserialize)]
struct Known {
    name: String,
    guest: u64,
    host: u64,
    history: Vec<String>,
}

/// What a count says, beside that of the file.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    New,
    Same(f64),
    Less(f64),
    More(f64),
}

impl Verdict {
    /// Whether the guard fails.
    pub fn is_failure(self) -> bool {
        matches!(self, Verdict::New | Verdict::More(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::New => f.write_str("  never counted"),
            Verdict::Same(percent) => write!(f, "{percent:+7.1} %"),
            Verdict::Less(percent) => write!(f, "{percent:+7.1} %  LESS"),
            Verdict::More(percent) => write!(f, "{percent:+7.1} %  TOO MUCH"),
        }
    }
}

impl Baseline {
    /// Reads the file; without one nothing was ever counted.
    pub fn read() -> Self {
        let path = guests::repository().join(PATH);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            Err(_) => Self { compilers: compilers(), mixes: Vec::new() },
        }
    }

    /// Holds a count against that of the file. Guest and host may grow no more than both together.
    pub fn judge(&self, name: &str, cost: Cost) -> Verdict {
        let Some(known) = self.mixes.iter().find(|known| known.name == name) else { return Verdict::New };
        let percent = |now: u64, before: u64| 100.0 * (now as f64 / before as f64 - 1.0);
        let change = percent(cost.all(), known.guest + known.host);
        let max = if self.compilers == compilers() { GROWTH_PERCENT_MAX } else { GROWTH_PERCENT_MAX_ELSEWHERE };
        match change {
            change if change > max => Verdict::More(change),
            change if change < -GROWTH_PERCENT_MAX => Verdict::Less(change),
            change => Verdict::Same(change),
        }
    }

    /// What to know where the code comes from other compilers.
    pub fn other_compilers(&self) -> Option<String> {
        let ours = compilers();
        (self.compilers != ours).then(|| {
            format!(
                "note: the counts before are of {}, these of {ours}: up to {GROWTH_PERCENT_MAX_ELSEWHERE} % more are allowed",
                self.compilers
            )
        })
    }

    /// Writes counts down, with the reason for those that have changed.
    pub fn update(&mut self, counted: &BTreeMap<&'static str, Cost>, why: &str) {
        let day = output("date", &["--utc", "+%Y-%m-%d"]);
        self.compilers = compilers();
        self.mixes.retain(|known| MIXES.iter().any(|mix| mix.name == known.name));
        for (&name, &cost) in counted {
            let line = format!("{day} {}: {why}", cost.all());
            match self.mixes.iter_mut().find(|known| known.name == name) {
                Some(known) => known.change(cost, line),
                None => {
                    let name = name.to_owned();
                    self.mixes.push(Known { name, guest: cost.guest, host: cost.host, history: vec![line] });
                }
            }
        }
        let place = |known: &Known| MIXES.iter().position(|mix| mix.name == known.name);
        self.mixes.sort_by_key(place);
        fs::write(guests::repository().join(PATH), self.text()).expect("the folder is there");
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\ncompilers = {:?}\n", self.compilers);
        for Known { name, guest, host, history } in &self.mixes {
            let _ = write!(text, "\n[[mixes]]\nname = {name:?}\nguest = {guest}\nhost = {host}\nhistory = [\n");
            history.iter().for_each(|line| {
                let _ = writeln!(text, "    {line:?},");
            });
            text.push_str("]\n");
        }
        text
    }
}

impl Known {
    fn change(&mut self, cost: Cost, line: String) {
        let (now, before) = (cost.all() as f64, (self.guest + self.host) as f64);
        if (now / before - 1.0).abs() * 100.0 > CHANGE_PERCENT_MIN {
            self.history.push(line);
            (self.guest, self.host) = (cost.guest, cost.host);
        }
    }
}

/// What has made the code that is counted, and what counts it.
fn compilers() -> String {
    let guest = fs::read(guests::built("pluto")).expect("it is built");
    let guest = String::from_utf8_lossy(&guest);
    // The section `producers` of a module: https://github.com/WebAssembly/tool-conventions
    let guests = guest.split("rustc").skip(1).find_map(|text| {
        let version = text.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        version.starts_with("1.").then(|| version.split([' ', '(']).next().unwrap_or_default().to_owned())
    });
    let guests = guests.unwrap_or_else(|| "unknown".to_owned());
    format!("{}, guests {guests}, {}", output("rustc", &["--version"]), output("valgrind", &["--version"]))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(guests::repository()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
