//! Lines of the access log, and what no client can put into one.

use super::*;

const NOW: u64 = 784_111_777_000_312_000;

/// The longest line that the host takes: its `LOG_BYTES_MAX`.
const LINE_BYTES_MAX: usize = 8 << 10;

fn fields(host: &[u8], referer: &[u8], user_agent: &[u8]) -> Option<Box<LoggedFields>> {
    let [host, referer, user_agent] = [host, referer, user_agent].map(|it| (!it.is_empty()).then(|| it.to_vec()));
    Some(Box::new(LoggedFields { host, referer, user_agent, forwarded: None }))
}

fn format(form: Form, line: &[u8], before: u64, whole: bool, fields: Option<Box<LoggedFields>>) -> String {
    let access = Access::new(line.to_vec(), Method::Get, 200, 1090, NOW - before).with_fields(fields);
    access.format(form, "::1", &Date::at(NOW), End { time: NOW, whole })
}

#[test]
fn a_request_is_one_line() {
    let check = |line: &[u8], before: u64, whole: bool, rest: &str| {
        let found = format(Form::Common, line, before, whole, None);
        assert_eq!(found, format!("::1 - - [06/Nov/1994:08:49:37 +0000] {rest}"));
    };
    check(b"GET /a?b HTTP/1.1", 0, true, "\"GET /a?b HTTP/1.1\" 200 1090 0.000000");
    check(b"GET / HTTP/1.1", 61_000_312_999, true, "\"GET / HTTP/1.1\" 200 1090 61.000312");
    check(b"\"", 999_999, true, "\"\\\"\" 200 1090 0.000999");
    check(b"", 0, false, "\"\" 200 0 0.000000 cut");
    check(b"\x16\x03\"\\\n\xff", 0, true, "\"\\x16\\x03\\\"\\\\\\x0a\\xff\" 200 1090 0.000000");
}

#[test]
fn who_has_logged_in_is_named_and_forges_no_line() {
    let check = |user: &str, common: &str, json: &str| {
        let mut access = Access::new(b"GET / HTTP/1.1".to_vec(), Method::Get, 200, 0, NOW);
        access.set_user(Some(user.to_owned()));
        let line = |form| access.format(form, "::1", &Date::at(NOW), End { time: NOW, whole: true });
        assert!(line(Form::Common).starts_with(&format!("::1 - {common} [06/Nov/1994")), "{}", line(Form::Common));
        assert!(line(Form::Json).contains(&format!("\"remote\":\"::1\",\"user\":\"{json}\",\"method\":")));
    };
    check("alice", "alice", "alice");
    check("a b", "a\\x20b", "a b");
    check("a\" [x] \"", "a\\\"\\x20[x]\\x20\\\"", "a\\\" [x] \\\"");
    check("\u{e9}\n", "\\xc3\\xa9\\x0a", "\\u00e9\\u000a");
    let long = "x".repeat(10_000);
    let mut access = Access::new(Vec::new(), Method::Get, 200, 0, NOW);
    access.set_user(Some(long));
    assert!(access.format(Form::Common, "::1", &Date::at(NOW), End { time: NOW, whole: true }).len() < 2_000);
}

#[test]
fn the_combined_form_has_two_fields_that_nobody_can_leave() {
    let check = |referer: &[u8], user_agent: &[u8], rest: &str| {
        let found = format(Form::Combined, b"GET / HTTP/1.1", 0, true, fields(b"a", referer, user_agent));
        let expected = format!("::1 - - [06/Nov/1994:08:49:37 +0000] \"GET / HTTP/1.1\" 200 1090 {rest} 0.000000");
        assert_eq!(found, expected);
    };
    check(b"", b"", "\"-\" \"-\"");
    check(b"http://a/", b"curl/8.0 (x)", "\"http://a/\" \"curl/8.0 (x)\"");
    check(b"\" 200 1 \"", b"\\\"\t\xe9", "\"\\\" 200 1 \\\"\" \"\\\\\\\"\\x09\\xe9\"");
}

#[test]
fn json_has_a_member_for_each_fact_and_no_byte_that_needs_care() {
    let begin = "{\"time\":\"1994-11-06T08:49:37.000312Z\",\"remote\":\"::1\"";
    let check = |line: &[u8], fields: Option<Box<LoggedFields>>, whole: bool, rest: &str| {
        assert_eq!(format(Form::Json, line, 1_500_000, whole, fields), format!("{begin},{rest}"));
    };
    check(
        b"GET /a?b HTTP/1.1",
        fields(b"a:80", b"", b"curl \"\\\x7f\xc3\xa9\xff\xf0\x9f\x98\x80"),
        true,
        "\"method\":\"GET\",\"target\":\"/a?b\",\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes\":1090,\
         \"duration\":0.001500,\"host\":\"a:80\",\"referer\":null,\
         \"user_agent\":\"curl \\\"\\\\\\u007f\\u00e9\\ufffd\\ud83d\\ude00\"}",
    );
    check(
        b"\x16\x03\x01",
        None,
        false,
        "\"method\":null,\"target\":\"\\u0016\\u0003\\u0001\",\"protocol\":null,\"status\":200,\"bytes\":0,\
         \"duration\":0.001500,\"cut\":true}",
    );
}

#[test]
fn a_long_request_line_is_cut() {
    let check = |length: usize, shown: usize, end: &str| {
        let found = format(Form::Common, &b"a".repeat(length), 0, true, None);
        assert!(found.contains(&format!(" \"{}{end}\" ", "a".repeat(shown))), "{found}");
    };
    check(LOGGED_LINE_BYTES_MAX, LOGGED_LINE_BYTES_MAX, "");
    check(LOGGED_LINE_BYTES_MAX + 1, LOGGED_LINE_BYTES_MAX, "...");
}

#[test]
fn no_line_is_longer_than_the_host_takes_whatever_a_client_sends() {
    for byte in 0..=255_u8 {
        let field = vec![byte; 100_000];
        for form in [Form::Common, Form::Combined, Form::Json] {
            for line in [vec![byte; 100_000], [b"GET /", &field[..], b" HTTP/1.1"].concat()] {
                let found = format(form, &line, 0, false, fields(&field, &field, &field));
                assert!(found.len() <= LINE_BYTES_MAX, "{form:?}, {byte}: {}", found.len());
                assert!(found.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{found}");
                let ends_well = if form == Form::Json { ",\"cut\":true}" } else { " cut" };
                assert!(found.ends_with(ends_well), "{found}");
            }
        }
    }
}
