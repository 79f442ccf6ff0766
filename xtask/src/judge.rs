//! `cargo xtask judge`: judges that need more than this repository look at the web server. It is no part of `test`.

use std::process::Command;

use crate::Result;
use crate::workspace::{self, root, run};

/// What judges the responses, from PyPI, in the versions that the rules were checked with.
const PACKAGES: [&str; 2] = ["httplint==2026.10.4", "redbot==2.7.1"];

/// httplint and REDbot, in a Python of their own beneath target/.
pub(crate) fn judge() -> Result<()> {
    workspace::build()?;
    let folder = root().join("target/judge/python");
    let python = folder.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))?;
    run(Command::new(&python).arg(root().join("tests/conformance/judge.py")))
}

/// Other web servers are asked the same.
pub(crate) fn grid() -> Result<()> {
    workspace::build()?;
    run(Command::new("python3").arg(root().join("tests/conformance/grid.py")))
}
