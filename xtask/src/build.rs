//! `cargo xtask build`: the host and the guests, from their sources.

use crate::install::Asked;
use crate::workspace::{Result, cargo, run};
use crate::{guests, toolchain};

/// Builds the host and the guests.
pub(crate) fn build(asked: Asked) -> Result<()> {
    host()?;
    guests::build(&toolchain::set_up(asked)?)
}

/// Builds the whole workspace for this machine. Every command of ours selects `--workspace` in the
/// release profile: another selection unites the features of the crates differently, and wasmtime
/// would be compiled once more.
fn host() -> Result<()> {
    run(cargo("cargo").args(["build", "--release", "--workspace"]))
}
