//! Short forms for what every test says.

use pluto_sdk::contract::{self, Accepted, Id, IpAddress, SocketAddress};
use pluto_sdk::testing::{Answer, Guest, Reply, Request, Turn};
use std::convert::Infallible;
use std::time::Duration;

/// When tests begin: nanoseconds since the Unix epoch.
pub(crate) const START: u64 = 1_000_000_000_000;

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Starts a guest whose main cannot fail.
pub(crate) fn start<F: Future<Output = ()> + 'static>(main: impl FnOnce() -> F + 'static) -> (Guest, Turn) {
    let main = async move |_args| -> Result<(), Infallible> {
        main().await;
        Ok(())
    };
    Guest::start(main, &["8000"], START)
}

/// Gives answers at the time of the start.
pub(crate) fn answer(guest: &mut Guest, answers: &[(Id, Reply)]) -> Turn {
    answer_at(guest, START, answers)
}

pub(crate) fn answer_at(guest: &mut Guest, time: u64, answers: &[(Id, Reply)]) -> Turn {
    guest.turn(time, answers.iter().cloned().map(|(id, reply)| Answer { id, reply }).collect())
}

/// Under which name a turn made a request.
#[track_caller]
pub(crate) fn id_of(turn: &Turn, request: &Request) -> Id {
    let found = turn.requests.iter().find(|sent| sent.request == *request);
    found.unwrap_or_else(|| panic!("{request:?} is not among {:?}", turn.requests)).id
}

pub(crate) fn requests(turn: &Turn) -> Vec<Request> {
    turn.requests.iter().map(|sent| sent.request.clone()).collect()
}

pub(crate) fn lines(turn: &Turn) -> Vec<&str> {
    turn.logs.iter().map(|(_, line)| line.as_str()).collect()
}

pub(crate) fn accepted(connection: u64) -> Reply {
    let peer = SocketAddress { address: IpAddress::Ipv4((10, 0, 0, 1)), port: 40_000 };
    Reply::Accepted(Accepted { connection, peer })
}

pub(crate) fn list(path: &str) -> Request {
    Request::List(contract::Listing::all(path))
}
