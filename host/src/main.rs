//! The command `pluto-host`.

use std::process::ExitCode;

use clap::Parser;
use pluto_host::cli::Cli;
use pluto_host::command::{self, Exit};
use pluto_host::console;

fn main() -> ExitCode {
    // Also when this thread panics.
    let _last = console::Finish;
    let exit = command::run(Cli::parse()).unwrap_or_else(|error| {
        command::report(&format!("{error:#}"));
        Exit::CannotStart
    });
    ExitCode::from(exit as u8)
}
