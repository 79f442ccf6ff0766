//! `cargo xtask test`: every check and every test, the quickest first.

use std::time::Instant;

use crate::build::build;
use crate::install::Asked;
use crate::workspace::{Result, cargo, is_ci, run};
use crate::{count, deny, docs, examples, tidy};

/// The result of a step that has not failed.
enum Done {
    Passed,
    /// The step could not be done on this machine, for this reason.
    Skipped(String),
}

/// A step of the test: its name, its description, and its function.
type Step = (&'static str, &'static str, fn(Asked) -> Result<Done>);

const STEPS: [Step; 9] = [
    ("format", "cargo fmt --all --check", |_| passed(run(cargo("cargo").args(["fmt", "--all", "--check"])))),
    ("tidy", "the house rules", |_| passed(tidy::tidy())),
    ("build", "the host and the guests", |asked| passed(build(asked))),
    ("deny", "licences and sources of the dependencies, against deny.toml", |_| passed(deny::deny())),
    ("clippy", "cargo clippy --release --workspace --all-targets -- -D warnings", |_| passed(clippy())),
    ("docs", "the documentation without a warning", |_| passed(docs::docs())),
    ("examples", "each guest of examples/, as a stranger builds it", |asked| passed(examples::examples(asked))),
    ("count", "instructions for each request, against tests/instructions.toml", counted),
    ("tests", "cargo test --release --workspace", |_| {
        passed(run(cargo("cargo").args(["test", "--release", "--workspace"])))
    }),
];

/// Runs the steps in their order and stops at the first that fails.
pub(crate) fn test(asked: Asked) -> Result<()> {
    let start = Instant::now();
    let mut skipped = Vec::new();
    for (number, (name, what, step)) in (1..).zip(STEPS) {
        eprintln!("\n==== {number}/{} {name}: {what}", STEPS.len());
        let step_start = Instant::now();
        let done = step(asked);
        let seconds = step_start.elapsed().as_secs_f64();
        match done {
            Ok(Done::Passed) => eprintln!("==== {name} passed in {seconds:.1} s"),
            Ok(Done::Skipped(why)) => {
                eprintln!("==== {name} SKIPPED: {why}");
                skipped.push((name, why));
            }
            Err(why) => {
                eprintln!("==== {name} FAILED after {seconds:.1} s");
                return Err(format!("{why}\nxtask: test failed at step {number} of {}: {name}", STEPS.len()));
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("\nxtask: {} of {} steps passed in {seconds:.1} s", STEPS.len() - skipped.len(), STEPS.len());
    for (name, why) in skipped {
        eprintln!("\nxtask: WARNING: the step `{name}` was SKIPPED, so this is less than CI does. {why}");
    }
    Ok(())
}

fn passed(result: Result<()>) -> Result<Done> {
    result.map(|()| Done::Passed)
}

/// Counts instructions. Without valgrind, the step is skipped, except in CI.
fn counted(asked: Asked) -> Result<Done> {
    match count::set_up(asked) {
        Ok(()) => passed(count::count(&[])),
        Err(why) => skipped_unless_ci(why, is_ci()),
    }
}

fn skipped_unless_ci(why: String, ci: bool) -> Result<Done> {
    if ci { Err(why) } else { Ok(Done::Skipped(why)) }
}

fn clippy() -> Result<()> {
    run(cargo("cargo").args(["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

#[cfg(test)]
mod tests {
    use super::{Done, skipped_unless_ci};

    #[test]
    fn ci_leaves_nothing_out() {
        assert!(skipped_unless_ci("no valgrind".into(), true).is_err());
        assert!(
            matches!(skipped_unless_ci("no valgrind".into(), false), Ok(Done::Skipped(why)) if why == "no valgrind")
        );
    }
}
