//! The command `pluto-host`.

use std::process::ExitCode;

use clap::Parser;
use pluto_host::cli::Cli;
use pluto_host::run;

fn main() -> ExitCode {
    match run::command(Cli::parse()) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            run::report(&format!("{error:#}"));
            ExitCode::from(run::Exit::CannotStart as u8)
        }
    }
}
