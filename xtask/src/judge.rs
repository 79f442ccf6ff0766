//! `cargo xtask judge`: shows the web server's responses to judges that are not in this
//! repository. The task is not part of `cargo xtask test`.

use std::process::Command;

use crate::build::build;
use crate::install::{self, Asked, Need};
use crate::workspace::{Result, output, path, root, run, say};

/// The judges of the responses, from PyPI, in the versions with which the rules were checked.
const PACKAGES: [&str; 2] = ["httplint==2026.10.4", "redbot==2.7.1"];

const PYTHON: Need = Need { program: "python3", package: "python3" };

/// One of the clients that must understand the responses.
const CURL: Need = Need { program: "curl", package: "curl" };

/// The web servers to which `--grid` sends the same requests.
const SERVERS: [Need; 4] = [
    Need { program: "nginx", package: "nginx" },
    Need { program: "lighttpd", package: "lighttpd" },
    Need { program: "apache2", package: "apache2" },
    Need { program: "h2o", package: "h2o" },
];

/// Shows the web server's responses to httplint and REDbot, which run in a virtual environment of
/// Python beneath `target/`.
pub(crate) fn judge(asked: Asked) -> Result<()> {
    build(asked)?;
    install::ensure("judge", &[PYTHON, CURL], asked)?;
    let folder = root().join("target/judge/python");
    let python = folder.join("bin/python");
    if !python.exists() {
        // Debian has this part of Python in a separate package.
        if output("python3", &["-c", "import venv, ensurepip"]).is_none() {
            install::install("judge", "Python's module venv", &["python3-venv"], asked)?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    if let Err(why) = run(&mut pip) {
        // Without a network, an earlier installation is enough if it has these versions.
        let frozen = output(&python.to_string_lossy(), &["-m", "pip", "freeze"]).unwrap_or_default();
        if !PACKAGES.iter().all(|package| frozen.lines().any(|line| line == *package)) {
            return Err(format!("{why}; it gets {} from PyPI", PACKAGES.join(" and ")));
        }
        say("going on with the packages that an earlier run has installed");
    }
    run(Command::new(&python).arg(root().join("tests/conformance/judge.py")))
}

/// Sends the same requests to other web servers as to ours.
pub(crate) fn grid(asked: Asked) -> Result<()> {
    build(asked)?;
    install::ensure("judge --grid", &[&[PYTHON][..], &SERVERS].concat(), asked)?;
    run(Command::new("python3").arg(root().join("tests/conformance/grid.py")).env("PATH", path()))
}
