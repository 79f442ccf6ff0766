//! The live world: sockets, files and timers of the operating system. Nothing else touches them
//! for a guest.

mod board;
mod clock;
mod connection;
mod connections;
pub mod console;
mod digests;
mod disk;
mod disk_waits;
mod driver;
mod errors;
mod files;
mod handles;
mod heap;
mod held;
pub mod limits;
mod listeners;
mod medium;
mod metadata;
mod objects;
mod pending;
mod port;
mod reactor;
mod reading;
mod root;
mod signal_requests;
mod signals;
mod terminal;
mod transfer;
mod watches;

use std::time::Duration;

use self::connections::Connections;
use self::digests::Digests;
use self::disk::Outcome;
use self::disk_waits::{Path, Waiting};
use self::driver::{Driver, Event};
use self::errors::from_errno;
use self::files::Files;
use self::handles::Object;
use self::heap::Heap;
use self::listeners::{Listeners, OnListening};
use self::pending::Pending;
use self::reactor::{Owner, Reactor, Timer};
use self::signal_requests::SignalRequests;
use self::transfer::Fetched;
use self::watches::Watches;
use crate::console::Console;
use pluto_contract::stop::StopReason;
use pluto_contract::world::{Batch, World};
use pluto_contract::{Error, Level, Reply, Request, Submission};

pub use self::board::Board;
pub use self::driver::Choice as DriverChoice;
pub use self::listeners::Listening;
pub use self::port::Port;
pub use self::root::{GrantedFolder, Root};
pub use self::signals::{Operator, Signals, Stopper};

/// The grants of a guest, and the functions to report to.
pub struct Grant {
    /// The ports on which the guest may listen.
    pub ports: Vec<Port>,
    /// The most connections, files and buffers that the guest may hold at once.
    pub handles_max: usize,
    /// The folder beneath which the guest may read. Without a folder it can read nothing.
    pub root: Option<Root>,
    /// The signals that the guest may ask for.
    pub signals: Option<Signals>,
    /// The board that the guest shares with the other shards.
    pub board: Board,
    /// The console that writes the guest's log.
    pub console: Console,
    /// Called when the guest has begun to listen and waits for clients, with the address and the
    /// most clients that it takes there. Not called for a guest that ends before it waits.
    pub on_listening: OnListening,
}

/// The world of one guest, on one thread. Each part owns its state, and is given the reactor.
pub struct Live {
    /// The ports and the listeners. Dropped before the queue, which may hold their sockets for a
    /// while.
    listeners: Listeners,
    /// The memory that the host holds for connections.
    connections: Connections,
    /// The root, and the buffers that were loaded from files beneath it.
    files: Files,
    /// The watches beneath the root.
    watches: Watches,
    /// Digests that are under way.
    digests: Digests,
    /// The requests that want to be told of signals.
    signals: SignalRequests,
    /// The board that the guest shares with the other shards.
    board: Board,
    /// Decides when memory is given back to the system.
    heap: Heap,
    /// Turns since the network was last looked at.
    turns_without_poll: u32,
    /// The console that writes the guest's log.
    console: Console,
    /// The queue, time, requests and handles, which all parts use.
    reactor: Reactor,
}

impl Live {
    /// Creates a world with this grant.
    pub fn new(driver: DriverChoice, grant: Grant) -> std::io::Result<Self> {
        let mut reactor = Reactor::new(Driver::new(driver)?, grant.handles_max);
        Ok(Self {
            listeners: Listeners::new(grant.ports, grant.on_listening),
            connections: Connections::default(),
            files: Files::new(grant.root),
            watches: Watches::default(),
            digests: Digests::default(),
            signals: SignalRequests::new(&mut reactor, grant.signals)?,
            board: grant.board,
            heap: Heap::default(),
            turns_without_poll: 0,
            console: grant.console,
            reactor,
        })
    }

    fn take(&mut self, submission: Submission) {
        if submission.request.names_a_path() && self.files.follow_root(&mut self.reactor) {
            self.watches.lose_all(&mut self.reactor);
        }
        let (id, reactor) = (submission.id, &mut self.reactor);
        let result = match submission.request {
            Request::Listen(listen) => self.listeners.listen(reactor, &mut self.board, id, &listen).map(Some),
            Request::Read(read) => self.connections.read(reactor, id, &read),
            Request::Write(write) => self.connections.write(reactor, id, write),
            Request::Shutdown(handle) => Connections::shutdown(reactor, handle).map(Some),
            Request::Close(handle) => self.close(handle).map(Some),
            Request::Open(open) => self.files.open(reactor, id, &open),
            Request::ReadFile(range) => Files::read_file(reactor, id, &range),
            Request::Load(range) => self.files.load(reactor, id, &range),
            Request::Digest(handle) => self.digests.digest(reactor, id, handle),
            Request::List(listing) => self.files.list(reactor, id, &listing),
            Request::Watch(path) => self.watches.watch(reactor, &self.files, id, &path).map(|()| None),
            Request::Sleep(duration) => {
                self.sleep(id, duration);
                Ok(None)
            }
            Request::Signals => self.signals.subscribe(reactor, id).map(|()| None),
            Request::Cancel(target) => Ok(Some(self.cancel(target))),
            Request::Post(bytes) => self.board.post(bytes).map(Some),
            Request::Gather => self.board.gather(&reactor.requests.answers).map(Some),
        };
        if let Some(reply) = result.unwrap_or_else(|error| Some(Reply::Failed(error))) {
            self.reactor.requests.answers.push(id, reply);
        }
    }

    fn close(&mut self, handle: u64) -> Result<Reply, Error> {
        match self.reactor.handles.remove(handle)? {
            Object::Connection(connection) => Connections::closed(&mut self.reactor, connection),
            Object::Buffer(_) | Object::File(_) => {}
        }
        self.listeners.wait_for_all_clients(&mut self.reactor);
        Ok(Reply::Done)
    }

    fn sleep(&mut self, id: u64, nanoseconds: u64) {
        let due = self.reactor.clock.monotonic().saturating_add(nanoseconds);
        let key = self.reactor.timers.add(due, Timer::Sleep(id));
        self.reactor.requests.wait(id, Pending::Sleep(key));
    }

    fn cancel(&mut self, target: u64) -> Reply {
        let reactor = &mut self.reactor;
        let Some(pending) = reactor.requests.cancel(target) else { return Reply::Done };
        match pending {
            Pending::Listen(serial) => self.listeners.end(reactor, serial),
            Pending::Read(handle) => Connections::end_read(reactor, handle),
            Pending::Write(handle) => Connections::end_write(reactor, handle),
            Pending::Sleep(key) => reactor.timers.remove(key),
            Pending::Watch(watch) => self.watches.end(target, watch),
            Pending::Digest(serial) => self.digests.forget(serial),
            Pending::Disk(serial) => reactor.disk.forget(serial),
            Pending::Signals => self.signals.end(target),
        }
        reactor.requests.answers.push(target, Reply::Failed(Error::Cancelled));
        Reply::Done
    }

    /// Waits for the system, at most until the next timer is due, and turns events into answers.
    fn poll(&mut self) -> Result<(), StopReason> {
        self.reactor.disk.close_unused();
        self.console.flush();
        self.signals.look_for_lost_lines(&mut self.reactor, &self.console);
        if self.heap.is_worth_a_look(held_for_clients(&self.connections, &self.reactor)) {
            self.reactor.after_millis(limits::HEAP_REST_MILLIS, Timer::Heap);
        }
        let timeout = self.timeout();
        self.listeners.tell_begun();
        self.reactor.driver.wait(timeout).map_err(|error| StopReason::System(error.to_string()))?;
        self.reactor.clock.look();
        self.take_events()?;
        for (waiting, outcome) in self.reactor.disk.done() {
            self.go_on(waiting, outcome);
        }
        self.digests.go_on(&mut self.reactor);
        self.take_timers()
    }

    /// Returns how long the queue may wait.
    fn timeout(&self) -> Option<Duration> {
        let reactor = &self.reactor;
        // The queue may have noticed already that a thread wakes it.
        let can_wait = reactor.requests.answers.is_empty() && self.digests.is_idle() && !reactor.disk.has_done();
        if can_wait { reactor.timers.wait(reactor.clock.monotonic()) } else { Some(Duration::ZERO) }
    }

    /// Handles the queue's events. Events that do not fit into a batch wait for the next one.
    fn take_events(&mut self) -> Result<(), StopReason> {
        let reactor = &mut self.reactor;
        while reactor.requests.answers.bytes() < limits::ANSWER_BYTES_QUEUED_MAX
            && let Some((owner, event)) = reactor.driver.next()
        {
            match (owner, event) {
                (Owner::Listener(serial), Event::Failed(_)) => self.listeners.rest_from_accepting(reactor, serial),
                (Owner::Listener(serial), _) => {
                    if self.listeners.accept(reactor, serial) {
                        self.console.has_started();
                    }
                }
                (Owner::Receive(handle), Event::Received { bytes, goes_on }) => {
                    self.connections.received(reactor, handle, bytes, goes_on);
                }
                (Owner::Receive(handle), Event::Ended) => self.connections.ended_receiving(reactor, handle),
                (Owner::Receive(handle), Event::Failed(error)) => {
                    self.connections.received(reactor, handle, Err(error), false);
                }
                (Owner::Receive(_), Event::Ready) => unreachable!("what a receive waits for is bytes"),
                (Owner::Write(handle), Event::Failed(_)) => Connections::fail_write(reactor, handle),
                (Owner::Write(handle), _) => self.connections.advance(reactor, handle),
                (Owner::Watches | Owner::Signals, Event::Failed(error)) => {
                    return Err(StopReason::System(error.to_string()));
                }
                (Owner::Watches, _) => self.watches.changed(reactor),
                (Owner::Signals, _) => {
                    if self.files.follow_root_now() {
                        self.watches.lose_all(reactor);
                    }
                    self.signals.signalled(reactor)?;
                }
            }
        }
        Ok(())
    }

    /// Goes on with a request that has waited for a thread.
    fn go_on(&mut self, waiting: Waiting, outcome: Outcome) {
        let reactor = &mut self.reactor;
        if let Some(id) = waiting.request() {
            reactor.requests.go_on(id);
        }
        match (waiting, outcome) {
            (Waiting::Open(Path { id, .. }), Outcome::Opened(opened)) => {
                let opened = opened.and_then(|(file, metadata)| self.files.opened(reactor, file, metadata));
                reactor.requests.answer(id, opened);
            }
            (Waiting::List(Path { id, .. }), Outcome::Listed(entries)) => {
                let answers = &reactor.requests.answers;
                let reply = entries.map(Reply::Listed).and_then(|reply| answers.has_room_for(reply));
                reactor.requests.answer(id, reply);
            }
            (Waiting::Watch(Path { id, .. }), Outcome::Resolved(target)) => {
                let target = target.map_err(from_errno);
                let watched = target.and_then(|target| self.watches.watch_target(reactor, id, &target));
                if let Err(error) = watched {
                    reactor.requests.answer(id, Err(error));
                }
            }
            (Waiting::ReadFile(id, _), Outcome::Read(read)) => {
                let answers = &reactor.requests.answers;
                let reply = read.map(Reply::Data).map_err(from_errno).and_then(|reply| answers.has_room_for(reply));
                reactor.requests.answer(id, reply);
            }
            (Waiting::Load(id, _, room), Outcome::Read(read)) => {
                drop(room);
                let reply = read.map_err(from_errno).and_then(|bytes| self.files.loaded(reactor, bytes));
                reactor.requests.answer(id, reply);
            }
            (Waiting::Digest(id, _), Outcome::Digested(reply)) => {
                reactor.requests.answer(id, reply.map_err(from_errno));
            }
            (Waiting::Write(handle, _), Outcome::Cached(cached)) => {
                self.connections.go_on_with_write(reactor, handle, cached.map(Fetched::Cached));
            }
            (Waiting::Write(handle, _), Outcome::Read(read)) => {
                self.connections.go_on_with_write(reactor, handle, read.map(Fetched::Read));
            }
            // Only a disk that may wait has a thread open a file.
            (Waiting::Nobody { .. }, Outcome::Opened(Ok((file, _)))) => reactor.disk.close(file, None),
            (Waiting::Root, Outcome::Replaced(replaced)) => {
                if self.files.has_looked(replaced) {
                    self.watches.lose_all(reactor);
                }
            }
            (Waiting::Nobody { .. }, _) | (Waiting::Close { .. }, Outcome::Closed) => {}
            _ => unreachable!("each call has an outcome of its own kind"),
        }
    }

    /// Handles the timers that are due.
    fn take_timers(&mut self) -> Result<(), StopReason> {
        let reactor = &mut self.reactor;
        while let Some(timer) = reactor.timers.next_due(reactor.clock.monotonic()) {
            match timer {
                Timer::Sleep(id) => reactor.requests.finish(id, Reply::Elapsed),
                Timer::Accept(serial) => self.listeners.accept_again(reactor, serial),
                Timer::Stop => return Err(StopReason::StopTooSlow),
                Timer::LogLost => self.signals.tell_of_lost_lines(reactor, &mut self.console),
                Timer::Heap => self.heap.give_back(held_for_clients(&self.connections, reactor)),
            }
        }
        Ok(())
    }
}

impl World for Live {
    fn start(&mut self) -> u64 {
        self.reactor.clock.stamp()
    }

    fn submit(&mut self, submission: Submission) {
        self.take(submission);
    }

    /// Answers that are ready go to the guest without a look at the network, but only a few times
    /// in a row: a guest that always has an answer must not keep its clients waiting. Looking each
    /// time was tried, and cost more than the turns it saved.
    fn wait(&mut self) -> Result<Batch, StopReason> {
        if let Some(port) = self.listeners.take_taken() {
            return Err(StopReason::PortTaken(port));
        }
        self.turns_without_poll += 1;
        if self.reactor.requests.answers.is_empty() || self.turns_without_poll > limits::TURNS_WITHOUT_POLL_MAX {
            self.turns_without_poll = 0;
            self.poll()?;
        }
        while self.reactor.requests.answers.is_empty() {
            self.poll()?;
        }
        // The work of the last turn has taken time, whether or not the network was looked at.
        self.reactor.clock.pass();
        Ok(Batch { time: self.reactor.clock.stamp(), answers: self.reactor.requests.answers.take() })
    }

    fn log(&mut self, level: Level, message: &str) {
        self.console.line(self.reactor.clock.stamp(), level, message);
    }
}

/// Returns the memory that the host holds because of its clients, in bytes: the counted memory,
/// and an estimate of what the queue takes for each client.
fn held_for_clients(connections: &Connections, reactor: &Reactor) -> u64 {
    connections.held() + reactor.handles.connections() as u64 * limits::CONNECTION_BYTES
}
