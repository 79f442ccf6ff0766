//! What the operator wants: SIGINT and SIGTERM to stop, SIGHUP to read the configuration again.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// The signals of this process, once for all its guests.
pub struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    /// Readable after a signal.
    wake: UnixStream,
    /// The same, for the completion queue.
    fd: Rc<OwnedFd>,
}

impl Signals {
    /// Takes the signals over. A second one that asks to stop ends the process at once, with the exit code that shells
    /// expect: 128 and the number of the signal.
    pub fn install() -> std::io::Result<Self> {
        let (wake, sender) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (stop, reload) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and only raises it.
            flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
            flag::register(signal, stop.clone())?;
            pipe::register(signal, sender.try_clone()?)?;
        }
        flag::register(SIGHUP, reload.clone())?;
        pipe::register(SIGHUP, sender)?;
        let fd = Rc::new(OwnedFd::from(wake.try_clone()?));
        Ok(Self { stop, reload, wake, fd })
    }

    /// What becomes readable after a signal.
    pub fn fd(&self) -> &Rc<OwnedFd> {
        &self.fd
    }

    /// Takes note of the signals: whether one asked to stop, ever, and whether one asked to reload, since the last call.
    pub fn take(&mut self) -> (bool, bool) {
        let mut bytes = [0; 64];
        while self.wake.read(&mut bytes).is_ok_and(|count| count > 0) {}
        (self.stop.load(Ordering::Relaxed), self.reload.swap(false, Ordering::Relaxed))
    }
}
