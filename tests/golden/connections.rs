//! Clients of all kinds: slow ones, hasty ones, and clients that leave in the middle.

use std::time::Duration;

use super::{client, echo, pluto, sends};

const GET_STYLE: &str = "GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n";
const GET_LARGE: &str = "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn pluto_half_close() {
    let story = "A client that ends its direction with its request is answered, and then the connection is closed.";
    pluto("pluto-half-close", story, |world| {
        let client = world.connect();
        world.client_sends(client, GET_STYLE);
        world.client_ends(client);
        world.run_until_idle();
        assert!(world.is_closed(client) && world.received(client).ends_with(b"p {}"));
    });
}

#[test]
fn pluto_leaves_midway() {
    let story = "A client that is gone in the midst of a response: its file and its connection are given up.";
    pluto("pluto-leaves-midway", story, |world| {
        let client = world.connect();
        world.client_takes(client, 100_000);
        sends(world, client, GET_LARGE);
        world.client_resets(client);
        world.run_until_idle();
        assert!(world.is_closed(client) && world.handles() == 0);
    });
}

#[test]
fn pluto_large_file() {
    pluto(
        "pluto-large-file",
        "A large file goes in pieces, the first with the head; then the next request.",
        |world| {
            let client = client(world, GET_LARGE);
            sends(world, client, GET_STYLE);
            assert!(world.received(client).len() > 700_000 && world.received(client).ends_with(b"p {}"));
        },
    );
}

#[test]
fn pluto_pipelining_slowly() {
    let story =
        "Pipelined requests of a client that does not read: nothing more is read of it until it takes what there is.";
    pluto("pluto-pipelining-slowly", story, |world| {
        let client = world.connect();
        world.client_takes(client, 10);
        sends(world, client, &GET_STYLE.repeat(2));
        sends(world, client, &GET_STYLE.repeat(2));
        sends(world, client, GET_STYLE);
        world.client_takes(client, 1_000_000);
        world.run_until_idle();
        let received = String::from_utf8_lossy(world.received(client)).into_owned();
        assert_eq!(received.matches("HTTP/1.1 200 OK").count(), 5);
    });
}

#[test]
fn pluto_write_times_out() {
    pluto("pluto-write-times-out", "A client that takes nothing of a response for too long is closed.", |world| {
        let client = world.connect();
        world.client_takes(client, 1_000);
        sends(world, client, GET_LARGE);
        world.advance(Duration::from_secs(300));
        assert!(world.is_closed(client) && world.handles() == 0);
    });
}

#[test]
fn pluto_idle_times_out() {
    let story = "A client that asks for nothing more is closed after a while, first in one direction.";
    pluto("pluto-idle-times-out", story, |world| {
        let client = client(world, GET_STYLE);
        world.advance(Duration::from_secs(300));
        assert!(world.is_closed(client));
    });
}

#[test]
fn pluto_split_request() {
    pluto("pluto-split-request", "A request that comes in many pieces is one request.", |world| {
        let client = client(world, "G");
        for piece in ["ET /sty", "le.css HTTP/1.1\r", "\nHost:", " x\r\n\r", "\n"] {
            world.advance(Duration::from_millis(10));
            sends(world, client, piece);
        }
        assert!(world.received(client).ends_with(b"p {}"));
    });
}

#[test]
fn pluto_http_1_0() {
    let story = "HTTP/1.0: one request for each connection, or as many as are asked to be kept.";
    pluto("pluto-http-1-0", story, |world| {
        let once = client(world, "GET /style.css HTTP/1.0\r\n\r\n");
        assert!(world.is_ended(once));
        world.client_ends(once);
        let kept = client(world, "GET /style.css HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert!(world.is_closed(once) && !world.is_ended(kept));
        sends(world, kept, "GET /none HTTP/1.0\r\n\r\n");
        assert!(world.is_ended(kept));
    });
}

#[test]
fn pluto_too_many_fields() {
    let story = "A head with too many fields is answered 431, and the connection ended.";
    pluto("pluto-too-many-fields", story, |world| {
        let fields = "a:\r\n".repeat(101);
        let client = client(world, &format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
        world.client_ends(client);
        world.run_until_idle();
        assert!(world.received(client).starts_with(b"HTTP/1.1 431 ") && world.is_closed(client));
    });
}

#[test]
fn pluto_bodies() {
    let story =
        "Bodies are dropped, with a length and in chunks; what follows them is the next request. No method takes one.";
    pluto("pluto-bodies", story, |world| {
        let client = client(world, "GET /style.css HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
        sends(world, client, "lo");
        sends(
            world,
            client,
            "GET /style.css HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        );
        sends(world, client, "POST /style.css HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!");
        sends(world, client, GET_STYLE);
        let received = String::from_utf8_lossy(world.received(client)).into_owned();
        assert_eq!(received.matches("HTTP/1.1 200 OK").count(), 3, "{received}");
        assert!(received.contains("HTTP/1.1 405 "), "{received}");
    });
}

#[test]
fn pluto_kept_file_changes() {
    let story = "A file that is asked for again is kept; when it changes it is forgotten, and opened anew.";
    pluto("pluto-kept-file-changes", story, |world| {
        let client = client(world, GET_STYLE);
        sends(world, client, GET_STYLE);
        sends(world, client, GET_STYLE);
        world.file("style.css", "p { color: red }");
        world.run_until_idle();
        sends(world, client, GET_STYLE);
        assert!(world.received(client).ends_with(b"p { color: red }"));
    });
}

#[test]
fn pluto_file_is_cut() {
    let story = "A file that is cut while it is sent: its length cannot be kept, and so the connection ends.";
    pluto("pluto-file-is-cut", story, |world| {
        let client = world.connect();
        world.client_takes(client, 100_000);
        sends(world, client, GET_LARGE);
        world.overwrite("large.bin", vec![b'y'; 300_000]);
        world.client_takes(client, 1_000_000);
        world.run_until_idle();
        world.client_ends(client);
        world.run_until_idle();
        assert!(world.is_closed(client) && world.received(client).len() < 700_000);
    });
}

#[test]
fn echo_does_not_read() {
    let story = "A client that does not read what it is sent back: nothing more is read of it until it does.";
    echo("echo-does-not-read", story, &["7000"], |world| {
        let client = world.connect();
        world.client_takes(client, 2);
        sends(world, client, "one");
        sends(world, client, "two");
        world.client_takes(client, 100);
        world.run_until_idle();
        assert_eq!(world.received(client), b"onetwo");
        world.client_takes(client, 0);
        sends(world, client, "three");
        world.client_resets(client);
        world.run_until_idle();
        assert!(world.is_closed(client));
    });
}
