//! What a run of the command takes: the memory of its process and of its child processes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::host::{Ended, Host};

/// A run that has ended, with what it took.
#[derive(Debug)]
pub struct Measured {
    /// How it ended.
    pub ended: Ended,
    /// The most that its own process had in memory at once, in MiB.
    pub own_mib: u64,
    /// The same of all processes that it started, each at its most.
    pub others_mib: u64,
    /// How long it ran.
    pub time: Duration,
}

/// How often is looked. The system keeps each process' maximum itself.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Runs the command to its end.
pub fn measure(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Measured {
    let begin = Instant::now();
    let host = Host::spawn(arguments);
    let (pid, has_ended) = (host.pid(), AtomicBool::new(false));
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut own, mut others) = (0, HashMap::new());
            while !has_ended.load(Ordering::Relaxed) {
                own = own.max(peak_kib(pid));
                for child in children(pid) {
                    let peak: &mut u64 = others.entry(child).or_default();
                    *peak = (*peak).max(peak_kib(child));
                }
                thread::sleep(LOOK_EVERY);
            }
            (own >> 10, others.values().sum::<u64>() >> 10)
        });
        let ended = host.wait();
        has_ended.store(true, Ordering::Relaxed);
        let (own_mib, others_mib) = watch.join().expect("it watches");
        Measured { ended, own_mib, others_mib, time: begin.elapsed() }
    })
}

/// The most that a process has had in memory; 0 when there is none.
pub fn peak_kib(pid: u32) -> u64 {
    field(pid, "VmHWM:").unwrap_or(0)
}

/// A number of a process' status.
pub fn field(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The processes that a process has started and that have not ended.
pub fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
