//! `cargo xtask docs`: the documentation of every crate, private items included, without a
//! warning.

use crate::workspace::{Result, cargo, run};

/// Compiles the documentation into `target/doc/`. Dependencies are those that clippy has checked,
/// in the same profile, so that wasmtime is not checked again.
pub(crate) fn docs() -> Result<()> {
    let mut doc = cargo("cargo");
    doc.args(["doc", "--release", "--workspace", "--no-deps", "--document-private-items"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}
