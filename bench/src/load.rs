//! One run of the load generator against one server.

use std::path::Path;
use std::process::Command;

use crate::machine::{self, load_cores};
use crate::results::Sample;
use crate::servers::Running;
use crate::works::Work;
use crate::workspace::{Result, say};

/// So many clients take a second to connect, and are given one to do so.
const CONNECTIONS_A_SECOND: u64 = 2_000;

/// Loads a server for so many seconds. When nobody is answered at all, which a busy machine can
/// bring about, it is said and done once more.
pub(crate) fn run(server: &Running, work: &Work, script: Option<&Path>, seconds: u64) -> Result<Sample> {
    run_once(server, work, script, seconds).or_else(|why| {
        say(&format!("once more, since it failed: {why}"));
        run_once(server, work, script, seconds)
    })
}

fn run_once(server: &Running, work: &Work, script: Option<&Path>, seconds: u64) -> Result<Sample> {
    let seconds = seconds + u64::from(work.connections) / CONNECTIONS_A_SECOND;
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", &server.shards.to_string(), "--timeout", "10s"]);
    let connections = work.connections * server.shards;
    wrk.args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")]);
    for field in work.fields {
        wrk.args(["--header", field]);
    }
    if let Some(script) = script {
        wrk.arg("--script").arg(script);
    }
    wrk.arg(format!("http://127.0.0.1:{}{}", server.port, work.path));
    let before = machine::cpu_time(server.pid())?;
    let cores = if work.spread { machine::all_cores() } else { load_cores() };
    let output = machine::on_cores(&cores, &wrk).output().map_err(|error| format!("cannot run wrk: {error}"))?;
    let after = machine::cpu_time(server.pid())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let requests = requests_of(&text).ok_or_else(|| format!("{} at {}: wrk said: {text}", server.name, work.name))?;
    if let Some(line) = text.lines().find(|line| line.contains("Socket errors")) {
        return Err(format!("{} at {}: {}", server.name, work.name, line.trim()));
    }
    if (work.status < 400) == text.contains("Non-2xx") {
        return Err(format!("{} at {}: not every answer was {}", server.name, work.name, work.status));
    }
    Ok(Sample { requests, cpu: [after[0] - before[0], after[1] - before[1]] })
}

/// `  297340 requests in 3.00s, 350.07MB read`
fn requests_of(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok().filter(|requests| *requests > 0)
}
