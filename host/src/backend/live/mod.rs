//! The live world: sockets, files and timers of the operating system. Nothing else in the host touches them.

mod answers;
mod board;
mod clock;
mod connection;
mod digest;
mod disk;
mod driver;
mod errors;
mod file;
mod handles;
mod heap;
mod held;
mod listen;
mod medium;
mod objects;
mod reading;
mod root;
mod signals;
mod transfer;
mod waiting;
mod watch;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use compio_driver::op::Interest;
use hashbrown::HashMap;

use self::answers::Answers;
use self::clock::Clock;
use self::digest::Digests;
use self::disk::Disk;
use self::driver::{Driver, Event};
use self::handles::{Handles, Object};
use self::heap::Heap;
use self::held::Total;
use self::listen::Listener;
use self::objects::Closing;
use self::signals::LogLost;
use self::waiting::Waiting;
use self::watch::Watches;
use super::timers::{TimerKey, Timers};
use crate::console::Console;
use crate::contract::{Error, Level, Reply, Request, Signal, Submission};
use crate::limits;
use crate::stop::Stop;
use crate::world::{Batch, World};

pub use self::board::Board;
pub use self::driver::Choice as DriverChoice;
pub use self::handles::clients_max;
pub use self::listen::Port;
pub use self::root::Root;
pub use self::signals::{Operator, Signals, Stopper};

/// What a guest is granted, and whom to tell.
pub struct Grant {
    /// The ports on which it may listen.
    pub ports: Vec<Port>,
    /// Connections, files and buffers that it may hold at once.
    pub handles_max: usize,
    /// The folder beneath which it may read; without one it can read nothing.
    pub root: Option<Root>,
    /// The signals that it may ask to be told.
    pub signals: Option<Signals>,
    /// What it and the other shards leave for each other.
    pub board: Board,
    /// Where its log goes.
    pub console: Console,
    /// Called when it has begun to listen, and waits for what comes: not of one that fails at once. With how many clients it
    /// takes there.
    pub on_listening: Box<dyn FnMut(SocketAddr, u32)>,
}

/// The world of one guest, on one thread.
pub struct Live {
    driver: Driver<Owner>,
    clock: Clock,
    timers: Timers<Timer>,
    handles: Handles,
    answers: Answers,
    /// The requests that are neither answered for good nor answered at once, by id.
    pending: HashMap<u64, Pending>,
    ports: Vec<Port>,
    listeners: Vec<Listener>,
    /// How often a guest has listened.
    listens: u64,
    /// How many of them have been ended since the queue was last told to give up their sockets.
    listens_stopped: u32,
    root: Option<Root>,
    watches: Watches,
    digests: Digests,
    disk: Disk,
    /// Files that a thread has yet to close.
    closing: Closing,
    /// What waits for the disk, by the number of the call.
    waiting: HashMap<u64, Waiting>,
    /// Memory of the paths that wait for the disk.
    path_bytes: Total,
    /// With what the queue waits on.
    signals: Option<(Rc<OwnedFd>, Signals)>,
    /// The requests that want to be told of signals.
    signal_requests: Vec<u64>,
    /// The operator has asked to reload before the guest has asked to be told.
    reload_waits: bool,
    stopping: bool,
    log_lost: LogLost,
    /// Why the run ends, when that is known before the guest receives.
    ends: Option<Stop>,
    /// Where a small write is copied together.
    gathered: Vec<u8>,
    /// Memory of pending writes.
    write_bytes: Total,
    /// Memory of what clients have sent and the guest has not read.
    ahead_bytes: Total,
    buffer_bytes: Total,
    heap: Heap,
    turns_without_poll: u32,
    board: Board,
    console: Console,
    /// Where it has begun to listen, and nobody knows yet.
    begun: Vec<(SocketAddr, u32)>,
    on_listening: Box<dyn FnMut(SocketAddr, u32)>,
}

/// Whose a wait of the completion queue is.
#[derive(Clone, Copy)]
enum Owner {
    /// The listener of this serial number.
    Listener(u64),
    /// What the client of the connection of this handle sends.
    Receive(u64),
    /// The write of the connection of this handle.
    Write(u64),
    Watches,
    Signals,
}

/// What happens later.
enum Timer {
    /// A `sleep` is over.
    Sleep(u64),
    /// The listener of this serial number tries again.
    Accept(u64),
    /// The guest has had its time to stop.
    Stop,
    /// The guest is told of lost lines of its log.
    LogLost,
    /// The heap may be given back.
    Heap,
}

/// What a pending request waits for: what `cancel` has to end.
enum Pending {
    Listen(u64),
    Read(u64),
    Write(u64),
    Sleep(TimerKey),
    Watch(i32),
    /// The digest of this serial number.
    Digest(u64),
    /// The call of this number, which a thread makes.
    Disk(u64),
    Signals,
}

impl Live {
    /// A world with this grant.
    pub fn new(driver: DriverChoice, grant: Grant) -> std::io::Result<Self> {
        let mut driver = Driver::new(driver)?;
        let disk = Disk::new(driver.waker());
        let signals = match grant.signals {
            Some(signals) => Some((Rc::new(signals.fd()?), signals)),
            None => None,
        };
        if let Some((fd, _)) = &signals {
            driver.poll(fd, Interest::Readable, Owner::Signals);
        }
        Ok(Self {
            driver,
            clock: Clock::new(),
            timers: Timers::new(),
            handles: Handles::new(grant.handles_max),
            answers: Answers::default(),
            pending: HashMap::new(),
            ports: grant.ports,
            listeners: Vec::new(),
            listens: 0,
            listens_stopped: 0,
            root: grant.root,
            watches: Watches::default(),
            digests: Digests::default(),
            disk,
            closing: Closing::default(),
            waiting: HashMap::new(),
            path_bytes: Total::default(),
            signals,
            signal_requests: Vec::new(),
            reload_waits: false,
            stopping: false,
            log_lost: LogLost::default(),
            ends: None,
            gathered: Vec::new(),
            write_bytes: Total::default(),
            ahead_bytes: Total::default(),
            buffer_bytes: Total::default(),
            heap: Heap::default(),
            turns_without_poll: 0,
            board: grant.board,
            console: grant.console,
            begun: Vec::new(),
            on_listening: grant.on_listening,
        })
    }

    fn take(&mut self, submission: Submission) {
        let id = submission.id;
        let result = match submission.request {
            Request::Listen(listen) => self.listen(id, &listen).map(Some),
            Request::Read(read) => self.read(id, &read),
            Request::Write(write) => self.write(id, write),
            Request::Shutdown(handle) => self.shutdown(handle).map(Some),
            Request::Close(handle) => self.close(handle).map(Some),
            Request::Open(open) => self.open(id, &open),
            Request::ReadFile(range) => self.read_file(id, &range),
            Request::Load(range) => self.load(id, &range),
            Request::Digest(handle) => self.digest(id, handle),
            Request::List(path) => self.list(id, &path),
            Request::Watch(path) => self.watch(id, &path).map(|()| None),
            Request::Sleep(duration) => {
                self.sleep(id, duration);
                Ok(None)
            }
            Request::Signals => self.subscribe(id).map(|()| None),
            Request::Cancel(target) => Ok(Some(self.cancel(target))),
            Request::Post(bytes) => self.post(bytes).map(Some),
            Request::Gather => self.gather().map(Some),
        };
        if let Some(reply) = result.unwrap_or_else(|error| Some(Reply::Failed(error))) {
            self.answers.push(id, reply);
        }
    }

    fn close(&mut self, handle: u64) -> Result<Reply, Error> {
        match self.handles.remove(handle)? {
            Object::Connection(connection) => self.closed(connection),
            Object::Buffer(_) | Object::File(_) => {}
        }
        self.wait_for_all_clients();
        Ok(Reply::Done)
    }

    fn sleep(&mut self, id: u64, nanoseconds: u64) {
        let due = self.clock.monotonic().saturating_add(nanoseconds);
        let key = self.timers.add(due, Timer::Sleep(id));
        self.pending.insert(id, Pending::Sleep(key));
    }

    fn subscribe(&mut self, id: u64) -> Result<(), Error> {
        if self.signal_requests.len() >= limits::SIGNAL_REQUESTS_MAX {
            return Err(Error::Exhausted);
        }
        self.signal_requests.push(id);
        self.pending.insert(id, Pending::Signals);
        if std::mem::take(&mut self.reload_waits) {
            self.tell(Signal::Reload);
        }
        Ok(())
    }

    fn cancel(&mut self, target: u64) -> Reply {
        let Some(pending) = self.pending.remove(&target) else { return Reply::Done };
        match pending {
            Pending::Listen(serial) => self.end_listen(serial),
            Pending::Read(handle) => self.end_read(handle),
            Pending::Write(handle) => self.end_write(handle),
            Pending::Sleep(key) => self.timers.remove(key),
            Pending::Watch(watch) => self.end_watch(target, watch),
            Pending::Digest(serial) => self.digests.forget(serial),
            Pending::Disk(serial) => self.forget_disk(serial),
            Pending::Signals => self.signal_requests.retain(|request| *request != target),
        }
        self.answers.push(target, Reply::Failed(Error::Cancelled));
        Reply::Done
    }

    /// Memory that the host holds because of what clients do, in bytes: what is counted, and about as much as the queue takes
    /// for each of them.
    fn held_for_clients(&self) -> u64 {
        let of_the_queue = self.handles.connections() as u64 * limits::CONNECTION_BYTES;
        self.ahead_bytes.get() + self.write_bytes.get() + of_the_queue
    }

    /// Waits for the system, at most until the next timer is due, and turns what has happened into answers.
    fn poll(&mut self) -> Result<(), Stop> {
        self.close_unused();
        self.console.flush();
        self.look_for_lost_lines();
        if self.heap.is_worth_a_look(self.held_for_clients()) {
            let due = self.clock.monotonic() + limits::HEAP_REST_MILLIS * 1_000_000;
            self.timers.add(due, Timer::Heap);
        }
        // The queue may have noticed already that a thread wakes it.
        let timeout = if self.answers.is_empty() && self.digests.is_idle() && !self.disk.has_done() {
            self.timers.wait(self.clock.monotonic())
        } else {
            Some(std::time::Duration::ZERO)
        };
        for (address, connections_max) in self.begun.drain(..) {
            (self.on_listening)(address, connections_max);
        }
        self.driver.wait(timeout).map_err(|error| Stop::System(error.to_string()))?;
        self.clock.look();
        // What does not fit into a batch waits for the next one.
        while self.answers.bytes() < limits::ANSWER_BYTES_QUEUED_MAX
            && let Some((owner, event)) = self.driver.next()
        {
            match (owner, event) {
                (Owner::Listener(serial), Event::Failed(_)) => self.rest_from_accepting(serial),
                (Owner::Listener(serial), _) => self.accept(serial),
                (Owner::Receive(handle), Event::Received { bytes, goes_on }) => self.received(handle, bytes, goes_on),
                (Owner::Receive(handle), Event::Ended) => self.ended_receiving(handle),
                (Owner::Receive(handle), Event::Failed(error)) => self.received(handle, Err(error), false),
                (Owner::Receive(_), Event::Ready) => unreachable!("what a receive waits for is bytes"),
                (Owner::Write(handle), Event::Failed(_)) => self.fail_write(handle),
                (Owner::Write(handle), _) => self.advance(handle),
                (Owner::Watches | Owner::Signals, Event::Failed(error)) => return Err(Stop::System(error.to_string())),
                (Owner::Watches, _) => self.changed(),
                (Owner::Signals, _) => self.signalled()?,
            }
        }
        self.disk_has_done();
        self.advance_digests();
        while let Some(timer) = self.timers.next_due(self.clock.monotonic()) {
            match timer {
                Timer::Sleep(id) => {
                    self.pending.remove(&id);
                    self.answers.push(id, Reply::Elapsed);
                }
                Timer::Accept(serial) => self.accept_again(serial),
                Timer::Stop => return Err(Stop::StopTooSlow),
                Timer::LogLost => self.tell_of_lost_lines(),
                Timer::Heap => self.heap.give_back(self.held_for_clients()),
            }
        }
        Ok(())
    }

    fn signalled(&mut self) -> Result<(), Stop> {
        let Some((fd, signals)) = &mut self.signals else { return Ok(()) };
        let (stop, reload) = signals.take();
        self.driver.poll(fd, Interest::Readable, Owner::Signals);
        if reload && self.signal_requests.is_empty() {
            self.reload_waits = true;
        } else if reload {
            self.tell(Signal::Reload);
        }
        if stop && !self.stopping {
            if self.signal_requests.is_empty() {
                return Err(Stop::Asked);
            }
            self.stopping = true;
            self.tell(Signal::Stop);
            self.timers.add(self.clock.monotonic() + limits::STOP_SECONDS_MAX * 1_000_000_000, Timer::Stop);
        }
        Ok(())
    }

    fn tell(&mut self, signal: Signal) {
        for id in &self.signal_requests {
            self.answers.push(*id, Reply::Signal(signal));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.listeners.iter().for_each(Listener::stop);
    }
}

impl World for Live {
    fn start(&mut self) -> u64 {
        self.clock.stamp()
    }

    fn submit(&mut self, submission: Submission) {
        self.take(submission);
    }

    /// What is at hand goes to the guest without a look at the network, but only so often: a guest that always has an
    /// answer must not keep its clients waiting. To look each time was tried: it cost more than the turns it saved.
    fn wait(&mut self) -> Result<Batch, Stop> {
        if let Some(stop) = self.ends.take() {
            return Err(stop);
        }
        self.turns_without_poll += 1;
        if self.answers.is_empty() || self.turns_without_poll > limits::TURNS_WITHOUT_POLL_MAX {
            self.turns_without_poll = 0;
            self.poll()?;
        }
        while self.answers.is_empty() {
            self.poll()?;
        }
        // The work of the last turn has taken time, whether or not the network was looked at.
        self.clock.pass();
        Ok(Batch { time: self.clock.stamp(), answers: self.answers.take() })
    }

    fn log(&mut self, level: Level, message: &str) {
        self.console.line(self.clock.stamp(), level, message);
    }
}
