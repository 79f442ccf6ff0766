//! The toolchain for guests: a compiler with a standard library for `wasm32-unknown-unknown`,
//! found or installed.
//!
//! Where rustup reaches no server, Debian's compiler builds the standard library from Debian's
//! sources of the same version. rustup's own compiler cannot build them, because its version
//! differs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::install::{self, Asked, Need};
use crate::workspace::{self, Result, output, say};

/// The target for which guests are compiled. It has no WASI, so a guest imports only the contract.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages of the compiler, of cargo, and of the standard library's sources, all of the
/// same version.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Debian's linker for WebAssembly, for a machine without rustup's. Its name has a version,
/// because the plain package `lld` of Debian 12 is LLVM 14, older than the compiler's.
const DEBIAN_LINKER: Need = Need { program: "wasm-ld-19", package: "lld-19" };

/// How long rustup may take. It downloads about 20 MB. Without a network, it fails in less than a
/// second.
const RUSTUP_SECONDS_MAX: u64 = 300;

/// The toolchain that compiles guests on this machine.
pub(crate) enum Toolchain {
    /// By the active toolchain, which has the target.
    Active,
    /// By Debian's packages and this linker, with the standard library built from source.
    Debian {
        /// The program that links WebAssembly.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Returns a cargo that compiles guests of this workspace, with its `Cargo.lock` as it is. The
    /// caller adds what to build, beginning with the subcommand.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = match self {
            Toolchain::Active => workspace::cargo("cargo"),
            Toolchain::Debian { linker } => debian_cargo(linker),
        };
        // Flags for this machine's own programs (`-C target-cpu=native`) must not apply to a
        // guest. An empty variable overrides cargo's configuration.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", "");
        cargo
    }
}

fn debian_cargo(linker: &Path) -> Command {
    let mut cargo = workspace::cargo("/usr/bin/cargo");
    let path = std::env::var("PATH").unwrap_or_default();
    cargo
        .env("PATH", format!("/usr/bin:{path}")) // before rustup's shims
        .env("RUSTC_BOOTSTRAP", "1") // -Z on a stable compiler
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
        .env_remove("LD_LIBRARY_PATH") // `cargo run` put the libraries of rustup's compiler there
        .arg("-Zbuild-std=std,panic_abort");
    cargo
}

/// Finds a toolchain for guests. If there is none, tries rustup, which needs no administrator
/// rights, and then Debian's packages, which are installed only when that is allowed.
pub(crate) fn set_up(asked: Asked) -> Result<Toolchain> {
    if active_has_target() {
        return Ok(Toolchain::Active);
    }
    if install::are_installed(&DEBIAN_PACKAGES) {
        say(&format!("the active toolchain has no {TARGET}: guests are compiled by Debian's, {}", DEBIAN_PACKAGES[0]));
        return debian_toolchain(asked);
    }
    say(&format!("the active toolchain has no {TARGET}, which guests are compiled for: trying rustup"));
    let Err(no_rustup) = rustup_add_target() else { return Ok(Toolchain::Active) };
    say(&format!("{no_rustup}: now Debian's packages"));
    let what = format!("a compiler for {TARGET}");
    let installed = install::install("build", &what, &DEBIAN_PACKAGES, asked);
    installed.and_then(|()| debian_toolchain(asked)).map_err(|no_debian| {
        format!(
            "guests cannot be compiled on this machine yet: {no_rustup}.\n\
             Where rustup reaches its server, `rustup target add {TARGET}` is enough. Debian 12 and later have packages.\n\
             {no_debian}"
        )
    })
}

/// Returns whether the compiler that cargo uses has the standard library for guests.
fn active_has_target() -> bool {
    output("rustc", &["--print", "sysroot"])
        .is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib").is_dir())
}

fn rustup_add_target() -> Result<()> {
    let rustup = format!("rustup target add {TARGET}");
    let mut child = Command::new("rustup")
        .args(["target", "add", TARGET])
        .env_remove("RUST_BACKTRACE") // a server out of reach is no bug of rustup's
        .spawn()
        .map_err(|error| format!("`{rustup}` cannot run ({error})"))?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(RUSTUP_SECONDS_MAX) {
        match child.try_wait() {
            Ok(None) => thread::sleep(Duration::from_millis(50)),
            Ok(Some(status)) if status.success() && active_has_target() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`{rustup}` failed ({status})")),
            Err(error) => return Err(format!("`{rustup}` cannot be waited for ({error})")),
        }
    }
    // Neither result matters, because either way the process no longer runs.
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("`{rustup}` did not end in {RUSTUP_SECONDS_MAX} s"))
}

/// Returns Debian's toolchain, after its packages have been installed.
fn debian_toolchain(asked: Asked) -> Result<Toolchain> {
    if let Some(linker) = rustup_linker() {
        return Ok(Toolchain::Debian { linker });
    }
    // Debian's linker is needed only if the active toolchain has no rust-lld.
    install::ensure("build", &[DEBIAN_LINKER], asked)?;
    Ok(Toolchain::Debian { linker: DEBIAN_LINKER.program.into() })
}

/// Returns the linker that comes with rustup's toolchains.
fn rustup_linker() -> Option<PathBuf> {
    let sysroot = output("rustc", &["--print", "sysroot"])?;
    let version = output("rustc", &["--version", "--verbose"])?;
    let machine = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(machine).join("bin/rust-lld");
    linker.exists().then_some(linker)
}
