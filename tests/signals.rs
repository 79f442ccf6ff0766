//! Signals, from the first moment of a run to its last: which stop the server, which reload it,
//! and which mean nothing.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::guests;
use crate::support::host::{Host, PATIENCE};
use crate::support::http::Client;

/// What means nothing here, and would end a process that does not take it over.
const MEANINGLESS: [&str; 10] = ["USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "PWR", "STKFLT", "XCPU", "RTMIN+3"];

/// A server that compiles its guest, for half a second or more.
fn compiling(options: &[&str]) -> Host {
    let pluto = guests::built("pluto").display().to_string();
    let host = Host::spawn([options, &["--no-cache", &pluto, "0", "html/"]].concat());
    let tasks = format!("/proc/{}/task", host.pid());
    let has_taken_over = || {
        let tasks = fs::read_dir(&tasks).into_iter().flatten().flatten();
        tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).any(|name| name == "signals\n")
    };
    let begin = Instant::now();
    while !has_taken_over() {
        assert!(begin.elapsed() < PATIENCE, "it does not take signals over");
    }
    host
}

/// SIGHUP once killed a host that compiled, and the others a host that served as well.
#[test]
fn signals_without_a_meaning_are_ignored_with_a_line_while_it_starts_and_while_it_serves() {
    let mut host = compiling(&["--shards", "2"]);
    host.signal("HUP");
    MEANINGLESS.iter().for_each(|signal| host.signal(signal));
    for signal in MEANINGLESS {
        let line = host.wait_for_error(" is ignored: SIGHUP reloads, and SIGTERM, SIGINT or SIGQUIT stop");
        // They come in the order of their numbers, or one by one.
        assert!(line.contains("pluto-host: SIG"), "{signal}: {line}");
    }
    let mut host = host.serving();
    for signal in MEANINGLESS {
        host.signal(signal);
        let line = host.wait_for_error("is ignored");
        assert!(line.contains(&format!("SIG{signal} is ignored")), "{line}");
    }
    assert_eq!(Client::new(host.connect()).get("/").status, 200);
    host.signal("TERM");
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // The log is at its usual place, and nothing stands in it of what the host says.
    assert!(!ended.output.contains("ignored"), "{ended:#?}");
}

/// It was lost once: the guest had read its configuration and not asked to be told yet.
#[test]
fn a_reload_that_comes_before_the_guest_asks_is_told_when_it_does() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("guest.wasm");
    // Listens, sleeps for two seconds, asks for signals, and ends with 7 when the first one is
    // `reload`.
    let guest = "(drop (call $ask (i32.const 0) (i64.const 42949672960) (i64.const 0) (i64.const 0)))
        (drop (call $ask (i32.const 10) (i64.const 2000000000) (i64.const 0) (i64.const 0)))
        (call $submit (i32.const 11) (i64.const 0) (i64.const 0) (i64.const 0))
        (call $exit (i32.add (i32.const 6) (i32.load8_u offset=16 (call $answer))))";
    fs::write(&path, guests::run(guest)).expect("a file");
    let host = Host::serve(["--no-cache", "--shards", "1", &path.display().to_string(), "0"]);
    host.signal("HUP");
    let ended = host.wait();
    assert!(ended.errors.contains("(its exit code is 7)"), "{ended:#?}");
}

#[test]
fn a_flight_recorder_gives_sigusr1_its_meaning_and_no_other_signal() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let trace = folder.path().join("run.trace").display().to_string();
    let mut host = compiling(&["--flight-recorder", "1M", "--shards", "1", "--record", &trace]);
    host.signal("USR1");
    host.signal("USR2");
    host.wait_for_error("SIGUSR2 is ignored");
    host.wait_for_error("the flight recorder has written ");
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
}

#[test]
fn who_asks_to_stop_before_the_guest_runs_ends_the_process_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("QUIT", 131)] {
        let host = compiling(&[]);
        let begin = Instant::now();
        host.signal(signal);
        let ended = host.wait();
        assert_eq!((ended.code, ended.errors.as_str()), (Some(code), ""), "{ended:#?}");
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}

#[test]
fn sigquit_stops_as_sigterm_does_and_the_second_ends_at_once() {
    let echo = guests::built("echo").display().to_string();
    let host = Host::serve([echo.as_str(), "0"]);
    host.signal("QUIT");
    assert_eq!(host.wait().code, Some(0));

    use std::io::Write;
    let host = Host::serve([echo.as_str(), "0"]);
    let mut client = host.connect();
    client.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    while client.write_all(&[0; 1 << 16]).is_ok() {}
    host.signal("QUIT");
    std::thread::sleep(Duration::from_millis(300));
    host.signal("QUIT");
    assert_eq!(host.wait().code, Some(131));
}
