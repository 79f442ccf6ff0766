//! The operator's signals: SIGINT, SIGTERM and SIGQUIT stop the server, SIGHUP asks it to read the
//! configuration again, or says that the terminal has closed in which the server was started.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::iterator::Signals as Arriving;
use signal_hook::{flag, low_level};

use crate::terminal::Terminal;

/// The signals that ask the server to stop.
const STOPS: [i32; 3] = [SIGINT, SIGTERM, SIGQUIT];

/// The signals that have no meaning here and would end the process by default. Faults of the
/// process itself are not among them, and neither is SIGABRT, which asks for a core dump.
const IGNORED: [i32; 9] = [SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGXCPU, SIGSTKFLT, SIGPWR];

/// Signals of Linux that `signal_hook` has no name for.
const SIGSTKFLT: i32 = 16;
const SIGPWR: i32 = 30;

/// The real-time signals, except those that the C library uses.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// The signals of this process, taken over before there is any shard.
pub struct Operator {
    /// One flag for all shards. A further signal to stop ends the process while this flag is set.
    stop: Arc<AtomicBool>,
    /// The shards that are told.
    shards: Arc<Mutex<Vec<ShardSignals>>>,
}

/// How a shard is told of signals.
struct ShardSignals {
    /// Raised by a signal that asks to reload, and lowered by the shard.
    reload: Arc<AtomicBool>,
    /// The other end of `Signals::wake`.
    wake: UnixStream,
}

/// One shard's view of the signals of this process.
pub struct Signals {
    /// The flag of [`Operator`].
    stop: Arc<AtomicBool>,
    /// Whether the operator has asked to reload since the last look.
    reload: Arc<AtomicBool>,
    /// Readable after a signal.
    wake: UnixStream,
}

/// Tells every shard to stop, as a signal does. Each shard holds one, for all others.
pub struct Stopper {
    /// The flag of [`Operator`].
    stop: Arc<AtomicBool>,
    /// The shards that are woken.
    shards: Arc<Mutex<Vec<ShardSignals>>>,
}

impl Operator {
    /// Takes the signals over. Called once in a process, before anything that takes time. `tell`
    /// tells the operator of a signal that has no meaning. Whether SIGUSR1 has one is the
    /// operator's choice.
    ///
    /// Until `shards` is called, a signal that asks to stop ends the process at once, with the
    /// exit code that shells expect: 128 and the number of the signal. After that only the second
    /// one does.
    pub fn take_over(has_usr1: bool, tell: fn(&str)) -> io::Result<Self> {
        let terminal = Terminal::of_this_process();
        let stop = Arc::new(AtomicBool::new(true));
        for signal in STOPS {
            // The order matters: the first signal finds the flag down and only raises it.
            flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
            flag::register(signal, stop.clone())?;
        }
        // The failed write tells the reason.
        flag::register(SIGXFSZ, Arc::default())?;
        let all = STOPS.into_iter().chain([SIGHUP]).chain(IGNORED).chain(REAL_TIME);
        let mut arriving = Arriving::new(all)?;
        let shards = Arc::<Mutex<Vec<ShardSignals>>>::default();
        let (theirs, stops) = (shards.clone(), stop.clone());
        let pass_on = move || {
            for signal in arriving.forever() {
                match signal {
                    SIGUSR1 if has_usr1 => {}
                    SIGHUP if terminal.as_ref().is_some_and(Terminal::has_closed) => hang_up(&theirs, &stops),
                    SIGHUP => wake(&theirs, true),
                    signal if STOPS.contains(&signal) => wake(&theirs, false),
                    signal => tell(&without_meaning(signal)),
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(pass_on)?;
        Ok(Self { stop, shards })
    }

    /// Returns the signals for each of `shards` shards, which are about to run. Earlier SIGHUPs
    /// are forgotten, because no configuration has been read yet.
    pub fn shards(self, shards: usize) -> io::Result<(Vec<Signals>, Stopper)> {
        let mut all = Vec::new();
        for _ in 0..shards {
            let (theirs, ours) = UnixStream::pair()?;
            theirs.set_nonblocking(true)?;
            ours.set_nonblocking(true)?;
            let reload = Arc::<AtomicBool>::default();
            lock(&self.shards).push(ShardSignals { reload: reload.clone(), wake: ours });
            all.push(Signals { stop: self.stop.clone(), reload, wake: theirs });
        }
        self.stop.store(false, Ordering::Relaxed);
        Ok((all, Stopper { stop: self.stop, shards: self.shards }))
    }
}

impl Signals {
    /// Returns a descriptor that becomes readable after a signal.
    pub fn fd(&self) -> io::Result<OwnedFd> {
        Ok(self.wake.try_clone()?.into())
    }

    /// Takes the signals. Returns whether any signal has asked to stop so far, and whether one has
    /// asked to reload since the last call.
    pub fn take(&mut self) -> (bool, bool) {
        let mut bytes = [0; 64];
        while self.wake.read(&mut bytes).is_ok_and(|count| count > 0) {}
        (self.stop.load(Ordering::Relaxed), self.reload.swap(false, Ordering::Relaxed))
    }
}

impl Stopper {
    /// Tells all shards to stop. Returns whether this was the first call.
    pub fn stop(&self) -> bool {
        let is_first = !self.stop.swap(true, Ordering::Relaxed);
        wake(&self.shards, false);
        is_first
    }
}

/// Stops the server, as SIGTERM does: there is no terminal any more for which it runs.
fn hang_up(shards: &Mutex<Vec<ShardSignals>>, stop: &AtomicBool) {
    if lock(shards).is_empty() {
        low_level::exit(128 + SIGHUP);
    }
    stop.store(true, Ordering::Relaxed);
    wake(shards, false);
}

fn wake(shards: &Mutex<Vec<ShardSignals>>, reload: bool) {
    for shard in lock(shards).iter_mut() {
        shard.reload.fetch_or(reload, Ordering::Relaxed);
        // A full stream wakes its shard anyway, and the shard of a closed stream has ended.
        let _ = shard.wake.write(&[0]);
    }
}

fn lock(shards: &Mutex<Vec<ShardSignals>>) -> MutexGuard<'_, Vec<ShardSignals>> {
    shards.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the message about an ignored signal.
fn without_meaning(signal: i32) -> String {
    let name = match signal {
        SIGSTKFLT => "SIGSTKFLT".to_owned(),
        SIGPWR => "SIGPWR".to_owned(),
        _ if REAL_TIME.contains(&signal) => format!("SIGRTMIN+{}", signal - REAL_TIME.start()),
        _ => low_level::signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned),
    };
    let meant = match signal {
        SIGUSR1 => "; SIGUSR1 opens the file of --log-file again, and writes what --flight-recorder holds",
        SIGXCPU => "; the limit of processor time (`ulimit -t`) is reached",
        _ => "",
    };
    format!("{name} is ignored: SIGHUP reloads, and SIGTERM, SIGINT or SIGQUIT stops{meant}")
}
