//! `cargo xtask test`: every check and every test, the quickest first.

use std::time::Instant;

use crate::workspace::{self, cargo, run};
use crate::{Result, count, tidy};

/// A name, what it stands for, and what it does.
type Step = (&'static str, &'static str, fn() -> Result<()>);

const STEPS: [Step; 6] = [
    ("format", "cargo fmt --all --check", || run(cargo("cargo").args(["fmt", "--all", "--check"]))),
    ("tidy", "the house rules", tidy::tidy),
    ("build", "the host and the guests", workspace::build),
    ("clippy", "cargo clippy --release --workspace --all-targets -- -D warnings", clippy),
    ("count", "instructions for each request, against tests/instructions.toml", || count::count(&[])),
    ("tests", "cargo test --release --workspace", || run(cargo("cargo").args(["test", "--release", "--workspace"]))),
];

/// Runs the steps in their order and stops at the first that fails.
pub(crate) fn test() -> Result<()> {
    let start = Instant::now();
    for (number, (name, what, step)) in (1..).zip(STEPS) {
        eprintln!("\n==== {number}/{} {name}: {what}", STEPS.len());
        let step_start = Instant::now();
        let done = step();
        let seconds = step_start.elapsed().as_secs_f64();
        if let Err(why) = done {
            eprintln!("==== {name} FAILED after {seconds:.1} s");
            return Err(format!("{why}\nxtask: test failed at step {number} of {}: {name}", STEPS.len()));
        }
        eprintln!("==== {name} passed in {seconds:.1} s");
    }
    eprintln!("\nxtask: all {} steps passed in {:.1} s", STEPS.len(), start.elapsed().as_secs_f64());
    Ok(())
}

fn clippy() -> Result<()> {
    run(cargo("cargo").args(["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}
