//! The command `pluto-host`.

use std::process::ExitCode;

use clap::Parser;
use pluto_host::cli::Cli;
use pluto_host::command::{self, Exit};

fn main() -> ExitCode {
    match command::run(Cli::parse()) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            command::report(&format!("{error:#}"));
            ExitCode::from(Exit::CannotStart as u8)
        }
    }
}
