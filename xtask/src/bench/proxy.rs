//! `wasmtime serve`: no package has it, so it is built from the crate registry, and a guest for it from `tests/proxy/`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::folder;
use crate::Result;
use crate::toolchain::{self, TARGET};
use crate::workspace::{self, host, root, run, say};

/// What of `wasmtime-cli` serves HTTP.
const FEATURES: &str = "serve,run,cranelift,parallel-compilation,pooling-allocator,component-model-async";

/// The program, of the version that the host has.
pub(super) fn program() -> Result<PathBuf> {
    Ok(installation(&version()?).join("bin/wasmtime"))
}

/// Its guest.
pub(super) fn guest() -> PathBuf {
    folder().join("proxy.wasm")
}

/// Builds both, the program but once: it takes about ten minutes.
pub(super) fn prepare() -> Result<()> {
    let version = version()?;
    if !program()?.is_file() {
        say("compiling `wasmtime serve`, which takes about ten minutes");
        let mut install = workspace::cargo("cargo");
        install.args(["install", "wasmtime-cli", "--version", &version, "--locked", "--no-default-features"]);
        install.args(["--features", FEATURES, "--root"]).arg(installation(&version));
        run(install.env("CARGO_TARGET_DIR", folder().join("wasmtime-target")))?;
    }
    let target = folder().join("proxy-target");
    let mut build = toolchain::set_up()?.cargo();
    build
        .args(["build", "--release", "--target", TARGET, "--manifest-path"])
        .arg(root().join("tests/proxy/Cargo.toml"));
    run(build.arg("--target-dir").arg(&target))?;
    let core = target.join(TARGET).join("release/proxy.wasm");
    run(Command::new(host()).arg("componentize").arg(core).arg("--output").arg(guest()))
}

fn installation(version: &str) -> PathBuf {
    folder().join(format!("wasmtime-{version}"))
}

fn version() -> Result<String> {
    let lock =
        fs::read_to_string(root().join("Cargo.lock")).map_err(|error| format!("cannot read Cargo.lock: {error}"))?;
    locked(&lock, "wasmtime").map(str::to_owned).ok_or_else(|| "Cargo.lock has no wasmtime".into())
}

/// The version of a package in a Cargo.lock.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn a_version_is_that_of_the_package_of_this_name() {
        let lock = "[[package]]\nname = \"wasmtime-cache\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"wasmtime\"\nversion = \"2.0.0\"\n";
        assert_eq!(locked(lock, "wasmtime"), Some("2.0.0"));
        assert_eq!(locked(lock, "wasm"), None);
    }
}
