//! The echo server in a world of clients.

use pluto_sdk::Signal;
use pluto_sdk::testing::{ClientId, Outcome, World};
use std::time::Duration;

#[test]
fn sends_back_what_a_client_sends_until_it_ends() {
    let mut world = start(&["8000"]);
    let client = world.connect();
    for piece in ["one ", "two ", "three"] {
        say(&mut world, client, piece);
    }
    assert_eq!(world.received(client), b"one two three");
    assert!(!world.is_ended(client), "the client may send more");
    world.client_ends(client);
    world.run_until_idle();
    assert!(world.is_closed(client));
}

#[test]
fn what_was_sent_with_the_end_is_sent_back() {
    let mut world = start(&["8000", "html/"]);
    let client = world.connect();
    world.client_sends(client, vec![b'x'; 100_000]);
    world.client_ends(client);
    world.run_until_idle();
    assert_eq!(world.received(client), vec![b'x'; 100_000]);
    assert!(world.is_closed(client));
}

#[test]
fn serves_any_number_of_clients_and_none_waits_for_a_silent_one() {
    let mut world = start(&["8000"]);
    let silent: Vec<ClientId> = (0..100).map(|_| world.connect()).collect();
    let clients: Vec<ClientId> = (0..100).map(|_| world.connect()).collect();
    for (number, &client) in clients.iter().enumerate() {
        world.client_sends(client, format!("I am {number}"));
    }
    world.run_until_idle();
    for (number, &client) in clients.iter().enumerate() {
        assert_eq!(world.received(client), format!("I am {number}").as_bytes());
    }
    assert!(silent.iter().all(|&client| world.received(client).is_empty() && !world.is_closed(client)));
}

#[test]
fn once_sends_back_one_read_and_closes() {
    let mut world = start(&["8000", "--once"]);
    let client = world.connect();
    say(&mut world, client, "hello");
    assert_eq!(world.received(client), b"hello");
    assert!(world.is_ended(client) && !world.is_closed(client), "closing could reset what it has not received yet");
    world.client_ends(client);
    world.run_until_idle();
    assert!(world.is_closed(client));
    let next = world.connect();
    say(&mut world, next, "again");
    assert_eq!(world.received(next), b"again", "the server goes on");
}

#[test]
fn an_idle_client_is_closed_and_a_busy_one_is_not() {
    let mut world = start(&["8000", "--idle", "10"]);
    let (idle, busy) = (world.connect(), world.connect());
    for _ in 0..3 {
        say(&mut world, busy, "x");
        world.advance(Duration::from_secs(6));
    }
    assert!(world.is_closed(idle));
    assert!(!world.is_ended(busy));
    world.advance(Duration::from_secs(4));
    assert!(world.is_ended(busy) && !world.is_closed(busy));
    world.advance(Duration::from_secs(2));
    assert!(world.is_closed(busy), "it had its time to end as well");
    assert_eq!(world.received(busy), b"xxx");
}

#[test]
fn reads_no_more_from_a_client_that_does_not_receive() {
    let mut world = start(&["8000"]);
    let client = world.connect();
    world.client_takes(client, 10);
    world.client_sends(client, vec![b'x'; 1_000_000]);
    world.run_until_idle();
    assert_eq!(world.received(client).len(), 10);
    let reads = |world: &World| {
        let reads = world.requests().iter().filter(|sent| format!("{:?}", sent.request).contains("Read"));
        reads.count()
    };
    assert_eq!(reads(&world), 1, "one read's worth is held, and no more");
    world.client_takes(client, u64::MAX);
    world.run_until_idle();
    assert_eq!(world.received(client).len(), 1_000_000);
}

#[test]
fn a_client_that_is_gone_is_forgotten() {
    let mut world = start(&["8000"]);
    let (gone, there) = (world.connect(), world.connect());
    world.run_until_idle();
    world.client_resets(gone);
    say(&mut world, there, "still here");
    assert!(world.is_closed(gone));
    assert_eq!(world.received(there), b"still here");
}

#[test]
fn stops_when_told_after_what_is_under_way() {
    let mut world = start(&["8000"]);
    let (silent, slow) = (world.connect(), world.connect());
    world.client_takes(slow, 0);
    say(&mut world, slow, "slow");
    world.signal(Signal::Stop);
    world.run_until_idle();
    assert!(world.is_ended(silent), "nothing is under way");
    assert_eq!(world.outcome(), None, "what was received is still to be sent back");
    world.client_takes(slow, 4);
    world.run_until_idle();
    assert_eq!(world.received(slow), b"slow");
    assert!(world.is_ended(slow));
    world.client_ends(slow);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
}

#[test]
fn bad_arguments_end_it_with_what_to_do() {
    let world = start(&["8000", "--twice"]);
    assert_eq!(world.outcome(), Some(Outcome::Exit(1)));
    let lines: Vec<&str> = world.logs().iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines, ["`--twice` is no option of echo: use --once or --idle SECONDS"]);
}

fn start(args: &[&str]) -> World {
    let mut world = World::new();
    world.start(echo::main, args);
    world.run_until_idle();
    world
}

fn say(world: &mut World, client: ClientId, piece: &str) {
    world.client_sends(client, piece);
    world.run_until_idle();
}
