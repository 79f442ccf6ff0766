//! `cargo xtask bench`: builds everything that is measured, makes sure that the other servers are
//! installed, and starts the benchmark, which is a crate of its own (`bench/`).

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::build::build;
use crate::install::{self, Asked, Need};
use crate::toolchain::{self, TARGET};
use crate::workspace::{Result, answer, cargo, host, path, root, run, say, target};

/// The programs that the benchmark may need, with Debian's packages.
const PACKAGES: [Need; 6] = [
    Need { program: "wrk", package: "wrk" },
    Need { program: "nginx", package: "nginx" },
    Need { program: "lighttpd", package: "lighttpd" },
    Need { program: "h2o", package: "h2o" },
    Need { program: "taskset", package: "util-linux" },
    Need { program: "prlimit", package: "util-linux" },
];

/// The program that is in no package of Debian.
const WASMTIME: &str = "wasmtime";

/// The parts of `wasmtime-cli` that serve HTTP.
const WASMTIME_FEATURES: &str = "serve,run,cranelift,parallel-compilation,pooling-allocator,component-model-async";

/// The variable in which the benchmark finds the program `wasmtime`.
const WASMTIME_VARIABLE: &str = "PLUTO_BENCH_WASMTIME";

/// Runs the benchmark with these options.
pub(crate) fn bench(options: &[&str], asked: Asked) -> Result<()> {
    // The benchmark is built first, so that a mistake in its options is found before wasmtime is
    // built.
    run(cargo("cargo").args(["build", "--quiet", "--release", "--workspace", "--bin", "bench"]))?;
    let program = target().join("release/bench");
    let mut bench = Command::new(&program);
    bench.args(options).current_dir(root()).env("PATH", path());
    if options.iter().any(|option| matches!(*option, "--help" | "-h")) {
        return run(&mut bench);
    }
    let asks = answer(Command::new(&program).args(options).arg("--needs"))?;
    let needs: Vec<Need> = asks.lines().filter_map(|name| PACKAGES.into_iter().find(|it| it.program == name)).collect();
    install::ensure("bench", &needs, asked)?;
    build(asked)?;
    if asks.lines().any(|name| name == WASMTIME) {
        match wasmtime_serve(asked) {
            Ok(program) => drop(bench.env(WASMTIME_VARIABLE, program)),
            Err(why) => say(&format!("`wasmtime serve` cannot be measured: {why}")),
        }
    }
    run(&mut bench)
}

/// The folder of the benchmark's files.
fn folder() -> PathBuf {
    target().join("bench")
}

/// Builds `wasmtime serve` from the crate registry, which takes about ten minutes the first time,
/// and its guest from `bench/proxy/`. Returns the program.
fn wasmtime_serve(asked: Asked) -> Result<PathBuf> {
    let version = version()?;
    let installation = folder().join(format!("wasmtime-{version}"));
    let program = installation.join("bin/wasmtime");
    if !program.is_file() {
        say("compiling `wasmtime serve`, which takes about ten minutes");
        let mut install = cargo("cargo");
        install.args(["install", "wasmtime-cli", "--version", &version, "--locked", "--no-default-features"]);
        install.args(["--features", WASMTIME_FEATURES, "--root"]).arg(installation);
        run(install.env("CARGO_TARGET_DIR", folder().join("wasmtime-target")))?;
    }
    let target = folder().join("proxy-target");
    let mut build = toolchain::set_up(asked)?.cargo();
    build
        .args(["build", "--locked", "--release", "--target", TARGET, "--manifest-path"])
        .arg(root().join("bench/proxy/Cargo.toml"));
    run(build.arg("--target-dir").arg(&target))?;
    let core = target.join(TARGET).join("release/proxy.wasm");
    run(Command::new(host()).arg("componentize").arg(core).arg("--output").arg(folder().join("proxy.wasm")))?;
    Ok(program)
}

/// The version of wasmtime that the host uses.
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
