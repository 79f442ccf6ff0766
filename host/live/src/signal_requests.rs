//! The `signals` requests of a guest, and the signals that it gets.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::pending::Pending;
use super::reactor::{Owner, Reactor, Timer};
use super::signals::Signals;
use crate::console::Console;
use crate::limits;
use pluto_contract::stop::StopReason;
use pluto_contract::{Error, Reply, Signal};

/// The signals of the operator and of the log, as a guest is told of them.
pub struct SignalRequests {
    /// The operator's signals, and the descriptor on which the queue waits for them.
    signals: Option<(Rc<OwnedFd>, Signals)>,
    /// The ids of the `signals` requests, in their order.
    requests: Vec<u64>,
    /// Whether the operator asked to reload before the guest sent a `signals` request.
    reload_waits: bool,
    /// Whether the guest was told to stop.
    is_stopping: bool,
    /// Decides when the guest is next told of lost lines of its log.
    log_lost: LogLost,
}

/// The time at which a guest is told of lost lines of its log.
#[derive(Default)]
struct LogLost {
    /// Whether a timer is set.
    is_due: bool,
    /// The earliest time, in nanoseconds of the monotonic clock.
    not_before: u64,
}

impl SignalRequests {
    /// Begins to wait for these signals, without requests.
    pub fn new(reactor: &mut Reactor, signals: Option<Signals>) -> io::Result<Self> {
        let signals = match signals {
            Some(signals) => Some((Rc::new(signals.fd()?), signals)),
            None => None,
        };
        if let Some((fd, _)) = &signals {
            reactor.wait_to_read(fd, Owner::Signals);
        }
        let log_lost = LogLost::default();
        Ok(Self { signals, requests: Vec::new(), reload_waits: false, is_stopping: false, log_lost })
    }

    /// Implements the contract's `signals`.
    pub fn subscribe(&mut self, reactor: &mut Reactor, id: u64) -> Result<(), Error> {
        limits::room(self.requests.len(), limits::SIGNAL_REQUESTS_MAX)?;
        self.requests.push(id);
        reactor.requests.wait(id, Pending::Signals);
        if std::mem::take(&mut self.reload_waits) {
            self.tell(reactor, Signal::Reload);
        }
        Ok(())
    }

    /// Cancels a request.
    pub fn end(&mut self, id: u64) {
        self.requests.retain(|request| *request != id);
    }

    /// Handles the operator's signals. An error ends the guest.
    pub fn signalled(&mut self, reactor: &mut Reactor) -> Result<(), StopReason> {
        let Some((fd, signals)) = &mut self.signals else { return Ok(()) };
        let (stop, reload) = signals.take();
        reactor.wait_to_read(fd, Owner::Signals);
        if reload && self.requests.is_empty() {
            self.reload_waits = true;
        } else if reload {
            self.tell(reactor, Signal::Reload);
        }
        if stop && !self.is_stopping {
            if self.requests.is_empty() {
                return Err(StopReason::Asked);
            }
            self.is_stopping = true;
            self.tell(reactor, Signal::Stop);
            reactor.after_millis(limits::STOP_SECONDS_MAX * 1_000, Timer::Stop);
        }
        Ok(())
    }

    /// Checks whether lines of the guest's log were lost. If so, the guest is told soon, but not
    /// too often.
    pub fn look_for_lost_lines(&mut self, reactor: &mut Reactor, console: &Console) {
        if console.has_lost() && !self.log_lost.is_due && !self.requests.is_empty() {
            self.log_lost.is_due = true;
            reactor.timers.add(self.log_lost.not_before.max(reactor.clock.monotonic()), Timer::LogLost);
        }
    }

    /// Tells the guest how many lines of its log were lost.
    pub fn tell_of_lost_lines(&mut self, reactor: &mut Reactor, console: &mut Console) {
        let not_before = reactor.clock.monotonic() + limits::LOG_LOST_TOLD_MILLIS * 1_000_000;
        self.log_lost = LogLost { is_due: false, not_before };
        // The guest may have cancelled its request meanwhile.
        if !self.requests.is_empty() {
            self.tell(reactor, Signal::LogLost(console.take_lost()));
        }
    }

    fn tell(&self, reactor: &mut Reactor, signal: Signal) {
        for id in &self.requests {
            reactor.requests.answers.push(*id, Reply::Signal(signal));
        }
    }
}
