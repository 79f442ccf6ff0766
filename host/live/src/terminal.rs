//! The terminal in which the server was started, whose closing ends the server.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// The controlling terminal of this process.
///
/// SIGHUP has two senders: an operator who wants a reload, and the system or a shell whose
/// terminal has closed. The state of the terminal tells them apart. A daemon has no terminal, so
/// that every SIGHUP is a reload.
pub struct Terminal(File);

impl Terminal {
    /// Returns the controlling terminal. None if there is none, or if the process was started to
    /// outlive it, as by `nohup`, which ignores SIGHUP.
    pub fn of_this_process() -> Option<Self> {
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
        let terminal = File::options().read(true).custom_flags(flags).open("/dev/tty").ok()?;
        (!ignores_hang_up(&fs::read_to_string("/proc/self/status").ok()?)).then_some(Self(terminal))
    }

    /// Returns whether the terminal has closed.
    pub fn has_closed(&self) -> bool {
        let mut polled = [PollFd::new(&self.0, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

/// Returns whether a process ignores SIGHUP, from its `status` in /proc (proc_pid_status(5)): the
/// lowest bit is that of signal 1.
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_bit_is_that_of_the_hang_up() {
        for (status, ignores) in [
            ("Name:\tpluto-host\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n", true),
            ("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n", false),
            ("", false),
        ] {
            assert_eq!(ignores_hang_up(status), ignores, "{status}");
        }
    }
}
