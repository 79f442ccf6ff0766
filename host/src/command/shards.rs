//! The shards of a server: a thread for each, with a guest and a live world of its own. Shards
//! share the compiled code, the clock of turns and standard output. A request passes nothing else
//! that they share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::exit_status::ExitStatus;
use super::ports::port_in_use;
use super::record::{SnapshotRequests, recorded};
use super::report::{report, report_error};
use super::startup_notice::StartupNotice;
use crate::cli::Run;
use pluto_contract::stop::StopReason;
use pluto_engine::admission::Admitted;
use pluto_engine::engine::Engine;
use pluto_engine::guest::{Guest, RunResult};
use pluto_live::console::{Console, Output};
use pluto_live::{Board, Grant, Listening, Live, Port, Root, Signals, Stopper};

/// The state that the shards have in common.
pub struct Shards<'a> {
    /// The operator's options.
    pub run: &'a Run,
    /// The guest's file.
    pub guest: &'a [u8],
    /// The engine with the guest's compiled code.
    pub engine: &'a Engine,
    /// The guest, which each shard instantiates.
    pub admitted: &'a Admitted,
    /// The most connections, files and buffers that each shard may hold at once.
    pub handles_max: usize,
    /// The output of all logs.
    pub output: Arc<Output>,
    /// Tells the operator that the shards serve.
    pub notice: Arc<StartupNotice>,
    /// Tells the shards to stop.
    pub stopper: Stopper,
    /// The number of shards.
    pub shards: usize,
    /// Whether other shards than the first have begun.
    pub have_begun: Arc<AtomicBool>,
}

/// The state that one shard has for itself.
pub struct ShardContext {
    /// The number of the shard, counted from 1.
    pub number: usize,
    /// The ports on which the shard may listen.
    pub ports: Vec<Port>,
    /// The folder that the guest may read.
    pub root: Option<Root>,
    /// The operator's signals to the shard.
    pub signals: Signals,
    /// The board that the shard shares with the others.
    pub board: Board,
    /// The requests to write the flight recorder.
    pub snapshot_requests: Option<SnapshotRequests>,
}

/// Called when a shard has begun to listen.
type OnListening = Box<dyn FnMut(Listening)>;

impl Shards<'_> {
    /// Runs the shards until all have ended. Returns the status of the first that did not end
    /// well.
    ///
    /// The first shard runs alone until it listens and waits, so that a guest that only prints its
    /// help or cannot start does so once. This also makes sure that the port belongs to this
    /// process: see `Port`. A guest whose `listen` is not shared stays alone.
    pub fn run(&self, contexts: Vec<ShardContext>) -> Result<ExitStatus> {
        let mut contexts = contexts.into_iter();
        let Some(first) = contexts.next() else { return Ok(ExitStatus::Well) };
        let exit = Mutex::new(ExitStatus::Well);
        thread::scope(|scope| {
            // When the first shard drops its senders, the others end without having begun.
            let others: Result<Vec<Sender<()>>> = contexts
                .map(|context| {
                    let (begin, wait) = channel();
                    let exit = &exit;
                    thread::Builder::new()
                        .name(format!("shard {}", context.number))
                        .stack_size(pluto_trace::limits::STACK_OF_PROCESS_BYTES as usize)
                        .spawn_scoped(scope, move || self.run_further(context, &wait, exit))
                        .context("cannot start a thread for each shard: --shards 1 needs none")?;
                    Ok(begin)
                })
                .collect();
            let (others, notice, have_begun) = (others?, self.notice.clone(), self.have_begun.clone());
            let mut others = Some(others);
            let on_listening = move |listening: Listening| {
                let is_first_port = notice.listening(1, listening);
                // A guest whose clients may not be distributed stays the only instance: without
                // their senders the other shards end.
                let Some(others) = others.take_if(|_| is_first_port).filter(|_| listening.shared) else { return };
                have_begun.store(true, Ordering::Relaxed);
                for begin in &others {
                    // A shard that has ended already ignores this.
                    let _ = begin.send(());
                }
            };
            self.run_one(first, Box::new(on_listening), &exit)
        })?;
        Ok(exit.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a further shard, once the first one listens.
    fn run_further(&self, context: ShardContext, wait: &Receiver<()>, exit: &Mutex<ExitStatus>) {
        if wait.recv().is_err() {
            return;
        }
        let (number, notice) = (context.number, self.notice.clone());
        let on_listening = move |listening| {
            notice.listening(number, listening);
        };
        if let Err(error) = self.run_one(context, Box::new(on_listening), exit) {
            let is_first = self.stopper.stop();
            self.conclude(number, ExitStatus::CannotStart, &format!("{error:#}"), is_first, exit);
        }
    }

    /// Runs one shard to its end, which ends all shards.
    fn run_one(&self, context: ShardContext, on_listening: OnListening, exit: &Mutex<ExitStatus>) -> Result<()> {
        // Also when this thread panics.
        let _ends_all = StopsAll(&self.stopper);
        let ShardContext { number, ports, root, signals, board, snapshot_requests } = context;
        let console = Console::new(self.run.log, self.run.log_level).on(&self.output);
        let console = if self.shards == 1 { console } else { console.of_shard(number) };
        let handles_max = self.handles_max;
        let grant = Grant { ports, handles_max, root, signals: Some(signals), board, console, on_listening };
        let live = Live::new(self.run.driver, grant).context(
            "cannot create the I/O queue: if io_uring is forbidden here, use --driver auto or --driver poll",
        )?;
        let number_in_name = (self.shards > 1).then_some(number);
        let world = recorded(live, self.run, number_in_name, self.guest, snapshot_requests)?;
        let mut guest = Guest::new(self.engine, self.admitted.clone(), world, self.run.memory_max);
        let ended = guest.run(&self.run.guest_arguments());
        // Stop the others before anything slow, such as the end of a recording.
        let is_first = self.stopper.stop();
        // The log comes before the last word.
        drop(guest);
        let (how, message) = conclude(&ended);
        self.conclude(number, how, &message, is_first, exit);
        Ok(())
    }

    /// Reports how a shard has ended, if not well. If it is the first, also reports that the
    /// others are told to stop.
    fn conclude(&self, number: usize, how: ExitStatus, message: &str, is_first: bool, exit: &Mutex<ExitStatus>) {
        let is_one_of_several = self.shards > 1 && self.have_begun.load(Ordering::Relaxed);
        if how != ExitStatus::Well {
            let shard = if is_one_of_several { format!("shard {number}: ") } else { String::new() };
            report_error(&format!("{shard}{message}"));
            let mut exit = exit.lock().unwrap_or_else(PoisonError::into_inner);
            if *exit == ExitStatus::Well {
                *exit = how;
            }
        }
        if is_first && how != ExitStatus::Well && is_one_of_several {
            report("the other shards are told to stop");
        }
    }
}

/// Tells all shards to stop when it is dropped.
struct StopsAll<'a>(&'a Stopper);

impl Drop for StopsAll<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Returns the status for the end of a guest, and the reason if it did not end well.
fn conclude(ended: &RunResult) -> (ExitStatus, String) {
    match ended {
        RunResult::Exit(0) => (ExitStatus::Well, String::new()),
        RunResult::Exit(code) => (
            ExitStatus::GuestFailed,
            format!("the guest ended with an error (its exit code is {code}): its last error says why"),
        ),
        RunResult::Stopped(stop) if stop.is_orderly() => (ExitStatus::Well, String::new()),
        RunResult::Stopped(StopReason::PortTaken(port)) => (ExitStatus::CannotStart, port_in_use(*port)),
        RunResult::Stopped(stop) => (ExitStatus::GuestEnded, format!("the guest was ended: {stop}")),
        RunResult::Trapped(message) => (ExitStatus::GuestEnded, format!("the guest trapped: {}", message.trim_end())),
    }
}
