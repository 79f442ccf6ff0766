//! What the operator sees: the access log, errors, and the help text.

use crate::hand::{self, Hand, is_open, is_write};
use crate::support::{get, send, serve};
use pluto_sdk::testing::{Outcome, Reply, World};
use pluto_sdk::{Error, Level};
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

/// The clients of a world are 10.0.0.1, 10.0.0.2 and so on.
#[test]
fn the_client_of_a_trusted_proxy_is_in_the_log() {
    let request = |fields: &str| format!("GET /a.txt HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let bad = "GET /a.txt HTTP/1.1\r\nX-Forwarded-For: 192.0.2.8\r\nno field\r\n";
    for form in ["common", "combined", "json"] {
        for (trusted, fields, expected) in [
            ("10.0.0.0/8", "X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n", "192.0.2.7"),
            ("10.0.0.1", "Forwarded: for=\"[2001:db8::7]:80\"\r\n", "2001:db8::7"),
            ("10.0.0.1,::1", "", "10.0.0.1"),
            ("10.0.0.2", "X-Forwarded-For: 192.0.2.7\r\n", "10.0.0.1"),
        ] {
            let mut world = serve(&["--access-log", form, "--trusted-proxies", trusted]);
            // A proxy sends the requests of several clients on one connection.
            let other = request("X-Forwarded-For: 192.0.2.9\r\n");
            send(&mut world, &[(request(fields) + &other + bad).as_bytes()]);
            let found: Vec<_> = world.logs().iter().rev().take(3).rev().map(|(_, line)| line.as_str()).collect();
            let is_trusted = trusted != "10.0.0.2";
            for (line, remote) in found.iter().zip([
                expected,
                if is_trusted { "192.0.2.9" } else { "10.0.0.1" },
                if is_trusted { "192.0.2.8" } else { "10.0.0.1" },
            ]) {
                let shown = if form == "json" { format!("\"remote\":\"{remote}\"") } else { format!("{remote} - - [") };
                assert!(line.contains(&shown), "{form} {trusted} {fields}: {line}");
            }
        }
        let mut world = serve(&["--access-log", form]);
        send(&mut world, &[request("X-Forwarded-For: 192.0.2.7\r\n").as_bytes()]);
        assert!(world.logs().last().is_some_and(|(_, line)| line.contains("10.0.0.1")), "nobody is trusted unasked");
    }
}

#[test]
fn the_access_log_can_be_turned_off() {
    for options in [&["--no-access-log"][..], &["--access-log", "off"]] {
        let mut world = serve(options);
        let before = world.logs().len();
        send(&mut world, &[get("/").as_bytes()]);
        assert_eq!(world.logs().len(), before);
    }
}

#[test]
fn the_other_forms_show_fields_of_each_request_also_of_a_refused_one() {
    let request = "GET /a.txt HTTP/1.1\r\nUSER-AGENT: x\"y\r\nuser-agent: second\r\nHost: a:80\r\n\
                   Referer:  http://a/?b  \r\n\r\n";
    let refused = "BREW / HTTP/1.1\r\nHost: b\r\nUser-Agent: pot\r\nno field\r\n";
    let combined = ["\"http://a/?b\" \"x\\\"y\" 0.000000", "\"-\" \"pot\" 0.000000"];
    let json = [
        ",\"host\":\"a:80\",\"referer\":\"http://a/?b\",\"user_agent\":\"x\\\"y\"}",
        ",\"host\":\"b\",\"referer\":null,\"user_agent\":\"pot\"}",
    ];
    for (form, expected) in [("combined", combined), ("json", json)] {
        let mut world = serve(&["--access-log", form]);
        send(&mut world, &[(request.to_owned() + refused).as_bytes()]);
        let found: Vec<_> = world.logs().iter().rev().take(2).map(|(_, line)| line).collect();
        for (line, end) in found.iter().rev().zip(expected) {
            assert!(line.ends_with(end), "{form}: {line}");
        }
    }
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

/// The content that the system has taken, as far as that is known: what was answered by `written`.
#[test]
fn a_response_that_is_cut_is_logged_with_what_was_sent() {
    let check = |takes: u64, logged: &str| {
        let mut world = serve(&[]);
        world.file("large.bin", vec![b'x'; 3 << 20]);
        let client = world.connect();
        world.client_takes(client, takes);
        world.client_sends(client, get("/large.bin"));
        world.run_until_idle();
        world.client_resets(client);
        world.run_until_idle();
        assert!(lines(&world)[0].ends_with(logged), "{:?}", lines(&world));
    };
    check(1_000, " 200 0 0.000000 cut");
    check(300_000, " 200 262144 0.000000 cut");
}

#[test]
fn an_error_that_is_not_the_client_s_is_told() {
    let check = |error: Error, told: bool| {
        let mut hand = Hand::new(get("/a"));
        hand.open(hand.id(is_open), 100);
        hand.answer(vec![(hand.id(is_write), Reply::Failed(error))]);
        let line = format!("a response to 192.0.2.7 was cut: {error}");
        assert_eq!(hand.logs.contains(&line), told, "{:?}", hand.logs);
    };
    check(Error::Disconnected, false);
    for error in [Error::Io, Error::Exhausted, Error::TooLarge, Error::BadHandle, Error::Invalid] {
        check(error, true);
    }
}

/// Out of descriptors every request fails: no client is to fill the disk of the operator with it.
#[test]
fn what_goes_wrong_with_every_request_is_told_once_a_second() {
    for error in [Error::Exhausted, Error::Io] {
        let request = get(&format!("/\"{}", "a".repeat(1_500)));
        let mut hand = Hand::new(request.repeat(5));
        while let Some(&open) = hand.ids(is_open).first() {
            hand.answer(vec![(open, Reply::Failed(error))]);
        }
        let told: Vec<&String> = hand.logs.iter().filter(|line| line.contains("be opened")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("(\"GET /\\\"aaa") && told[0].ends_with("aaa...\")"), "{told:?}");
    }
}

#[test]
fn a_port_that_cannot_be_had_is_told() {
    let (mut guest, turn) = hand::start();
    let answer = pluto_sdk::testing::Answer { id: turn.requests[0].id, reply: Reply::Failed(Error::AddressInUse) };
    let logs = guest.turn(1, vec![answer]).logs;
    assert_eq!(logs.last().map(|log| log.1.as_str()), Some("listening on port 8000 failed: the port is taken"));
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
    check(&["8000", "html", "--bogus"], "there is no option \"--bogus\"; --help");
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
