//! When a connection is kept, closed, or given up.

use crate::support::{After, after, get, responses, send, serve};
use pluto::limits::LINGERING_CLIENTS_MAX;
use pluto_sdk::Signal;
use pluto_sdk::testing::{Outcome, World};
use std::time::Duration;

fn pass(world: &mut World, seconds: u64) {
    world.advance(Duration::from_secs(seconds));
}

#[test]
fn a_connection_is_kept_in_1_1_and_on_request_in_1_0() {
    let check = |request: &str, announced: Option<&str>, expected: After| {
        let mut world = serve(&[]);
        let client = send(&mut world, &[request.replace(';', "\r\n").as_bytes()]);
        let found = responses(world.received(client), &[]);
        assert_eq!(found[0].field("Connection"), announced, "{request}");
        assert_eq!(after(&world, client), expected, "{request}");
        if expected == After::Kept {
            world.client_sends(client, get("/a.txt"));
            world.run_until_idle();
            assert_eq!(responses(world.received(client), &[])[1].text(), "alpha", "{request}");
        }
    };
    check("GET / HTTP/1.1;Host: a;;", None, After::Kept);
    check("GET / HTTP/1.1;Host: a;Connection: Close;;", Some("close"), After::Closed);
    check("GET / HTTP/1.0;;", Some("close"), After::Closed);
    check("GET / HTTP/1.0;Connection: keep-alive;;", Some("keep-alive"), After::Kept);
    check("GET /missing HTTP/1.0;Connection: keep-alive;;", Some("keep-alive"), After::Kept);
    check("GET / HTTP/1.0;Connection: keep-alive, close;;", Some("close"), After::Closed);
}

#[test]
fn a_head_must_arrive_in_time_in_all() {
    let mut world = serve(&["--head-seconds", "10"]);
    let request = get("/");
    let client = send(&mut world, &[]);
    // A byte every second would keep a limit for each read from ever passing.
    for byte in request.as_bytes().chunks(1).take(10) {
        assert_eq!(after(&world, client), After::Kept);
        world.client_sends(client, byte);
        pass(&mut world, 1);
    }
    assert_eq!(after(&world, client), After::Lingers);
    let found = responses(world.received(client), &[]);
    assert_eq!((found.len(), found[0].status, found[0].field("Connection")), (1, 408, Some("close")));
}

#[test]
fn the_time_for_a_head_begins_with_its_first_byte() {
    let mut world = serve(&["--head-seconds", "10", "--idle-seconds", "100"]);
    let client = send(&mut world, &[]);
    for _ in 0..3 {
        pass(&mut world, 90);
        world.client_sends(client, b"GET / HT");
        pass(&mut world, 9);
        world.client_sends(client, b"TP/1.1\r\nHost: a\r\n\r\n");
        world.run_until_idle();
    }
    assert_eq!(responses(world.received(client), &[]).len(), 3);
    // Empty lines begin no head, and are no sign of life either.
    pass(&mut world, 50);
    world.client_sends(client, b"\r\n");
    pass(&mut world, 49);
    assert_eq!(after(&world, client), After::Kept);
    pass(&mut world, 1);
    assert_eq!(after(&world, client), After::Closed);
}

#[test]
fn a_body_must_arrive_in_time() {
    let mut world = serve(&["--body-seconds", "10"]);
    let client = send(&mut world, &[b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"]);
    for _ in 0..10 {
        world.client_sends(client, b"x");
        pass(&mut world, 1);
    }
    assert_eq!(responses(world.received(client), &[])[0].status, 408);
    assert_eq!(after(&world, client), After::Lingers);
}

#[test]
fn an_idle_client_is_let_go_without_a_word() {
    for options in [&[][..], &["--idle-seconds", "5"]] {
        let idle = if options.is_empty() { 75 } else { 5 };
        let mut world = serve(options);
        let fresh = send(&mut world, &[]);
        let served = send(&mut world, &[get("/").as_bytes()]);
        let received = world.received(served).len();
        pass(&mut world, idle - 1);
        assert_eq!([after(&world, fresh), after(&world, served)], [After::Kept; 2]);
        pass(&mut world, 1);
        assert_eq!([after(&world, fresh), after(&world, served)], [After::Closed; 2]);
        assert_eq!([world.received(fresh).len(), world.received(served).len()], [0, received]);
    }
}

#[test]
fn a_client_that_stops_reading_is_given_up() {
    let mut world = serve(&["--write-seconds", "30"]);
    world.file("large.bin", vec![b'x'; 3 << 20]);
    let stalled = world.connect();
    world.client_takes(stalled, 100_000);
    world.client_sends(stalled, get("/large.bin"));
    world.run_until_idle();
    pass(&mut world, 29);
    assert_eq!(after(&world, stalled), After::Kept);
    pass(&mut world, 1);
    assert_eq!(after(&world, stalled), After::Closed);
    assert_eq!(world.received(stalled).len(), 100_000);
    assert!(world.logs().last().expect("a log").1.contains(" cut"), "{:?}", world.logs().last());
}

/// First 5 kB/s, then 1.5 kB/s: a quarter of an hour, in pieces that become smaller, so that each
/// is taken in time.
#[test]
fn a_slow_client_gets_a_large_file_whole() {
    let mut world = serve(&[]);
    let content: Vec<u8> = (0..1 << 20).map(|index: u32| (index % 251) as u8).collect();
    world.file("large.bin", content.clone());
    let slow = world.connect();
    world.client_takes(slow, 0);
    world.client_sends(slow, get("/large.bin"));
    world.run_until_idle();
    let mut seconds = 0;
    while world.received(slow).len() < content.len() + 200 && !world.is_closed(slow) {
        world.client_takes(slow, if seconds < 100 { 5_000 } else { 1_500 });
        pass(&mut world, 1);
        seconds += 1;
    }
    let found = responses(world.received(slow), &[]);
    assert!(found[0].content == content);
    assert!(seconds > 400 && after(&world, slow) == After::Kept);
}

/// A client that has no more to ask says so by ending its direction; `nc` and `printf` do.
#[test]
fn requests_before_a_half_close_are_answered_in_full() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 1 << 20]);
    for pieces in [1, 7] {
        let client = world.connect();
        let requests = get("/a.txt").repeat(20) + &get("/large.bin");
        let length = requests.len().div_ceil(pieces);
        for piece in requests.as_bytes().chunks(length) {
            world.client_sends(client, piece);
        }
        world.client_ends(client);
        world.run_until_idle();
        let found = responses(world.received(client), &[]);
        assert_eq!((found.len(), found[20].content.len()), (21, 1 << 20));
        assert_eq!(after(&world, client), After::Closed);
    }
}

#[test]
fn a_request_that_ends_before_it_is_complete_is_refused() {
    let check = |request: &str, status: Option<u16>| {
        let mut world = serve(&[]);
        let client = send(&mut world, &[request.as_bytes()]);
        world.client_ends(client);
        world.run_until_idle();
        let found = responses(world.received(client), &[]);
        assert_eq!(found.first().map(|response| response.status), status, "{request}");
        assert_eq!(after(&world, client), After::Closed, "{request}");
    };
    check("", None);
    check("\r\n", None);
    check("GET / HTTP/1.1\r\nHost: a\r\n", Some(400));
    check("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc", Some(400));
}

/// Closing a connection with bytes unread resets it, and a reset can destroy a response on its
/// way.
#[test]
fn a_client_in_the_middle_of_an_upload_gets_the_answer() {
    let mut world = serve(&["--linger-seconds", "5", "--linger-bytes", "100000"]);
    let upload: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let status = |world: &World, client| responses(world.received(client), &[])[0].status;
    // It goes on for a while, then has read the answer.
    let client = send(&mut world, &[upload, &[b'x'; 50_000]]);
    assert_eq!((status(&world, client), after(&world, client)), (405, After::Lingers));
    world.client_ends(client);
    world.run_until_idle();
    assert_eq!(after(&world, client), After::Closed);
    // It never ends.
    let client = send(&mut world, &[upload, &[b'x'; 50_000]]);
    pass(&mut world, 4);
    assert_eq!(after(&world, client), After::Lingers);
    pass(&mut world, 1);
    assert_eq!((status(&world, client), after(&world, client)), (405, After::Closed));
    // It sends more than anybody wants to drop.
    let client = send(&mut world, &[upload, &[b'x'; 100_000]]);
    assert_eq!((status(&world, client), after(&world, client)), (405, After::Closed));
}

/// An upload takes as long as it takes: whoever gets on with it is waited for.
#[test]
fn a_long_upload_that_gets_on_sees_the_answer() {
    let mut world = serve(&[]);
    let upload: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\n\r\n";
    let (fast, slow) = (send(&mut world, &[upload]), send(&mut world, &[upload]));
    for _ in 0..100 {
        if !world.is_closed(slow) {
            world.client_sends(slow, [b'x'; 1_000]);
        }
        world.client_sends(fast, vec![b'x'; 1 << 20]);
        pass(&mut world, 1);
        assert_eq!(after(&world, fast), After::Lingers);
    }
    assert_eq!(after(&world, slow), After::Closed, "1 kB/s is no progress");
    world.client_ends(fast);
    world.run_until_idle();
    assert_eq!(after(&world, fast), After::Closed);
    assert_eq!(responses(world.received(fast), &[])[0].status, 405);
}

#[test]
fn only_so_many_are_waited_for_behind_their_last_response() {
    let mut world = serve(&[]);
    let upload: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\n\r\n";
    let clients: Vec<_> = (0..=LINGERING_CLIENTS_MAX).map(|_| send(&mut world, &[upload])).collect();
    let (last, others) = clients.split_last().expect("clients");
    assert!(others.iter().all(|client| after(&world, *client) == After::Lingers));
    assert_eq!(after(&world, *last), After::Closed);
    // When one of them has gone there is room for another.
    world.client_ends(others[0]);
    world.run_until_idle();
    let next = send(&mut world, &[upload]);
    assert_eq!(after(&world, next), After::Lingers);
}

/// RFC 9112 §9.6: it may send nothing more, so there is nothing to wait for.
#[test]
fn a_client_that_has_said_that_it_is_done_is_not_waited_for() {
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", After::Closed),
        ("HEAD /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", After::Closed),
        ("GET / HTTP/1.0\r\n\r\n", After::Closed),
        // It sends more all the same, or may: clients from before 1997 send an empty line behind a
        // body.
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\r\n", After::Lingers),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", After::Lingers),
        ("POST / HTTP/1.0\r\n\r\n", After::Lingers),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n", After::Lingers),
        // It is the server that ends it.
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", After::Lingers),
    ] {
        let mut world = serve(&[]);
        let client = send(&mut world, &[request.as_bytes()]);
        assert!(world.received(client).starts_with(b"HTTP/1.1 "), "{request}");
        assert_eq!(after(&world, client), expected, "{request}");
    }
}

#[test]
fn a_file_that_becomes_shorter_cuts_the_connection() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 1 << 20]);
    let client = world.connect();
    world.client_takes(client, 1000);
    world.client_sends(client, get("/large.bin") + &get("/a.txt"));
    world.run_until_idle();
    world.overwrite("large.bin", vec![b'x'; 300_000]);
    world.client_takes(client, 10 << 20);
    world.run_until_idle();
    assert_eq!(after(&world, client), After::Closed);
    let received = String::from_utf8_lossy(world.received(client));
    let (head, content) = received.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("Content-Length: 1048576"));
    assert!(content.bytes().all(|byte| byte == b'x') && content.len() == 300_000, "nothing behind what there was");
}

#[test]
fn a_file_that_grows_is_sent_as_long_as_it_was_announced() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 1 << 20]);
    let client = world.connect();
    world.client_takes(client, 1000);
    world.client_sends(client, get("/large.bin") + &get("/a.txt"));
    world.run_until_idle();
    world.overwrite("large.bin", vec![b'x'; 2 << 20]);
    world.client_takes(client, 10 << 20);
    world.run_until_idle();
    let found = responses(world.received(client), &[]);
    assert_eq!((found.len(), found[0].content.len(), found[1].text().as_str()), (2, 1 << 20, "alpha"));
    assert_eq!(after(&world, client), After::Kept);
}

#[test]
fn a_client_that_resets_leaves_nothing_behind() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 1 << 20]);
    for bytes in [&b""[..], b"GET / HT", get("/large.bin").as_bytes()] {
        let client = world.connect();
        world.client_takes(client, 1000);
        world.client_sends(client, bytes);
        world.run_until_idle();
        world.client_resets(client);
        world.run_until_idle();
        assert!(world.is_closed(client), "{}", bytes.escape_ascii());
    }
    let client = send(&mut world, &[get("/").as_bytes()]);
    assert_eq!(responses(world.received(client), &[])[0].status, 200);
}

#[test]
fn only_so_many_clients_are_connected_at_once() {
    let mut world = serve(&["--connections", "2"]);
    let clients = [(); 3].map(|()| send(&mut world, &[]));
    assert_eq!(clients.map(|client| world.is_accepted(client)), [true, true, false]);
    world.client_ends(clients[0]);
    world.run_until_idle();
    assert!(world.is_accepted(clients[2]));
}

#[test]
fn told_to_stop_the_server_lets_idle_clients_go_and_finishes_what_is_under_way() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 1 << 20]);
    let fresh = send(&mut world, &[]);
    let idle = send(&mut world, &[get("/").as_bytes()]);
    let asking = send(&mut world, &[b"GET / HT"]);
    let loading = world.connect();
    world.client_takes(loading, 1000);
    world.client_sends(loading, get("/large.bin"));
    world.run_until_idle();
    world.signal(Signal::Stop);
    world.run_until_idle();
    let states = [fresh, idle, asking, loading].map(|client| after(&world, client));
    assert_eq!(states, [After::Closed, After::Closed, After::Kept, After::Kept]);
    // Who is in the middle of a request gets the response, and hears that it is the last.
    world.client_sends(asking, b"TP/1.1\r\nHost: a\r\n\r\n");
    world.run_until_idle();
    assert_eq!(responses(world.received(asking), &[])[0].field("Connection"), Some("close"));
    world.client_ends(asking);
    world.client_takes(loading, 10 << 20);
    world.run_until_idle();
    assert_eq!(responses(world.received(loading), &[])[0].content.len(), 1 << 20);
    assert_eq!([after(&world, asking), after(&world, loading)], [After::Closed, After::Lingers]);
    world.client_ends(loading);
    world.run_until_idle();
    assert_eq!(after(&world, loading), After::Closed);
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
}

#[test]
fn told_to_stop_the_server_waits_for_no_idle_client() {
    let mut world = serve(&[]);
    let idle = send(&mut world, &[get("/").as_bytes()]);
    // What comes with the signal is answered, and said to be the last.
    let late = send(&mut world, &[]);
    world.client_sends(late, get("/a.txt"));
    world.signal(Signal::Stop);
    world.run_until_idle();
    assert_eq!([after(&world, idle), after(&world, late)], [After::Closed, After::Lingers]);
    assert_eq!(responses(world.received(late), &[])[0].field("Connection"), Some("close"));
    world.client_ends(late);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)), "and no time has passed");
}

#[test]
fn told_to_stop_the_server_does_not_wait_for_ever() {
    let mut world = serve(&["--grace-seconds", "3"]);
    send(&mut world, &[b"GET / HT"]);
    world.signal(Signal::Stop);
    pass(&mut world, 2);
    assert_eq!(world.outcome(), None);
    pass(&mut world, 1);
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
}
