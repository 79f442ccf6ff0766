//! What the kernel knows: CPU time, memory, and what machine this is.

use std::fs;
use std::time::Duration;

use crate::Result;
use crate::workspace::output;

/// The core of the server; the load generator has all others.
pub(super) const SERVER_CORE: &str = "0";

/// The kernel counts CPU time for /proc in hundredths of a second (`USER_HZ`, the same on all of Linux).
const TICK: Duration = Duration::from_millis(10);

/// How many cores we may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// The cores of the load generator, as `taskset` takes them.
pub(super) fn load_cores() -> String {
    format!("1-{}", cores() - 1)
}

/// User and system time of a process and of its children that still run.
pub(super) fn cpu_time(pid: u32) -> Result<[Duration; 2]> {
    let mut sum = [Duration::ZERO; 2];
    for process in family(pid) {
        let fields = stat(process).ok_or_else(|| format!("process {process} has ended"))?;
        // By the numbering of proc_pid_stat(5).
        for (sum, field) in sum.iter_mut().zip([14, 15]) {
            let ticks: u32 = fields[field - 3].parse().map_err(|_| "cannot read /proc")?;
            *sum += TICK * ticks;
        }
    }
    Ok(sum)
}

/// A process and those that it has started.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    all
}

/// The fields of /proc/PID/stat from the third on: the second, the name, may have spaces in it.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// The machine, for whoever reads the figures.
pub(super) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: a processor without a name");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let kernel = output("uname", &["-sr"]).unwrap_or_default();
    let rust = output("rustc", &["--version"]).unwrap_or_default();
    let commit = output("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let date = output("date", &["--utc", "+%Y-%m-%d"]).unwrap_or_default();
    let versions = ["nginx", "lighttpd", "h2o"].map(|package| {
        let version = output("dpkg-query", &["--show", "--showformat", "${Version}", package]).unwrap_or_default();
        format!("{package} {version}")
    });
    let cores = cores();
    format!("{date}, commit {commit}, {rust}; {cores} cores of {model}, {kernel}; {}", versions.join(", "))
}
