//! The guest in a world of clients, whose time passes at once.

use pluto_sdk::Signal;
use pluto_sdk::testing::{Outcome, World};
use std::time::Duration;

/// A world in which the guest listens.
fn start() -> World {
    let mut world = World::new();
    world.start(clock::main, &["8000"]);
    world.run_until_idle();
    world
}

#[test]
fn a_client_is_told_the_time_each_second() {
    let mut world = start();
    let client = world.connect();
    world.run_until_idle();
    let begin = world.now() / 1_000_000_000;
    assert_eq!(world.received(client), format!("{begin}\n").as_bytes());
    world.advance(Duration::from_secs(2));
    let lines: String = (begin..=begin + 2).map(|second| format!("{second}\n")).collect();
    assert_eq!(String::from_utf8_lossy(world.received(client)), lines);
}

#[test]
fn a_stop_ends_the_guest_at_once() {
    let mut world = start();
    let client = world.connect();
    world.run_until_idle();
    world.signal(Signal::Stop);
    world.run_until_idle();
    assert!(world.is_closed(client));
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
}

#[test]
fn without_a_port_it_says_what_it_expects() {
    let mut world = World::new();
    world.start(clock::main, &[]);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(1)));
    assert!(world.logs().iter().any(|(_, line)| line.contains("expected a port")));
}
