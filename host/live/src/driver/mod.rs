//! The completion queue: waits for descriptors, and their results.
//!
//! The queue is compio-driver over io_uring, or over epoll where io_uring is not available. Each
//! wait has a slot. The wait's waker puts the slot's number on a list when the wait is over, or
//! has received bytes and goes on. So waits that are not ready cost nothing.

mod capped;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use compio_buf::{BufResult, SetLen};
use compio_driver::op::{Interest, PollOnce, RecvFlags, RecvManaged, ResultTakeBuffer};
use compio_driver::{BufferPool, BufferRef, DriverType, Extra, Key, OpCode, Proactor, ProactorBuilder, PushEntry};

use self::capped::CappedRecvMulti;
pub use self::capped::Fd;
use crate::limits;

/// The first Linux whose io_uring can limit what a multishot receive takes, at a time and in all.
/// A receive without limits would hold half a MiB of a client whom the guest does not read from.
const MULTISHOT_KERNEL: (u32, u32) = (6, 17);

/// The queue of the operating system to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// io_uring where the system allows it, else epoll.
    Auto,
    /// io_uring, or fail.
    IoUring,
    /// epoll.
    Poll,
    /// io_uring as a kernel before 6.17 has it: for tests.
    OldIoUring,
}

/// The name of a wait that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(u32);

/// The result of a wait.
pub enum Event {
    /// The descriptor is readable or writable, or in error.
    Ready,
    /// The queue cannot wait for the descriptor.
    Failed(io::Error),
    /// Bytes were received; none at the end of the stream. `goes_on` tells whether the wait has
    /// more events to come.
    Received { bytes: io::Result<Vec<u8>>, goes_on: bool },
    /// A multishot receive has ended for a reason of the queue. No byte is lost, and the receive
    /// can be begun again.
    Ended,
}

/// The waits of one thread. `O` names the owner of a wait.
pub struct Driver<O> {
    slots: Vec<Slot<O>>,
    free: Vec<u32>,
    ready: Arc<Ready>,
    /// Slots that were ready when the last `wait` returned. The next one is the last.
    batch: Vec<u32>,
    /// The most entries that can be in the submission queue. A full queue hands its entries over
    /// by itself, except that it drops cancellations.
    staged: u32,
    pool: BufferPool,
    /// The buffer of `recv` on epoll.
    scratch: Vec<u8>,
    /// Whether multishot receives can be used.
    is_multishot: bool,
    proactor: Proactor,
}

struct Slot<O> {
    wait: Wait,
    owner: Option<O>,
    waker: Waker,
}

enum Wait {
    None,
    Poll(Key<PollOnce<Fd>>),
    /// Waits like `Poll`, and receives when the descriptor is readable.
    PollToReceive(Key<PollOnce<Fd>>, Fd),
    Receive(Receive),
    /// The wait was over as soon as it began.
    Done(Event),
}

/// A receive into buffers of the pool.
struct Receive {
    key: ReceiveKey,
    fd: Fd,
}

enum ReceiveKey {
    /// The receive goes on by itself.
    Multishot(Key<CappedRecvMulti>),
    Once(Key<RecvManaged<Fd>>),
}

impl<O: Copy> Driver<O> {
    /// Opens the queue.
    pub fn new(choice: Choice) -> io::Result<Self> {
        let (proactor, pool) = open(choice)?;
        let is_multishot = choice != Choice::OldIoUring && kernel_is_at_least(MULTISHOT_KERNEL);
        Ok(Self {
            slots: Vec::new(),
            free: Vec::new(),
            ready: Arc::default(),
            batch: Vec::new(),
            staged: 0,
            pool,
            scratch: vec![0; limits::READ_BYTES_MAX],
            is_multishot,
            proactor,
        })
    }

    /// Returns whether the queue is io_uring.
    pub fn is_io_uring(&self) -> bool {
        self.proactor.driver_type() == DriverType::IoUring
    }

    /// Returns a waker, which ends `wait` from any thread.
    pub fn waker(&self) -> Waker {
        self.proactor.waker()
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

    /// Waits for bytes from a socket. With `goes_on`, and if io_uring can, the receive goes on by
    /// itself until `READ_AHEAD_BYTES_MAX` bytes have come, the stream ends, or the system ends
    /// the receive, which the event tells. This saves half a microsecond for each piece.
    pub fn receive(&mut self, fd: &Fd, goes_on: bool, owner: O) -> Token {
        let token = self.slot(owner);
        // On epoll the operation would hold a buffer while it waits.
        let wait = if self.is_io_uring() {
            self.receive_pooled(token, fd.clone(), goes_on)
        } else {
            self.receive_later(token, fd.clone())
        };
        self.slots[token.0 as usize].wait = wait;
        token
    }

    /// Cancels a wait. No event of the wait follows.
    pub fn cancel(&mut self, token: Token) {
        let slot = &mut self.slots[token.0 as usize];
        if slot.owner.take().is_none() {
            return;
        }
        let wait = std::mem::replace(&mut slot.wait, Wait::None);
        self.free.push(token.0);
        // A cancellation that finds the submission queue full is lost, and the wait would never
        // end.
        self.stage();
        match wait {
            Wait::Poll(key) | Wait::PollToReceive(key, _) => drop(self.proactor.cancel(key)),
            Wait::Receive(Receive { key: ReceiveKey::Multishot(key), .. }) => drop(self.proactor.cancel(key)),
            Wait::Receive(Receive { key: ReceiveKey::Once(key), .. }) => drop(self.proactor.cancel(key)),
            Wait::None | Wait::Done(_) => {}
        }
    }

    /// Submits the new waits, and waits until something is ready, at most for `timeout`.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout =
            if self.ready.list().is_empty() && self.batch.is_empty() { timeout } else { Some(Duration::ZERO) };
        self.staged = 0;
        let result = match self.proactor.poll(timeout) {
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => Ok(()),
            result => result,
        };
        self.next_batch();
        result
    }

    /// Takes the ready slots as the next batch, after the rest of the last one. Slots that become
    /// ready meanwhile are for the next time, so that timers and signals have their turn.
    fn next_batch(&mut self) {
        let mut left = std::mem::take(&mut self.batch);
        std::mem::swap(&mut *self.ready.list(), &mut self.batch);
        self.batch.reverse();
        if left.is_empty() {
            // Reuse the memory for the slots that become ready next.
            *self.ready.list() = left;
        } else {
            self.batch.append(&mut left);
        }
    }

    /// Submits the cancellations, so that the queue gives up the descriptors.
    pub fn settle(&mut self) {
        self.staged = 0;
        // Other ready slots stay on the list for the next `wait`.
        let _ = self.proactor.poll(Some(Duration::ZERO));
    }

    /// Returns the next event of the batch that `wait` took.
    pub fn next(&mut self) -> Option<(O, Event)> {
        loop {
            let token = Token(self.batch.pop()?);
            let Some(event) = self.finish(token) else { continue };
            let slot = &mut self.slots[token.0 as usize];
            if matches!(event, Event::Received { goes_on: true, .. }) {
                return slot.owner.map(|owner| (owner, event));
            }
            if let Some(owner) = slot.owner.take() {
                self.free.push(token.0);
                return Some((owner, event));
            }
        }
    }

    /// Returns the event of a wait, also when the wait goes on. Returns none when the slot belongs
    /// to another wait by now.
    fn finish(&mut self, token: Token) -> Option<Event> {
        let wait = match std::mem::replace(&mut self.slots[token.0 as usize].wait, Wait::None) {
            Wait::None => return None,
            Wait::Done(event) => return Some(event),
            Wait::Poll(key) => match self.proactor.pop(key) {
                PushEntry::Ready(_) => return Some(Event::Ready),
                PushEntry::Pending(key) => Wait::Poll(key),
            },
            Wait::PollToReceive(key, fd) => match self.proactor.pop(key) {
                PushEntry::Ready(_) => return self.receive_now(token, fd),
                PushEntry::Pending(key) => Wait::PollToReceive(key, fd),
            },
            Wait::Receive(receive) => return self.received(token, receive),
        };
        self.go_on(token, wait)
    }

    fn go_on(&mut self, token: Token, wait: Wait) -> Option<Event> {
        self.slots[token.0 as usize].wait = wait;
        None
    }

    /// Returns the next bytes of a receive, or its end.
    fn received(&mut self, token: Token, receive: Receive) -> Option<Event> {
        if let ReceiveKey::Multishot(key) = &receive.key
            && let Some(BufResult(result, extra)) = self.proactor.pop_multishot(key)
        {
            let bytes = result.and_then(|length| self.take_buffer(length, &extra));
            self.go_on(token, Wait::Receive(receive));
            return Some(Event::Received { bytes, goes_on: true });
        }
        let Receive { key, fd } = receive;
        let is_multishot = matches!(key, ReceiveKey::Multishot(_));
        let last = match key {
            ReceiveKey::Multishot(key) => match self.proactor.pop(key) {
                PushEntry::Ready(result) => Ok(last_buffer(result)),
                PushEntry::Pending(key) => Err(ReceiveKey::Multishot(key)),
            },
            ReceiveKey::Once(key) => match self.proactor.pop(key) {
                PushEntry::Ready(result) => Ok(last_buffer(result)),
                PushEntry::Pending(key) => Err(ReceiveKey::Once(key)),
            },
        };
        let bytes = match last {
            Err(key) => return self.go_on(token, Wait::Receive(Receive { key, fd })),
            Ok(Ok(buffer)) => Ok(buffer.map_or_else(Vec::new, |bytes| bytes.to_vec())),
            // All buffers were taken in this turn, or the socket is non-blocking for `sendfile`.
            // The owner decides whether to begin again, because the owner knows whether the guest
            // reads.
            Ok(Err(error)) if is_multishot && is_of_the_queue(&error) => return Some(Event::Ended),
            // The buffers are back by now.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ResourceBusy => {
                let wait = self.receive_pooled(token, fd, false);
                return self.go_on(token, wait);
            }
            // io_uring does not wait for bytes of a non-blocking socket.
            Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                let wait = self.receive_later(token, fd);
                return self.go_on(token, wait);
            }
            // The kernel's version promises limits, but the kernel has none.
            Ok(Err(error)) if is_multishot && error.kind() == io::ErrorKind::InvalidInput => {
                self.is_multishot = false;
                let wait = self.receive_pooled(token, fd, false);
                return self.go_on(token, wait);
            }
            Ok(Err(error)) => Err(error),
        };
        Some(Event::Received { bytes, goes_on: false })
    }

    /// Copies what the kernel wrote into a buffer of the pool. The buffer goes back to the pool.
    #[allow(unsafe_code)]
    fn take_buffer(&self, length: usize, extra: &Extra) -> io::Result<Vec<u8>> {
        let mut buffer = self.pool.take(extra.buffer_id()?)?.ok_or(io::ErrorKind::InvalidData)?;
        // SAFETY: the length is the kernel's own count of what it wrote into this buffer.
        unsafe { buffer.set_len(length) };
        Ok(buffer.to_vec())
    }

    fn receive_now(&mut self, token: Token, fd: Fd) -> Option<Event> {
        let bytes = match rustix::net::recv(&fd, &mut *self.scratch, RecvFlags::DONTWAIT) {
            Ok((count, _)) => Ok(self.scratch[..count].to_vec()),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                let wait = self.receive_later(token, fd);
                return self.go_on(token, wait);
            }
            Err(error) => Err(error.into()),
        };
        Some(Event::Received { bytes, goes_on: false })
    }

    /// Receives into buffers that the kernel takes from the pool when there are bytes.
    fn receive_pooled(&mut self, token: Token, fd: Fd, goes_on: bool) -> Wait {
        let key = if goes_on && self.is_multishot {
            let bytes_max = limits::READ_AHEAD_BYTES_MAX;
            CappedRecvMulti::new(fd.clone(), &self.pool, bytes_max as usize, bytes_max)
                .and_then(|operation| Ok(ReceiveKey::Multishot(self.push(token, operation)?)))
        } else {
            RecvManaged::new(fd.clone(), &self.pool, limits::READ_BYTES_MAX, RecvFlags::empty())
                .and_then(|operation| Ok(ReceiveKey::Once(self.push(token, operation)?)))
        };
        match key {
            Ok(key) => Wait::Receive(Receive { key, fd }),
            Err(error) => self.done(token, received_nothing(error)),
        }
    }

    /// Waits until there are bytes, and receives them then.
    fn receive_later(&mut self, token: Token, fd: Fd) -> Wait {
        match self.push_poll(token, &fd, Interest::Readable) {
            Ok(key) => Wait::PollToReceive(key, fd),
            Err(error) => self.done(token, received_nothing(error)),
        }
    }

    fn push_poll(&mut self, token: Token, fd: &Fd, interest: Interest) -> io::Result<Key<PollOnce<Fd>>> {
        self.push(token, PollOnce::new(fd.clone(), interest))
    }

    /// Puts an operation into the queue. The operation's end wakes the slot. An operation that is
    /// over at once has failed.
    fn push<T: OpCode + 'static>(&mut self, token: Token, operation: T) -> io::Result<Key<T>> {
        let pushed = self.proactor.push(operation);
        self.stage();
        match pushed {
            PushEntry::Pending(key) => {
                self.proactor.update_waker(&key, &self.slots[token.0 as usize].waker);
                Ok(key)
            }
            PushEntry::Ready(BufResult(result, _)) => Err(result.err().unwrap_or_else(|| io::ErrorKind::Other.into())),
        }
    }

    /// Counts an entry of the submission queue, and hands all of them over when there may be no
    /// room for another.
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

fn received_nothing(error: io::Error) -> Event {
    Event::Received { bytes: Err(error), goes_on: false }
}

/// Returns what the kernel wrote into the last buffer of a receive. None at the end of the stream.
#[allow(unsafe_code)]
fn last_buffer<R: ResultTakeBuffer<Buffer = BufferRef>>(result: R) -> io::Result<Option<BufferRef>> {
    // SAFETY: the length is the kernel's own count of what it wrote into this buffer.
    unsafe { result.take_buffer() }
}

/// Returns whether an error concerns the queue alone: no buffer was free, or the queue could not
/// wait.
fn is_of_the_queue(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock)
}

/// Returns whether the system is this version of Linux or a later one.
fn kernel_is_at_least(version: (u32, u32)) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= version
}

/// The slots that are ready, in order: once for each piece of a multishot receive. A slot that
/// another wait uses by now is looked at in vain. The queue completes waits on our own thread, so
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

/// Opens the queue with its pool of buffers. A kernel with io_uring but without the pool, as
/// before 5.19, gets epoll.
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
