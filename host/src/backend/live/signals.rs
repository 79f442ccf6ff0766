//! What the operator wants: SIGINT and SIGTERM to stop, SIGHUP to read the configuration again.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};

/// The signals of this process, as one shard is told of them.
pub struct Signals {
    /// One for all shards: who asks twice ends the process.
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    /// Readable after a signal.
    wake: UnixStream,
}

/// Tells every shard to stop, as a signal does. Held by whoever may have to: each shard, for all others.
pub struct Stopper {
    stop: Arc<AtomicBool>,
    /// The other ends of `wake`.
    senders: Vec<UnixStream>,
}

impl Signals {
    /// Takes the signals over, once a process, for so many shards. A second one that asks to stop ends the process at
    /// once, with the exit code that shells expect: 128 and the number of the signal.
    pub fn install(shards: usize) -> std::io::Result<(Vec<Self>, Stopper)> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and only raises it.
            flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
            flag::register(signal, stop.clone())?;
        }
        let (mut all, mut senders) = (Vec::new(), Vec::new());
        for _ in 0..shards {
            let (wake, sender) = UnixStream::pair()?;
            wake.set_nonblocking(true)?;
            sender.set_nonblocking(true)?;
            let reload = Arc::new(AtomicBool::new(false));
            flag::register(SIGHUP, reload.clone())?;
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                pipe::register(signal, sender.try_clone()?)?;
            }
            all.push(Self { stop: stop.clone(), reload, wake });
            senders.push(sender);
        }
        Ok((all, Stopper { stop, senders }))
    }

    /// What becomes readable after a signal.
    pub fn fd(&self) -> std::io::Result<OwnedFd> {
        Ok(self.wake.try_clone()?.into())
    }

    /// Takes note of the signals: whether one asked to stop, ever, and whether one asked to reload, since the last call.
    pub fn take(&mut self) -> (bool, bool) {
        let mut bytes = [0; 64];
        while self.wake.read(&mut bytes).is_ok_and(|count| count > 0) {}
        (self.stop.load(Ordering::Relaxed), self.reload.swap(false, Ordering::Relaxed))
    }
}

impl Stopper {
    /// Tells them. Whether nobody had done so before.
    pub fn stop(&self) -> bool {
        let is_first = !self.stop.swap(true, Ordering::Relaxed);
        for mut sender in &self.senders {
            // One that is full wakes its shard anyway, and one that is closed has none any more.
            let _ = sender.write(&[0]);
        }
        is_first
    }
}
