//! What the kernel knows: CPU time, memory, and a description of the machine.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::workspace::{Result, output};

/// The core of the server; the load generator has all others.
pub(crate) const SERVER_CORE: &str = "0";

/// The kernel counts CPU time for /proc in hundredths of a second (`USER_HZ`, the same on all of
/// Linux).
const TICK: Duration = Duration::from_millis(10);

/// How many cores we may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// The cores of the load generator, as `taskset` takes them.
pub(crate) fn load_cores() -> String {
    format!("1-{}", cores() - 1)
}

/// All cores, as `taskset` takes them.
pub(crate) fn all_cores() -> String {
    format!("0-{}", cores() - 1)
}

/// How many files a process may have open, where we may say so: for 50,000 clients, and to spare.
const FILES_WANTED: u32 = 110_000;

/// How many files a process may have open here: as wanted, or what the hard limit allows.
pub(crate) fn files_max() -> u32 {
    static MAX: OnceLock<u32> = OnceLock::new();
    *MAX.get_or_init(|| {
        let wanted = format!("--nofile={FILES_WANTED}:{FILES_WANTED}");
        if output("prlimit", &[&wanted, "true"]).is_some() {
            return FILES_WANTED;
        }
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(1_024)
    })
}

/// A command on these cores, with as many open files as it may have.
pub(crate) fn on_cores(cores: &str, command: &Command) -> Command {
    let files = files_max();
    let mut all = Command::new("taskset");
    all.args(["--cpu-list", cores, "prlimit", &format!("--nofile={files}:{files}")]);
    all.arg(command.get_program()).args(command.get_args());
    all
}

/// Resident memory of a process and of those that it has started, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let of = |process: u32| {
        let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kib: Option<u64> = family(pid).into_iter().map(of).sum();
    kib.map(|kib| kib << 10).ok_or_else(|| format!("process {pid} has ended"))
}

/// User and system time of all our children that have ended.
pub(crate) fn children_time() -> Result<Duration> {
    let fields = stat(std::process::id()).ok_or("cannot read /proc")?;
    // By the numbering of proc_pid_stat(5).
    let ticks = [16, 17].map(|field| fields[field - 3].parse::<u32>().unwrap_or_default());
    Ok(TICK * (ticks[0] + ticks[1]))
}

/// User and system time of a process and of its children that still run.
pub(crate) fn cpu_time(pid: u32) -> Result<[Duration; 2]> {
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
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: a processor without a name");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let kernel = output("uname", &["-sr"]).unwrap_or_default();
    let rust = output("rustc", &["--version"]).unwrap_or_default();
    let commit = output("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let date = output("date", &["--utc", "+%Y-%m-%d"]).unwrap_or_default();
    let version = |package| {
        let version = output("dpkg-query", &["--show", "--showformat", "${Version}", package])?;
        (!version.is_empty()).then(|| format!("{package} {version}"))
    };
    let versions: Vec<String> = ["nginx", "lighttpd", "h2o"].into_iter().filter_map(version).collect();
    let cores = cores();
    format!("{date}, commit {commit}, {rust}; {cores} cores of {model}, {kernel}; {}", versions.join(", "))
}
