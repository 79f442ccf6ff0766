//! What the operator sees: the access log, errors, and the help text.

use crate::support::{get, send, serve};
use pluto_sdk::Level;
use pluto_sdk::testing::{Outcome, World};
use std::time::Duration;

/// The lines of the access log.
fn lines(world: &World) -> Vec<&str> {
    let lines = world.logs().iter().filter(|(level, line)| *level == Level::Info && line.contains(" - - ["));
    lines.map(|(_, line)| line.as_str()).collect()
}

#[test]
fn each_request_is_a_line_of_the_access_log() {
    let mut world = serve(&[]);
    send(&mut world, &[(get("/a.txt?q") + &get("/missing\"") + &get("/a.txt").replace("GET", "HEAD")).as_bytes()]);
    send(&mut world, &[b"\x16\x03\x01\r\nforged"]);
    let slow = send(&mut world, &[b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"]);
    world.advance(Duration::from_millis(2_500));
    world.client_sends(slow, "x");
    world.run_until_idle();
    let date = "[14/Nov/2023:22:13:20 +0000]";
    let found = lines(&world);
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found[0], format!("10.0.0.1 - - {date} \"GET /a.txt?q HTTP/1.1\" 200 5 0.000000"));
    assert!(found[1].starts_with(&format!("10.0.0.1 - - {date} \"GET /missing\\\" HTTP/1.1\" 404 ")), "{}", found[1]);
    assert_eq!(found[2], format!("10.0.0.1 - - {date} \"HEAD /a.txt HTTP/1.1\" 200 0 0.000000"));
    assert!(found[3].starts_with(&format!("10.0.0.2 - - {date} \"\\x16\\x03\\x01\" 400 ")), "{}", found[3]);
    assert!(found[4].ends_with("\"GET / HTTP/1.1\" 200 13 0.000000"), "{}", found[4]);
    assert!(found[4].contains("22:13:22"), "{}", found[4]);
}

#[test]
fn the_access_log_can_be_turned_off() {
    let mut world = serve(&["--no-access-log"]);
    send(&mut world, &[get("/").as_bytes()]);
    assert!(lines(&world).is_empty());
}

#[test]
fn the_duration_is_that_of_the_response() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 100_000]);
    let client = world.connect();
    world.client_takes(client, 1_000);
    world.client_sends(client, get("/large.bin"));
    world.advance(Duration::from_millis(1_500));
    world.client_takes(client, 1 << 20);
    world.run_until_idle();
    assert!(lines(&world)[0].ends_with(" 200 100000 1.500000"), "{:?}", lines(&world));
}

#[test]
fn a_wrong_command_line_is_explained_in_one_line() {
    let check = |args: &[&str], expected: &str| {
        let mut world = World::new();
        world.start(pluto::main, args);
        world.run_until_idle();
        assert_eq!(world.outcome(), Some(Outcome::Exit(1)), "{args:?}");
        let (level, line) = world.logs().last().expect("a log line");
        assert_eq!(*level, Level::Error);
        assert!(line.contains(expected) && !line.contains('\n'), "{line}");
    };
    check(&["8000"], "expected a port and a folder to serve");
    check(&["8000", "html", "--bogus"], "found \"--bogus\"; the options are --connections N");
    check(&["8000", "html", "--idle-seconds", "never"], "--idle-seconds: expected a number");
}

#[test]
fn the_help_names_every_option_and_ends_well() {
    let mut world = World::new();
    world.start(pluto::main, &["8000", "html", "--help"]);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
    let text: String = world.logs().iter().map(|(_, line)| format!("{line}\n")).collect();
    for option in ["connections", "head-seconds", "idle-seconds", "write-seconds", "symlinks", "allow-hidden"] {
        assert!(text.contains(&format!("  --{option}")), "{text}");
    }
}
