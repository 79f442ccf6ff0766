//! The command `pluto-host`.

mod cli;
mod command;
mod limits;

use std::process::ExitCode;

use clap::Parser;
use pluto_live::console;

use self::cli::{Cli, Command};
use self::command::ExitStatus;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::CompileGuest { product, length, parent }) = cli.command {
        return command::compile_guest(product, length, parent);
    }
    // Also when this thread panics.
    let _last = console::Finish;
    let exit = command::run(cli).unwrap_or_else(|error| {
        command::report_error(&format!("{error:#}"));
        ExitStatus::CannotStart
    });
    ExitCode::from(exit as u8)
}
