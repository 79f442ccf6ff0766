//! The requests of a guest that want to be told of signals, and what they are told.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::reactor::{Owner, Reactor, Timer};
use super::requests::Pending;
use super::signals::Signals;
use crate::console::Console;
use crate::contract::{Error, Reply, Signal};
use crate::limits;
use crate::stop::StopReason;

/// What a guest is told of the operator's signals and of the log.
pub struct SignalRequests {
    /// The operator's signals, and with what the queue waits for them.
    signals: Option<(Rc<OwnedFd>, Signals)>,
    /// The requests that want to be told, in their order.
    requests: Vec<u64>,
    /// The operator has asked to reload before the guest has asked to be told.
    reload_waits: bool,
    /// The guest was told to stop.
    is_stopping: bool,
    /// When the guest is next told of lost lines of its log.
    log_lost: LogLost,
}

/// When a guest is told of lost lines of its log.
#[derive(Default)]
struct LogLost {
    /// A timer is set for that.
    is_due: bool,
    /// In nanoseconds of the monotonic clock.
    not_before: u64,
}

impl SignalRequests {
    /// Nobody wants to be told yet of these signals.
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

    /// The contract's `signals`.
    pub fn subscribe(&mut self, reactor: &mut Reactor, id: u64) -> Result<(), Error> {
        if self.requests.len() >= limits::SIGNAL_REQUESTS_MAX {
            return Err(Error::Exhausted);
        }
        self.requests.push(id);
        reactor.requests.wait(id, Pending::Signals);
        if std::mem::take(&mut self.reload_waits) {
            self.tell(reactor, Signal::Reload);
        }
        Ok(())
    }

    /// A request is cancelled.
    pub fn end(&mut self, id: u64) {
        self.requests.retain(|request| *request != id);
    }

    /// Something has come of the operator's signals. An error ends the guest.
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

    /// Lines of the guest's log were lost, perhaps: then the guest is told soon, but not too
    /// often.
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
