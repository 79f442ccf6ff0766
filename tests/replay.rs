//! A run is a file: it is recorded live and replayed exactly, and a different run is recognised.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::guests;
use crate::support::host::{self, Host};
use crate::support::http::Client;
use crate::support::site;
use crate::support::traces::{Folder, record, replay, replays, text};

/// Clients of all kinds at the web server, which is then stopped.
fn visit(host: &Host) {
    let root = site::odd();
    let mut clients: Vec<Client> = (0..20).map(|_| Client::new(host.connect())).collect();
    for (index, file) in site::files(root).iter().enumerate() {
        assert_eq!(clients[index % 20].get(&site::url(root, file)).status, 200);
    }
    clients[0].send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50));
    (0..50).for_each(|_| assert_eq!(clients[0].response(true).status, 200));
    clients[1].send("nonsense\r\n\r\n");
    assert_eq!(clients[1].response(true).status, 400);
    let mut leaves = host.connect();
    leaves.write_all(b"GET /size/3000000.bin HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    leaves.read_exact(&mut [0; 10]).expect("it answers");
}

#[test]
fn what_was_served_live_replays_to_its_end() {
    let pluto = guests::built("pluto");
    for driver in ["io-uring", "poll"] {
        let folder = Folder::new();
        let trace = folder.path("run.trace");
        let host = record(driver, &trace, &pluto, &[&text(site::odd())]);
        visit(&host);
        host.signal("TERM");
        assert_eq!(host.wait().code, Some(0));
        replays(&pluto, &trace, "to its end");
        let size = fs::metadata(&trace).expect("a trace").len();
        assert!(size < 500_000, "{size} bytes: what the guest never saw is not in the trace");
    }
}

#[test]
fn a_host_that_was_killed_leaves_a_trace_that_replays_as_far_as_it_goes() {
    let echo = guests::built("echo");
    for round in 0..100_u64 {
        let folder = Folder::new();
        let trace = folder.path("run.trace");
        let host = record("auto", &trace, &echo, &[]);
        let mut client = host.connect();
        let mut talk = |times: u64| {
            for _ in 0..times {
                client.write_all(&[7; 1_000]).expect("it reads");
                client.read_exact(&mut [0; 1_000]).expect("it answers");
            }
        };
        let size = || fs::metadata(&trace).map_or(0, |it| it.len());
        let guest_and_listening = size();
        talk(50);
        // What the guest receives is in the trace as it is.
        let begin = Instant::now();
        while size() < guest_and_listening + 50 * 1_000 {
            assert!(begin.elapsed() < Duration::from_secs(60), "{} bytes of a trace after a minute", size());
            std::thread::sleep(Duration::from_millis(1));
        }
        talk(round);
        host.signal("KILL");
        drop(host.wait());
        replays(&echo, &trace, "the host was killed");
        let ended = replay(&echo, &trace);
        let turns: u64 =
            ended.errors.split(": ").last().and_then(|it| it.split(' ').next()?.parse().ok()).expect("turns");
        assert!(turns > 50, "only {turns} turns, of more than 50 that were in the file");
    }
}

#[test]
fn a_trap_and_a_limit_replay_to_the_same_end() {
    let folder = Folder::new();
    for (name, body, code) in [
        ("trap", "(drop (call $ask (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0))) unreachable", 4),
        ("memory", "(loop $more (drop (memory.grow (i32.const 16))) (br $more)) unreachable", 4),
        ("waits", "(drop (call $answer)) unreachable", 4),
        ("exit", "(call $exit (i32.const 7))", 5),
    ] {
        let run = format!("(func (export \"run\") (param i32 i32) (result i32) {body})");
        let guest = folder.guest(&format!("{name}.wasm"), &run);
        let trace = folder.path(&format!("{name}.trace"));
        let ended = host::run(["--memory-max", "16M", "--record", &trace, &guest, "0"]);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        replays(Path::new(&guest), &trace, "to its end");
    }
}

/// A guest that sleeps twice, and logs a line.
fn sleeper(second: u64, line: &str, end: &str) -> String {
    let sleep = |time: u64| format!("(drop (call $ask (i32.const 10) (i64.const {time}) (i64.const 0) (i64.const 0)))");
    format!(
        "(data (i32.const 1024) \"{line}\")
        (func (export \"run\") (param i32 i32) (result i32)
          {} (call $log (i32.const 2) (i32.const 1024) (i32.const {})) {} {end})",
        sleep(1_000),
        line.len(),
        sleep(second)
    )
}

#[test]
fn a_change_of_behaviour_is_found_at_its_turn_and_another_log_line_is_none() {
    let folder = Folder::new();
    let recorded = folder.guest("a.wasm", &sleeper(2_000, "a", "(call $exit (i32.const 0))"));
    let trace = folder.path("run.trace");
    assert_eq!(host::run(["--record", &trace, &recorded, "0"]).code, Some(0));
    replays(Path::new(&recorded), &trace, "2 turns, 2 requests");
    let talks = folder.guest("b.wasm", &sleeper(2_000, "another line", "(call $exit (i32.const 0))"));
    replays(Path::new(&talks), &trace, "2 turns, 2 requests");
    let once_more =
        "(drop (call $ask (i32.const 10) (i64.const 1) (i64.const 0) (i64.const 0))) (call $exit (i32.const 0))";
    for (body, says) in [
        (
            sleeper(3_000, "a", "(call $exit (i32.const 0))"),
            ["after turn 1", "recorded: 0.2 sleep 2000\n  found:    0.2 sleep 3000", "got  #1 sleep"],
        ),
        (sleeper(2_000, "a", "(call $exit (i32.const 1))"), ["after turn 2", "(exit code 1)", "(exit code 0)"]),
        (sleeper(2_000, "a", once_more), ["after turn 2", "goes on", "exit code 0"]),
        (sleeper(2_000, "a", "unreachable"), ["after turn 2", "a trap", "exit code 0"]),
    ] {
        let changed = folder.guest("c.wasm", &body);
        let ended = replay(Path::new(&changed), &trace);
        assert_eq!(ended.code, Some(3), "{ended:#?}");
        for text in says.into_iter().chain(["log: info: a\n"]) {
            assert!(ended.errors.contains(text), "no {text:?} in {ended:#?}");
        }
    }
}

/// What a pipe cannot do is said; what it can do is done.
#[test]
fn a_trace_can_come_through_a_pipe() {
    let folder = Folder::new();
    let recorded = folder.guest("a.wasm", &sleeper(2_000, "a", "(call $exit (i32.const 0))"));
    let changed = folder.guest("b.wasm", &sleeper(3_000, "a", "(call $exit (i32.const 0))"));
    let trace = folder.path("run.trace");
    assert_eq!(host::run(["--record", &trace, &recorded, "0"]).code, Some(0));
    let bytes = fs::read(&trace).expect("a trace");
    let piped = |arguments: &[&str]| {
        let mut command = Command::new(host::command());
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // One that wants no more of it closes the pipe.
        let _ = child.stdin.take().expect("a pipe").write_all(&bytes);
        let ended = child.wait_with_output().expect("it ends");
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    for (arguments, code, says) in [
        (&["replay", &recorded, "/dev/stdin"][..], 0, "the same run, to its end"),
        (&["replay", &changed, "/dev/stdin"], 3, "give a file to be told what was recorded"),
        (&["replay", "--from-turn", "1", &recorded, "/dev/stdin"], 1, "a pipe, of which no part can be passed over"),
        (&["explain", "/dev/stdin"], 0, ""),
    ] {
        let (found, errors) = piped(arguments);
        assert!(found == Some(code) && errors.contains(says), "{arguments:?}: {found:?} {errors}");
    }
}

#[test]
fn what_is_no_trace_or_a_damaged_one_is_told() {
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &sleeper(1, "a", "(call $exit (i32.const 0))"));
    let good = folder.path("good.trace");
    assert_eq!(host::run(["--record", &good, &guest, "0"]).code, Some(0));
    let bytes = fs::read(&good).expect("a trace");
    let with = |at: usize, change: u8| {
        let mut bytes = bytes.clone();
        bytes[at] ^= change;
        bytes
    };
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("empty", Vec::new(), "this is no trace"),
        ("foreign", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "this is no trace"),
        ("future", with(8, 0x40), "format version 70, and this pluto-host reads versions 5 and 6"),
        ("headless", bytes[..60].to_vec(), "ends before the first record"),
        ("damaged", with(bytes.len() - 1, 1), "is damaged: the checksum"),
        ("header", with(40, 1), "is damaged: the checksum"),
        ("length", with(12, 1), "is damaged: the checksum"),
    ];
    for (name, bytes, says) in cases {
        let path = folder.path(name);
        fs::write(&path, bytes).expect("a file");
        let ended = replay(Path::new(&guest), &path);
        assert_eq!(ended.code, Some(1), "{name}: {ended:#?}");
        assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
    }
    let swapped = replay(Path::new(&good), &guest);
    assert!(
        swapped.code == Some(1) && swapped.errors.contains("is WebAssembly, where a trace is expected"),
        "{swapped:#?}"
    );
    let missing: PathBuf = folder.path("none").into();
    assert_eq!(replay(Path::new(&guest), &text(&missing)).code, Some(1));
}

#[test]
fn the_text_of_a_trace_makes_the_same_trace_again() {
    let folder = Folder::new();
    let (pluto, trace) = (guests::built("pluto"), folder.path("run.trace"));
    let host = record("auto", &trace, &pluto, &[&text(site::odd())]);
    visit(&host);
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    let (first, again) = (folder.path("first.txt"), folder.path("again.trace"));
    let to_text = |trace: &str| {
        let ended = host::run(["trace", "text", trace]);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
        ended.output
    };
    let to_binary = |guest: &Path| host::run(["trace", "binary", &first, "--guest", &text(guest), "--output", &again]);
    let written = to_text(&trace);
    fs::write(&first, &written).expect("a file");
    assert_eq!(to_binary(&pluto).code, Some(0));
    assert_eq!(to_text(&again), written);
    replays(&pluto, &again, "to its end");
    // By another hand: another signal, and requests that nobody knows.
    let edited: Vec<String> =
        written.lines().map(|line| line.split(" sent ").next().unwrap_or_default().into()).collect();
    let edited = edited.iter().map(|line| match line.starts_with("turn") || line.starts_with("end") {
        true => format!("{line} sent ?\n"),
        false => format!("{line}\n").replace("signal stop", "signal reload"),
    });
    fs::write(&first, edited.collect::<String>()).expect("a file");
    assert_eq!(to_binary(&pluto).code, Some(0));
    let ended = replay(&pluto, &again);
    // That of a busy machine may have had a client left when it was told to stop, and went on for
    // some turns.
    let says = ["goes on, where the recorded run ended", "ends (exit code 1), where the recorded run went on"];
    assert!(ended.code == Some(3) && says.iter().any(|says| ended.errors.contains(says)), "{ended:#?}");
    let other = to_binary(&guests::built("echo"));
    assert!(other.code == Some(1) && other.errors.contains("give that guest"), "{other:#?}");
    let over = host::run(["trace", "binary", &first, "--guest", &text(&pluto), "--output", &first]);
    assert!(over.code == Some(1) && over.errors.contains("choose another name"), "{over:#?}");
    let twice = host::run(["trace", "binary", &trace, "--guest", &text(&pluto), "--output", &again]);
    assert!(twice.code == Some(1) && twice.errors.contains("is a trace already"), "{twice:#?}");
    fs::write(&first, written.replace("start", "begin")).expect("a file");
    let wrong = to_binary(&pluto);
    assert!(wrong.errors.contains("expected `start`, found `begin`"), "{wrong:#?}");
}

#[test]
fn who_reads_only_the_beginning_of_a_text_is_no_error() {
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &sleeper(1, "a", "(call $exit (i32.const 0))"));
    let trace = folder.path("run.trace");
    assert_eq!(host::run(["--record", &trace, &guest, "0"]).code, Some(0));
    let mut command = Command::new(host::command());
    let command = command.args(["trace", "text", &trace]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn a_recording_overwrites_an_earlier_one_and_nothing_else() {
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &sleeper(1, "a", "(call $exit (i32.const 0))"));
    let trace = folder.path("run.trace");
    for _ in 0..2 {
        assert_eq!(host::run(["--overwrite", "--record", &trace, &guest, "0"]).code, Some(0));
    }
    let before = fs::read(&guest).expect("the guest");
    let ended = host::run(["--record", &guest, &guest, "0"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.errors.contains("is no trace: choose another name"), "{ended:#?}");
    assert_eq!(fs::read(&guest).expect("the guest"), before);
}

/// /dev/full takes no byte: the recording cannot begin, and says so before anything is served.
#[test]
fn a_full_disk_is_told() {
    let ended = host::run(["--record", "/dev/full", &text(&guests::built("echo")), "0"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.errors.contains("cannot record to /dev/full"), "{ended:#?}");
}
