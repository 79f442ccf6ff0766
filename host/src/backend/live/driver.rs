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
    /// The queue cannot wait for the descriptor.
    Failed(io::Error),
    /// Bytes received; none at the end of the stream.
    Received(io::Result<Vec<u8>>),
}

/// What is to be received: from where, and at most so many bytes.
#[derive(Clone)]
struct Receive {
    fd: Fd,
    bytes_max: usize,
}

/// The waits of one thread. `O` says whose each is.
pub struct Driver<O> {
    slots: Vec<Slot<O>>,
    free: Vec<u32>,
    ready: Arc<Ready>,
    /// Slots that were ready when the last `wait` returned, the next one last.
    batch: Vec<u32>,
    /// Entries put into the submission queue since it was last handed over; at most, for the queue does so by itself
    /// when it is full, except for cancellations, which it then drops.
    staged: u32,
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
    PollToReceive(Key<PollOnce<Fd>>, Receive),
    Receive(Key<RecvManaged<Fd>>, Receive),
    /// Over as soon as it was asked for.
    Done(Event),
}

impl<O> Driver<O> {
    /// Opens the queue.
    pub fn new(choice: Choice) -> io::Result<Self> {
        let (proactor, pool) = open(choice)?;
        Ok(Self {
            slots: Vec::new(),
            free: Vec::new(),
            ready: Arc::default(),
            batch: Vec::new(),
            staged: 0,
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
        let wait = match self.push_poll(token, fd, interest) {
            Ok(key) => Wait::Poll(key),
            Err(error) => self.done(token, Event::Failed(error)),
        };
        self.slots[token.0 as usize].wait = wait;
        token
    }

    /// Waits for bytes from a socket.
    pub fn receive(&mut self, fd: &Fd, bytes_max: usize, owner: O) -> Token {
        let token = self.slot(owner);
        let receive = Receive { fd: fd.clone(), bytes_max };
        // On epoll a managed receive would hold a buffer while it waits.
        let wait =
            if self.is_io_uring() { self.receive_managed(token, receive) } else { self.receive_later(token, receive) };
        self.slots[token.0 as usize].wait = wait;
        token
    }

    /// Ends a wait, of which nothing more is heard.
    pub fn cancel(&mut self, token: Token) {
        let slot = &mut self.slots[token.0 as usize];
        if slot.owner.take().is_none() {
            return;
        }
        let wait = std::mem::replace(&mut slot.wait, Wait::None);
        self.free.push(token.0);
        // A cancellation that finds the submission queue full is lost, and the wait goes on with nobody to end it.
        self.stage();
        match wait {
            Wait::Poll(key) | Wait::PollToReceive(key, _) => drop(self.proactor.cancel(key)),
            Wait::Receive(key, _) => drop(self.proactor.cancel(key)),
            Wait::None | Wait::Done(_) => {}
        }
    }

    /// Hands over what is to be waited for, and waits until something is ready, at most for `timeout`.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = if self.ready.list().is_empty() { timeout } else { Some(Duration::ZERO) };
        self.staged = 0;
        let result = match self.proactor.poll(timeout) {
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => Ok(()),
            result => result,
        };
        // What becomes ready while these are looked at is for the next time: timers and signals have their turn too.
        std::mem::swap(&mut *self.ready.list(), &mut self.batch);
        self.batch.reverse();
        result
    }

    /// The next wait that was over when `wait` returned.
    pub fn next(&mut self) -> Option<(O, Event)> {
        loop {
            let token = Token(self.batch.pop()?);
            if let Some(event) = self.finish(token)
                && let Some(owner) = self.slots[token.0 as usize].owner.take()
            {
                self.free.push(token.0);
                return Some((owner, event));
            }
        }
    }

    /// What came of a wait; nothing when it goes on, or is another than the one that was over.
    fn finish(&mut self, token: Token) -> Option<Event> {
        let wait = match std::mem::replace(&mut self.slots[token.0 as usize].wait, Wait::None) {
            Wait::None => return None,
            Wait::Done(event) => return Some(event),
            Wait::Poll(key) => match self.proactor.pop(key) {
                PushEntry::Ready(_) => return Some(Event::Ready),
                PushEntry::Pending(key) => Wait::Poll(key),
            },
            Wait::PollToReceive(key, receive) => match self.proactor.pop(key) {
                PushEntry::Ready(_) => return self.receive_now(token, receive),
                PushEntry::Pending(key) => Wait::PollToReceive(key, receive),
            },
            Wait::Receive(key, receive) => match self.proactor.pop(key) {
                PushEntry::Ready(result) => return self.take_received(token, result, receive),
                PushEntry::Pending(key) => Wait::Receive(key, receive),
            },
        };
        self.go_on(token, wait)
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
        receive: Receive,
    ) -> Option<Event> {
        // SAFETY: the length is the kernel's own count of what it wrote into this buffer.
        let received = unsafe { result.take_buffer() };
        let wait = match received {
            Ok(buffer) => return Some(Event::Received(Ok(buffer.map_or_else(Vec::new, |bytes| bytes.to_vec())))),
            // All buffers were taken in this turn. They are back by now.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => self.receive_managed(token, receive),
            // The socket is non-blocking for the time of a `sendfile`; then io_uring does not wait for bytes.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.receive_later(token, receive),
            Err(error) => return Some(Event::Received(Err(error))),
        };
        self.go_on(token, wait)
    }

    fn receive_now(&mut self, token: Token, receive: Receive) -> Option<Event> {
        let buffer = &mut self.scratch[..receive.bytes_max];
        match rustix::net::recv(&receive.fd, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((count, _)) => Some(Event::Received(Ok(buffer[..count].to_vec()))),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                let wait = self.receive_later(token, receive);
                self.go_on(token, wait)
            }
            Err(error) => Some(Event::Received(Err(error.into()))),
        }
    }

    /// Receives into a buffer that the kernel takes from the pool once there are bytes.
    fn receive_managed(&mut self, token: Token, receive: Receive) -> Wait {
        let Receive { fd, bytes_max } = receive.clone();
        let pushed = match RecvManaged::new(fd, &self.pool, bytes_max, RecvFlags::empty()) {
            Ok(operation) => self.proactor.push(operation),
            Err(error) => return self.done(token, Event::Received(Err(error))),
        };
        self.stage();
        match pushed {
            PushEntry::Pending(key) => {
                self.proactor.update_waker(&key, &self.slots[token.0 as usize].waker);
                Wait::Receive(key, receive)
            }
            PushEntry::Ready(BufResult(result, _)) => self.done(token, Event::Received(Err(error_of(result)))),
        }
    }

    /// Waits for bytes, to receive them then.
    fn receive_later(&mut self, token: Token, receive: Receive) -> Wait {
        match self.push_poll(token, &receive.fd, Interest::Readable) {
            Ok(key) => Wait::PollToReceive(key, receive),
            Err(error) => self.done(token, Event::Received(Err(error))),
        }
    }

    fn push_poll(&mut self, token: Token, fd: &Fd, interest: Interest) -> io::Result<Key<PollOnce<Fd>>> {
        let pushed = self.proactor.push(PollOnce::new(fd.clone(), interest));
        self.stage();
        match pushed {
            PushEntry::Pending(key) => {
                self.proactor.update_waker(&key, &self.slots[token.0 as usize].waker);
                Ok(key)
            }
            PushEntry::Ready(BufResult(result, _)) => Err(error_of(result)),
        }
    }

    /// Counts an entry of the submission queue, and hands all of them over when there may be no room for another.
    fn stage(&mut self) {
        self.staged += 1;
        if self.staged >= limits::QUEUE_ENTRIES {
            self.proactor.flush();
            self.staged = 0;
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

/// Why an operation was over at once.
fn error_of(result: io::Result<usize>) -> io::Error {
    result.err().unwrap_or_else(|| io::ErrorKind::Other.into())
}

/// The slots whose waits are over, in the order in which they were. The queue completes them on our own thread, so
/// the lock is never waited for.
#[derive(Default)]
struct Ready(Mutex<Vec<u32>>);

impl Ready {
    fn list(&self) -> MutexGuard<'_, Vec<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The queue with its pool of buffers. A kernel that has io_uring and not the pool, as those before 5.19, gets epoll.
fn open(choice: Choice) -> io::Result<(Proactor, BufferPool)> {
    let build = |builder: &ProactorBuilder| {
        let mut proactor = builder.build()?;
        let pool = proactor.buffer_pool()?;
        Ok((proactor, pool))
    };
    let epoll = || build(settings().driver_type(DriverType::Poll));
    if choice == Choice::Poll {
        return epoll();
    }
    let fast = build(settings().driver_type(DriverType::IoUring).single_issuer(true).defer_taskrun(true));
    // Kernels before 6.1 do not know these two flags.
    let plain = fast.or_else(|_: io::Error| build(settings().driver_type(DriverType::IoUring)));
    if choice == Choice::Auto { plain.or_else(|_| epoll()) } else { plain }
}

fn settings() -> ProactorBuilder {
    let mut builder = ProactorBuilder::new();
    builder
        .capacity(limits::QUEUE_ENTRIES)
        .cqsize(limits::QUEUE_COMPLETIONS)
        .buffer_pool_size(std::num::NonZero::new(limits::READ_BUFFERS).expect("a number above zero"))
        .buffer_pool_buffer_len(limits::READ_BYTES_MAX);
    builder
}
