//! What a client can make the server spend. Work is counted in requests to the host and bytes,
//! never by a clock.

use crate::support::{get, get_response, responses, send, serve};
use pluto::limits::{ERROR_PAGE_FOLDERS_MAX, GATHER_BYTES_MAX, PIPELINE_MAX};
use pluto_sdk::Part;
use pluto_sdk::testing::Request;
use std::time::Duration;

/// The scanner's own test counts the bytes that it looks at; this one, what the whole server does
/// for each byte.
#[test]
fn the_largest_head_in_pieces_of_one_byte_costs_a_read_for_each() {
    let mut world = serve(&[]);
    let value = "v".repeat((32 << 10) - "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len());
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n");
    let before = world.requests().len();
    let client = send(&mut world, &head.as_bytes().chunks(1).collect::<Vec<_>>());
    assert_eq!(responses(world.received(client), &[])[0].status, 200);
    let requests = world.requests().len() - before;
    assert!(requests < head.len() + 20, "{requests} requests for {} bytes", head.len());
}

/// A body in chunks of one byte is dropped within the same limit as one chunk, framing included.
#[test]
fn a_body_in_tiny_chunks_is_not_dropped_for_ever() {
    let mut world = serve(&["--body-bytes", "1000", "--linger-bytes", "1000"]);
    let head = "GET /a.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let client = send(&mut world, &[head.as_bytes()]);
    let mut sent = 0;
    while !world.is_ended(client) {
        world.client_sends(client, "1\r\nx\r\n");
        world.run_until_idle();
        sent += 6;
        assert!(sent <= 1_006);
    }
    assert_eq!(responses(world.received(client), &[])[0].text(), "alpha");
}

/// What 100 bytes can cost is bounded by what is asked for: one open file and one write for each
/// request, and the places where an error page may be.
#[test]
fn small_requests_cost_a_bounded_number_of_requests_to_the_host() {
    let mut world = serve(&[]);
    for (request, limit) in [
        (get("/a.txt"), 6),
        (get("/missing"), 6),
        (get("/.."), 6),
        (get(&"/a".repeat(1000)), 5 + ERROR_PAGE_FOLDERS_MAX),
        (get(&"/..a/..".repeat(100)), 6),
        ("\r\n\r\n\r\n\r\n".to_owned(), 2),
    ] {
        let client = send(&mut world, &[]);
        let before = world.requests().len();
        world.client_sends(client, &request);
        world.run_until_idle();
        let cost = world.requests().len() - before;
        assert!(cost <= limit, "{cost} requests for {:?}...", request.get(..20));
    }
}

/// A redirect says its address once and unescaped, and what gathers for one write is bounded.
#[test]
fn long_redirects_do_not_gather_without_limit() {
    let mut world = serve(&[]);
    let page = get_response(&mut world, "/dir").content.len();
    let request = get(&format!("/dir?{}", "&".repeat(8_000)));
    let client = send(&mut world, &[request.repeat(PIPELINE_MAX).as_bytes()]);
    let received = world.received(client).len();
    assert_eq!(responses(world.received(client), &[]).len(), PIPELINE_MAX);
    assert!(received < (request.len() + page + 300) * PIPELINE_MAX, "{received} bytes");
    let most = received / PIPELINE_MAX + GATHER_BYTES_MAX;
    for submission in world.requests() {
        if let Request::Write(write) = &submission.request {
            let own = write.parts.iter().map(|part| if let Part::Bytes(bytes) = part { bytes.len() } else { 0 });
            assert!(own.sum::<usize>() <= most);
        }
    }
}

/// Bodies go by reference: a file's bytes never enter the sandbox.
#[test]
fn no_content_of_a_file_enters_the_guest() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 5 << 20]);
    let client = send(&mut world, &[get("/large.bin").as_bytes()]);
    assert_eq!(responses(world.received(client), &[])[0].content.len(), 5 << 20);
    let reads = world.requests().iter().filter(|submission| matches!(submission.request, Request::ReadFile(_)));
    assert_eq!(reads.count(), 0);
}

/// Handles are scarce: a client's files are closed as soon as they are sent, whatever becomes of
/// the client; but for the one opening of each file that is kept.
#[test]
fn every_file_that_is_opened_is_closed() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 5 << 20]);
    for request in [get("/a.txt"), get("/a.txt").replace("GET", "HEAD"), get("/empty.txt"), get("/large.bin")] {
        let held = (0..6).map(|_| {
            for takes in [10, 300_000, 10 << 20] {
                let client = world.connect();
                world.client_takes(client, takes);
                world.client_sends(client, request.repeat(3));
                world.run_until_idle();
                world.client_resets(client);
                world.run_until_idle();
                assert!(world.is_closed(client));
            }
            // What is kept is opened again.
            world.advance(Duration::from_millis(700));
            world.handles()
        });
        let held: Vec<usize> = held.collect();
        assert!(held[2..].iter().all(|count| *count == held[1]), "{held:?} handles: {request}");
    }
    assert!(world.handles() <= 6, "two small files with their content, and a large one");
}
