//! The typed core: each kind of request is a type with its own answer type.
//!
//! A request is sent when it is made, with the others of the same turn, whether or not anybody has
//! awaited it. It is cancelled when nobody waits for it any more.

use crate::contract::{Error, Id, Reply, Request};
use crate::executor;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A request with one answer.
///
/// Sealed: the kinds of requests are those of the contract.
pub trait Ask: Sealed {
    /// What it is answered when it does not fail.
    type Answer;

    /// The request as the contract writes it.
    fn request(self) -> Request;

    /// What a reply says; `None` for one of another kind, which is ignored.
    fn answer(reply: Reply) -> Option<Result<Self::Answer, Error>>;
}

/// A request that is answered any number of times. The final answer is an `Err`.
///
/// Sealed: the kinds of requests are those of the contract.
pub trait AskMany: Sealed {
    /// What it is answered each time, until it fails.
    type Answer;

    /// The request as the contract writes it.
    fn request(self) -> Request;

    /// What a reply says; `None` for one of another kind, which is ignored.
    fn answer(reply: Reply) -> Option<Result<Self::Answer, Error>>;

    /// Makes less of what has come and was not taken, when the request itself has no limit. Called
    /// for each answer.
    fn condense(_queue: &mut VecDeque<Self::Answer>) {}
}

/// Makes a request: it is sent with the batch of this turn, even if the answer is never awaited.
///
/// Panics when no guest runs in this thread (natively: outside of `pluto_sdk::testing`).
pub fn ask<A: Ask>(ask: A) -> Pending<A> {
    Pending { id: executor::submit(ask.request()), taken: false, kind: PhantomData }
}

/// Makes a request and calls `handler` for each answer, in the order in which they come, before
/// any task runs.
///
/// The handler has its own memory, and may do what a task may. It is disconnected when it returns
/// `Break`, when its [`Handler`] is dropped, and after the final answer; then it is not called
/// again. Panics when no guest runs here.
pub fn handle<A, H>(ask: A, mut handler: H) -> Handler
where
    A: AskMany,
    H: FnMut(Result<A::Answer, Error>) -> ControlFlow<()> + 'static,
{
    let typed = move |reply| match A::answer(reply) {
        Some(answer) => handler(answer),
        None => ControlFlow::Continue(()),
    };
    Handler { id: Some(executor::connect(ask.request(), Box::new(typed))) }
}

/// Makes a request whose answers are taken one after the other. What has come and was not taken is
/// kept in a queue: the request has a limit, as `listen` has its `connections_max`, or condenses
/// it. Panics when no guest runs here.
pub fn answers<A>(ask: A) -> Answers<A>
where
    A: AskMany,
    A::Answer: 'static,
{
    let queue = Rc::new(RefCell::new(Queue { answers: VecDeque::new(), ended: None, waker: None }));
    let filled = Rc::clone(&queue);
    let handler = handle(ask, move |answer| {
        let mut queue = filled.borrow_mut();
        let waker = queue.push(answer);
        A::condense(&mut queue.answers);
        drop(queue);
        waker.inspect(Waker::wake_by_ref);
        ControlFlow::Continue(())
    });
    Answers { _handler: handler, queue }
}

/// A request that was sent: awaiting it gives its answer. Dropped before the answer has come, it
/// is cancelled; an answer that nobody takes is thrown away, with the handle that it brings.
#[must_use = "a request that nobody awaits is cancelled"]
pub struct Pending<A: Ask> {
    id: Id,
    taken: bool,
    kind: PhantomData<fn() -> A>,
}

impl<A: Ask> Future for Pending<A> {
    type Output = Result<A::Answer, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.taken, "a request was polled after its answer");
        let decode = |reply| A::answer(reply).expect("only replies that fit the request are delivered");
        let poll = executor::poll_answer(self.id, cx.waker(), decode);
        self.taken = poll.is_ready();
        poll
    }
}

impl<A: Ask> Drop for Pending<A> {
    fn drop(&mut self) {
        if !self.taken {
            executor::abandon(self.id);
        }
    }
}

impl<A: Ask> fmt::Debug for Pending<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A connected handler. Dropping it disconnects the handler and cancels the request.
#[must_use = "dropping it disconnects the handler"]
#[derive(Debug)]
pub struct Handler {
    /// `None` once detached.
    id: Option<Id>,
}

impl Handler {
    /// Disconnects the handler and cancels the request, as dropping does.
    pub fn cancel(self) {}

    /// Leaves the handler connected until it breaks or has had the final answer.
    pub fn detach(mut self) {
        self.id = None;
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            executor::disconnect(id);
        }
    }
}

/// The answers of a request, one after the other. Dropping it cancels the request.
pub struct Answers<A: AskMany> {
    _handler: Handler,
    queue: Rc<RefCell<Queue<A::Answer>>>,
}

struct Queue<T> {
    answers: VecDeque<T>,
    /// The final answer, which stands behind all others.
    ended: Option<Final>,
    waker: Option<Waker>,
}

struct Final {
    error: Error,
    taken: bool,
}

impl<A: AskMany> Answers<A> {
    /// Waits for the next answer. The final one is an `Err`; after it there is `None`.
    pub async fn next(&mut self) -> Option<Result<A::Answer, Error>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Answers::next), and gives the final answer again and again.
    pub(crate) async fn next_or_final(&mut self) -> Result<A::Answer, Error> {
        match self.next().await {
            Some(answer) => answer,
            None => {
                let queue = self.queue.borrow();
                Err(queue.ended.as_ref().expect("a stream that ended has had its final answer").error)
            }
        }
    }

    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Result<A::Answer, Error>>> {
        let mut queue = self.queue.borrow_mut();
        if let Some(answer) = queue.answers.pop_front() {
            return Poll::Ready(Some(Ok(answer)));
        }
        match &mut queue.ended {
            Some(ended) if ended.taken => Poll::Ready(None),
            Some(ended) => {
                ended.taken = true;
                Poll::Ready(Some(Err(ended.error)))
            }
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<A: AskMany> fmt::Debug for Answers<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("queued", &self.queue.borrow().answers.len()).finish_non_exhaustive()
    }
}

impl<T> Queue<T> {
    /// Keeps an answer; returns who waits for it.
    fn push(&mut self, answer: Result<T, Error>) -> Option<Waker> {
        match answer {
            Ok(answer) => self.answers.push_back(answer),
            Err(error) => self.ended = Some(Final { error, taken: false }),
        }
        self.waker.take()
    }
}

pub(crate) use sealed::Sealed;

mod sealed {
    /// Only this crate knows the kinds of requests.
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{
        Accepted, Digested, IpAddress, Kind, Loaded, Metadata, Opened, Range, Signal, SocketAddress,
    };
    use crate::contract::{Arity, Expected};
    use crate::fs::{List, Open, Symlinks, WatchPath};
    use crate::net::Listen;
    use crate::shards::{Gather, Post};
    use crate::signals::SignalsRequest;

    #[test]
    fn the_table_of_replies_agrees_with_the_types() {
        let path = Vec::new;
        agrees_many(Listen { port: 1, connections_max: 1, shared: true });
        agrees_many(WatchPath { path: path() });
        agrees_many(SignalsRequest);
        agrees(Open { path: path(), links: Symlinks::Follow });
        agrees(List(crate::contract::Listing::all(path())));
        agrees(Post { bytes: Vec::new() });
        agrees(Gather);
    }

    #[test]
    fn every_request_has_its_own_replies() {
        let range = Range { handle: 1, offset: 0, length: 1 };
        check(Request::ReadFile(range), &["data"]);
        check(Request::Load(range), &["loaded"]);
        check(Request::Digest(1), &["digested"]);
        check(Request::Read(crate::contract::Read { connection: 1, bytes_max: 1 }), &["data"]);
        check(Request::Write(crate::contract::Write { connection: 1, parts: Vec::new(), ends: false }), &["written"]);
        check(Request::Shutdown(1), &["done"]);
        check(Request::Close(1), &["done"]);
        check(Request::Cancel(1), &["done"]);
        check(Request::Sleep(1), &["elapsed"]);
        check(Request::Post(Vec::new()), &["done"]);
        check(Request::Gather, &["gathered"]);
        check(Request::Signals, &["signal"]);
        check(
            Request::Listen(crate::contract::Listen { port: 1, connections_max: 1, shared: true }),
            &["listening", "accepted"],
        );
        check(Request::Watch(Vec::new()), &["changed"]);
        check(Request::List(crate::contract::Listing::all("")), &["listed"]);
        check(Request::Open(crate::contract::Open { path: Vec::new(), follow_symlinks: true }), &["opened"]);
    }

    fn agrees<A: Ask>(ask: A) {
        let expected = Expected::answers_to(&ask.request());
        for (name, reply) in replies() {
            assert_eq!(expected.fits(&reply), A::answer(reply).is_some(), "{expected:?} {name}");
        }
    }

    fn agrees_many<A: AskMany>(ask: A) {
        let expected = Expected::answers_to(&ask.request());
        assert_eq!(expected.arity(), Arity::Many);
        for (name, reply) in replies() {
            assert_eq!(expected.fits(&reply), A::answer(reply).is_some(), "{expected:?} {name}");
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the table reads better")]
    fn check(request: Request, names: &[&str]) {
        let expected = Expected::answers_to(&request);
        let fitting = replies().into_iter().filter(|(_, reply)| expected.fits(reply)).map(|(name, _)| name);
        let fitting: Vec<&str> = fitting.filter(|name| *name != "failed").collect();
        assert_eq!(fitting, names, "{request:?}");
        assert!(expected.fits(&Reply::Failed(Error::Io)), "{request:?}");
    }

    fn replies() -> Vec<(&'static str, Reply)> {
        let peer = SocketAddress { address: IpAddress::Ipv4((127, 0, 0, 1)), port: 1 };
        let metadata = Metadata { kind: Kind::Regular, size: 0, modified: 0, changed: 0, inode: 1 };
        vec![
            ("listening", Reply::Listening(1)),
            ("accepted", Reply::Accepted(Accepted { connection: 1, peer })),
            ("data", Reply::Data(Vec::new())),
            ("written", Reply::Written(0)),
            ("done", Reply::Done),
            ("opened", Reply::Opened(Opened { file: 1, metadata })),
            ("loaded", Reply::Loaded(Loaded { buffer: 1, length: 0 })),
            ("digested", Reply::Digested(Digested { digest: (0, 0), size: 0, modified: 0, changed: 0 })),
            ("listed", Reply::Listed(Vec::new())),
            ("changed", Reply::Changed(Vec::new())),
            ("elapsed", Reply::Elapsed),
            ("signal", Reply::Signal(Signal::Stop)),
            ("gathered", Reply::Gathered(Vec::new())),
            ("failed", Reply::Failed(Error::Io)),
        ]
    }
}
