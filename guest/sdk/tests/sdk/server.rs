//! `serve`: many clients, the operator's stop, and a system that has nothing to give.

use crate::support::{START, accepted, answer, answer_at, id_of, lines, requests, seconds};
use pluto_sdk::contract::{self, Id};
use pluto_sdk::testing::{Guest, Outcome, Reply, Request, Turn, World};
use pluto_sdk::{Client, Error, ListenError, Server, ServerOptions, Signal, serve, sleep};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const OPTIONS: ServerOptions =
    ServerOptions { port: 8000, connections_max: 3, shared: true, grace: Duration::from_secs(5) };

/// Answers each piece in capitals; a client that says "slow" waits a minute.
async fn capitals(client: Client) {
    while let Some(Ok(bytes)) = client.until_stop(client.connection.read(100)).await {
        if bytes.is_empty() {
            return;
        }
        if bytes == b"slow" {
            sleep(seconds(3)).await;
        }
        if bytes == b"forever" {
            sleep(seconds(3600)).await;
        }
        let text = if client.stopping() { "stopping".into() } else { bytes.to_ascii_uppercase() };
        let _ = client.connection.write(vec![text.into()]).await;
    }
}

async fn main(_args: Vec<String>) -> Result<(), Error> {
    serve(OPTIONS, capitals).await
}

fn started() -> World {
    let mut world = World::new();
    world.start(main, &["8000"]);
    world.run_until_idle();
    world
}

#[test]
fn no_client_waits_for_another() {
    let mut world = started();
    let clients = ["slow", "quick", ""].map(|says| {
        let client = world.connect();
        world.client_sends(client, says);
        client
    });
    world.run_until_idle();
    assert_eq!(clients.map(|client| world.received(client)), [&b""[..], b"QUICK", b""]);
    world.advance(seconds(3));
    assert_eq!(world.received(clients[0]), b"SLOW");
}

#[test]
fn more_clients_than_are_allowed_wait_in_the_backlog() {
    let mut world = started();
    let clients: Vec<_> = (0..4).map(|_| world.connect()).collect();
    world.run_until_idle();
    assert_eq!(clients.iter().filter(|&&client| world.is_accepted(client)).count(), 3);
    world.client_ends(clients[1]);
    world.run_until_idle();
    assert!(world.is_accepted(clients[3]));
}

#[test]
fn a_stop_ends_idle_clients_at_once_and_busy_ones_when_they_are_served() {
    let mut world = started();
    let (idle, busy) = (world.connect(), world.connect());
    world.client_sends(busy, "slow");
    world.run_until_idle();
    world.signal(Signal::Stop);
    let late = world.connect();
    world.run_until_idle();
    assert!(world.is_closed(idle));
    assert!(!world.is_closed(busy));
    world.advance(seconds(2));
    let later = world.connect();
    world.run_until_idle();
    assert!(!world.is_accepted(later));
    assert_eq!(world.outcome(), None);
    world.advance(seconds(2));
    assert_eq!(world.received(busy), b"stopping");
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
    assert!(!world.is_accepted(late) || world.is_closed(late), "who came with the stop is not left hanging");
}

#[test]
fn a_stop_drops_who_is_not_served_within_the_grace_period() {
    let mut world = started();
    let client = world.connect();
    world.client_sends(client, "forever");
    world.run_until_idle();
    world.signal(Signal::Stop);
    world.advance(seconds(4));
    assert_eq!(world.outcome(), None);
    world.advance(seconds(1));
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
    assert!(world.is_closed(client));
    let warned = world.logs().iter().any(|(_, line)| line == "1 clients were not served within the grace period");
    assert!(warned, "{:?}", world.logs());
}

#[test]
fn a_reload_does_not_stop_it() {
    let mut world = started();
    world.signal(Signal::Reload);
    world.run_until_idle();
    let client = world.connect();
    world.client_sends(client, "still there");
    world.run_until_idle();
    assert_eq!(world.received(client), b"STILL THERE");
}

/// A server whose second port answers with how often it was told to reload, and `!` once it was
/// told to stop.
async fn two_ports(_args: Vec<String>) -> Result<(), ListenError> {
    let reloads = Rc::new(Cell::new(0));
    let stopped = Rc::new(Cell::new(false));
    let (told, stop) = (Rc::clone(&reloads), Rc::clone(&stopped));
    let reload = move || {
        let reloads = Rc::clone(&reloads);
        async move {
            sleep(Duration::from_secs(1)).await;
            reloads.set(reloads.get() + 1);
        }
    };
    let server = Server::new(OPTIONS).on_reload(reload).on_stop(move || stop.set(true));
    let tell = move |client: Client| {
        let told = format!("{}{}", told.get(), if stopped.get() { "!" } else { "" });
        async move {
            let _ = client.connection.write(vec![told.into()]).await;
        }
    };
    server.secondary_listener(9100, 2, tell).run(capitals).await
}

/// What the second port says.
fn told(world: &mut World) -> String {
    let client = world.connect_to(9100);
    world.run_until_idle();
    String::from_utf8(world.received(client).to_vec()).expect("text")
}

#[test]
fn a_second_port_is_served_until_the_last_client_of_the_first_has_gone() {
    let mut world = World::new();
    world.grant(9100);
    world.start(two_ports, &["8000"]);
    world.run_until_idle();
    assert_eq!(told(&mut world), "0");
    let busy = world.connect();
    world.client_takes(busy, 1);
    world.client_sends(busy, "ab");
    world.run_until_idle();
    world.signal(Signal::Stop);
    assert_eq!(told(&mut world), "0!");
    assert_eq!(world.outcome(), None);
    world.client_takes(busy, 10);
    world.run_until_idle();
    assert_eq!((world.outcome(), world.received(busy)), (Some(Outcome::Exit(0)), &b"AB"[..]));
    assert_eq!(world.handles(), 0);
}

#[test]
fn a_reload_that_is_wished_for_while_one_runs_is_another_one_and_never_beside_it() {
    let mut world = World::new();
    world.grant(9100);
    world.start(two_ports, &["8000"]);
    world.run_until_idle();
    let client = world.connect();
    world.client_sends(client, "a");
    for _ in 0..5 {
        world.signal(Signal::Reload);
        world.run_until_idle();
    }
    assert_eq!((told(&mut world).as_str(), world.received(client)), ("0", &b"A"[..]), "nobody waits for it");
    world.advance(Duration::from_secs(1));
    assert_eq!(told(&mut world), "1");
    world.advance(Duration::from_secs(5));
    assert_eq!(told(&mut world), "2", "the wishes that came meanwhile are one");
    world.signal(Signal::Reload);
    world.advance(Duration::from_secs(1));
    assert_eq!(told(&mut world), "3");
}

#[test]
fn a_second_port_that_was_not_granted_ends_it() {
    let mut world = World::new();
    world.start(two_ports, &["8000"]);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(1)));
    assert!(
        world.logs().last().expect("a line").1.starts_with("listening on port 9100 failed: "),
        "{:?}",
        world.logs()
    );
}

#[test]
fn a_pause_and_a_resume_lose_nothing() {
    let mut world = started();
    let client = world.connect();
    world.run_until_idle();
    world.signal(Signal::Pause);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Paused));
    world.client_sends(client, "hello");
    world.run_until_idle();
    assert_eq!(world.received(client), b"");
    world.resume();
    world.run_until_idle();
    assert_eq!(world.received(client), b"HELLO");
}

#[test]
fn a_server_without_signals_serves() {
    let (mut guest, listening) = listening();
    let turn = answer(&mut guest, &[(listening, Reply::Listening(8000))]);
    let told = id_of(&turn, &Request::Signals);
    let turn = answer(&mut guest, &[(told, Reply::Failed(Error::NotPermitted)), (listening, accepted(9))]);
    assert_eq!(requests(&turn), [read(9)]);
}

#[test]
fn a_server_that_cannot_listen_says_so() {
    let (mut guest, listening) = listening();
    let turn = answer(&mut guest, &[(listening, Reply::Failed(Error::AddressInUse))]);
    assert_eq!((lines(&turn), turn.outcome), (vec!["the port is taken"], Some(Outcome::Exit(1))));
}

#[test]
fn a_system_that_is_exhausted_does_not_end_the_server() {
    let (mut guest, listening) = listening();
    answer(&mut guest, &[(listening, Reply::Listening(8000)), (listening, accepted(9))]);
    let mut turn = answer(&mut guest, &[(listening, Reply::Failed(Error::Exhausted))]);
    assert_eq!(lines(&turn), ["the system has no connection to give; listening again in 100ms"]);
    let mut now = START;
    for _ in 0..3 {
        now += 100_000_000;
        let timer = id_of(&turn, &Request::Sleep(100_000_000));
        turn = answer_at(&mut guest, now, &[(timer, Reply::Elapsed)]);
        let again = id_of(&turn, &listen_request());
        turn = answer_at(&mut guest, now, &[(again, Reply::Failed(Error::Exhausted))]);
        assert_eq!(turn.outcome, None);
    }
    now += 100_000_000;
    let timer = id_of(&turn, &Request::Sleep(100_000_000));
    let again = id_of(&answer_at(&mut guest, now, &[(timer, Reply::Elapsed)]), &listen_request());
    let turn = answer_at(&mut guest, now, &[(again, Reply::Listening(8000)), (again, accepted(10))]);
    assert_eq!(requests(&turn), [read(10)]);
}

#[test]
fn another_failure_to_accept_ends_it_with_its_clients() {
    let (mut guest, listening) = listening();
    answer(&mut guest, &[(listening, Reply::Listening(8000)), (listening, accepted(9))]);
    let turn = answer(&mut guest, &[(listening, Reply::Failed(Error::Io))]);
    assert_eq!(turn.outcome, Some(Outcome::Exit(1)));
    id_of(&turn, &Request::Close(9));
}

fn listening() -> (Guest, Id) {
    let (guest, turn): (Guest, Turn) = Guest::start(main, &["8000"], START);
    let id = id_of(&turn, &listen_request());
    (guest, id)
}

fn listen_request() -> Request {
    Request::Listen(contract::Listen { port: 8000, connections_max: 3, shared: true })
}

fn read(connection: u64) -> Request {
    Request::Read(contract::Read { connection, bytes_max: 100 })
}
