//! The shim on wasm32: carries requests and answers between the executor and the host.

use crate::contract::pluto::system::io;
use crate::contract::{Level, Outcome};
use crate::executor;
use crate::slices::slices;
use std::cell::Cell;
use std::fmt::Display;

thread_local! {
    /// Whether `run` was called before, and returned `paused`.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// What [`main!`](crate::main) exports as `run`. A call that resumes a paused guest ignores `main`
/// and its arguments.
pub fn run<M, F, E>(main: M, args: Vec<String>) -> Outcome
where
    M: FnOnce(Vec<String>) -> F + 'static,
    F: Future<Output = Result<(), E>> + 'static,
    E: Display,
{
    let mut answers = Vec::new();
    if PAUSED.replace(false) {
        answers = io::receive();
    } else {
        log_panics();
        executor::start(main, args);
    }
    let mut requests = Vec::new();
    loop {
        let outcome = executor::turn(io::time(), answers, &mut requests);
        if !requests.is_empty() {
            slices(&requests).for_each(io::send);
            requests.clear();
        }
        if let Some(outcome) = outcome {
            PAUSED.set(outcome == Outcome::Paused);
            return outcome;
        }
        answers = io::receive();
    }
}

/// A panic ends the guest with a trap, which says nothing: says before it what went wrong and
/// where.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let line = match info.location() {
            Some(location) => format!("panicked at {location}: {message}"),
            None => format!("panicked: {message}"),
        };
        io::log(Level::Error, &line);
    }));
}
