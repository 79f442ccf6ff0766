//! A multishot receive that ends by itself after a given number of bytes.
//!
//! `RecvMulti` of compio-driver goes on until it is cancelled. A cancellation reaches the kernel
//! with the next call only, and by then one client can have filled every buffer of the pool. Linux
//! 6.17 can be told the most that a multishot receive takes (`optlen` of its entry): the
//! completion that reaches it is the last one. Neither compio-driver nor the io-uring crate sets
//! that field, so this operation does.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;

use compio_buf::BufResult;
use compio_driver::op::{RecvFlags, RecvMulti};
use compio_driver::{BufferPool, BufferRef, Decision, Extra, IourOpCode, OpEntry, OpType, PollOpCode, TakeBuffer};

/// A descriptor that is waited for. The queue holds it until the wait is over.
pub type Fd = Rc<OwnedFd>;

/// A multishot receive into buffers of a pool, with a limit of bytes.
pub struct CappedRecvMulti {
    inner: RecvMulti<Fd>,
    bytes_max: u32,
}

/// Where `optlen` stands in `struct io_uring_sqe`, whose layout is the kernel's interface and
/// never changes.
const OPTLEN_OFFSET: usize = 44;

/// Size of `struct io_uring_sqe`.
const ENTRY_BYTES: usize = 64;

impl CappedRecvMulti {
    /// Receives from `fd` until `bytes_max` bytes have come, at most `piece_bytes_max` in one
    /// completion.
    pub fn new(fd: Fd, pool: &BufferPool, piece_bytes_max: usize, bytes_max: u32) -> io::Result<Self> {
        Ok(Self { inner: RecvMulti::new(fd, pool, piece_bytes_max, RecvFlags::empty())?, bytes_max })
    }
}

/// Sets the limit in the entry of a multishot receive.
#[allow(unsafe_code)]
fn cap(entry: OpEntry, bytes_max: u32) -> OpEntry {
    let OpEntry::Submission(mut entry) = entry else { return entry };
    assert_eq!(size_of_val(&entry), ENTRY_BYTES, "an entry of the submission queue is the kernel's own structure");
    let optlen = (&raw mut entry).cast::<u8>().wrapping_add(OPTLEN_OFFSET).cast::<u32>();
    // SAFETY: the entry is `struct io_uring_sqe` and nothing else (`repr(C)`, and its size was
    // looked at), in which four bytes at this offset are a plain number; the entry is aligned to
    // eight bytes, and nobody else holds it.
    unsafe { optlen.write(bytes_max) };
    OpEntry::Submission(entry)
}

// SAFETY: the entry is that of `RecvMulti`, with another number in it, and is valid as long as
// that is.
#[allow(unsafe_code)]
unsafe impl IourOpCode for CappedRecvMulti {
    type Control = <RecvMulti<Fd> as IourOpCode>::Control;

    unsafe fn init(&mut self, control: &mut Self::Control) {
        // SAFETY: what the caller guarantees of this operation holds for its only part.
        unsafe { IourOpCode::init(&mut self.inner, control) }
    }

    fn create_entry(&mut self, control: &mut Self::Control) -> OpEntry {
        cap(self.inner.create_entry(control), self.bytes_max)
    }

    fn create_entry_fallback(&mut self, control: &mut Self::Control) -> OpEntry {
        self.inner.create_entry_fallback(control)
    }

    unsafe fn set_result(&mut self, control: &mut Self::Control, result: &io::Result<usize>, extra: &Extra) {
        // SAFETY: the result is that of the entry which `RecvMulti` has made.
        unsafe { IourOpCode::set_result(&mut self.inner, control, result, extra) }
    }

    unsafe fn push_multishot(&mut self, control: &mut Self::Control, result: io::Result<usize>, extra: Extra) {
        // SAFETY: as above.
        unsafe { self.inner.push_multishot(control, result, extra) }
    }

    fn pop_multishot(&mut self, control: &mut Self::Control) -> Option<BufResult<usize, Extra>> {
        self.inner.pop_multishot(control)
    }
}

// SAFETY: every call goes to `RecvMulti`. It is never made: on epoll nothing is received by this
// operation.
#[allow(unsafe_code)]
unsafe impl PollOpCode for CappedRecvMulti {
    type Control = <RecvMulti<Fd> as PollOpCode>::Control;

    unsafe fn init(&mut self, control: &mut Self::Control) {
        // SAFETY: what the caller guarantees of this operation holds for its only part.
        unsafe { PollOpCode::init(&mut self.inner, control) }
    }

    fn pre_submit(&mut self, control: &mut Self::Control) -> io::Result<Decision> {
        self.inner.pre_submit(control)
    }

    fn op_type(&mut self, control: &mut Self::Control) -> Option<OpType> {
        self.inner.op_type(control)
    }

    fn operate(&mut self, control: &mut Self::Control) -> Poll<io::Result<usize>> {
        self.inner.operate(control)
    }
}

impl TakeBuffer for CappedRecvMulti {
    type Buffer = BufferRef;

    fn take_buffer(self) -> Option<BufferRef> {
        self.inner.take_buffer()
    }
}
