//! `cargo xtask docs`: builds the documentation of every crate, private items included. Any
//! warning is an error.

use crate::workspace::{Result, cargo, run};

/// Builds the documentation in `target/doc/`. The profile is clippy's, so that cargo uses the
/// dependencies that clippy has checked, and does not check wasmtime again.
pub(crate) fn docs() -> Result<()> {
    let mut doc = cargo("cargo");
    doc.args(["doc", "--release", "--workspace", "--no-deps", "--document-private-items"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}
