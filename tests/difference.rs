//! Comparing guests with a recorded run by what clients and files see of them: `replay --loose`
//! and `diff`.

use std::cell::RefCell;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pluto_contract::stop::StopReason;
use pluto_contract::world::{Batch, World};
use pluto_contract::{Level, Submission};
use pluto_engine::admission;
use pluto_engine::engine::Engine;
use pluto_engine::guest::{self, Guest};
use pluto_lab::sim::Sim;
use pluto_lab::stage::Stage;
use pluto_lab::trace_file::open as open_trace;
use pluto_trace::key_frames::WithoutKeyFrames;

use crate::support::guests;
use crate::support::host::{self, Ended, Host};
use crate::support::http::Client;
use crate::support::traces::{Folder, record, text, wait_until_recorded};

/// The echo server by another hand.
fn echo_guest(folder: &Folder, name: &str, echo: &Echo) -> PathBuf {
    let text = include_str!("guests/echo.wat")
        .replace("READ", echo.read)
        .replace("SIGNAL", echo.signal)
        .replace("BEFORE", echo.before)
        .replace("AFTER", echo.after);
    folder.write(name, &guests::module(&text))
}

/// What an echo server does, in text.
struct Echo {
    read: &'static str,
    signal: &'static str,
    before: &'static str,
    after: &'static str,
}

const ECHO: Echo = Echo {
    read: "7",
    signal: "(global.set $ended (i32.const 1))",
    before: "",
    after: "(call $read (local.get $connection))",
};

fn stop(host: Host) {
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
}

fn loose(guest: &Path, trace: &str) -> Ended {
    host::run(["replay", "--loose", &text(guest), trace])
}

fn diff(trace: &str, first: &Path, second: &Path) -> Ended {
    host::run(["diff", trace, &text(first), &text(second)])
}

fn is_same(guest: &Path, trace: &str, says: &str) {
    let ended = loose(guest, trace);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.errors.contains("the same to clients and files") && ended.errors.contains(says), "{ended:#?}");
    let ended = diff(trace, guest, guest);
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""), "{ended:#?}");
}

/// The kinds that are told, without their examples.
fn kinds(told: &str) -> Vec<&str> {
    let is_kind = |line: &&str| !line.starts_with(' ') && (line.contains(" times") || line.contains(": once"));
    told.lines().filter(is_kind).collect()
}

fn differs(ended: &Ended, told: &str, expected: &[&str], says: &[&str]) {
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert_eq!(kinds(told), expected, "{ended:#?}");
    for text in says {
        assert!(told.contains(text), "no {text:?} in {ended:#?}");
    }
}

/// The recorder's own signals are not the operator's: in a recorded world nobody is told to pause.
#[test]
fn key_frames_of_a_recording_do_not_disturb_another_guest() {
    let folder = Folder::new();
    let (trace, echo) = (folder.path("run.trace"), guests::built("echo"));
    let host = Host::serve(["--log", "off", "--key-frame-every", "4K", "--record", &trace, &text(&echo), "0"]);
    let mut client = host.connect();
    for _ in 0..100 {
        client.write_all(&[b'x'; 1_000]).expect("it reads");
        client.read_exact(&mut [0; 1_000]).expect("it answers");
    }
    drop(client);
    stop(host);
    let written = host::run(["trace", "text", &trace]).output;
    assert!(written.matches("\nkey-frame ").count() > 0, "{written}");
    is_same(&echo, &trace, "to its end");
    // For this one each signal means the end.
    let other = echo_guest(&folder, "other.wasm", &ECHO);
    is_same(&other, &trace, "to its end");
    let pulley = host::run(["replay", "--loose", "--engine", "pulley", &text(&other), &trace]);
    assert_eq!(pulley.code, Some(0), "{pulley:#?}");
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// Waits until the server ends the connection, by whatever way.
fn ended_by_server(mut client: &TcpStream) {
    let mut bytes = [0; 1_024];
    let end = Instant::now() + host::PATIENCE;
    loop {
        match client.read(&mut bytes) {
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            result => assert!(result.is_ok() && Instant::now() < end, "{result:?}"),
        }
    }
}

/// All that clients do to a web server with a short patience.
fn rich_visit(host: &Host, site: &Folder) {
    let mut client = Client::new(host.connect());
    for round in 0..4 {
        // Kept from the second time on; then it changes, and so does the answer.
        for _ in 0..4 {
            assert_eq!(client.get("/").body.len(), 100 + round);
        }
        site.write("index.html", &vec![b'x'; 101 + round]);
        while client.get("/").body.len() == 100 + round {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert_eq!(client.get("/none").status, 404);
    client.send("HEAD /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.response(false).status, 200);
    client.send(get("/small.css").repeat(40) + &get("/none").repeat(3) + &get("/big.bin"));
    (0..40).for_each(|_| assert_eq!(client.response(true).status, 200));
    (0..3).for_each(|_| assert_eq!(client.response(true).status, 404));
    assert_eq!(client.response(true).body.len(), 3_000_000);
    // A head that comes in pieces; a client that ends its direction and is answered all the same.
    let mut half = Client::new(host.connect());
    for piece in get("/small.css").as_bytes().chunks(9) {
        half.send(piece);
        std::thread::sleep(Duration::from_millis(2));
    }
    half.stream().shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(half.response(true).status, 200);
    assert_eq!(half.rest(), b"");
    let mut nonsense = Client::new(host.connect());
    nonsense.send("nonsense\r\n\r\n");
    assert_eq!(nonsense.response(true).status, 400);
    // One that leaves in the midst of a file, one that takes its time, one that takes nothing any
    // more.
    let mut leaves = host.connect();
    leaves.write_all(get("/big.bin").as_bytes()).expect("it reads");
    leaves.read_exact(&mut [0; 10]).expect("it answers");
    drop(leaves);
    let mut slow = Client::new(host.connect());
    slow.send(get("/big.bin") + &get("/small.css"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(slow.response(true).body.len(), 3_000_000);
    assert_eq!(slow.response(true).status, 200);
    let mut stalled = host.connect();
    stalled.write_all(get("/big.bin").repeat(4).as_bytes()).expect("it reads");
    // Two that are silent, before a head and within one, until the server has enough of them.
    let idle = host.connect();
    let mut starts = host.connect();
    starts.write_all(b"GET / HT").expect("it reads");
    ended_by_server(&idle);
    ended_by_server(&starts);
    let mut last = Client::new(host.connect());
    assert_eq!(last.get("/small.css").status, 200);
    stop_with(host);
    drop((last, stalled));
}

/// The server is told to stop while clients are still connected.
fn stop_with(host: &Host) {
    host.signal("TERM");
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn the_web_server_does_what_it_was_recorded_to_do() {
    let pluto = guests::built("pluto");
    for driver in ["io-uring", "poll"] {
        let (folder, site) = (Folder::new(), Folder::new());
        site.write("index.html", &[b'x'; 100]);
        site.write("small.css", &[b'y'; 700]);
        site.write("big.bin", &vec![b'z'; 3_000_000]);
        let trace = folder.path("run.trace");
        let seconds = ["idle", "head", "write"].map(|name| format!("--{name}-seconds=1"));
        let root = site.path("");
        let arguments = [&[root.as_str()][..], &seconds.each_ref().map(String::as_str)].concat();
        let host = record(driver, &trace, &pluto, &arguments);
        rich_visit(&host, &site);
        assert_eq!(host.wait().code, Some(0));
        is_same(&pluto, &trace, "to its end");
    }
}

#[test]
fn a_recording_that_breaks_off_is_compared_as_far_as_it_goes() {
    let (folder, site) = (Folder::new(), Folder::new());
    site.write("index.html", &[b'x'; 100]);
    let (pluto, trace) = (guests::built("pluto"), folder.path("run.trace"));
    let host = record("auto", &trace, &pluto, &[&site.path("")]);
    let mut client = Client::new(host.connect());
    for path in ["/", "/none", "/", "/index.html", "/"] {
        client.get(path);
    }
    wait_until_recorded(&trace, |text| text.matches(" written ").count() == 5);
    host.signal("KILL");
    drop(host.wait());
    is_same(&pluto, &trace, "the host was killed");
    let changed = folder.pluto_with(&[("Last-Modified", "Last-Modifies")]);
    let ended = loose(&changed, &trace);
    let expected = [
        "only found sends `Last-Modifies`: 4 times, on 1 connection",
        "only recorded sends `Last-Modified`: 4 times, on 1 connection",
    ];
    differs(&ended, &ended.errors, &expected, &[]);
}

/// Three requests for a page that is not there, on two connections, and two for one that is.
fn visited_site(folder: &Folder, site: &Folder) -> String {
    site.write("index.html", b"<p>hello</p>");
    let trace = folder.path("run.trace");
    let host = record("auto", &trace, &guests::built("pluto"), &[&site.path("")]);
    for paths in [&["/", "/none", "/other"][..], &["/missing?7", "/index.html"]] {
        let mut client = Client::new(host.connect());
        paths.iter().for_each(|path| drop(client.get(path)));
    }
    stop(host);
    trace
}

#[test]
fn a_changed_error_page_is_told_once_with_its_count() {
    let (folder, site) = (Folder::new(), Folder::new());
    let trace = visited_site(&folder, &site);
    let changed = folder.pluto_with(&[("Not Found", "Not There")]);
    let expected = [
        "`<h#><span>#</span>Not Found</h#>` is `<h#><span>#</span>Not There</h#>`: 3 times, on 2 connections",
        "`<title># Not Found</title>` is `<title># Not There</title>`: 3 times, on 2 connections",
        "`HTTP/1.1 404 Not Found` is `HTTP/1.1 404 Not There`: 3 times, on 2 connections",
    ];
    let ended = diff(&trace, &guests::built("pluto"), &changed);
    let says = ["first on connection 1, which had sent `GET /none HTTP/1.1`\n", "  B: HTTP/1.1 404 Not There\n"];
    differs(&ended, &ended.output, &expected, &says);
    assert!(ended.errors.contains("3 kinds of difference, on 2 of 2 connections"), "{ended:#?}");
    let ended = loose(&changed, &trace);
    differs(&ended, &ended.errors, &expected, &["recorded: HTTP/1.1 404 Not Found\n"]);
}

#[test]
fn a_file_that_is_not_served_any_more_is_told() {
    let (folder, site) = (Folder::new(), Folder::new());
    let trace = visited_site(&folder, &site);
    let changed = folder.pluto_with(&[("index.html", "indox.html")]);
    let ended = loose(&changed, &trace);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    for says in [
        "asks for 1 paths of which the trace knows nothing; answered as not found: indox.html",
        "`HTTP/1.1 200 OK` is `HTTP/1.1 404 Not Found`: once, on 1 connection",
        "only recorded sends `ETag`: once, on 1 connection",
        "only found opens the file or folder: once",
    ] {
        assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
    }
}

/// Two clients of the echo server: one sends three times, one twice, more than another server
/// takes at a time.
fn visited_echo(folder: &Folder) -> String {
    let trace = folder.path("run.trace");
    let host = record("auto", &trace, &guests::built("echo"), &[]);
    for texts in [&["hello, world", "a\n", "the third time is the last one"][..], &["another client", "x"]] {
        let mut client = host.connect();
        for text in texts {
            client.write_all(text.as_bytes()).expect("it reads");
            let mut back = vec![0; text.len()];
            client.read_exact(&mut back).expect("it answers");
        }
        client.shutdown(Shutdown::Write).expect("it is connected");
        ended_by_server(&client);
    }
    stop(host);
    trace
}

#[test]
fn an_echo_server_by_another_hand_is_the_same_to_its_clients() {
    let folder = Folder::new();
    let trace = visited_echo(&folder);
    let other = echo_guest(&folder, "other.wasm", &ECHO);
    assert_eq!(host::run(["replay", &text(&other), &trace]).code, Some(3), "it is another run");
    is_same(&other, &trace, "2 connections, on which clients sent something 5 times");
    let all_at_once = echo_guest(&folder, "all.wasm", &Echo { read: "16384", ..ECHO });
    let ended = diff(&trace, &other, &all_at_once);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn an_echo_server_that_does_something_else_is_told_by_kind() {
    let folder = Folder::new();
    let trace = visited_echo(&folder);
    let all = "16384";
    for (name, echo, expected, says) in [
        (
            "closes early",
            Echo { read: all, after: "(call $close (local.get $connection))", ..ECHO },
            &[
                "found ends the connection before the client sends what recorded still reads: 2 times, on 2 connections",
                "nothing sent by found, where the other sends `a`: once, on 1 connection",
                "nothing sent by found, where the other sends `the third time is the last one`: once, on 1 connection",
                "nothing sent by found, where the other sends `x`: once, on 1 connection",
            ][..],
            "found:    ends it after 12 of 44 bytes of the client",
        ),
        (
            "another byte",
            Echo { read: all, before: "(i32.store8 (i32.load offset=16 (local.get $answer)) (i32.const 33))", ..ECHO },
            &[
                "`a` is `!`: once, on 1 connection",
                "`another client` is `!nother client`: once, on 1 connection",
                "`hello, world` is `!ello, world`: once, on 1 connection",
                "`the third time is the last one` is `!he third time is the last one`: once, on 1 connection",
                "`x` is `!`: once, on 1 connection",
            ],
            "first on connection 1, which had sent `hello, world`",
        ),
        (
            "another exit code",
            Echo { signal: "(global.set $ended (i32.const 8))", ..ECHO },
            &["the run ends otherwise: once"],
            "recorded: exit code 0\n  found:    exit code 7",
        ),
        (
            "does not stop",
            Echo { signal: "", ..ECHO },
            &["the run ends otherwise: once"],
            "found:    ended by the host: it was told to stop and did not end within 9 s",
        ),
        ("traps", Echo { signal: "unreachable", ..ECHO }, &["the run ends otherwise: once"], "found:    a trap"),
        (
            "answers nobody",
            Echo { before: "(call $close (local.get $connection)) (return)", ..ECHO },
            &[
                "found ends the connection before the client sends what recorded still reads: 2 times, on 2 connections",
                "nothing sent by found, where the other sends `a`: once, on 1 connection",
                "nothing sent by found, where the other sends `another client`: once, on 1 connection",
                "nothing sent by found, where the other sends `hello, world`: once, on 1 connection",
                "nothing sent by found, where the other sends `the third time is the last one`: once, on 1 connection",
                "nothing sent by found, where the other sends `x`: once, on 1 connection",
            ],
            "found:    ends it after 7 of 44 bytes of the client",
        ),
    ] {
        let ended = loose(&echo_guest(&folder, "changed.wasm", &echo), &trace);
        differs(&ended, &ended.errors, expected, &[says]);
        assert!(ended.errors.contains(says), "{name}: {ended:#?}");
    }
}

/// In the order in which they were accepted, not in that in which they are asked for.
#[test]
fn clients_of_two_ports_come_to_their_own() {
    let (folder, pluto) = (Folder::new(), text(&guests::built("pluto")));
    let trace = folder.path("run.trace");
    let arguments =
        ["--log", "off", "--record", &trace, "--grant-port", "0", &pluto, "0", "html/", "--metrics-port", "0"];
    let mut host = Host::serve(arguments);
    let line = host.wait_for_error("listening on ");
    let operator = line.split("listening on ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    for _ in 0..3 {
        assert_eq!(Client::new(TcpStream::connect(operator).expect("it accepts")).get("/healthz").body, b"ok\n");
        assert_eq!(Client::new(host.connect()).get("/healthz").status, 404);
    }
    stop(host);
    is_same(Path::new(&pluto), &trace, "6 connections, on which clients sent something 6 times");
}

/// Which requests a guest sends, and when, in a world that is a scene.
fn submissions(trace: &str, guest: &Path) -> Vec<String> {
    let sent = Rc::new(RefCell::new(Vec::new()));
    let engine = Engine::new(None).expect("the engine starts");
    let path = Path::new(trace);
    let stage =
        Stage::within(&engine, open_trace(path).expect("a trace"), path, pluto_engine::limits::MEMORY_BYTES_DEFAULT)
            .expect("it replays");
    let (world, _) = Sim::new(stage.scene.clone(), stage.store.clone());
    let tee = Tee { inner: world, sent: sent.clone() };
    let admitted = admission::inspect(&engine, &fs::read(guest).expect("a guest")).and_then(|it| it.admitted);
    let mut guest =
        Guest::new(&engine, admitted.expect("it is admitted"), Box::new(WithoutKeyFrames(tee)), stage.scene.memory_max);
    let ended = guest.run(&stage.scene.arguments);
    assert!(matches!(ended, guest::RunResult::Exit(0)), "{ended:?}");
    drop(guest);
    Rc::into_inner(sent).expect("the run has ended").into_inner()
}

/// Writes down what goes through.
struct Tee {
    inner: Sim,
    sent: Rc<RefCell<Vec<String>>>,
}

impl World for Tee {
    fn start(&mut self) -> u64 {
        self.inner.start()
    }

    fn submit(&mut self, submission: Submission) {
        self.sent.borrow_mut().push(format!("{submission:?}"));
        self.inner.submit(submission);
    }

    fn wait(&mut self) -> Result<Batch, StopReason> {
        let batch = self.inner.wait()?;
        self.sent.borrow_mut().push(format!("at {}", batch.time));
        Ok(batch)
    }

    fn log(&mut self, level: Level, message: &str) {
        self.inner.log(level, message);
    }
}

#[test]
fn the_same_guest_in_the_same_world_does_the_same() {
    let (folder, site) = (Folder::new(), Folder::new());
    let trace = visited_site(&folder, &site);
    let first = submissions(&trace, &guests::built("pluto"));
    assert!(first.len() > 50, "{first:#?}");
    assert!(first == submissions(&trace, &guests::built("pluto")));
    let trace = visited_echo(&folder);
    for guest in [guests::built("echo"), echo_guest(&folder, "other.wasm", &ECHO)] {
        let first = submissions(&trace, &guest);
        assert!(first.len() > 20 && first == submissions(&trace, &guest), "{first:#?}");
    }
}

/// Such a guest would run for ever in a world where time passes only when nothing else happens.
#[test]
fn a_guest_without_end_comes_to_one() {
    let folder = Folder::new();
    let trace = visited_echo(&folder);
    let polls = "(func (export \"run\") (param i32 i32) (result i32)
        (call $submit (i32.const 11) (i64.const 0) (i64.const 0) (i64.const 0))
        (loop $more (drop (call $ask (i32.const 10) (i64.const 0) (i64.const 0) (i64.const 0)))
          (global.set $heap (i32.const 65536)) (br $more))
        unreachable)";
    let guest = folder.write("polls.wasm", &guests::module(polls));
    let ended = loose(&guest, &trace);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.errors.contains("ended for the comparison: it receives far more often"), "{ended:#?}");
    assert!(ended.errors.contains("found does not accept the client: 2 times, on 2 connections"), "{ended:#?}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let folder = Folder::new();
    let (echo, trace) = (guests::built("echo"), folder.path("none.trace"));
    let check = |trace: &str, guest: &Path, says: &str| {
        for ended in [loose(guest, trace), diff(trace, &echo, guest)] {
            assert_eq!(ended.code, Some(1), "{ended:#?}");
            assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
        }
    };
    check(&trace, &echo, "no trace at");
    check(&text(&folder.write("text", b"hello")), &echo, "this is no trace");
    let good = visited_echo(&folder);
    check(&good, &folder.write("bad.wasm", b"hello"), "bad.wasm");
    let mut bytes = fs::read(&good).expect("a trace");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    check(&text(&folder.write("damaged.trace", &bytes)), &echo, "is damaged");
}
