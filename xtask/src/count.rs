//! `cargo xtask count`: counts the instructions of a request, and compares them with the earlier
//! counts. The counting itself is in `tests/instructions/`. `cargo xtask test` runs it too.

use crate::install::{self, Asked, Need};
use crate::workspace::{Result, cargo, run};

/// The program that counts instructions.
const VALGRIND: Need = Need { program: "valgrind", package: "valgrind" };

/// Makes sure that valgrind is installed.
pub(crate) fn set_up(asked: Asked) -> Result<()> {
    install::ensure("count", &[VALGRIND], asked)
}

/// Counts on an existing build, and fails when a request costs more than before. valgrind must be
/// installed. `options` are those of the command line.
pub(crate) fn count(options: &[&str]) -> Result<()> {
    let mut test = cargo("cargo");
    test.args(["test", "--release", "--workspace", "--test", "all", "--", "--ignored", "--nocapture", "--quiet"]);
    test.arg("instructions::");
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().ok_or_else(|| format!("{option}: expected a word behind it"));
        match *option {
            "--update" => test.env("PLUTO_COUNT_UPDATE", value()?),
            "--only" => test.env("PLUTO_COUNT_ONLY", value()?),
            other => return Err(format!("count: expected --only WORD or --update REASON, found {other:?}")),
        };
    }
    run(&mut test)
}
