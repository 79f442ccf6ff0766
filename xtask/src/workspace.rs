//! The folders of the workspace, and calls of cargo and other programs in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An error is a text for a person: it says what was expected, what was found, and what to do.
pub(crate) type Result<T, E = String> = std::result::Result<T, E>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    // `cargo run` sets the variable, so a checkout that was moved is found too.
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map(Path::to_path_buf).expect("xtask/ is inside the workspace")
}

/// The folder of build products. It is always `target/`, whatever `CARGO_TARGET_DIR` says, because
/// the README, tests and scripts name `target/release/pluto-host` and `target/guests/`.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The path of the host's program, which exists after a build.
pub(crate) fn host() -> PathBuf {
    target().join("release/pluto-host")
}

/// Returns whether this is a run of continuous integration, which may change its machine and must
/// not skip a step.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Returns a command for cargo, or for another program, that runs in this workspace as if a person
/// had started it.
pub(crate) fn cargo(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).env("CARGO_TARGET_DIR", target());
    // The variables that `cargo run` has set describe xtask, not the crates that its child
    // processes compile.
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

/// Runs a command to its end. An exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("cannot run `{}`: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", line(command))) }
}

/// Returns the standard output of a command without the spaces around it, or nothing when the
/// command cannot run or fails.
pub(crate) fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Returns the standard output of a command. The command's standard error is shown.
pub(crate) fn answer(command: &mut Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run `{}`: {error}", line(command)))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", line(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{}` printed what is no UTF-8", line(command)))
}

/// Says on standard error what happens next, or why.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Debian's folders of servers, which are not in the `PATH` of ordinary users.
const FOLDERS_OF_SERVERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The `PATH` in which programs are searched: our own, then the folders of servers.
pub(crate) fn path() -> OsString {
    let ours = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&ours).chain(FOLDERS_OF_SERVERS.map(PathBuf::from));
    // The names were split at colons, so none contains a colon.
    std::env::join_paths(folders).unwrap_or(ours)
}
