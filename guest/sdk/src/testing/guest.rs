//! One guest as a value: it is in the thread's executor only while a turn runs.

use crate::contract::{Answer, Level, Outcome, Submission};
use crate::executor::{self, Runtime};
use std::fmt::{self, Display};

/// A guest between two turns. Any number of them can be in one thread. Dropping it ends it.
pub struct Guest {
    /// What the executor keeps for it.
    runtime: Runtime,
    /// The exit, once it has come: nothing changes after it.
    exited: Option<Outcome>,
}

/// What a guest did in one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// What it sent, in order.
    pub requests: Vec<Submission>,
    /// What it logged, in order.
    pub logs: Vec<(Level, String)>,
    /// How `run` ended, when it did with this turn.
    pub outcome: Option<Outcome>,
}

impl Guest {
    /// Starts a guest at a time (nanoseconds since the Unix epoch), with the arguments that the
    /// host would give it; also gives its first turn, before any answer.
    pub fn start<M, F, E>(main: M, args: &[&str], time: u64) -> (Guest, Turn)
    where
        M: FnOnce(Vec<String>) -> F + 'static,
        F: Future<Output = Result<(), E>> + 'static,
        E: Display,
    {
        let mut guest = Guest { runtime: Runtime::new(), exited: None };
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Entered::new(&mut guest.runtime).run(|| executor::start(main, args));
        let turn = guest.turn(time, Vec::new());
        (guest, turn)
    }

    /// Gives the guest a batch of answers, and runs it until it waits. After a pause this is what
    /// resumes it; after its exit it does nothing more.
    pub fn turn(&mut self, time: u64, answers: Vec<Answer>) -> Turn {
        if let Some(exited) = self.exited {
            return Turn { outcome: Some(exited), ..Turn::default() };
        }
        let turn = Entered::new(&mut self.runtime).run(|| {
            let mut requests = Vec::new();
            let outcome = executor::turn(time, answers, &mut requests);
            Turn { requests, logs: executor::take_logs(), outcome }
        });
        self.exited = turn.outcome.filter(|outcome| *outcome != Outcome::Paused);
        turn
    }
}

/// Runs a guest on batches of answers, each with its time, and gives all its turns: one more than
/// there are batches, or fewer when it has ended before.
pub fn run_on_answers<M, F, E>(main: M, args: &[&str], start: u64, batches: Vec<(u64, Vec<Answer>)>) -> Vec<Turn>
where
    M: FnOnce(Vec<String>) -> F + 'static,
    F: Future<Output = Result<(), E>> + 'static,
    E: Display,
{
    let (mut guest, first) = Guest::start(main, args, start);
    let mut turns = vec![first];
    for (time, answers) in batches {
        if guest.exited.is_some() {
            break;
        }
        turns.push(guest.turn(time, answers));
    }
    turns
}

impl Drop for Guest {
    fn drop(&mut self) {
        Entered::new(&mut self.runtime).run(executor::drop_guest);
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("exited", &self.exited).finish_non_exhaustive()
    }
}

/// A guest in the thread's executor; taken out again even when it panics, as a test's may.
struct Entered<'a>(&'a mut Runtime);

impl<'a> Entered<'a> {
    fn new(runtime: &'a mut Runtime) -> Entered<'a> {
        executor::exchange(runtime);
        Entered(runtime)
    }

    fn run<T>(self, f: impl FnOnce() -> T) -> T {
        f()
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        executor::exchange(self.0);
    }
}
