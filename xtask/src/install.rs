//! Programs that a task needs: whether they are installed, and whether they may be installed.
//!
//! Nothing is installed with administrator rights unless the user allows it. `--install` and
//! `CI=true` allow it. So does being root on a machine with `apt-get`, because that is how a fresh
//! Debian machine is set up.

use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::workspace::{Result, is_ci, output, path, run, say};

/// How long apt waits for one server.
const APT_SECONDS_MAX: u64 = 30;

/// A program, and the package of Debian that contains it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// The choice of the command line about installing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `--install`: install what is missing.
    Install,
    /// `--no-install`: only say what is missing.
    NoInstall,
    /// Neither option was given.
    Nothing,
}

/// The circumstances that decide whether a package is installed.
#[derive(Clone, Copy, Debug)]
struct Circumstances {
    asked: Asked,
    /// Whether `CI=true` is set.
    ci: bool,
    /// Whether `apt-get` exists.
    apt: bool,
    /// Whether this process runs as root.
    root: bool,
    /// Whether sudo can give root's rights: without a password, or by asking somebody at a
    /// terminal.
    sudo: bool,
}

/// The decision whether packages are installed.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// They are installed, for this reason.
    Install { by_sudo: bool, because: &'static str },
    /// They are not installed, for this reason; the user is told how to install them.
    Tell { because: &'static str },
}

fn decide(circumstances: Circumstances) -> Decision {
    let Circumstances { asked, ci, apt, root, sudo } = circumstances;
    let because = match asked {
        Asked::NoInstall => return Decision::Tell { because: "--no-install was given" },
        _ if !apt => return Decision::Tell { because: "there is no apt-get, which would get it" },
        Asked::Install => "--install was given",
        Asked::Nothing if ci => "CI=true",
        Asked::Nothing if root => "this is root on a machine with apt-get; --no-install only says what is missing",
        Asked::Nothing => return Decision::Tell { because: "nothing is installed unasked" },
    };
    match (root, sudo) {
        (true, _) => Decision::Install { by_sudo: false, because },
        (false, true) => Decision::Install { by_sudo: true, because },
        (false, false) => Decision::Tell { because: "this is not root, and sudo is missing or asks for a password" },
    }
}

impl Circumstances {
    fn of_this_machine(asked: Asked) -> Self {
        // sudo can ask for a password at a terminal.
        let ask: &[&str] = if std::io::stdin().is_terminal() { &["--version"] } else { &["--non-interactive", "true"] };
        Self {
            asked,
            ci: is_ci(),
            apt: output("apt-get", &["--version"]).is_some(),
            root: output("id", &["-u"]).is_some_and(|user| user == "0"),
            sudo: output("sudo", ask).is_some(),
        }
    }
}

/// Makes sure that the programs are installed, and installs missing ones when that is allowed. The
/// error names the missing programs and says how to get them. `task` is the task that needs them.
pub(crate) fn ensure(task: &str, needs: &[Need], asked: Asked) -> Result<()> {
    let missing = || needs.iter().filter(|need| !is_here(need.program)).copied().collect::<Vec<_>>();
    let absent = missing();
    if absent.is_empty() {
        return Ok(());
    }
    let programs: Vec<&str> = absent.iter().map(|need| need.program).collect();
    let mut packages: Vec<&str> = absent.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    install(task, &programs.join(", "), &packages, asked)?;
    match missing().first() {
        None => Ok(()),
        Some(Need { program, package }) => {
            Err(format!("the package {package} is installed, and still there is no program {program}: look at PATH"))
        }
    }
}

/// Installs packages when that is allowed. The error says why it is not allowed, and how to get
/// the packages. `what` names the missing programs.
pub(crate) fn install(task: &str, what: &str, packages: &[&str], asked: Asked) -> Result<()> {
    let circumstances = Circumstances::of_this_machine(asked);
    match decide(circumstances) {
        Decision::Install { by_sudo, because } => {
            say(&format!("installing {} ({what}), because {because}", packages.join(" ")));
            apt_install(packages, by_sudo)
        }
        Decision::Tell { because } => Err(advice(task, what, packages, circumstances, because)),
    }
}

/// Says what a person can do about packages that were not installed.
fn advice(task: &str, what: &str, packages: &[&str], circumstances: Circumstances, because: &str) -> String {
    let Circumstances { asked, apt, root, sudo, .. } = circumstances;
    let names = packages.join(" ");
    let advice = format!("`cargo xtask {task}` needs {what}, which is missing here: {because}.");
    if !apt {
        return format!("{advice}\nInstall it as this system does, then try again. Debian has it as: {names}");
    }
    let how = match (root, sudo) {
        (true, _) => "",
        (false, true) => "sudo ",
        (false, false) => "as root: ",
    };
    let command = format!("{how}apt-get install --no-install-recommends {names}");
    if asked != Asked::Install && (root || sudo) {
        format!("{advice}\nDo one of these, then try again:\n  - {command}\n  - cargo xtask {task} --install")
    } else {
        format!("{advice}\nDo this, then try again:\n  - {command}")
    }
}

/// Returns whether a program can be started by its name.
pub(crate) fn is_here(program: &str) -> bool {
    std::env::split_paths(&path()).any(|folder| {
        let file = folder.join(program).metadata();
        file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

/// Returns whether all of these packages of Debian are installed.
pub(crate) fn are_installed(packages: &[&str]) -> bool {
    let query = [["--show", "--showformat", "${db:Status-Status}\n"].as_slice(), packages].concat();
    output("dpkg-query", &query).is_some_and(|states| states.lines().all(|state| state == "installed"))
}

fn apt_install(packages: &[&str], by_sudo: bool) -> Result<()> {
    let apt = |args: &[&str]| {
        let mut apt = Command::new(if by_sudo { "sudo" } else { "env" });
        if by_sudo {
            // Without a terminal, sudo must fail at once instead of waiting for a password.
            apt.args(if std::io::stdin().is_terminal() { &["env"][..] } else { &["--non-interactive", "env"] });
        }
        apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
            .args(["--option", "DPkg::Lock::Timeout=120", "--option"])
            .arg(format!("Acquire::http::Timeout={APT_SECONDS_MAX}"))
            .args(args);
        apt
    };
    say("asking Debian's package servers what they have: apt-get update");
    if let Err(why) = run(&mut apt(&["update"])) {
        say(&format!("{why}; going on with what apt knows already"));
    }
    // --no-remove: apt must not remove another Rust that the user installed on purpose.
    let mut install = apt(&["install", "--yes", "--no-remove", "--no-install-recommends"]);
    run(install.args(packages)).map_err(|why| format!("cannot install {}: {why}", packages.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::{Asked, Circumstances, Decision, advice, decide, is_here};

    /// An ordinary user of a Debian machine on which sudo needs a password.
    const USER: Circumstances = Circumstances { asked: Asked::Nothing, ci: false, apt: true, root: false, sudo: false };

    fn installs(circumstances: Circumstances) -> bool {
        matches!(decide(circumstances), Decision::Install { .. })
    }

    #[test]
    fn an_ordinary_user_is_only_told() {
        assert!(!installs(USER));
        assert!(!installs(Circumstances { sudo: true, ..USER }), "also where sudo would do it");
    }

    #[test]
    fn who_asks_gets_it_by_root_or_by_sudo() {
        for circumstances in [Circumstances { asked: Asked::Install, ..USER }, Circumstances { ci: true, ..USER }] {
            assert!(!installs(circumstances), "nobody is root: {circumstances:?}");
            let by_sudo = decide(Circumstances { sudo: true, ..circumstances });
            assert!(matches!(by_sudo, Decision::Install { by_sudo: true, .. }), "{by_sudo:?}");
            let by_root = decide(Circumstances { root: true, sudo: true, ..circumstances });
            assert!(matches!(by_root, Decision::Install { by_sudo: false, .. }), "{by_root:?}");
        }
    }

    #[test]
    fn root_on_debian_has_asked_unless_it_says_no() {
        let root = Circumstances { root: true, ..USER };
        assert!(installs(root));
        for refused in [root, Circumstances { ci: true, ..root }, Circumstances { sudo: true, ..USER }] {
            assert!(!installs(Circumstances { asked: Asked::NoInstall, ..refused }), "{refused:?}");
        }
    }

    #[test]
    fn without_apt_nobody_installs() {
        for (asked, ci) in [(Asked::Install, false), (Asked::Nothing, true), (Asked::Nothing, false)] {
            for (root, sudo) in [(true, false), (false, true), (false, false)] {
                let circumstances = Circumstances { asked, ci, apt: false, root, sudo };
                assert!(!installs(circumstances), "{circumstances:?}");
            }
        }
    }

    #[test]
    fn the_advice_is_a_command_that_can_be_copied() {
        let check = |circumstances: Circumstances, expected: &str| {
            let told = advice("count", "valgrind", &["valgrind", "wrk"], circumstances, "why");
            assert_eq!(told, format!("`cargo xtask count` needs valgrind, which is missing here: why.\n{expected}"));
        };
        let apt = "apt-get install --no-install-recommends valgrind wrk";
        let both =
            |how: &str| format!("Do one of these, then try again:\n  - {how}{apt}\n  - cargo xtask count --install");
        check(Circumstances { sudo: true, ..USER }, &both("sudo "));
        check(Circumstances { root: true, ..USER }, &both(""));
        check(USER, &format!("Do this, then try again:\n  - as root: {apt}"));
        // `--install` was given already.
        let asked = Circumstances { asked: Asked::Install, root: true, ..USER };
        check(asked, &format!("Do this, then try again:\n  - {apt}"));
        let elsewhere = "Install it as this system does, then try again. Debian has it as: valgrind wrk";
        check(Circumstances { apt: false, ..USER }, elsewhere);
    }

    #[test]
    fn programs_are_looked_for_in_the_path() {
        assert!(is_here("sh"));
        assert!(!is_here("a-program-of-this-name-is-nowhere"));
    }
}
