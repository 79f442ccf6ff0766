//! How bytes are cut into requests, and how many of them are held.

use super::*;
use crate::limits::{BODY_BYTES_DEFAULT, HEAD_BYTES_DEFAULT};
use crate::request::Action;

impl Default for Inbound {
    fn default() -> Inbound {
        Inbound::new(Limits::default(), BODY_BYTES_DEFAULT)
    }
}

/// Feeds bytes, cut at these places, and shows the requests and the phase at the end.
fn requests(bytes: &[u8], cuts: &[usize]) -> (Vec<String>, Phase) {
    let mut inbound = Inbound::new(Limits::default(), 20);
    let mut found = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain([&bytes.len()]) {
        inbound.feed(bytes[start..end].to_vec());
        start = end;
        while let Some(request) = inbound.next_request() {
            found.push(match &request.action {
                Action::Serve(resource) => resource.path.escape(),
                Action::Options => "options".to_owned(),
                Action::Refuse(error) => error.status.code().to_string(),
            });
        }
    }
    (found, inbound.phase())
}

/// Feeds the bytes whole, cut in two everywhere, and one by one.
fn check(bytes: &str, expected: &[&str], phase: Phase) {
    let expected = (expected.iter().map(ToString::to_string).collect(), phase);
    let bytes = bytes.as_bytes();
    assert_eq!(requests(bytes, &[]), expected, "{:?}", String::from_utf8_lossy(bytes));
    for cut in 0..bytes.len() {
        assert_eq!(requests(bytes, &[cut]), expected, "{:?}", bytes[..cut].escape_ascii().to_string());
    }
    assert_eq!(requests(bytes, &(0..bytes.len()).collect::<Vec<_>>()), expected);
}

#[test]
fn requests_are_told_apart_however_they_are_cut() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    check("", &[], Phase::Idle);
    check("\r\n", &[], Phase::Idle);
    check("\r\nG", &[], Phase::Head);
    check(&get("/a"), &["/a"], Phase::Idle);
    check(&(get("/a") + "\r\n" + &get("/b") + &get("/c")), &["/a", "/b", "/c"], Phase::Idle);
    check(&(get("/a") + "GET /"), &["/a"], Phase::Head);
    check(&(get("/a") + "GET /\n" + &get("/b")), &["/a", "400"], Phase::Over);
    check(&(get("/..") + &get("/b")), &["400"], Phase::Over);
    check(&(get("/%2f") + &get("/b")), &["404", "/b"], Phase::Idle);
    check(&("GET /a HTTP/1.0\r\n\r\n".to_owned() + &get("/b")), &["/a"], Phase::Over);
    check("\x16\x03\x01\x02\x00", &["400"], Phase::Over);
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["505"], Phase::Over);
}

#[test]
fn more_is_wanted_as_soon_as_all_that_came_is_used_up() {
    let check = |bytes: &str, hungry: bool| {
        let mut inbound = Inbound::default();
        inbound.feed(bytes.into());
        assert!(inbound.next_request().is_some(), "{bytes:?}");
        assert_eq!(inbound.is_hungry(), hungry, "{bytes:?}");
    };
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    check(get, true);
    check(&format!("{get}G"), false);
    // Behind the last request nothing is.
    check("GET / HTTP/1.0\r\n\r\n", false);
}

#[test]
fn a_body_is_never_read_as_a_request() {
    let get = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    let with = |field: &str, body: &str| format!("GET /a HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n{body}");
    check(&with("Content-Length: 6", "GET / "), &["/a"], Phase::Idle);
    check(&(with("Content-Length: 6", "GET / ") + get), &["/a", "/b"], Phase::Idle);
    check(&with("Content-Length: 6", "GET /"), &[], Phase::Body);
    check(&(with("Content-Length: 21", "") + get), &["/a"], Phase::Over);
    check(&(with("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n") + get), &["/a", "/b"], Phase::Idle);
    check(&(with("Transfer-Encoding: chunked", "f\r\n0123456789abcde\r\n0\r\n\r\n") + get), &["/a"], Phase::Over);
    check(&(with("Transfer-Encoding: chunked", "3\r\nabcd") + get), &["400"], Phase::Over);
    check(&(with("Expect: 100-continue\r\nContent-Length: 3", "abc") + get), &["/a"], Phase::Over);
}

/// Every sequence of up to four of these: what is found does not depend on how it is cut, and
/// nothing panics.
#[test]
fn any_bytes_are_read_alike_whole_and_one_by_one() {
    const FRAGMENTS: [&str; 15] = [
        "GET /a",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "Host: a\r\n",
        "\r\n",
        "\n",
        "\r",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "abc",
        "/../",
        "GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for mut number in 0..FRAGMENTS.len().pow(4) {
        let mut bytes = Vec::new();
        for _ in 0..4 {
            bytes.extend_from_slice(FRAGMENTS[number % FRAGMENTS.len()].as_bytes());
            number /= FRAGMENTS.len();
        }
        let cuts: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(requests(&bytes, &[]), requests(&bytes, &cuts), "{}", bytes.escape_ascii());
    }
}

#[test]
fn an_idle_client_holds_no_large_buffer() {
    let check = |bytes: String, kept: bool| {
        let mut inbound = Inbound::default();
        inbound.feed(bytes.into_bytes());
        while inbound.next_request().is_some() {}
        inbound.shrink();
        assert_eq!(inbound.buffer.capacity() > 0, kept);
        assert!(inbound.buffer.capacity() <= IDLE_BUFFER_BYTES_MAX);
    };
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    // What has nothing in it has no use: the next read brings its own.
    check(get.to_owned(), false);
    check(get.repeat(2), false);
    check(get.repeat(500), false);
    check(get.repeat(500) + "\r\n", true);
    check(get.repeat(2) + "\r\n", true);
}

#[test]
fn no_more_is_held_than_the_largest_head() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5_000);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "v".repeat(100_000));
    for (bytes, piece) in [(&head, 100), (&head, 40_000), (&get, 999), (&get, 40_000)] {
        let mut inbound = Inbound::default();
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() && inbound.phase() != Phase::Over {
            let (now, later) = rest.split_at(rest.len().min(piece).min(inbound.room() as usize));
            inbound.feed(now.to_vec());
            rest = later;
            while inbound.next_request().is_some() {}
            assert!(inbound.buffer.capacity() <= HEAD_BYTES_DEFAULT);
        }
    }
}

#[test]
fn empty_lines_one_by_one_make_no_large_buffer() {
    let mut inbound = Inbound::default();
    for byte in b"\r\n\r\n\r\n\r\n" {
        inbound.feed(vec![*byte]);
        assert_eq!((inbound.next_request(), inbound.phase()), (None, Phase::Idle));
        assert!(inbound.buffer.capacity() <= IDLE_BUFFER_BYTES_MAX);
    }
}

#[test]
fn what_is_not_finished_can_be_refused() {
    let check = |bytes: &str, expected: [Option<u16>; 2]| {
        let refuse = |how: fn(&mut Inbound) -> Option<Request>| {
            let mut inbound = Inbound::default();
            inbound.feed(bytes.as_bytes().to_vec());
            while inbound.next_request().is_some() {}
            let refused = how(&mut inbound);
            assert_eq!((inbound.phase(), inbound.next_request()), (Phase::Over, None));
            refused.map(|request| match request.action {
                Action::Refuse(error) if !request.context.persistent => error.status.code(),
                _ => 0,
            })
        };
        assert_eq!([refuse(Inbound::time_out), refuse(Inbound::end)], expected, "{bytes:?}");
    };
    check("", [None, None]);
    check("\r\n", [None, None]);
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", [None, None]);
    check("GET / HTTP/1.0\r\n\r\nGET", [None, None]);
    check("G", [Some(408), Some(400)]);
    check("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", [Some(408), Some(400)]);
}
