//! Debian's packages: what is installed, and installing what a task needs.

use std::process::Command;

use crate::Result;
use crate::workspace::{output, run, say};

/// How long apt waits for one server.
const APT_SECONDS_MAX: u64 = 30;

/// Whether all of these packages are installed.
pub(crate) fn installed(packages: &[&str]) -> bool {
    let query = [["--show", "--showformat", "${db:Status-Status}\n"].as_slice(), packages].concat();
    output("dpkg-query", &query).is_some_and(|states| states.lines().all(|state| state == "installed"))
}

/// Installs packages; the error says what stands in the way.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if output("apt-get", &["--version"]).is_none() {
        return Err("there is no apt-get: this is not a Debian-like system".into());
    }
    let root = output("id", &["--user"]).is_some_and(|user| user == "0");
    if !root && output("sudo", &["--non-interactive", "true"]).is_none() {
        return Err("apt-get is there, but needs root: we are not root, and sudo asks for a password".into());
    }
    let apt = |args: &[&str]| {
        let mut apt = Command::new(if root { "env" } else { "sudo" });
        apt.args(if root { &[][..] } else { &["--non-interactive", "env"] })
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
            .args(["--option", "DPkg::Lock::Timeout=120", "--option"])
            .arg(format!("Acquire::http::Timeout={APT_SECONDS_MAX}"))
            .args(args);
        apt
    };
    say("asking Debian's package servers what they have: apt-get update");
    if let Err(why) = run(&mut apt(&["update"])) {
        say(&format!("{why}; going on with what apt knows already"));
    }
    say(&format!("installing {}", packages.join(" ")));
    // --no-remove: another Rust that was installed on purpose is not ours to take away.
    run(apt(&["install", "--yes", "--no-remove", "--no-install-recommends"]).args(packages))
}
