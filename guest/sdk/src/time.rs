//! The time, and waiting for it. Time moves only between two turns: it is the stamp of the last
//! batch of answers.
//!
//! However many timers a guest has, at most one `sleep` is pending at the host.

use crate::executor::{self, Timer};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// The time of the last batch of answers: nanoseconds since the Unix epoch.
pub fn now() -> u64 {
    executor::now()
}

/// Waits for so long from [`now`], never less. Dropping it ends the wait.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { until: later(duration), timer: Timer::new() }
}

/// Waits for a future, for so long at most; then drops it. What is ready at the same time as the
/// timeout is not late.
pub async fn with_timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = sleep(duration);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// The future of [`sleep`].
#[must_use = "a wait that nobody awaits does nothing"]
pub struct Sleep {
    /// In nanoseconds since the Unix epoch.
    until: u64,
    timer: Timer,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if now() >= self.until {
            return Poll::Ready(());
        }
        let until = self.until;
        self.timer.wake_at(until, cx.waker());
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("until", &self.until).finish_non_exhaustive()
    }
}

/// A time that can be set again and again, at the cost of a store: for a limit that is renewed
/// with each request of a connection. Setting it to a later time makes no request and touches no
/// timer.
///
/// One task at a time may wait under its [`limit`](Deadline::limit).
pub struct Deadline {
    /// In nanoseconds since the Unix epoch; [`NEVER`] when disarmed.
    at: Cell<u64>,
    timer: RefCell<Timer>,
}

/// No deadline.
const NEVER: u64 = u64::MAX;

impl Deadline {
    /// A deadline that is not set, and does not pass.
    pub fn new() -> Deadline {
        Deadline { at: Cell::new(NEVER), timer: RefCell::new(Timer::new()) }
    }

    /// Sets it to so long from [`now`], whatever it was before; also while a future waits under
    /// it.
    pub fn set(&self, from_now: Duration) {
        let at = later(from_now);
        self.at.set(at);
        self.timer.borrow_mut().bring_forward(at);
    }

    /// Unsets it: it does not pass until it is set again.
    pub fn clear(&self) {
        self.at.set(NEVER);
    }

    /// Whether it is set, and the time has come.
    pub fn passed(&self) -> bool {
        now() >= self.at.get()
    }

    /// Waits for a future until the deadline has passed; then drops it. What is ready at the same
    /// time is not late.
    pub async fn limit<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if self.passed() {
                return Poll::Ready(Err(Elapsed));
            }
            self.timer.borrow_mut().wake_at(self.at.get(), cx.waker());
            Poll::Pending
        })
        .await
    }
}

impl Default for Deadline {
    fn default() -> Deadline {
        Deadline::new()
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("at", &self.at.get()).finish_non_exhaustive()
    }
}

/// The time was over before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

/// So long from now, in nanoseconds since the Unix epoch. What takes more than 136 years, or lies
/// beyond the year 2554, is never.
fn later(duration: Duration) -> u64 {
    // A product of these two cannot overflow: to find that out takes 128 bits, which wasm32 does
    // not have.
    let Ok(seconds) = u32::try_from(duration.as_secs()) else { return NEVER };
    let nanoseconds = u64::from(seconds) * 1_000_000_000 + u64::from(duration.subsec_nanos());
    now().saturating_add(nanoseconds)
}
