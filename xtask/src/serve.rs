//! `cargo xtask serve`: from the sources to a running server.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::build::build;
use crate::install::Asked;
use crate::workspace::{self, Result};

/// The default arguments. Their paths are relative to the workspace's folder.
const DEFAULT_ARGS: [&str; 3] = ["target/guests/pluto.wasm", "8000", "html/"];

/// Builds everything, and then becomes the host. So signals reach the host, and its exit code is
/// that of the task.
pub(crate) fn serve(args: &[&str], asked: Asked) -> Result<()> {
    build(asked)?;
    let mut host = Command::new(workspace::host());
    if args.is_empty() {
        host.args(DEFAULT_ARGS).current_dir(workspace::root());
    } else {
        host.args(args); // names of files are relative to where the caller stands
    }
    let error = host.exec();
    Err(format!("cannot run {}: {error}", workspace::host().display()))
}
