//! Tests of the hello guest as a native function.

use pluto_sdk::Level;
use pluto_sdk::testing::{Outcome, Turn, run_on_answers};

/// The first fact that the original Pluto proved about a program: it logs twice, in this order,
/// and sends no requests.
#[test]
fn logs_two_lines_and_ends() {
    let logs = ["Hello,", "world!"].map(|line| (Level::Info, line.to_owned()));
    let expected = Turn { requests: Vec::new(), logs: logs.to_vec(), outcome: Some(Outcome::Exit(0)) };
    assert_eq!(run_on_answers(hello::main, &["8000", "html/"], 0, Vec::new()), [expected]);
}
