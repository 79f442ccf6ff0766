//! The errors of the server that this one descends from (Pluto, 2014), each with its story.

use crate::support::{After, after, ask, get, get_response, responses, send, serve};
use std::time::Duration;

/// It put the path behind the root as it came, and so served `/../../etc/passwd`.
#[test]
fn it_left_its_root_through_dots() {
    let mut world = serve(&[]);
    for target in ["/../secret.txt", "/../../../../etc/passwd", "/dir/../../secret.txt", "/%2e%2e/secret.txt"] {
        assert_eq!(get_response(&mut world, target).status, 400, "{target}");
    }
}

/// It looked for `GET ` and waited for more when it found something else, keeping all that came.
#[test]
fn it_never_answered_head_post_or_a_malformed_request_and_let_the_buffer_grow() {
    let mut world = serve(&[]);
    assert_eq!(ask(&mut world, get("/").replace("GET", "HEAD")).status, 200);
    assert_eq!(ask(&mut world, get("/").replace("GET", "POST")).status, 405);
    assert_eq!(ask(&mut world, "nonsense\r\n").status, 400);
    let endless = [b'A'; 16 << 10];
    let client = send(&mut world, &[&endless[..]; 10]);
    assert_eq!(responses(world.received(client), &[])[0].status, 501);
    assert_eq!(after(&world, client), After::Lingers);
}

/// It ended the lines of its heads in LF alone.
#[test]
fn it_ended_lines_in_lf() {
    let mut world = serve(&[]);
    for target in ["/", "/missing", "/dir", "/.."] {
        let client = send(&mut world, &[get(target).as_bytes()]);
        let received = String::from_utf8_lossy(world.received(client)).into_owned();
        let head = &received[..received.find("\r\n\r\n").expect("a head")];
        assert_eq!(head.matches('\n').count(), head.matches("\r\n").count(), "{target}");
        assert!(head.matches("\r\n").count() > 3, "{target}");
    }
}

/// It answered the first request in what it had read, and threw the rest away.
#[test]
fn it_lost_pipelined_requests() {
    let mut world = serve(&[]);
    let client = send(&mut world, &[get("/a.txt").repeat(50).as_bytes()]);
    let found = responses(world.received(client), &[]);
    assert_eq!(found.len(), 50);
    assert!(found.iter().all(|response| response.text() == "alpha"));
}

/// It did not know of bodies, so that a body was the next request.
#[test]
fn it_parsed_a_body_as_the_next_request() {
    let mut world = serve(&[]);
    let hidden = get("/b.css");
    let request = format!("POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len());
    let client = send(&mut world, &[(request + &get("/a.txt")).as_bytes()]);
    let found = responses(world.received(client), &[]);
    assert_eq!(found.iter().map(|response| response.status).collect::<Vec<_>>(), [405, 200]);
    assert_eq!(found[1].text(), "alpha");
}

/// It wrote whichever file was read first. That answers are in order whatever the order of the
/// files is a test of `pipelining`; here, a large file and a missing one.
#[test]
fn it_answered_two_requests_of_one_connection_out_of_order() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 2 << 20]);
    let client = send(&mut world, &[(get("/large.bin") + &get("/missing") + &get("/a.txt")).as_bytes()]);
    let found = responses(world.received(client), &[]);
    assert_eq!(found.iter().map(|response| response.status).collect::<Vec<_>>(), [200, 404, 200]);
    assert_eq!(found[2].text(), "alpha");
}

/// It kept every connection, so that a client of HTTP/1.0 waited for the end of the content for
/// ever.
#[test]
fn it_never_closed_an_http_1_0_connection() {
    let mut world = serve(&[]);
    let client = send(&mut world, &[b"GET /a.txt HTTP/1.0\r\n\r\n"]);
    assert_eq!(responses(world.received(client), &[])[0].text(), "alpha");
    assert_eq!(after(&world, client), After::Closed);
}

/// It took no content for no file.
#[test]
fn it_answered_404_for_an_empty_file() {
    let mut world = serve(&[]);
    let response = get_response(&mut world, "/empty.txt");
    assert_eq!((response.status, response.field("Content-Length")), (200, Some("0")));
}

/// It read into a buffer of 1024 bytes, and took a full one for an error.
#[test]
fn it_dropped_a_client_whose_segment_was_exactly_1024_bytes_long() {
    for length in [1023, 1024, 1025, 4096, (16 << 10) - 1, 16 << 10, (16 << 10) + 1] {
        let mut world = serve(&[]);
        let rest = "GET /a.txt HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        let request = format!("GET /a.txt HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(length - rest));
        assert_eq!(request.len(), length);
        assert_eq!(ask(&mut world, request).text(), "alpha", "{length}");
        // The boundary inside a body, and between two requests.
        let body = format!("GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let client = send(&mut world, &[body.as_bytes(), &vec![b'x'; length], get("/b.css").as_bytes()]);
        assert_eq!(responses(world.received(client), &[]).len(), 2, "{length}");
    }
}

/// It had no clock.
#[test]
fn it_waited_for_ever_on_a_slow_client() {
    let mut world = serve(&[]);
    let slow = [&b""[..], b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"];
    let clients = slow.map(|bytes| send(&mut world, &[bytes]));
    world.file("large.bin", vec![b'x'; 5 << 20]);
    let stalled = world.connect();
    world.client_takes(stalled, 1);
    world.client_sends(stalled, get("/large.bin"));
    world.advance(Duration::from_secs(120));
    for client in clients.into_iter().chain([stalled]) {
        assert_eq!(after(&world, client), After::Closed);
    }
}
