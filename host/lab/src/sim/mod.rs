//! The world of a recording with another guest in it. Clients send what they sent, at the same
//! times; files are what they were; time is virtual. There are no sockets, no files and no clock,
//! so the same scene and the same guest give the same run.
//!
//! This world differs from the recorded one:
//!
//! - Files and folders are answered at once, so a guest is often some microseconds earlier.
//! - A path that the recorded guest never asked for is `not-found`, and content that it never read
//!   cannot be read (`io`): see [`Unknown`].
//! - A client takes what it is sent as it did then: where it was slow, it is slow again, whatever
//!   it is sent. What it sent before it was reset is not lost.
//! - The guest is the only shard of its server, because a trace does not say which shard recorded
//!   it.

mod clients;
mod files;
mod seen;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use pluto_sim::{CHOSEN_PORT, Port};

use self::clients::RecordedClients;
use self::files::RecordedFiles;
use crate::behaviour::{Ended, Store};
use crate::limits;
use crate::scene::Scene;
use pluto_contract::stop::StopReason;
use pluto_contract::world::{Batch, World};
use pluto_contract::{Level, Signal, Submission};

pub use self::seen::{Seen, Unknown};

const NANOS: u64 = 1_000_000_000;

/// The world of a scene.
pub struct Sim {
    scene: Rc<Scene>,
    world: pluto_sim::World<RecordedClients, RecordedFiles>,
    /// What the operator will want. It is told when all else that happens at that time is done.
    signals: VecDeque<(u64, Signal)>,
    /// When a guest that was told to stop has had its time.
    stop_at: Option<u64>,
    turns: u64,
    turns_max: u64,
    seen: Rc<RefCell<Seen>>,
}

impl Sim {
    /// The world of `scene`, and what will be seen of the guest in it. Bytes and paths are kept in
    /// `store`.
    pub fn new(scene: Rc<Scene>, store: Rc<RefCell<Store>>) -> (Self, Rc<RefCell<Seen>>) {
        let seen = Rc::new(RefCell::new(Seen::new(scene.start, store)));
        let clients = RecordedClients::new(scene.clone(), seen.clone());
        let files = RecordedFiles::new(scene.clone(), seen.clone());
        let mut world = pluto_sim::World::new(scene.start, clients, files);
        *world.ports() = ports(&scene);
        let mut signals: VecDeque<(u64, Signal)> = scene.signals.iter().copied().collect();
        if scene.stopped().is_none() && scene.ended.is_some() {
            signals.push_back((scene.end.saturating_add(limits::SCENE_GRACE_SECONDS * NANOS), Signal::Stop));
        }
        let sim = Self {
            world,
            signals,
            stop_at: None,
            turns: 0,
            turns_max: limits::SCENE_TURNS_MIN.saturating_add(scene.turns.saturating_mul(limits::SCENE_TURNS_FACTOR)),
            seen: seen.clone(),
            scene,
        };
        (sim, seen)
    }

    /// What happens now.
    fn happen(&mut self) -> Result<(), StopReason> {
        self.world.settle();
        if self.stop_at.is_some_and(|time| time <= self.world.now()) {
            return Err(StopReason::StopTooSlow);
        }
        let now = self.world.now();
        if !self.world.has_answers()
            && let Some((_, signal)) = self.signals.pop_front_if(|(time, _)| *time <= now)
        {
            self.signal(signal)?;
        }
        Ok(())
    }

    fn signal(&mut self, signal: Signal) -> Result<(), StopReason> {
        if signal == Signal::Stop && self.stop_at.is_some() {
            return Ok(());
        }
        let told = self.world.signal(signal);
        if signal == Signal::Stop {
            if !told {
                return Err(StopReason::Asked);
            }
            self.stop_at = Some(self.world.now().saturating_add(pluto_contract::limits::STOP_SECONDS_MAX * NANOS));
        }
        Ok(())
    }

    /// When something happens next.
    fn next(&self) -> Option<u64> {
        let signal = self.signals.front().map(|(time, _)| *time);
        self.world.next_event().into_iter().chain(signal).chain(self.stop_at).min()
    }

    /// Whether the run must end here: there is a named limit for everything that a guest could do
    /// without end.
    fn is_over(&mut self, next: Option<u64>) -> bool {
        let broken_off = self.scene.ended.is_none() && next.is_none_or(|next| next > self.scene.end);
        let over = if broken_off && !self.world.has_answers() {
            Some(Ended::BrokenOff)
        } else if self.turns >= self.turns_max {
            Some(Ended::Bounded("it receives far more often than the recorded guest did"))
        } else if self.seen.borrow().observer.bytes() > limits::SCENE_OUTPUT_BYTES_MAX {
            Some(Ended::Bounded("it sends more than is kept for a comparison"))
        } else {
            None
        };
        let is_over = over.is_some();
        self.seen.borrow_mut().over = over;
        is_over
    }

    fn next_batch(&mut self) -> Result<Batch, StopReason> {
        self.happen()?;
        while !self.world.has_answers() {
            let next = self.next();
            let (false, Some(next)) = (self.is_over(next), next) else { return Err(StopReason::AnswersEnded) };
            self.world.pass_to(next);
            self.happen()?;
        }
        let now = self.world.now();
        if self.is_over(Some(now)) {
            return Err(StopReason::AnswersEnded);
        }
        self.turns += 1;
        let answers = self.world.take_answers();
        let mut seen = self.seen.borrow_mut();
        answers.iter().for_each(|answer| seen.observer.answer(answer));
        Ok(Batch { time: now, answers })
    }
}

/// The ports that the guest gets: those on which the recorded one listened are known to be
/// granted, and that of the first argument is.
fn ports(scene: &Scene) -> Vec<Port> {
    let mut ports: Vec<Port> = scene.ports.iter().map(|(asked, given)| Port { asked: *asked, given: *given }).collect();
    let argument = scene.arguments.first().and_then(|port| port.parse().ok());
    if let Some(asked) = argument.filter(|asked| ports.iter().all(|port| port.asked != *asked)) {
        ports.push(Port { asked, given: if asked == 0 { CHOSEN_PORT } else { asked } });
    }
    ports
}

impl World for Sim {
    fn start(&mut self) -> u64 {
        self.scene.start
    }

    fn submit(&mut self, submission: Submission) {
        self.seen.borrow_mut().observer.request(self.world.now(), &submission);
        self.world.submit(&submission);
    }

    fn wait(&mut self) -> Result<Batch, StopReason> {
        let batch = self.next_batch();
        self.seen.borrow_mut().time = self.world.now();
        batch
    }

    fn log(&mut self, level: Level, message: &str) {
        self.seen.borrow_mut().add_line(level, message);
    }
}
