//! The workspace: where it is, how cargo is called in it, how all of it is built.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, guests, toolchain};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    // `cargo run` sets the variable, so that a moved checkout is found too.
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map(Path::to_path_buf).expect("xtask/ is inside the workspace")
}

/// The folder of everything built. Always `target/`, whatever `CARGO_TARGET_DIR` says, because README, tests and
/// scripts name `target/release/pluto-host` and `target/guests/`.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The host's program, once it is built.
pub(crate) fn host() -> PathBuf {
    target().join("release/pluto-host")
}

/// Builds the host and the guests.
pub(crate) fn build() -> Result<()> {
    build_host()?;
    guests::build(&toolchain::set_up()?)
}

/// Builds the whole workspace for this machine. Every command of ours selects `--workspace` in the release profile:
/// another selection unites the features of the crates differently, and wasmtime would be compiled once more.
fn build_host() -> Result<()> {
    run(cargo("cargo").args(["build", "--release", "--workspace"]))
}

/// A cargo that works in this workspace as if it had been started by hand.
pub(crate) fn cargo(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).env("CARGO_TARGET_DIR", target());
    // What `cargo run` told us about ourselves is not true of what our children compile.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO"
        });
        if ours {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("cannot run `{}`: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", line(command))) }
}

/// What a command prints on its standard output, without the spaces around it; none when it cannot run or fails.
pub(crate) fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Returns the standard output of a command. What the command says on standard error is shown.
pub(crate) fn answer(command: &mut Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run `{}`: {error}", line(command)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", line(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{}` printed what is no UTF-8", line(command)))
}

/// Tells what is about to happen, or why.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
