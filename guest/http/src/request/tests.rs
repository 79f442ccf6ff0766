//! What requests come to, from their heads alone.

use super::*;
use crate::head::Scanner;

fn read(head: &str) -> (Request, Framing) {
    let mut scanner = Scanner::default();
    assert_eq!(scanner.scan(head.as_bytes()), Ok(true), "{head}");
    let head = scanner.head(head.as_bytes());
    let (request, framing) = Request::read(head, false);
    (request.with_line(head.line()), framing)
}

/// A request line and fields, each ended by a semicolon here; what it comes to, and whether the
/// connection is kept.
#[track_caller]
fn check(head: &str, action: &str, persistent: bool) {
    let (request, framing) = read(&format!("{}\r\n", head.replace(';', "\r\n")));
    let found = match &request.action {
        Action::Serve(resource) => resource.path.escape(),
        Action::Options => "options".to_owned(),
        Action::Refuse(error) => {
            assert!(!(error.fatal && request.context.persistent), "{head}");
            error.status.code().to_string()
        }
    };
    let found = match framing {
        Framing::None => found,
        framing => format!("{found} {framing:?}"),
    };
    assert_eq!((found.as_str(), request.context.persistent), (action, persistent), "{head}");
}

#[test]
fn the_request_line_decides_the_action() {
    check("GET / HTTP/1.1;Host: a;", "/", true);
    check("HEAD /a/../b/?c HTTP/1.1;Host: a;", "/b/", true);
    check("GET http://b:80/c HTTP/1.1;Host: a;", "/c", true);
    check("GET http://b HTTP/1.1;Host: a;", "/", true);
    check("GET http://b/c HTTP/1.1;", "400", false);
    check("GET http://b@c/ HTTP/1.1;Host: a;", "400", false);
    check("OPTIONS * HTTP/1.1;Host: a;", "options", true);
    check("OPTIONS /a HTTP/1.1;Host: a;", "options", true);
    check("OPTIONS /a%2fb HTTP/1.1;Host: a;", "options", true);
    check("OPTIONS /.. HTTP/1.1;Host: a;", "400", false);
    check("GET * HTTP/1.1;Host: a;", "400", false);
    check("GET /a%2fb HTTP/1.1;Host: a;", "404", true);
    check("GET /%zz HTTP/1.1;Host: a;", "400", false);
    check("GET a HTTP/1.1;Host: a;", "400", false);
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"] {
        check(&format!("{method} /a HTTP/1.1;Host: a;"), "405", true);
    }
    check("CONNECT a:80 HTTP/1.1;Host: a:80;", "405", true);
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE"] {
        for target in ["a", "a:80", "*", "/%zz", "/..", "ftp://a/"] {
            check(&format!("{method} {target} HTTP/1.1;Host: a;"), "400", false);
        }
        check(&format!("{method} /a%2fb HTTP/1.1;Host: a;"), "405", true);
        check(&format!("{method} http://a/b HTTP/1.1;Host: a;"), "405", true);
    }
    check("BREW a HTTP/1.1;Host: a;", "501", true);
    for method in ["get", "GETS", "G", "BREW", &"X".repeat(4000)] {
        check(&format!("{method} / HTTP/1.1;Host: a;"), "501", true);
    }
}

#[test]
fn a_host_is_there_once_and_valid() {
    check("GET / HTTP/1.1;", "400", false);
    check("GET / HTTP/1.0;", "/", false);
    check("GET / HTTP/1.1;Host:;", "400", false);
    check("GET / HTTP/1.1;Host: a b;", "400", false);
    check("GET / HTTP/1.0;Host: a/b;", "400", false);
    check("GET / HTTP/1.1;Host: a;Host: a;", "400", false);
    check("GET / HTTP/1.1;hOST: [::1]:80;", "/", true);
    check("GET / HTTP/1.1;Host: a;X-Host: b;Hos: c;", "/", true);
}

#[test]
fn a_connection_is_kept_when_both_sides_can() {
    check("GET / HTTP/1.1;Host: a;Connection: close;", "/", false);
    check("GET / HTTP/1.1;Host: a;Connection: a, ClosE ,b;", "/", false);
    check("GET / HTTP/1.1;Host: a;Connection: a;connection: close;", "/", false);
    check("GET / HTTP/1.1;Host: a;Connection: keep-alive, close;", "/", false);
    check("GET / HTTP/1.1;Host: a;Connection: closed;", "/", true);
    check("GET / HTTP/1.1;Host: a;Connection: upgrade, HTTP2-Settings;Upgrade: h2c;", "/", true);
    check("GET / HTTP/1.9;Host: a;", "/", true);
    check("GET / HTTP/1.0;", "/", false);
    check("GET / HTTP/1.0;Connection: Keep-Alive;", "/", true);
    check("GET / HTTP/1.0;Connection: Keep-Alive;Connection: close;", "/", false);
    check("GET /%2f HTTP/1.1;Host: a;Connection: close;", "404", false);
}

#[test]
fn a_body_is_framed_or_the_request_refused() {
    check("GET / HTTP/1.1;Host: a;Content-Length: 5;", "/ Length(5)", true);
    check("POST / HTTP/1.1;Host: a;Transfer-Encoding: chunked;", "405 Chunked", true);
    check("BREW / HTTP/1.1;Host: a;Content-Length: 5;", "501 Length(5)", true);
    check("GET / HTTP/1.1;Host: a;Content-Length: 5;Transfer-Encoding: chunked;", "400", false);
    check("GET / HTTP/1.1;Host: a;Content-Length: x;", "400", false);
    check("GET / HTTP/1.1;Host: a;Content-Length: 5;Content-Length: 5;", "400", false);
    check("GET / HTTP/1.1;Host: a;Transfer-Encoding: gzip;", "501", false);
    check("GET / HTTP/1.0;Transfer-Encoding: chunked;Connection: keep-alive;", "400", false);
    check("GET /.. HTTP/1.1;Host: a;Content-Length: 5;", "400", false);
}

#[test]
fn a_client_that_waits_for_permission_gets_the_final_status() {
    check("POST / HTTP/1.1;Host: a;Content-Length: 5;Expect: 100-Continue;", "405", false);
    check("GET / HTTP/1.1;Host: a;Transfer-Encoding: chunked;Expect: 100-continue;", "/", false);
    check("GET / HTTP/1.1;Host: a;Expect: 100-continue;", "/", true);
    check("GET / HTTP/1.1;Host: a;Expect: tea;", "417", false);
    check("GET / HTTP/1.0;Expect: tea;", "/", false);
    check("POST / HTTP/1.0;Content-Length: 5;Expect: 100-continue;Connection: keep-alive;", "405 Length(5)", true);
}

#[test]
fn no_more_of_a_line_is_kept_than_is_of_use() {
    let check = |line: &str, kept: usize| {
        let (request, _) = read(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(request.context.line.len(), kept, "{line}");
    };
    check("GET /", "GET / HTTP/1.1".len());
    check(&format!("GET /?{}", "a".repeat(8_000)), LOGGED_LINE_BYTES_MAX + 1);
    check(&format!("BREW /?{}", "a".repeat(8_000)), LOGGED_LINE_BYTES_MAX + 1);
    check(&format!("OPTIONS /?{}", "a".repeat(8_000)), LOGGED_LINE_BYTES_MAX + 1);
    check(&format!("{} /", "A".repeat(30_000)), LOGGED_LINE_BYTES_MAX + 1);
}

#[test]
fn a_directory_s_location_is_escaped_and_keeps_the_query() {
    let check = |target: &str, location: &str| {
        let (request, _) = read(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let Action::Serve(resource) = request.action else { panic!("{target}: {:?}", request.action) };
        assert_eq!(resource.directory_location().as_deref(), Some(location).filter(|_| location != "-"), "{target}");
    };
    check("/a/", "-");
    check("/a/..", "-");
    check("/a/.?b", "-");
    check("/a", "a/");
    check("/a/./b//c?d=/e&f?", "c/?d=/e&f?");
    check("//evil.example/%2e%2e/b", "b/");
    check("//evil.example", "evil.example/");
    check("/%20\"<%ff", "%20%22%3C%FF/");
    check("http://b/a?", "a/?");
    check("/a%0d%0ab", "a%0D%0Ab/");
}

#[test]
fn a_policy_sees_what_a_request_is_about_whatever_becomes_of_it() {
    let check = |line: &str, fields: &str, host: &str, unserved: &str| {
        let text = format!("{line} HTTP/1.1\r\n{fields}\r\n");
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(text.as_bytes()), Ok(true), "{line}");
        let (request, _) = Request::read(scanner.head(text.as_bytes()), true);
        let facts = request.context.facts.expect("it is kept");
        let about = facts.unserved.map(|it| it.with_query(it.path.escape()));
        assert_eq!(about.as_deref(), Some(unserved).filter(|_| unserved != "-"), "{line}");
        assert_eq!(facts.host.as_deref(), Some(host.as_bytes()).filter(|_| host != "-"), "{line}");
    };
    check("GET /a?b", "Host: c\r\n", "c", "-");
    check("OPTIONS /a/../b?c", "Host: d\r\n", "d", "/b?c");
    check("POST http://e:80/a", "Host: d\r\n", "e", "/a");
    check("BREW /a", "Host: d\r\n", "d", "/a");
    check("CONNECT a:80", "Host: d\r\n", "d", "-");
    check("POST /%zz", "Host: d\r\n", "d", "-");
    check("OPTIONS *", "Host: d\r\n", "d", "-");
    // Refused for its fields.
    check("GET /a?b", "Host: c\r\nHost: c\r\n", "c", "/a?b");
    let tags = "x".repeat(crate::limits::CONDITION_BYTES_MAX + 1);
    check("GET /a", &format!("Host: c\r\nIf-None-Match: {tags}\r\n"), "c", "/a");
}
