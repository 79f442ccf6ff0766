//! Guests that were changed on purpose. The comparison finds a difference where it is, and reports
//! none for changes that do not matter.

use std::path::Path;

use crate::support::guests;
use crate::support::host;
use crate::support::http::Client;
use crate::support::site;
use crate::support::traces::{ENGINES, Folder, as_text, record, replays, text};

/// A visit of many requests, among them one of each kind that the tests look for.
fn visit(trace: &str) {
    let root = site::odd();
    let host = record("auto", trace, &guests::built("pluto"), &[&text(root)]);
    let mut client = Client::new(host.connect());
    for (index, file) in site::files(root).iter().enumerate() {
        assert_eq!(client.get(&site::url(root, file)).status, 200);
        match index {
            7 => assert_eq!(client.get("/none").status, 404),
            12 => assert_eq!(client.get("/sub").status, 301),
            _ => {}
        }
    }
    let mut other = Client::new(host.connect());
    other.send("nonsense\r\n\r\n");
    assert_eq!(other.response(true).status, 400);
    (0..20).for_each(|_| assert_eq!(client.get("/").status, 200));
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
}

/// The turn in which a trace has this line first.
fn first(trace: &str, line: &str) -> usize {
    let (before, _) = trace.split_once(line).unwrap_or_else(|| panic!("no {line:?} in {trace}"));
    before.matches("\nturn ").count()
}

/// The turn in which a trace has this line last.
fn last(trace: &str, line: &str) -> usize {
    let (before, _) = trace.rsplit_once(line).unwrap_or_else(|| panic!("no {line:?} in {trace}"));
    before.matches("\nturn ").count()
}

#[test]
fn each_change_of_a_response_is_found_at_its_turn_in_its_request_and_line() {
    let folder = Folder::new();
    let trace = folder.path("run.trace");
    visit(&trace);
    let recorded = as_text(&trace);
    replays(&guests::built("pluto"), &trace, "to its end");
    for (from, to, turn, event, lines) in [
        (
            "There is nothing at this address.",
            "Here is nothing but emptiness, OK",
            // Neither the configuration, nor the file, nor a page of the site's own for what is
            // missing.
            last(&recorded, "failed not-found"),
            "GET /none",
            ["<p>There is nothing at this address.</p>", "<p>Here is nothing but emptiness, OK</p>"],
        ),
        (
            "This is a directory: its address ends in a slash.",
            "This is a directory: its address ends in a SLASH.",
            first(&recorded, "failed is-directory"),
            "GET /sub",
            ["ends in a slash.", "ends in a SLASH."],
        ),
        (
            "The bytes do not begin an HTTP/1.1 request.",
            "The bytes do not begin an HTTP/9.9 request.",
            first(&recorded, "\"nonsense\\r\\n\""),
            "nonsense",
            ["HTTP/1.1 request.", "HTTP/9.9 request."],
        ),
        // One field more.
        (
            "X-Content-Type-Options: nosniff",
            "X-A: 1\r\nX-Type-Options: nosniff",
            first(&recorded, " digested "),
            "GET /",
            ["\"X-Content-Type-Options: nosniff\\r\\n\"", "\"X-A: 1\\r\\n\""],
        ),
    ] {
        let guest = text(&folder.pluto_with(&[(from, to)]));
        for engine in ENGINES {
            let ended = host::run(["replay", "--engine", engine, &guest, &trace]);
            assert_eq!(ended.code, Some(3), "{ended:#?}");
            let [old, new] = lines;
            let says = |line: &str, what: &str| ended.errors.lines().any(|it| it.contains(line) && it.contains(what));
            assert!(says("another run, after turn", &format!(" {turn}: ")), "not turn {turn}: {}", ended.errors);
            assert!(says("request 1 of that turn: ", " write "), "{}", ended.errors);
            assert!(says("recorded: ", old) && says("found: ", new), "{}", ended.errors);
            assert!(ended.errors.contains(event), "no {event:?} in {}", ended.errors);
        }
    }
}

#[test]
fn another_log_line_is_no_difference() {
    let folder = Folder::new();
    let trace = folder.path("run.trace");
    visit(&trace);
    for (from, to) in [("listening on port ", "a word about port "), ("stopping: ", "an end of ")] {
        replays(Path::new(&text(&folder.pluto_with(&[(from, to)]))), &trace, "to its end");
    }
}

#[test]
fn another_order_of_requests_is_found() {
    let folder = Folder::new();
    let sleep = "(call $submit (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0))";
    let close = "(call $submit (i32.const 4) (i64.const 99) (i64.const 0) (i64.const 0))";
    let wait = "(drop (call $answer))";
    let guest = |name: &str, middle: &[&str]| {
        let turns = [sleep, wait].repeat(20).concat();
        let middle = middle.concat();
        let run = format!("{turns} {middle} {wait} {turns} (call $exit (i32.const 0))");
        folder.guest(name, &format!("(func (export \"run\") (param i32 i32) (result i32) {run})"))
    };
    let trace = folder.path("run.trace");
    let recorded = guest("a.wasm", &[sleep, sleep, close]);
    assert_eq!(host::run(["--record", &trace, &recorded, "0"]).code, Some(0));
    for (order, request, lines) in [
        (&[sleep, close, sleep][..], 2, ["0.22 sleep 1000", "0.22 close 0.99"]),
        (&[sleep, sleep], 3, ["0.23 close 0.99", "no request"]),
        (&[sleep, sleep, close, close], 4, ["no request", "0.24 close 0.99"]),
    ] {
        let ended = host::run(["replay", &guest("b.wasm", order), &trace]);
        assert_eq!(ended.code, Some(3), "{ended:#?}");
        let [old, new] = lines;
        let says = [
            "after turn 20: ".to_owned(),
            format!("request {request} of that turn"),
            format!("recorded: {old}\n  found:    {new}\n"),
        ];
        says.iter().for_each(|says| assert!(ended.errors.contains(says), "no {says:?} in {}", ended.errors));
    }
}
