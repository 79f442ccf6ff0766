//! The toolchain for guests: a compiler with a standard library for `wasm32-unknown-unknown`, found or installed.
//!
//! Where rustup reaches no server, the standard library is built from Debian's sources by Debian's compiler of the
//! same version; rustup's own compiler cannot build them, because its version differs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::workspace::{self, output, say};
use crate::{Result, debian};

/// What guests are compiled for: no WASI, so a guest imports nothing but the contract.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The compiler and cargo, and the sources of the standard library of the same version.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Debian's linker for WebAssembly, for a machine without rustup's. A name with a version, because the plain package
/// `lld` of Debian 12 is LLVM 14, older than the compiler's.
const DEBIAN_LINKER: (&str, &str) = ("lld-19", "/usr/bin/wasm-ld-19");

/// How long rustup may take: it downloads about 20 MB, and without a network it fails in less than a second.
const RUSTUP_SECONDS_MAX: u64 = 300;

/// How guests are compiled on this machine.
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
    /// A cargo that compiles guests; the caller adds what to build, beginning with the subcommand.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = match self {
            Toolchain::Active => workspace::cargo("cargo"),
            Toolchain::Debian { linker } => debian_cargo(linker),
        };
        // Flags meant for this machine's own programs (`-C target-cpu=native`) have no place in a guest. None at all is said here
        // because that outranks what cargo's configuration says.
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
        .args(["-Zbuild-std=std,panic_abort", "--locked"]);
    cargo
}

/// Finds a toolchain for guests; when there is none, installs one.
pub(crate) fn set_up() -> Result<Toolchain> {
    if active_has_target() {
        return Ok(Toolchain::Active);
    }
    if debian::installed(&DEBIAN_PACKAGES) {
        say(&format!("the active toolchain has no {TARGET}: guests are compiled by Debian's, {}", DEBIAN_PACKAGES[0]));
        return debian_toolchain();
    }
    say(&format!("the active toolchain has no {TARGET}, which guests are compiled for: trying rustup"));
    let Err(no_rustup) = rustup_add_target() else { return Ok(Toolchain::Active) };
    say(&format!("{no_rustup}: trying Debian's packages"));
    debian::install(&DEBIAN_PACKAGES).and_then(|()| debian_toolchain()).map_err(|no_debian| {
        format!(
            "no way to compile guests on this machine. Tried:\n  \
             - {no_rustup}\n  \
             - {no_debian}\n\
             Do one of these, then try again:\n  \
             - where rustup reaches its server: `rustup target add {TARGET}`\n  \
             - on Debian 12 or later, as root: `apt-get install --no-install-recommends {}`\n  \
             - on another system: install its package of Rust's standard library for {TARGET}",
            DEBIAN_PACKAGES.join(" ")
        )
    })
}

/// Whether the compiler that cargo uses has the standard library for guests.
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
    // Neither result matters: what counts is that it no longer runs.
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("`{rustup}` did not end in {RUSTUP_SECONDS_MAX} s"))
}

/// Debian's toolchain, once its packages are there.
fn debian_toolchain() -> Result<Toolchain> {
    if let Some(linker) = rustup_linker() {
        return Ok(Toolchain::Debian { linker });
    }
    let (package, program) = DEBIAN_LINKER;
    if !Path::new(program).exists() {
        say("there is no rust-lld in the active toolchain, which would link guests");
        debian::install(&[package])?;
    }
    Ok(Toolchain::Debian { linker: program.into() })
}

/// The linker that comes with rustup's toolchains.
fn rustup_linker() -> Option<PathBuf> {
    let sysroot = output("rustc", &["--print", "sysroot"])?;
    let version = output("rustc", &["--version", "--verbose"])?;
    let machine = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(machine).join("bin/rust-lld");
    linker.exists().then_some(linker)
}
