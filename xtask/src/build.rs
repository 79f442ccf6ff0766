//! `cargo xtask build`: the host and the guests, from their sources.

use crate::install::Asked;
use crate::workspace::{Result, cargo, run};
use crate::{guests, toolchain};

/// Builds the host and the guests.
pub(crate) fn build(asked: Asked) -> Result<()> {
    host()?;
    guests::build(&toolchain::set_up(asked)?)
}

/// Builds the whole workspace for this machine. Every task selects `--workspace` in the release
/// profile. With another selection, cargo unifies the features of the crates differently, and
/// would compile wasmtime again.
fn host() -> Result<()> {
    run(cargo("cargo").args(["build", "--release", "--workspace"]))
}
