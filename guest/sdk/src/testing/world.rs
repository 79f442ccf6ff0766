//! A small system in memory: files, clients, timers and signals, answering one guest as the
//! contract says.
//!
//! Nothing happens by itself: a test changes the world, and then lets the guest run.

use super::shuffle::Shuffle;
use super::{Guest, Turn};
use crate::contract::{Answer, Level, Outcome, Signal, Submission};
use pluto_sim::{CHOSEN_PORT, NodeKind, Port, Scripted, Tree};
use std::fmt::{self, Display};
use std::time::Duration;

pub use pluto_sim::ClientId;

/// The limits of this world, which are the host's. A guest must not rely on them.
pub mod limits {
    pub use pluto_contract::limits::*;
    pub use pluto_sim::SYMLINKS_MAX;
}

/// When a world begins: nanoseconds since the Unix epoch. It is 2023-11-14, 22:13:20 UTC.
const START: u64 = 1_700_000_000_000_000_000;

/// A system with one guest in it.
pub struct World {
    system: pluto_sim::World<Scripted, Tree>,
    /// Whether the port of the first argument was granted: it stands before the further ones.
    has_first_port: bool,
    guest: Option<Guest>,
    logs: Vec<(Level, String)>,
    requests: Vec<Submission>,
    batches: Vec<(u64, Vec<Answer>)>,
    outcome: Option<Outcome>,
    shuffle: Option<Shuffle>,
}

impl World {
    /// A world with an empty root, no client and no guest.
    pub fn new() -> World {
        World {
            system: pluto_sim::World::new(START, Scripted::default(), Tree::new(START)),
            has_first_port: false,
            guest: None,
            logs: Vec::new(),
            requests: Vec::new(),
            batches: Vec::new(),
            outcome: None,
            shuffle: None,
        }
    }

    // ---- Files.

    /// Puts a file beneath the root, in place of what has this path, and the directories above it.
    /// A guest that has the old file open keeps it.
    pub fn file(&mut self, path: impl AsRef<[u8]>, bytes: impl Into<Vec<u8>>) {
        self.put(path.as_ref(), NodeKind::File(bytes.into()));
    }

    /// Puts an empty directory beneath the root, and those above it.
    pub fn directory(&mut self, path: impl AsRef<[u8]>) {
        self.put(path.as_ref(), NodeKind::Directory);
    }

    /// Puts a symbolic link beneath the root. The target is relative to the link's directory; one
    /// that begins with `/` leads out of the root.
    pub fn symlink(&mut self, path: impl AsRef<[u8]>, target: impl Into<Vec<u8>>) {
        self.put(path.as_ref(), NodeKind::Symlink(target.into()));
    }

    /// Puts something beneath the root that is neither a regular file nor a directory, as a pipe
    /// is.
    pub fn special(&mut self, path: impl AsRef<[u8]>) {
        self.put(path.as_ref(), NodeKind::Special);
    }

    fn put(&mut self, path: &[u8], kind: NodeKind) {
        self.system.change_files(|files, now| files.put(path, kind, now));
    }

    /// Changes a file's content in place, also for a guest that has it open.
    ///
    /// Panics when there is no file of this path.
    pub fn overwrite(&mut self, path: impl AsRef<[u8]>, bytes: impl Into<Vec<u8>>) {
        self.system.change_files(|files, now| files.overwrite(path.as_ref(), bytes.into(), now));
    }

    /// Removes a file, or a directory with all beneath it. A guest that has a file open keeps it.
    pub fn remove(&mut self, path: impl AsRef<[u8]>) {
        self.system.change_files(|files, _| files.remove(path.as_ref()));
    }

    /// Takes the guest's permission for a path away. Panics when there is nothing of this path.
    pub fn deny(&mut self, path: impl AsRef<[u8]>) {
        self.system.change_files(|files, _| files.deny(path.as_ref()));
    }

    /// Sets when a file's content was last changed: nanoseconds since the Unix epoch. Panics when
    /// there is nothing of this path.
    pub fn set_modified(&mut self, path: impl AsRef<[u8]>, modified: i64) {
        self.system.change_files(|files, _| files.set_modified(path.as_ref(), modified));
    }

    // ---- The guest.

    /// Starts the guest, with the arguments that the host would give it (the first is the granted
    /// port), up to its first wait.
    ///
    /// Panics when a guest was started here already.
    pub fn start<M, F, E>(&mut self, main: M, args: &[&str])
    where
        M: FnOnce(Vec<String>) -> F + 'static,
        F: Future<Output = Result<(), E>> + 'static,
        E: Display,
    {
        assert!(self.guest.is_none(), "a world has one guest");
        if let Some(port) = args.first().and_then(|port| port.parse().ok()) {
            self.grant_first(port);
        }
        let (guest, turn) = Guest::start(main, args, self.now());
        self.guest = Some(guest);
        self.take(turn);
    }

    /// Grants the guest a further port, as the host's `--grant-port` does.
    pub fn grant(&mut self, port: u16) {
        let port = self.granted(port);
        self.system.ports().push(port);
    }

    /// Gives the server another shard, which has left these bytes.
    pub fn shard(&mut self, post: impl Into<Vec<u8>>) {
        self.system.posts().push(post.into());
    }

    /// What the guest has left for its shards.
    pub fn posted(&mut self) -> &[u8] {
        &self.system.posts()[0]
    }

    /// Lets the guest run until all that waits for an answer waits for a client, the time, or the
    /// operator; or until it has ended or paused.
    pub fn run_until_idle(&mut self) {
        while self.run_once() {}
    }

    /// Gives the guest one batch: all that waits for it now. Returns whether there was something.
    /// What it causes, such as the answer to a write, waits for the next call; so a test can have
    /// new clients in the same batch.
    pub fn run_once(&mut self) -> bool {
        let (None, Some(guest)) = (self.outcome, &mut self.guest) else { return false };
        self.system.settle();
        let answers = self.system.take_answers();
        let answers = match &mut self.shuffle {
            Some(shuffle) => shuffle.deal(answers),
            None => answers,
        };
        if answers.is_empty() {
            return false;
        }
        self.batches.push((self.system.now(), answers.clone()));
        let turn = guest.turn(self.system.now(), answers);
        self.take(turn);
        true
    }

    /// Moves the time of the world on. The guest is told with its next batch.
    pub fn pass(&mut self, duration: Duration) {
        self.system.pass_to(self.after(duration));
    }

    /// Lets time pass, and the guest run whenever one of its waits is over.
    pub fn advance(&mut self, duration: Duration) {
        self.run_until_idle();
        let end = self.after(duration);
        while let Some(due) = self.next_due().filter(|&due| due <= end && self.outcome.is_none()) {
            self.system.pass_to(due);
            self.run_until_idle();
        }
        self.system.pass_to(end);
    }

    fn after(&self, duration: Duration) -> u64 {
        self.now() + u64::try_from(duration.as_nanos()).expect("a test lasts less than 584 years")
    }

    /// From now on the guest receives answers in another order than they were made in, some of
    /// them batches later: an order that a real system could have, and always the same for the
    /// same seed. The answers to one request stay in their order.
    pub fn shuffle_answers(&mut self, seed: u64) {
        self.shuffle = Some(Shuffle::new(seed));
    }

    /// Tells the guest what the operator wants, if it has asked to be told.
    pub fn signal(&mut self, signal: Signal) {
        self.system.signal(signal);
    }

    /// Calls a paused guest again. Does nothing for one that is not paused.
    pub fn resume(&mut self) {
        self.outcome = self.outcome.filter(|outcome| *outcome != Outcome::Paused);
    }

    /// How the guest has ended or paused.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// All that the guest has logged.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.logs
    }

    /// All that the guest has sent.
    pub fn requests(&self) -> &[Submission] {
        &self.requests
    }

    /// All that the guest has received: each batch, with its time. Given to
    /// [`run_on_answers`](super::run_on_answers), or to the guest's component, they make the same
    /// run again.
    pub fn batches(&self) -> &[(u64, Vec<Answer>)] {
        &self.batches
    }

    /// The requests that are waiting for their final answer.
    pub fn pending(&self) -> impl Iterator<Item = &Submission> {
        // An id is unique among the pending requests, so the last of an id is the one that is
        // meant.
        let last = |at: usize, id| !self.requests[at + 1..].iter().any(|later| later.id == id);
        let sent = self.requests.iter().enumerate();
        sent.filter(move |(at, sent)| self.system.is_pending(sent.id) && last(*at, sent.id)).map(|(_, sent)| sent)
    }

    /// How many files and buffers the guest holds.
    pub fn handles(&self) -> usize {
        self.system.files_and_buffers()
    }

    // ---- Without a guest, for a test of the world itself.

    /// Grants the port that a guest would be told by its first argument.
    pub fn grant_first(&mut self, port: u16) {
        let port = self.granted(port);
        let ports = self.system.ports();
        if self.has_first_port {
            ports[0] = port;
        } else {
            ports.insert(0, port);
        }
        self.has_first_port = true;
        self.system.clients_mut().set_first_port(port);
    }

    /// A port as it was granted. Each 0 is another port.
    fn granted(&mut self, asked: u16) -> Port {
        let number = u16::try_from(self.system.ports().len()).expect("a test grants few ports");
        Port { asked, given: if asked == 0 { CHOSEN_PORT + number } else { asked } }
    }

    /// Hands a request over, as a guest would.
    pub fn submit(&mut self, submission: &Submission) {
        self.system.submit(submission);
    }

    /// Takes the answers that there are now.
    pub fn answers(&mut self) -> Vec<Answer> {
        self.system.settle();
        self.system.take_answers()
    }

    /// When the next wait is over: nanoseconds since the Unix epoch.
    pub fn next_due(&self) -> Option<u64> {
        self.system.next_event()
    }

    /// The time of the world: nanoseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.system.now()
    }

    // ---- Clients.

    /// A new client connects. It waits in the backlog until the guest listens, and has room for
    /// it.
    pub fn connect(&mut self) -> ClientId {
        self.system.clients_mut().connect(None)
    }

    /// A new client connects to a port that was granted besides, by [`grant`](World::grant).
    pub fn connect_to(&mut self, port: u16) -> ClientId {
        let granted = self.system.ports().iter().position(|known| port == known.asked || port == known.given);
        let port = match granted {
            Some(0) if self.has_first_port => None,
            Some(place) => Some(self.system.ports()[place].given),
            None => Some(port),
        };
        self.system.clients_mut().connect(port)
    }

    /// The client sends bytes, which wait until the guest reads them. A client that has ended
    /// cannot send.
    pub fn client_sends(&mut self, client: ClientId, bytes: impl AsRef<[u8]>) {
        self.system.clients_mut().send(client, bytes.as_ref());
    }

    /// The client ends its direction, and still receives.
    pub fn client_ends(&mut self, client: ClientId) {
        self.system.clients_mut().end(client);
    }

    /// The client is gone, without a word. What it sent before can still be read.
    pub fn client_resets(&mut self, client: ClientId) {
        self.system.clients_mut().reset(client);
    }

    /// The client takes only so many bytes more, until this is called again. Without it a client
    /// takes everything.
    pub fn client_takes(&mut self, client: ClientId, bytes: u64) {
        self.system.clients_mut().take(client, bytes);
    }

    /// All that the client has received.
    pub fn received(&self, client: ClientId) -> &[u8] {
        self.system.clients().received(client)
    }

    /// Whether the client was accepted.
    pub fn is_accepted(&self, client: ClientId) -> bool {
        self.system.clients().is_accepted(client)
    }

    /// Whether the guest has ended its direction, or closed the connection: the client reads an
    /// end.
    pub fn is_ended(&self, client: ClientId) -> bool {
        self.system.clients().is_ended(client)
    }

    /// Whether the guest has closed the connection.
    pub fn is_closed(&self, client: ClientId) -> bool {
        self.system.clients().is_closed(client)
    }

    /// Takes what a turn of the guest gives.
    fn take(&mut self, turn: Turn) {
        self.logs.extend(turn.logs);
        self.outcome = turn.outcome;
        self.requests.extend(turn.requests.iter().cloned());
        for submission in turn.requests {
            self.system.submit(&submission);
        }
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now()).field("outcome", &self.outcome).finish_non_exhaustive()
    }
}
