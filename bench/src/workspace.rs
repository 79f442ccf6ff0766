//! The measured workspace: where its files are, and how other programs are run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An error is a text for a person: it says what was expected, what was found, and what to do.
pub(crate) type Result<T, E = String> = std::result::Result<T, E>;

/// The folder of the workspace. `cargo xtask bench` builds this program as `target/release/bench`
/// beneath that folder.
pub(crate) fn root() -> PathBuf {
    let own = std::env::current_exe().expect("the system knows the path of a running program");
    own.ancestors().nth(3).map(Path::to_path_buf).expect("this program is in target/release/")
}

/// The folder of everything built.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The host's program.
pub(crate) fn host() -> PathBuf {
    target().join("release/pluto-host")
}

/// The folder for the sites, configurations and logs of a measurement.
pub(crate) fn folder() -> PathBuf {
    target().join("bench")
}

/// Runs a command to its end. An exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}")) }
}

/// Returns the standard output of a command without the spaces around it, or nothing when the
/// command cannot run or fails.
pub(crate) fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Tells on standard error what happens next, or why.
pub(crate) fn say(what: &str) {
    eprintln!("bench: {what}");
}
