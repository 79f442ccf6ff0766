//! What `explain` says about a live run of the web server.

use std::fs;
use std::process::{Command, Stdio};

use pluto_contract::stop::Exit;
use pluto_trace::binary::{Block, begin};
use pluto_trace::{End, Header, Sent};
use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::{self, Ended, Host};
use crate::support::http::Client;
use crate::support::site;

const HOSTILE: &str = "/a</script><script>alert(1)</script>";

/// A recorded run, in a folder of its own.
struct Recording(TempDir);

impl Recording {
    /// Records what the web server does while `visit` is there.
    fn of(visit: impl FnOnce(&Host)) -> Self {
        let it = Self(TempDir::new().expect("a folder"));
        let (guest, root) = (guests::built("pluto").display().to_string(), site::odd().display().to_string());
        let host = Host::serve(["--log", "off", "--record", &it.path("run.trace"), &guest, "0", &root]);
        visit(&host);
        host.signal("TERM");
        assert_eq!(host.wait().code, Some(0));
        it
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn explain(&self, options: &[&str]) -> Ended {
        let trace = self.path("run.trace");
        host::run(["explain"].iter().chain(options).copied().chain([trace.as_str()]))
    }

    fn text(&self, options: &[&str]) -> String {
        let ended = self.explain(options);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:#?}");
        ended.output
    }

    fn page(&self, options: &[&str]) -> String {
        let page = self.path("run.html");
        let ended = self.explain(&[options, &["--html", &page]].concat());
        assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""), "{ended:#?}");
        fs::read_to_string(page).expect("a page")
    }
}

/// Three clients, one after the other.
fn visit(host: &Host) {
    let get = |request: String, status: u16| {
        let mut client = Client::new(host.connect());
        client.send(request);
        assert_eq!(client.response(true).status, status);
    };
    get("GET /size/16384.bin HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200);
    get("GET /hidden-place HTTP/1.1\r\nHost: x\r\nX-Token: hunter2\r\n\r\n".to_owned(), 404);
    get(format!("GET {HOSTILE} HTTP/1.1\r\nHost: x\r\n\r\n"), 404);
}

fn check(text: &str, holds: &[&str], lacks: &[&str]) {
    for part in holds {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    for part in lacks {
        assert!(!text.contains(part), "{part:?} in:\n{text}");
    }
}

#[test]
fn a_run_is_told_turn_by_turn_by_connection_and_by_time() {
    let recording = Recording::of(visit);
    let whole = [
        "guest        sha256 ",
        "turn 0 at 0 µs\n",
        "-> listening on port ",
        "-> connection 3 from 127.0.0.1:",
        " read of connection 1 -> 41 bytes \"GET /size/16384.bin HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n\"\n",
        " open \"size/16384.bin\" -> file 1, 16384 bytes\n",
        " write to connection 1: ",
        " + file 1 [0..16384]\n",
        " open \"hidden-place\" -> failed: not found\n",
        "  log  info: ",
        " signals -> stop\n",
        "end: the guest ended with exit code 0\n",
        "connections  3\n",
    ];
    check(&recording.text(&[]), &whole, &["an answer to nothing", "never given out"]);
    let second = ["turn ", "connection 2 from", "read of connection 2", "write to connection 2: ", "hunter2"];
    check(&recording.text(&["--connection", "2"]), &second, &["connection 1", "connection 3", "  log ", " open "]);
    let deep = "X-Content-Type-Options: nosniff";
    check(&recording.text(&[]), &[], &[deep]);
    check(&recording.text(&["--full"]), &[&whole[..], &[deep, "There is nothing at this address."]].concat(), &[]);
    check(&recording.text(&["--from", "1h"]), &["\nend: the guest"], &["\nturn "]);
    check(&recording.text(&["--to", "0"]), &["turn 0 at 0 µs"], &["connection 1", "signals -> stop"]);
    let never = recording.explain(&["--from", "2", "--to", "1"]);
    assert!(never.code == Some(1) && never.errors.contains("--from is later than --to"), "{never:#?}");
    let missing = recording.explain(&["--connection", "4"]);
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    check(&missing.errors, &["no connection 4", "the last one is 3"], &[]);
}

#[test]
fn without_data_nothing_that_was_sent_or_named_is_told() {
    let recording = Recording::of(visit);
    let root = site::odd().display().to_string();
    let secrets = ["hunter2", "X-Token", "hidden-place", "16384.bin", "GET ", "HTTP/1.1", "alert(1)", &root];
    let data = recording.text(&[]);
    secrets.iter().for_each(|secret| assert!(data.contains(secret), "{secret:?} is no secret of this run"));
    check(&recording.text(&["--no-data"]), &["read of connection 1 -> 41 bytes\n", "file 1, 16384 bytes"], &secrets);
    check(&recording.page(&["--no-data"]), &["read of connection 1 -", "file 1, 16384 bytes"], &secrets);
}

#[test]
fn a_page_holds_all_it_needs_and_no_client_can_write_in_it() {
    let recording = Recording::of(visit);
    let page = recording.page(&[]);
    let (before, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").expect("data");
    let (data, after) = rest.split_once("</script>").expect("its end");
    check(data, &["alert(1)", "connection 3", "exit code 0"], &["<", ">"]);
    for part in [before, after] {
        check(part, &[], &["alert(1)", "http:", "https:", "src=", "href=", "url(", "@import"]);
    }
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    assert!(after.trim_end().ends_with("</html>"));
}

#[test]
fn ten_thousand_events_make_a_small_page() {
    let recording = Recording::of(|host| {
        let mut client = Client::new(host.connect());
        (0..2_500).for_each(|_| assert_eq!(client.get("/size/1.bin").status, 200));
    });
    let page = recording.page(&[]);
    let events = page.lines().map(|line| line.matches("],[").count()).max().unwrap_or(0);
    assert!(events >= 10_000, "only {events} events");
    let bytes_each = page.len() / events;
    assert!(bytes_each * 10_000 < 2 << 20, "{bytes_each} bytes for an event");
}

#[test]
fn a_trace_that_breaks_off_is_told_as_far_as_it_goes_and_a_damaged_one_is_an_error() {
    let recording = Recording::of(|host| {
        visit(host);
        // What is cut off is the last block; there is one every few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(500));
    });
    let (trace, good) = (recording.path("run.trace"), recording.text(&[]));
    let bytes = fs::read(&trace).expect("a trace");
    fs::write(&trace, &bytes[..bytes.len() - 1]).expect("a file");
    let cut = recording.text(&[]);
    check(&cut, &["read of connection 1 -> 41 bytes", "end: the trace breaks off here"], &["exit code"]);
    check(&recording.page(&[]), &["the trace breaks off here"], &["exit code"]);
    assert!(cut.len() < good.len());
    let mut damaged = bytes.clone();
    *damaged.last_mut().expect("bytes") ^= 1;
    for (bytes, says) in [(damaged.as_slice(), "is damaged: the checksum"), (b"GET /".as_slice(), "this is no trace")] {
        fs::write(&trace, bytes).expect("a file");
        let ended = recording.explain(&[]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        check(&ended.errors, &[says], &[]);
    }
}

/// No host writes such a trace; a host with a mistake might.
#[test]
fn a_replay_that_is_another_run_is_told_at_the_end() {
    let recording = Recording(TempDir::new().expect("a folder"));
    let guest = guests::module("(func (export \"run\") (param i32 i32) (result i32) (call $exit (i32.const 0)))");
    let mut trace = begin(&Header::new(&guest, 1 << 20, vec![], 0), &guest).expect("a trace");
    let mut block = Block::default();
    block.end(&End { sent: Sent::default(), exit: Exit::Code(1) });
    trace.extend(block.seal());
    fs::write(recording.path("run.trace"), trace).expect("a file");
    let ended = recording.explain(&[]);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    check(&ended.output, &["end: ", "another run than was recorded"], &["exit code"]);
    check(&ended.errors, &["another run than was recorded, after turn 0"], &[]);
}

#[test]
fn a_reader_who_leaves_is_no_error_and_a_page_does_not_replace_its_trace() {
    let recording = Recording::of(visit);
    let trace = recording.path("run.trace");
    let mut child = Command::new(host::command())
        .args(["explain", &trace])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let left = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&left.stderr);
    assert_eq!((left.status.code(), errors.as_ref()), (Some(0), ""));
    let over = recording.explain(&["--html", &trace]);
    assert_eq!(over.code, Some(1), "{over:#?}");
    check(&over.errors, &["is the trace itself"], &[]);
    check(&recording.text(&[]), &["exit code 0"], &[]);
}
