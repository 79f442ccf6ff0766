//! The commands.

mod compile_guest;
mod descriptors;
mod diff;
mod exit_status;
mod explain;
mod inspect;
mod log_file;
mod ports;
mod private_file;
mod record;
mod replay;
mod report;
mod serve;
mod setup;
mod shards;
mod startup_notice;
mod text;
mod trace_name;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use signal_hook::consts::SIGXFSZ;

use crate::cli::{Cli, Command, Form};

pub use self::compile_guest::compile_guest;
pub use self::exit_status::ExitStatus;
pub use self::report::report_error;

/// Does what the command line says. An error means that nothing was started.
pub fn run(cli: Cli) -> Result<ExitStatus> {
    outlive_large_files().context("cannot take over the signal SIGXFSZ")?;
    match (cli.command, cli.run) {
        (Some(Command::Inspect { guest, compile_here }), _) => inspect::inspect(&guest, compile_here),
        (Some(Command::Componentize { module, output }), _) => inspect::componentize(&module, &output),
        (Some(Command::CompileGuest { .. }), _) => bail!("this command is a process of its own"),
        (Some(Command::Replay { guest, trace, engine, loose: true, memory_max, .. }), _) => {
            diff::loose(&guest, &trace, engine, memory_max)
        }
        (Some(Command::Replay { guest, trace, engine, from, from_turn, memory_max, .. }), _) => {
            let from = from_turn.map(replay::From::Turn).or(from.map(replay::From::Time));
            replay::replay(&guest, &trace, engine, from, memory_max)
        }
        (Some(Command::Diff { trace, first, second, memory_max }), _) => {
            diff::diff(&trace, &first, &second, memory_max)
        }
        (Some(Command::Explain(options)), _) => explain::explain(&options),
        (Some(Command::Trace { form: Form::Text { trace } }), _) => text::to_text(&trace),
        (Some(Command::Trace { form: Form::Binary { text, guest, output } }), _) => {
            text::to_binary(&text, &guest, &output)
        }
        (None, Some(run)) => serve::serve(&run),
        (None, None) => bail!("no guest to run; see pluto-host --help"),
    }
}

/// A file that grows beyond `ulimit -f` is an error of the write, as on a full disk, and does not
/// end the process.
fn outlive_large_files() -> std::io::Result<()> {
    // Any handler makes the write fail instead of ending the process. Nothing reads the flag that
    // this handler sets.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(|_| ())
}
