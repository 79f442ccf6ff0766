//! The completion queue: what waits on a descriptor, and what has come of it.
//!
//! compio-driver over io_uring, or over epoll where that is not to be had. Each wait has a slot whose number its waker
//! puts on a list when the wait is over; so finding what is ready costs nothing for what is not.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use compio_buf::BufResult;
use compio_driver::op::{Interest, PollOnce, RecvFlags, RecvManaged, ResultTakeBuffer};
use compio_driver::{BufferPool, DriverType, Key, Proactor, ProactorBuilder, PushEntry};

use crate::limits;

/// Which queue of the operating system to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// io_uring where the system allows it, else epoll.
    Auto,
    /// io_uring, or fail.
    IoUring,
    /// epoll.
    Poll,
}

/// Names a wait that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u32);

/// What has come of a wait.
pub enum Event {
    /// The descriptor is readable or writable, or in error.
    Ready,
    /// Bytes received; none at the end of the stream.
    Received(io::Result<Vec<u8>>),
}

/// The waits of one thread. `O` says whose each is.
pub struct Driver<O> {
    slots: Vec<Slot<O>>,
    free: Vec<u32>,
    ready: Arc<Ready>,
    /// Slots of `ready` that were taken off the list but not yet looked at.
    batch: Vec<u32>,
    pool: BufferPool,
    /// Where `recv` puts bytes on epoll.
    scratch: Vec<u8>,
    proactor: Proactor,
}

type Fd = Rc<OwnedFd>;

struct Slot<O> {
    wait: Wait,
    owner: Option<O>,
    waker: Waker,
}

enum Wait {
    None,
    Poll(Key<PollOnce<Fd>>),
    /// As `Poll`, and to be received from when it is readable.
    PollToReceive(Key<PollOnce<Fd>>, Fd, usize),
    Receive(Key<RecvManaged<Fd>>, Fd, usize),
    /// Over as soon as it was asked for.
    Done(Event),
}

impl<O> Driver<O> {
    /// Opens the queue.
    pub fn new(choice: Choice) -> io::Result<Self> {
        let mut proactor = open(choice)?;
        let pool = proactor.buffer_pool()?;
        Ok(Self {
            slots: Vec::new(),
            free: Vec::new(),
            ready: Arc::default(),
            batch: Vec::new(),
            pool,
            scratch: vec![0; limits::READ_BYTES_MAX],
            proactor,
        })
    }

    /// Whether it is io_uring.
    pub fn is_io_uring(&self) -> bool {
        self.proactor.driver_type() == DriverType::IoUring
    }

    /// Waits until the descriptor is ready.
    pub fn poll(&mut self, fd: &Fd, interest: Interest, owner: O) -> Token {
        let token = self.slot(owner);
        let wait = self.push_poll(token, fd, interest);
        self.slots[token.0 as usize].wait = wait;
        token
    }

    /// Waits for bytes from a socket.
    pub fn receive(&mut self, fd: &Fd, bytes_max: usize, owner: O) -> Token {
        let token = self.slot(owner);
        let wait = self.push_receive(token, fd, bytes_max);
        self.slots[token.0 as usize].wait = wait;
        token
    }

    /// Ends a wait, of which nothing more is heard.
    pub fn cancel(&mut self, token: Token) {
        let slot = &mut self.slots[token.0 as usize];
        if slot.owner.take().is_none() {
            return;
        }
        match std::mem::replace(&mut slot.wait, Wait::None) {
            Wait::Poll(key) | Wait::PollToReceive(key, ..) => drop(self.proactor.cancel(key)),
            Wait::Receive(key, ..) => drop(self.proactor.cancel(key)),
            Wait::None | Wait::Done(_) => {}
        }
        self.free.push(token.0);
    }

    /// Hands over what is to be waited for, and waits until something is ready, at most for `timeout`.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = if self.ready.is_empty() { timeout } else { Some(Duration::ZERO) };
        match self.proactor.poll(timeout) {
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => Ok(()),
            result => result,
        }
    }

    /// The next wait that is over.
    pub fn next(&mut self) -> Option<(O, Event)> {
        loop {
            if self.batch.is_empty() {
                std::mem::swap(&mut *self.ready.list(), &mut self.batch);
                self.batch.reverse();
            }
            let index = self.batch.pop()?;
            if let Some(event) = self.finish(Token(index)) {
                let owner = self.slots[index as usize].owner.take()?;
                self.free.push(index);
                return Some((owner, event));
            }
        }
    }

    /// What came of a wait; nothing when it goes on, or is another than the one that was over.
    fn finish(&mut self, token: Token) -> Option<Event> {
        let slot = &mut self.slots[token.0 as usize];
        match std::mem::replace(&mut slot.wait, Wait::None) {
            Wait::None => None,
            Wait::Done(event) => Some(event),
            Wait::Poll(key) => match self.proactor.pop(key) {
                PushEntry::Ready(_) => Some(Event::Ready),
                PushEntry::Pending(key) => self.go_on(token, Wait::Poll(key)),
            },
            Wait::PollToReceive(key, fd, bytes_max) => match self.proactor.pop(key) {
                PushEntry::Ready(_) => self.receive_now(token, &fd, bytes_max),
                PushEntry::Pending(key) => self.go_on(token, Wait::PollToReceive(key, fd, bytes_max)),
            },
            Wait::Receive(key, fd, bytes_max) => match self.proactor.pop(key) {
                PushEntry::Ready(result) => self.take_received(token, result, &fd, bytes_max),
                PushEntry::Pending(key) => self.go_on(token, Wait::Receive(key, fd, bytes_max)),
            },
        }
    }

    fn go_on(&mut self, token: Token, wait: Wait) -> Option<Event> {
        self.slots[token.0 as usize].wait = wait;
        None
    }

    #[allow(unsafe_code)]
    fn take_received(
        &mut self,
        token: Token,
        result: BufResult<usize, RecvManaged<Fd>>,
        fd: &Fd,
        bytes_max: usize,
    ) -> Option<Event> {
        // SAFETY: the length is the kernel's own count of what it wrote into this buffer.
        let received = unsafe { result.take_buffer() };
        match received {
            Ok(buffer) => Some(Event::Received(Ok(buffer.map_or_else(Vec::new, |bytes| bytes.to_vec())))),
            // All buffers were taken in this turn. They are back by now.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                let wait = self.push_receive(token, fd, bytes_max);
                self.go_on(token, wait)
            }
            // The socket is non-blocking for the time of a `sendfile`; then io_uring does not wait for bytes.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let wait = self.push_poll_to_receive(token, fd, bytes_max);
                self.go_on(token, wait)
            }
            Err(error) => Some(Event::Received(Err(error))),
        }
    }

    fn receive_now(&mut self, token: Token, fd: &Fd, bytes_max: usize) -> Option<Event> {
        let buffer = &mut self.scratch[..bytes_max];
        match rustix::net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((count, _)) => Some(Event::Received(Ok(buffer[..count].to_vec()))),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                let wait = self.push_poll_to_receive(token, fd, bytes_max);
                self.go_on(token, wait)
            }
            Err(error) => Some(Event::Received(Err(error.into()))),
        }
    }

    fn push_receive(&mut self, token: Token, fd: &Fd, bytes_max: usize) -> Wait {
        if !self.is_io_uring() {
            // On epoll a managed receive would hold a buffer while it waits.
            return self.push_poll_to_receive(token, fd, bytes_max);
        }
        let operation = match RecvManaged::new(fd.clone(), &self.pool, bytes_max, RecvFlags::empty()) {
            Ok(operation) => operation,
            Err(error) => return self.done(token, Event::Received(Err(error))),
        };
        match self.proactor.push(operation) {
            PushEntry::Pending(key) => {
                self.proactor.update_waker(&key, &self.slots[token.0 as usize].waker);
                Wait::Receive(key, fd.clone(), bytes_max)
            }
            PushEntry::Ready(BufResult(result, _)) => {
                let error = result.err().unwrap_or_else(|| io::ErrorKind::Other.into());
                self.done(token, Event::Received(Err(error)))
            }
        }
    }

    fn push_poll_to_receive(&mut self, token: Token, fd: &Fd, bytes_max: usize) -> Wait {
        match self.push_poll(token, fd, Interest::Readable) {
            Wait::Poll(key) => Wait::PollToReceive(key, fd.clone(), bytes_max),
            _ => self.done(token, Event::Received(Err(io::ErrorKind::Other.into()))),
        }
    }

    fn push_poll(&mut self, token: Token, fd: &Fd, interest: Interest) -> Wait {
        match self.proactor.push(PollOnce::new(fd.clone(), interest)) {
            PushEntry::Pending(key) => {
                self.proactor.update_waker(&key, &self.slots[token.0 as usize].waker);
                Wait::Poll(key)
            }
            // An error of the queue itself; the call that follows on the descriptor says what it is.
            PushEntry::Ready(_) => self.done(token, Event::Ready),
        }
    }

    fn done(&self, token: Token, event: Event) -> Wait {
        self.ready.list().push(token.0);
        Wait::Done(event)
    }

    fn slot(&mut self, owner: O) -> Token {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize].owner = Some(owner);
            return Token(index);
        }
        let index = u32::try_from(self.slots.len()).expect("fewer waits than requests can be pending");
        let waker = Waker::from(Arc::new(SlotWaker { index, ready: self.ready.clone() }));
        self.slots.push(Slot { wait: Wait::None, owner: Some(owner), waker });
        Token(index)
    }
}

/// The slots whose waits are over, in the order in which they were. The queue completes them on our own thread, so
/// the lock is never waited for.
#[derive(Default)]
struct Ready(Mutex<Vec<u32>>);

impl Ready {
    fn list(&self) -> MutexGuard<'_, Vec<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.list().is_empty()
    }
}

struct SlotWaker {
    index: u32,
    ready: Arc<Ready>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.list().push(self.index);
    }
}

fn open(choice: Choice) -> io::Result<Proactor> {
    if choice == Choice::Poll {
        return settings().driver_type(DriverType::Poll).build();
    }
    let fast = settings().driver_type(DriverType::IoUring).single_issuer(true).defer_taskrun(true).build();
    // Kernels before 6.1 know io_uring, but not these two flags.
    let plain = fast.or_else(|_| settings().driver_type(DriverType::IoUring).build());
    match plain {
        Err(_) if choice == Choice::Auto => settings().driver_type(DriverType::Poll).build(),
        result => result,
    }
}

fn settings() -> ProactorBuilder {
    let mut builder = ProactorBuilder::new();
    builder
        .capacity(limits::QUEUE_ENTRIES)
        .buffer_pool_size(std::num::NonZero::new(limits::READ_BUFFERS).expect("a number above zero"))
        .buffer_pool_buffer_len(limits::READ_BYTES_MAX);
    builder
}
