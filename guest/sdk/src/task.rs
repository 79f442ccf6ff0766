//! Tasks, which run side by side in the one thread of a guest.

use crate::executor::{self, TaskId};
use std::cell::RefCell;
use std::fmt;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Starts a task: it is polled before the turn ends, without anybody awaiting it. Where no guest
/// runs, nobody polls it.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
    let end = Rc::new(RefCell::new(End { output: None, ended: false, waker: None }));
    let ending = Ending(Rc::clone(&end));
    let id = executor::spawn(Box::pin(async move {
        // Moved in, so that it is dropped with the task, however that ends.
        let ending = ending;
        let output = future.await;
        ending.0.borrow_mut().output = Some(output);
    }));
    Task { id, end }
}

/// Waits for both.
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_output, mut b_output) = (None, None);
    std::future::poll_fn(|cx| {
        poll_once(a.as_mut(), &mut a_output, cx);
        poll_once(b.as_mut(), &mut b_output, cx);
        match (a_output.take(), b_output.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (a_output, b_output) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Waits for one, and drops the other. When both are ready, `a` wins.
pub async fn race<A: Future, B: Future>(a: A, b: B) -> Either<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    std::future::poll_fn(|cx| match a.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Either::Left(output)),
        Poll::Pending => b.as_mut().poll(cx).map(Either::Right),
    })
    .await
}

/// What [`race`] gives: the output of the first or of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first was done.
    Left(A),
    /// The second was done, and the first was not.
    Right(B),
}

/// A task. Awaiting it gives its output, or `None` when it was cancelled; dropping it leaves the
/// task running.
pub struct Task<T> {
    id: TaskId,
    end: Rc<RefCell<End<T>>>,
}

/// How a task ended, shared by the task and who waits for it.
struct End<T> {
    output: Option<T>,
    ended: bool,
    waker: Option<Waker>,
}

/// Owned by the task's future: notes the end when that is dropped.
struct Ending<T>(Rc<RefCell<End<T>>>);

impl<T> Task<T> {
    /// Ends the task: its future is dropped now, or, when it is being polled (a task that cancels
    /// itself), when it next waits. Nothing to do when it has ended.
    pub fn cancel(&self) {
        executor::cancel(self.id);
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.end.borrow().ended
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut end = self.end.borrow_mut();
        if end.ended {
            return Poll::Ready(end.output.take());
        }
        end.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        let mut end = self.0.borrow_mut();
        end.ended = true;
        let waker = end.waker.take();
        drop(end);
        waker.inspect(Waker::wake_by_ref);
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// Polls a future until it has its output, and then not again.
fn poll_once<F: Future>(future: Pin<&mut F>, output: &mut Option<F::Output>, cx: &mut Context<'_>) {
    if output.is_none()
        && let Poll::Ready(ready) = future.poll(cx)
    {
        *output = Some(ready);
    }
}
