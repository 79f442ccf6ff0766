//! What one request is answered, and whether the connection is kept.

use crate::hand::{Hand, is_open};
use crate::support::{After, Response, after, ask, get, responses, send, serve};
use pluto_sdk::testing::{Reply, World};
use pluto_sdk::{Error, Kind};

/// Sends one request, whole, cut in two at every byte, and byte by byte: the same bytes come back.
/// The response must have this status, and the connection be kept or end in order.
#[track_caller]
fn check(world: &mut World, request: &[u8], status: u16, kept: bool) -> Response {
    let shown = request.escape_ascii().to_string();
    let whole = send(world, &[request]);
    assert_eq!(after(world, whole) == After::Kept, kept, "{shown}");
    let received = world.received(whole).to_vec();
    for cut in 1..request.len() {
        let client = send(world, &[&request[..cut], &request[cut..]]);
        assert_eq!(world.received(client), received, "cut behind {}", request[..cut].escape_ascii());
    }
    let bytes: Vec<&[u8]> = request.chunks(1).collect();
    let client = send(world, &bytes);
    assert_eq!(world.received(client), received, "byte by byte: {shown}");

    world.client_ends(whole);
    world.run_until_idle();
    assert_eq!(after(world, whole), After::Closed, "{shown}");
    let method = if request.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
    let mut found = responses(&received, &[method]);
    assert_eq!(found.len(), 1, "{shown}: {found:?}");
    let response = found.remove(0);
    assert_eq!(response.status, status, "{shown}: {response:?}");
    assert!(response.field("Date").is_some(), "{shown}");
    if !kept {
        assert_eq!(response.field("Connection"), Some("close"), "{shown}");
    }
    response
}

/// The same for a request whose lines are ended by semicolons here, behind a host.
#[track_caller]
fn check_lines(world: &mut World, lines: &str, status: u16, kept: bool) -> Response {
    let (line, fields) = lines.split_once(';').expect("a request line");
    let request = format!("{line};Host: example.org;{fields};").replace(';', "\r\n");
    check(world, request.as_bytes(), status, kept)
}

#[test]
fn a_file_is_served_with_all_that_a_browser_needs() {
    let mut world = serve(&[]);
    world.set_modified("a.txt", 784_111_777_999_999_999);
    let response = check(&mut world, get("/a.txt").as_bytes(), 200, true);
    let expected = [
        ("Date", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Length", "5"),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("ETag", "\"3da56ec08de5da93af92a1f85e52d146\""),
        ("Cache-Control", "no-cache"),
        ("Accept-Ranges", "bytes"),
        ("Vary", "Accept-Encoding"),
    ];
    assert_eq!(response.fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(response.text(), "alpha");
    // A time that is still to come, before 1970, or that tools give to all files: RFC 9110
    // §8.8.2.1, §8.8.2.2.
    for modified in [i64::MAX, i64::MIN, -1, 0, 1_000_000_000, 499_162_500_000_000_000] {
        world.set_modified("a.txt", modified);
        assert_eq!(ask(&mut world, get("/a.txt")).field("Last-Modified"), None, "{modified}");
    }
}

#[test]
fn head_is_get_without_the_content() {
    let mut world = serve(&[]);
    for target in ["/a.txt", "/", "/empty.txt", "/missing", "/dir", "/%2f", "/.."] {
        let full = ask(&mut world, get(target));
        let bare = check(&mut world, get(target).replace("GET", "HEAD").as_bytes(), full.status, full.status != 400);
        assert_eq!(bare.fields, full.fields, "{target}");
        assert_eq!(bare.content, b"", "{target}");
    }
}

#[test]
fn methods() {
    let mut world = serve(&[]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        let response = check_lines(&mut world, &format!("{method} /a.txt HTTP/1.1;"), 405, true);
        assert_eq!(response.field("Allow"), Some("GET, HEAD, OPTIONS"));
        assert!(!response.text().contains("example.org"), "TRACE is not obeyed");
    }
    check_lines(&mut world, "CONNECT example.org:80 HTTP/1.1;", 405, true);
    for method in ["get", "BREW", "G", "GETT", &"LONG".repeat(100)] {
        check_lines(&mut world, &format!("{method} /a.txt HTTP/1.1;"), 501, true);
    }
    for target in ["*", "/a.txt", "/missing"] {
        let response = check_lines(&mut world, &format!("OPTIONS {target} HTTP/1.1;"), 204, true);
        assert_eq!(response.field("Allow"), Some("GET, HEAD, OPTIONS"));
    }
    check_lines(&mut world, "GET * HTTP/1.1;", 400, false);
    let long = [&b"M".repeat(40_000)[..], b" / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(ask(&mut world, long).status, 501);
}

#[test]
fn line_ends_and_fields_are_read_strictly() {
    let mut world = serve(&[]);
    let mut bad = |request: &[u8]| check(&mut world, request, 400, false);
    bad(b"GET / HTTP/1.1\nHost: a\n\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\n\r\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\r\n\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n");
    bad(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    bad(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\r\nNoColon\r\n\r\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b\r\n\r\n");
    bad(b"GET / HTTP/1.1\r\nHost: a\r\nX\xc3: b\r\n\r\n");
    bad(b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n");
    bad(b"GET /a\x00 HTTP/1.1\r\nHost: a\r\n\r\n");
    bad(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
    bad(b" GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    bad(b"GET /\r\n\r\n");
    bad(b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n");
    check(&mut world, b"GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\tb\r\nY:\r\n\r\n", 200, true);
}

#[test]
fn empty_lines_before_a_request_are_skipped_but_not_many() {
    let mut world = serve(&[]);
    check(&mut world, ("\r\n".to_owned() + &get("/")).as_bytes(), 200, true);
    check(&mut world, ("\r\n".repeat(4) + &get("/")).as_bytes(), 200, true);
    check(&mut world, ("\r\n".repeat(5) + &get("/")).as_bytes(), 400, false);
}

#[test]
fn versions() {
    let mut world = serve(&[]);
    for version in ["HTTP/1.1", "HTTP/1.2", "HTTP/1.9"] {
        check_lines(&mut world, &format!("GET / {version};"), 200, true);
    }
    check_lines(&mut world, "GET / HTTP/1.0;", 200, false);
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"] {
        check_lines(&mut world, &format!("GET / {version};"), 505, false);
    }
    for version in
        ["HTTP/1", "HTTP/1.", "HTTP/1.10", "HTTP/11", "http/1.1", "HTTP/1.1 ", "HTTP/x.1", "HTTP 1.1", "X/1.1"]
    {
        check_lines(&mut world, &format!("GET / {version};"), 400, false);
    }
}

#[test]
fn a_host_is_needed_once_and_valid() {
    let mut world = serve(&[]);
    check(&mut world, b"GET / HTTP/1.1\r\n\r\n", 400, false);
    check(&mut world, b"GET / HTTP/1.0\r\n\r\n", 200, false);
    for host in ["", "a b", "a/b", "a@b", "a:b", "a:65536", "[::1", "a,b@"] {
        check(&mut world, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), 400, false);
    }
    for host in ["a", "a:80", "127.0.0.1:8000", "[::1]:8000"] {
        check(&mut world, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), 200, true);
    }
    check_lines(&mut world, "GET / HTTP/1.1;Host: other;", 400, false);
    check_lines(&mut world, "GET / HTTP/1.1;Host: example.org;", 400, false);
    let response = check_lines(&mut world, "GET http://other:80/a.txt?q HTTP/1.1;", 200, true);
    assert_eq!(response.text(), "alpha");
    check_lines(&mut world, "GET http://other HTTP/1.1;", 200, true);
    check_lines(&mut world, "GET http://us@er/ HTTP/1.1;", 400, false);
    check_lines(&mut world, "GET ftp://other/ HTTP/1.1;", 400, false);
    check(&mut world, b"GET http://other/ HTTP/1.1\r\n\r\n", 400, false);
}

#[test]
fn the_framing_of_a_body_is_certain_or_the_connection_ends() {
    let mut world = serve(&[]);
    let mut bad = |fields: &str, status| check_lines(&mut world, &format!("POST / HTTP/1.1;{fields};"), status, false);
    for value in ["", "-1", "+1", "1,1", "1 1", "0x1", "1.0", "99999999999999999999"] {
        bad(&format!("Content-Length: {value}"), 400);
    }
    bad("Content-Length: 1;Content-Length: 2", 400);
    bad("Content-Length: 1;Content-Length: 1", 400);
    bad("Content-Length: 1;Transfer-Encoding: chunked", 400);
    bad("Transfer-Encoding: chunked;Content-Length: 0", 400);
    bad("Transfer-Encoding: chunked, chunked", 400);
    bad("Transfer-Encoding: chunked;Transfer-Encoding: chunked", 400);
    bad("Transfer-Encoding: chunked, gzip", 400);
    bad("Transfer-Encoding:", 400);
    bad("Transfer-Encoding: gzip, chunked", 501);
    bad("Transfer-Encoding: xchunked", 501);
    bad("Transfer-Encoding: identity", 501);
    check_lines(&mut world, "POST / HTTP/1.0;Transfer-Encoding: chunked;", 400, false);
    let ambiguous = check_lines(&mut world, "POST / HTTP/1.0;Transfer-Encoding : chunked;", 400, false);
    assert!(ambiguous.text().contains("white space"));
}

#[test]
fn a_body_is_dropped_within_a_limit() {
    let mut world = serve(&["--body-bytes", "20"]);
    for method in ["GET", "HEAD", "OPTIONS", "POST", "BREW"] {
        let status = match method {
            "GET" | "HEAD" => 200,
            "OPTIONS" => 204,
            "POST" => 405,
            _ => 501,
        };
        let mut body = |fields: &str, body: &str, kept| {
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
            check(&mut world, request.as_bytes(), status, kept);
        };
        body("Content-Length: 5", "GET /", true);
        body("Content-Length: 20", "01234567890123456789", true);
        body("Content-Length: 21", "", false);
        body("Content-Length: 18446744073709551615", "", false);
        body("Transfer-Encoding: chunked", "3;x=y\r\nabc\r\n0\r\n\r\n", true);
        body("Transfer-Encoding: chunked", "0\r\nA: b\r\n\r\n", true);
        body("Transfer-Encoding: chunked", "ff\r\n0123456789012345", false);
        body("Content-Length: 5\r\nExpect: 100-continue", "", false);
        body("Content-Length: 5\r\nExpect: 100-continue", "GET /", false);
        body("Expect: 100-continue", "", true);
    }
    let mut bad = |body: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        check(&mut world, request.as_bytes(), 400, false);
    };
    bad("x\r\n");
    bad("1\nab\r\n0\r\n\r\n");
    bad("1\r\nab\r\n0\r\n\r\n");
    bad("1;\nb\r\na\r\n0\r\n\r\n");
    bad("0\r\nA\r\n\r\n");
    check_lines(&mut world, "GET / HTTP/1.1;Expect: tea;", 417, false);
}

#[test]
fn targets_and_heads_have_a_limit() {
    let mut world = serve(&[]);
    let mut status = |request: String| {
        let client = send(&mut world, &request.as_bytes().chunks(16 << 10).collect::<Vec<_>>());
        (responses(world.received(client), &[])[0].status, after(&world, client))
    };
    let long = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    assert_eq!(status(get(&long(8 << 10))), (404, After::Kept));
    assert_eq!(status(get(&long((8 << 10) + 1))), (414, After::Lingers));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    assert_eq!(status(fields(100)), (200, After::Kept));
    assert_eq!(status(fields(101)), (431, After::Lingers));
    let head = |bytes: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes - rest))
    };
    assert_eq!(status(head(32 << 10)), (200, After::Kept));
    assert_eq!(status(head((32 << 10) + 1)), (431, After::Lingers));
}

/// What cannot become a request is refused at its first bytes, not when the client has lost its
/// patience.
#[test]
fn bytes_that_are_no_http_are_refused_at_once() {
    let mut world = serve(&[]);
    let mut refused = |bytes: &[u8], status| {
        check(&mut world, bytes, status, false);
    };
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
    refused(b"PRI * HTTP/2.0", 505);
    refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0", 505);
    refused(b"SSH-2.0-OpenSSH_9.2\r\n", 400);
    refused(b"\0", 400);
    refused(b"{\"id\": 1}", 400);
}

#[test]
fn an_error_has_a_page_that_repeats_nothing_unescaped() {
    let mut world = serve(&[]);
    for request in [get("/missing<script>"), get("/..<script>"), get("/<script>").replace("GET", "<B>"), get("/%zz")] {
        let response = ask(&mut world, &request);
        assert!(response.status >= 400, "{request}");
        assert_eq!(response.field("Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.field("X-Content-Type-Options"), Some("nosniff"));
        let page = response.text();
        assert!(
            page.starts_with("<!doctype html>") && page.contains(&format!("<title>{} ", response.status)),
            "{page}"
        );
        assert!(!page.contains("<script>"), "{page}");
    }
}

/// What a file's answer makes of a request, and that the connection is kept.
#[test]
fn every_error_of_a_file_has_a_status() {
    let check = |error: Error, status: &str| {
        let mut hand = Hand::new(get("/a/b"));
        // Without a descriptor it is tried again.
        while let Some(&open) = hand.ids(is_open).first() {
            hand.answer(vec![(open, Reply::Failed(error))]);
        }
        assert!(hand.written.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{error}: {}", hand.written);
        assert!(!hand.written.contains("Connection: close"), "{error}");
        assert_eq!(hand.written.contains("\r\nRetry-After: "), status.starts_with("503"), "{error}");
    };
    check(Error::NotFound, "404 Not Found");
    check(Error::NotDirectory, "404 Not Found");
    check(Error::NotRegular, "404 Not Found");
    check(Error::NotPermitted, "404 Not Found");
    check(Error::Symlink, "404 Not Found");
    check(Error::Invalid, "404 Not Found");
    check(Error::IsDirectory, "301 Moved Permanently");
    check(Error::AccessDenied, "403 Forbidden");
    check(Error::Exhausted, "503 Service Unavailable");
    for error in [Error::Io, Error::TooLarge, Error::BadHandle, Error::Cancelled, Error::Busy] {
        check(error, "500 Internal Server Error");
    }
}

/// A host gives regular files only; one that does not must not make the server send a directory.
#[test]
fn what_was_opened_and_is_no_file_is_not_sent() {
    for kind in [Kind::Directory, Kind::Symlink, Kind::Other] {
        let mut hand = Hand::new(get("/a"));
        let open = hand.id(is_open);
        hand.open_as(open, 100, kind);
        hand.no_error_page();
        assert!(hand.written.starts_with("HTTP/1.1 404 Not Found\r\n") && !hand.written.contains("<100>"), "{kind:?}");
    }
}
