//! The executor: a pure function from a time and a batch of answers to a batch of requests.
//!
//! It has one thread, and calls no function of the contract. [`turn`] delivers answers, polls
//! every task that is ready until none is, and returns the requests that were made meanwhile. The
//! caller hands them over: the shim of `component` on wasm32, `testing` natively.
//!
//! Invariant: no code of others (a future, a handler, a waker, a destructor of one of these) runs
//! while the state is borrowed. Such a value is taken out before it is called or dropped.

mod ready;
mod runtime;
mod slots;
mod tasks;
mod timer;
mod timers;

use crate::contract::{Answer, Id, Level, Outcome, Reply, Request, Submission};
use runtime::{set_now, with};
use slots::{Consumer, Delivery};
use std::fmt::Display;
use std::ops::ControlFlow;
use std::task::{Poll, Waker};

pub(crate) use runtime::now;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use runtime::{Runtime, exchange};
pub(crate) use slots::HandlerFn;
pub(crate) use tasks::{TaskFuture, TaskId};
pub(crate) use timer::Timer;

// ---- The guest as a whole.

/// Starts a guest: its `main` is called and polled in the first turn.
pub(crate) fn start<M, F, E>(main: M, args: Vec<String>)
where
    M: FnOnce(Vec<String>) -> F + 'static,
    F: Future<Output = Result<(), E>> + 'static,
    E: Display,
{
    with(|state| state.started = true);
    spawn(Box::pin(async move {
        let code = match main(args).await {
            Ok(()) => 0,
            Err(error) => {
                log(Level::Error, &error.to_string());
                1
            }
        };
        with(|state| state.exit = Some(code));
    }));
}

/// Delivers the answers, runs the guest until it waits, and puts its requests into `requests`
/// (which is empty, and given only so that its memory is used again). Returns how the guest ended
/// or paused, when it did.
pub(crate) fn turn(time: u64, answers: Vec<Answer>, requests: &mut Vec<Submission>) -> Option<Outcome> {
    // Time never goes back, whatever a host says.
    let now = now().max(time);
    set_now(now);
    for answer in answers {
        deliver(answer);
    }
    while let Some(waker) = with(|state| state.timers.pop_due(now)) {
        waker.wake();
    }
    while let Some(slot) = next_ready() {
        poll_task(slot);
    }
    with(|state| {
        state.arm_timer(now);
        std::mem::swap(&mut state.outgoing, requests);
    });
    outcome()
}

/// What the guest's turn ended with. A guest that waits for nothing would wait forever: it is
/// ended, and says so.
fn outcome() -> Option<Outcome> {
    let (exit, waits, pause) = with(|state| (state.exit, state.slots.waiting() > 0, std::mem::take(&mut state.pause)));
    match exit {
        Some(code) => Some(Outcome::Exit(code)),
        None if !waits => {
            log(Level::Error, "the guest waits, but no request of it is pending: it can never go on");
            with(|state| state.exit = Some(1));
            Some(Outcome::Exit(1))
        }
        None if pause => Some(Outcome::Paused),
        None => None,
    }
}

fn deliver(answer: Answer) {
    match with(|state| state.slots.deliver(answer)) {
        Delivery::Nothing => {}
        Delivery::Wake(waker) => waker.wake(),
        Delivery::Discard(reply) => discard(&reply),
        Delivery::Timer => with(|state| state.timers.disarm()),
        Delivery::Pause => with(|state| state.pause = true),
        Delivery::CallLast(mut handler, reply) => {
            let _ = handler(reply);
        }
        Delivery::Call(id, mut handler, reply) => {
            let flow = handler(reply);
            let rest = with(|state| state.slots.put_back(id, handler));
            drop(rest);
            if flow == ControlFlow::Break(()) {
                disconnect(id);
            }
        }
    }
}

// ---- Requests.

/// Makes a request whose answer [`poll_answer`] takes. Panics when no guest runs here, for nobody
/// would answer it.
pub(crate) fn submit(request: Request) -> Id {
    with(|state| {
        state.expect_guest();
        let id = state.slots.insert_single(&request);
        state.outgoing.push(Submission { id, request });
        id
    })
}

/// What `decode` makes of the answer to a request of [`submit`]; else the waker is kept, and woken
/// by the answer. Takes each answer once. `decode` must not come back to the executor.
pub(crate) fn poll_answer<T>(id: Id, waker: &Waker, decode: impl FnOnce(Reply) -> T) -> Poll<T> {
    let (poll, replaced) = with(|state| state.slots.poll(id, waker, decode));
    drop(replaced);
    poll
}

/// Nobody wants the answer to a request of [`submit`] any more: cancels it, or throws the answer
/// away.
pub(crate) fn abandon(id: Id) {
    let consumer = with(|state| {
        let consumer = state.slots.abandon(id);
        if consumer.waits() {
            state.send_ignored(Request::Cancel(id));
        }
        consumer
    });
    if let Consumer::Answered(reply) = &consumer {
        discard(reply);
    }
}

/// Makes a request whose answers all go to a handler, until it breaks, is disconnected, or has had
/// the final answer.
pub(crate) fn connect(request: Request, handler: HandlerFn) -> Id {
    // By itself: what is dropped for it must not meet a state that is borrowed.
    with(|state| state.expect_guest());
    with(|state| {
        let id = state.slots.insert_handler(&request, handler);
        state.outgoing.push(Submission { id, request });
        id
    })
}

/// The handler of [`connect`] is not called again, and its request is cancelled.
pub(crate) fn disconnect(id: Id) {
    // One operation: a handler and a future are abandoned alike.
    abandon(id);
}

/// Gives a handle back.
pub(crate) fn close(handle: u64) {
    with(|state| state.send_ignored(Request::Close(handle)));
}

/// Throws an answer away: a handle that it brings is given back, for nobody else knows it.
fn discard(reply: &Reply) {
    match reply {
        Reply::Accepted(accepted) => close(accepted.connection),
        Reply::Opened(opened) => close(opened.file),
        Reply::Loaded(loaded) => close(loaded.buffer),
        _ => {}
    }
}

// ---- Tasks.

/// Starts a task: it is polled in this turn.
pub(crate) fn spawn(future: TaskFuture) -> TaskId {
    let (id, waker) = with(|state| state.tasks.insert(future));
    waker.wake();
    id
}

/// Ends a task: its future is dropped now, or, when it is just being polled, after that.
pub(crate) fn cancel(id: TaskId) {
    let future = with(|state| state.tasks.cancel(id));
    drop(future);
}

fn next_ready() -> Option<u32> {
    if with(|state| state.exit.is_some()) { None } else { ready::pop() }
}

fn poll_task(slot: u32) {
    let Some((mut future, waker)) = with(|state| state.tasks.begin(slot)) else { return };
    let done = future.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_ready();
    let ended = with(|state| state.tasks.end(slot, future, waker, done));
    drop(ended);
}

// ---- The log.

/// Writes a log line. On wasm32 the host takes it at once. Natively the line waits for the end of
/// the turn; outside of a guest nobody reads it.
pub(crate) fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::contract::pluto::system::io::log(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    with(|state| {
        if state.started {
            state.logs.push((level, message.to_owned()));
        }
    });
}

/// The lines logged since the last call.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn take_logs() -> Vec<(Level, String)> {
    with(|state| std::mem::take(&mut state.logs))
}

// ---- The end.

/// Drops all that this thread's guest still holds.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn drop_guest() {
    while let Some(future) = with(|state| state.tasks.pop()) {
        drop(future);
    }
    let handlers = with(|state| state.slots.take_handlers());
    drop(handlers);
    let rest = with(|state| std::mem::replace(state, runtime::State::new()));
    drop(rest);
    set_now(0);
}
