//! Key frames and the flight recorder: a long run can be replayed from its middle, and its end is
//! kept in memory.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::guests;
use crate::support::host::{self, Ended, Host, PATIENCE};
use crate::support::http::Client;
use crate::support::traces::Folder;

/// What a flight recorder has left in a folder under its own name.
fn found(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.root()).expect("the folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pluto-host.")))
        .collect()
}

fn built(name: &str) -> String {
    guests::built(name).display().to_string()
}

fn replays(guest: &str, trace: &str, options: &[&str], says: &[&str]) -> Ended {
    let mut arguments = vec!["replay"];
    arguments.extend(options);
    arguments.extend([guest, trace]);
    let ended = host::run(arguments);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for says in [&["the same run"][..], says].concat() {
        assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
    }
    ended
}

fn refused(arguments: &[&str], code: i32, says: &str) {
    let ended = host::run(arguments);
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
}

fn to_text(trace: &str) -> String {
    let ended = host::run(["trace", "text", trace]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    ended.output
}

/// The turns of the key frames in a text.
fn key_frames(text: &str) -> Vec<u64> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("key-frame "));
    lines.map(|rest| rest.split(' ').next().and_then(|turn| turn.parse().ok()).expect("a turn")).collect()
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("it accepts");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client.set_nodelay(true).expect("no delay");
    client
}

/// Many requests at the web server, each with a field of so many bytes.
fn load(address: SocketAddr, requests: usize, bytes: usize) {
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(bytes));
    let mut clients: Vec<Client> = (0..8).map(|_| Client::new(connect(address))).collect();
    for _ in 0..requests / 80 {
        clients.iter_mut().for_each(|client| client.send(request.repeat(10)));
        for client in &mut clients {
            (0..10).for_each(|_| assert_eq!(client.response(true).status, 200));
        }
    }
}

/// A guest that sleeps over and over, counts that in a global, asks for signals, and does at a
/// pause what `pause` says. In the end it does what `end` says.
pub fn sleeper(turns: u32, pause: &str, end: &str) -> String {
    format!(
        "(global $turns (mut i32) (i32.const 0))
        (global $f (mut f64) (f64.const 0.5)) (global $v (mut v128) (v128.const i64x2 1 2))
        (table $table 2 funcref) (elem declare func $exit)
        (func $sleep (call $submit (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0)))
        (func (export \"run\") (param i32 i32) (result i32)
          (local $at i32) (local $end i32) (local $pause i32)
          (if (i32.eqz (global.get $turns)) (then
            (call $submit (i32.const 11) (i64.const 0) (i64.const 0) (i64.const 0))
            (global.set $turns (i32.const 1))
            (call $sleep)))
          (loop $more
            (local.set $at (call $answer))
            (local.set $end (i32.add (local.get $at) (i32.mul (i32.load (i32.const 20)) (i32.const 64))))
            (local.set $pause (i32.const 0))
            (loop $each
              (if (i32.eq (i32.load8_u offset=8 (local.get $at)) (i32.const 9)) (then
                (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
                (global.set $f (f64.add (global.get $f) (f64.const 1)))
                (global.set $v (i64x2.add (global.get $v) (global.get $v)))
                (if (i32.gt_u (global.get $turns) (i32.const {turns})) (then {end}))
                (call $sleep)))
              (if (i32.eq (i32.load8_u offset=8 (local.get $at)) (i32.const 10)) (then
                (if (i32.eq (i32.load8_u offset=16 (local.get $at)) (i32.const 2)) (then
                  (local.set $pause (i32.const 1))))))
              (local.set $at (i32.add (local.get $at) (i32.const 64)))
              (br_if $each (i32.lt_u (local.get $at) (local.get $end))))
            (if (local.get $pause) (then {pause}))
            (br $more))
          unreachable)"
    )
}

/// A pause of `sleeper` that is one.
pub const PAUSES: &str = "(i32.store8 (i32.const 0) (i32.const 1)) (return (i32.const 0))";
const IGNORES: &str = "nop";

#[test]
fn a_long_run_is_replayed_from_its_middle_and_its_memory_is_compared() {
    let (folder, pluto) = (Folder::new(), built("pluto"));
    let trace = folder.path("run.trace");
    let host = Host::serve(["--log", "off", "--key-frame-every", "32K", "--record", &trace, &pluto, "0", "html/"]);
    load(host.address(), 16_000, 100);
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    replays(&pluto, &trace, &[], &["to its end"]);
    replays(&pluto, &trace, &["--engine", "pulley"], &["to its end"]);
    let text = to_text(&trace);
    let turns = key_frames(&text);
    assert!(turns.len() > 2, "{turns:?}");
    let middle = turns[turns.len() / 2];
    for (from, at) in [(middle, middle), (middle + 1, middle), (u64::MAX, turns[turns.len() - 1])] {
        let says = format!("at the key frame of turn {at}");
        replays(&pluto, &trace, &["--from-turn", &from.to_string()], &["to its end", &says]);
    }
    replays(&pluto, &trace, &["--from-turn", "0"], &["to its end", "no key frame before that"]);
    refused(
        &["replay", "--from-turn", &middle.to_string(), &built("echo"), &trace],
        1,
        "which no other guest can take over",
    );
    // The text says the same.
    let (written, again) = (folder.path("run.txt"), folder.path("again.trace"));
    let make = |text: &str| {
        fs::write(&written, text).expect("a file");
        host::run(["trace", "binary", &written, "--guest", &pluto, "--output", &again])
    };
    assert_eq!(make(&text).code, Some(0));
    assert_eq!(to_text(&again), text);
    replays(&pluto, &again, &["--from-turn", &middle.to_string()], &["to its end"]);
    // Another memory at a key frame: that of the next one, and none at all.
    let frame = |number: usize| {
        let begin = text.find(&format!("key-frame {} ", turns[number])).expect("a key frame");
        let begin = begin + text[begin..].find("  image ").expect("an image");
        let length: usize =
            text[begin..].lines().take_while(|line| line.starts_with("  image ")).map(|line| line.len() + 1).sum();
        begin..begin + length
    };
    let (first, second) = (frame(0), frame(1));
    let swapped = [&text[..first.start], &text[second], &text[first.end..]].concat();
    assert_eq!(make(&swapped).code, Some(0));
    refused(&["replay", &pluto, &again], 3, "its memory differs");
    let broken = [&text[..first.start], "  image aGVsbG8=\n", &text[first.end..]].concat();
    assert_eq!(make(&broken).code, Some(0));
    refused(&["replay", &pluto, &again], 3, "cannot be unpacked");
    refused(&["replay", "--from-turn", &turns[0].to_string(), &pluto, &again], 3, "cannot be unpacked");
}

#[test]
fn a_time_is_explained_from_the_key_frame_before_it_with_the_same_numbers() {
    let (folder, echo) = (Folder::new(), built("echo"));
    let trace = folder.path("run.trace");
    let host = Host::serve(["--key-frame-every", "16K", "--record", &trace, &echo, "0"]);
    let (mut early, mut late) = (host.connect(), None);
    for round in 0..100 {
        if round == 50 {
            late = Some(host.connect());
        }
        for client in [Some(&mut early), late.as_mut()].into_iter().flatten() {
            client.write_all(&[b'x'; 1_000]).expect("it reads");
            client.read_exact(&mut [0; 1_000]).expect("it answers");
        }
    }
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    let whole = host::run(["explain", &trace]);
    let time = |line: &str| line.rsplit(" at ").next().map(|time| time.replace('µ', "u").replace(' ', ""));
    let last = whole.output.lines().rfind(|line| line.starts_with("turn ")).and_then(time).expect("a turn");
    let jumped = host::run(["explain", "--from", &last, &trace]);
    assert_eq!((whole.code, jumped.code), (Some(0), Some(0)), "{jumped:#?}");
    assert!(jumped.output.contains("told from    turn "), "{}", jumped.output);
    // What the guest sends is told in the same words, with the same numbers.
    let last_sent = |ended: &Ended| -> Vec<String> {
        let at = ended.output.rfind("\nturn ").expect("a turn");
        ended.output[at..].lines().filter(|line| line.starts_with("  sent ")).map(str::to_owned).collect()
    };
    assert!(last_sent(&whole).iter().any(|line| line.contains("close connection 2")), "{}", whole.output);
    assert_eq!(last_sent(&jumped), last_sent(&whole));
}

#[test]
fn a_trap_after_a_long_run_leaves_the_last_of_it() {
    let folder = Folder::new();
    let guest = folder.guest("guest.wasm", &sleeper(40_000, PAUSES, "unreachable"));
    let trace = folder.path("last.trace");
    let ended =
        host::run(["--shards", "1", "--flight-recorder", "64K", "--overwrite", "--record", &trace, &guest, "0"]);
    assert_eq!(ended.code, Some(4), "{ended:#?}");
    assert!(
        ended.errors.contains("the flight recorder has written") && ended.errors.contains("wasm trap"),
        "{ended:#?}"
    );
    let metadata = fs::metadata(&trace).expect("a trace");
    // How late a key frame may be on a busy machine nobody knows, nor how much of the 680 KB is
    // therefore left.
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    replays(&guest, &trace, &[], &["to its end", "beginning at the key frame of turn "]);
    replays(&guest, &trace, &["--from-turn", &u64::MAX.to_string()], &["to its end"]);
    let explained = host::run(["explain", &trace]);
    assert_eq!(explained.code, Some(0), "{explained:#?}");
    assert!(explained.output.contains("end: the guest trapped"), "{}", explained.output);
    assert!(explained.output.contains("a request from before the recording begins -> elapsed"), "{}", explained.output);
    let other = folder.guest("other.wasm", &sleeper(50_000, PAUSES, "unreachable"));
    refused(&["replay", &other, &trace], 1, "which no other guest can take over");
    refused(&["diff", &trace, &guest, &other], 1, "only take part from the beginning");
}

/// By a limit, by an error of its own; not by an orderly end.
#[test]
fn it_is_written_when_something_is_wrong_and_only_then() {
    for (name, end, code) in [
        ("exit", "(return (call $exit (i32.const 7)))", 5),
        ("memory", "(drop (memory.grow (i32.const 1000)))", 4),
        (
            "nothing",
            "(call $prepare (i32.const 10) (i64.const 1) (i64.const 0) (i64.const 0)) (call $send (i32.const 64) (i32.const 1)) \
            (call $send (i32.const 64) (i32.const 1))",
            4,
        ),
        ("well", "(return (call $exit (i32.const 0)))", 0),
    ] {
        let folder = Folder::new();
        let guest = folder.guest(&format!("{name}.wasm"), &sleeper(600, PAUSES, end));
        let mut command = std::process::Command::new(host::command());
        let command = command.current_dir(folder.root()).args([
            "--memory-max",
            "16M",
            "--shards",
            "1",
            "--flight-recorder",
            "8K",
            &guest,
            "0",
        ]);
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
        let found = found(&folder);
        assert_eq!(found.len(), usize::from(code != 0), "{name}: {found:?}, {output:?}");
        if let Some(trace) = found.first() {
            replays(&guest, &trace.display().to_string(), &[], &["to its end"]);
        }
    }
}

#[test]
fn a_signal_writes_it_under_load_and_the_run_goes_on() {
    for (guest, arguments) in [("pluto", &["html/"][..]), ("echo", &[])] {
        let (folder, guest) = (Folder::new(), built(guest));
        let trace = folder.path("now.trace");
        let mut all =
            vec!["--log", "off", "--shards", "1", "--flight-recorder", "256K", "--record", &trace, &guest, "0"];
        all.extend(arguments);
        let mut host = Host::serve(&all);
        let address = host.address();
        let speak = || match arguments.is_empty() {
            false => load(address, 2_400, 200),
            true => {
                let mut client = connect(address);
                for _ in 0..500 {
                    client.write_all(&[7; 1_000]).expect("it reads");
                    client.read_exact(&mut [0; 1_000]).expect("it answers");
                }
            }
        };
        for _ in 0..2 {
            std::thread::scope(|scope| {
                let busy = scope.spawn(speak);
                host.signal("USR1");
                busy.join().expect("it is served");
            });
            host.wait_for_error("the flight recorder has written");
            speak();
            host.signal("USR1");
            host.wait_for_error("the flight recorder has written");
            replays(&guest, &trace, &[], &["was asked for this meanwhile", "beginning at the key frame"]);
        }
        host.signal("TERM");
        let ended = host.wait();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
}

/// A small flight recorder beside the web server.
fn flying<'a>(trace: &'a str, pluto: &'a str) -> [&'a str; 11] {
    ["--log", "off", "--shards", "1", "--flight-recorder", "1M", "--record", trace, pluto, "0", "html/"]
}

/// A guest that must be compiled takes its time to start.
#[test]
fn a_signal_at_the_start_is_kept_until_there_is_something_to_write() {
    let (folder, pluto) = (Folder::new(), built("pluto"));
    let trace = folder.path("early.trace");
    let arguments = [&["--no-cache"][..], &flying(&trace, &pluto)].concat();
    let mut host = Host::spawn(arguments);
    let is_caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", host.pid())).expect("it runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("the signals");
        // SIGUSR1 is the tenth signal.
        u64::from_str_radix(caught.trim(), 16).expect("a mask") & 1 << 9 != 0
    };
    while !is_caught() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // signal-hook takes the signal a moment before it knows for whom.
    std::thread::sleep(std::time::Duration::from_millis(20));
    host.signal("USR1");
    host.wait_for_error("the flight recorder has written");
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    replays(&pluto, &trace, &[], &["as far as it was recorded"]);
}

#[test]
fn what_it_takes_of_memory_is_bounded() {
    let (folder, pluto) = (Folder::new(), built("pluto"));
    let trace = folder.path("never.trace");
    let host = Host::serve(flying(&trace, &pluto));
    let peak = || {
        let status = fs::read_to_string(format!("/proc/{}/status", host.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    load(host.address(), 2_400, 2_000);
    let early = peak();
    load(host.address(), 36_000, 2_000);
    let late = peak();
    assert!(late < early + 32_768, "{early} KiB after 5 MB of trace, {late} KiB after 75 MB more");
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    assert!(!Path::new(&trace).exists(), "an orderly end writes nothing");
}

#[test]
fn of_a_guest_that_does_not_pause_the_last_turns_are_kept_to_be_read() {
    let folder = Folder::new();
    for (name, pause, says) in [
        ("ignores", IGNORES, "gives no key frame to begin at"),
        ("changes", &*format!("(table.set $table (i32.const 0) (ref.func $exit)) {PAUSES}"), "it uses `table.set`"),
    ] {
        let guest = folder.guest(&format!("{name}.wasm"), &sleeper(2_000, pause, "unreachable"));
        let trace = folder.path(&format!("{name}.trace"));
        let ended =
            host::run(["--shards", "1", "--flight-recorder", "8K", "--overwrite", "--record", &trace, &guest, "0"]);
        assert_eq!(ended.code, Some(4), "{ended:#?}");
        assert!(ended.errors.contains(says) && ended.errors.contains("can be read but not replayed"), "{ended:#?}");
        assert_eq!(ended.errors.matches("note: the flight recorder is full").count(), 1, "{ended:#?}");
        for command in [&["replay", &guest, &trace][..], &["explain", &trace]] {
            refused(command, 1, "were dropped by the flight recorder");
        }
        let text = to_text(&trace);
        assert!(text.contains("\ncut ") && text.contains("\nend trapped"), "{text}");
        // With room for all of it, there is nothing to drop.
        let ended =
            host::run(["--shards", "1", "--flight-recorder", "8M", "--overwrite", "--record", &trace, &guest, "0"]);
        assert_eq!(ended.code, Some(4), "{ended:#?}");
        replays(&guest, &trace, &[], &["to its end"]);
        // A file holds all of it, without key frames.
        let ended = host::run(["--key-frame-every", "4K", "--overwrite", "--record", &trace, &guest, "0"]);
        assert_eq!(ended.code, Some(4), "{ended:#?}");
        replays(&guest, &trace, &[], &["to its end"]);
        assert_eq!(key_frames(&to_text(&trace)), <[u64; 0]>::default());
    }
}

/// A guest that is told to pause and does not do what the recorded one did.
#[test]
fn a_guest_that_no_longer_pauses_is_another_run() {
    let folder = Folder::new();
    let guest = folder.guest("guest.wasm", &sleeper(600, PAUSES, "(return (call $exit (i32.const 0)))"));
    let trace = folder.path("run.trace");
    let ended = host::run(["--key-frame-every", "4K", "--overwrite", "--record", &trace, &guest, "0"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    replays(&guest, &trace, &[], &["to its end"]);
    let talks = sleeper(
        600,
        &format!("(call $log (i32.const 2) (i32.const 0) (i32.const 0)) {PAUSES}"),
        "(return (call $exit (i32.const 0)))",
    );
    let talks = folder.guest("talks.wasm", &talks);
    replays(&talks, &trace, &[], &["to its end"]);
    let ignores = folder.guest("ignores.wasm", &sleeper(600, IGNORES, "(return (call $exit (i32.const 0)))"));
    refused(&["replay", &ignores, &trace], 3, "it did not pause, where the recorded guest did");
}

#[test]
fn a_file_that_takes_nothing_ends_the_recording_and_holds_nobody() {
    let (folder, pluto) = (Folder::new(), built("pluto"));
    let pipe = folder.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let reader = std::thread::spawn({
        let (pipe, length) = (pipe.clone(), fs::metadata(&pluto).expect("it is built").len());
        move || {
            // The trace begins with the guest, which is packed.
            let mut pipe = fs::File::open(pipe).expect("a pipe");
            std::io::copy(&mut (&mut pipe).take(length), &mut std::io::sink()).expect("it reads");
            pipe
        }
    });
    let mut host = Host::serve(["--log", "off", "--record", &pipe, &pluto, "0", "html/"]);
    load(host.address(), 40_000, 2_000);
    let reader = reader.join().expect("it reads");
    host.wait_for_error("recording has ended: what happens comes faster than it can be written");
    load(host.address(), 800, 2_000);
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    drop(reader);
}

/// Runs the command in a shell with a limit, in this folder; what it says.
fn with_limit(ulimit: &str, folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let line = format!("ulimit {ulimit}; exec \"$0\" \"$@\"");
    let mut command = std::process::Command::new("sh");
    let command = command.current_dir(folder).arg("-c").arg(line).arg(host::command()).args(arguments);
    let output = command.output().expect("a shell");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A guest may have as much memory as the limit leaves, so that there is none for a copy.
#[test]
fn a_memory_that_cannot_be_copied_ends_no_run() {
    let folder = Folder::new();
    let grown = sleeper(600, PAUSES, "(return (call $exit (i32.const 0)))").replacen(
        "(global.set $turns (i32.const 1))",
        "(global.set $turns (i32.const 1)) (drop (memory.grow (i32.const 15000)))",
        1,
    );
    let guest = folder.guest("guest.wasm", &grown);
    let trace = folder.path("run.trace");
    let arguments = ["--no-cache", "--key-frame-every", "4K", "--record", &trace, &guest, "0"];
    // The run alone, and half of what a copy of the grown memory takes: 15,000 pages of 64 KiB.
    let alone = host::measured(["--no-cache", "--log", "off", &guest, "0"]);
    assert_eq!(alone.code, Some(0), "{alone:#?}");
    let limit = alone.peak_addresses_kib + 15_000 * 64 / 2;
    let (code, errors) = with_limit(&format!("-v {limit}"), folder.root(), &arguments);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(errors.matches("no memory for a copy of its own").count(), 1, "{errors}");
    replays(&guest, &trace, &[], &["to its end"]);
}

#[test]
fn a_disk_that_fills_up_ends_the_recording_and_not_the_run() {
    let folder = Folder::new();
    let guest = folder.guest("guest.wasm", &sleeper(3_000, PAUSES, "(return (call $exit (i32.const 0)))"));
    let trace = folder.path("run.trace");
    let (code, errors) = with_limit("-f 32", folder.root(), &["--no-cache", "--record", &trace, &guest, "0"]);
    assert_eq!(code, Some(0), "the run goes on to its end: {errors}");
    assert_eq!(errors.matches("recording has ended: File too large").count(), 1, "{errors}");
    replays(&guest, &trace, &[], &["as far as it was recorded"]);
    // What the flight recorder cannot write, it does not leave half written.
    let traps = folder.guest("traps.wasm", &sleeper(3_000, PAUSES, "unreachable"));
    let (code, errors) =
        with_limit("-f 8", folder.root(), &["--no-cache", "--shards", "1", "--flight-recorder", "16K", &traps, "0"]);
    assert_eq!(code, Some(4), "{errors}");
    assert!(errors.contains("the flight recorder cannot write") && errors.contains("File too large"), "{errors}");
    assert_eq!(found(&folder), <[PathBuf; 0]>::default());
}

#[test]
fn what_it_cannot_write_to_is_told_before_anything_is_served() {
    let (folder, echo) = (Folder::new(), built("echo"));
    let guest = folder.guest("a.wasm", &sleeper(1, PAUSES, "unreachable"));
    let before = fs::read(&guest).expect("the guest");
    let here = folder.path("");
    for (path, says) in [
        (guest.as_str(), "which is no trace"),
        ("/nowhere/run.trace", "No such file"),
        ("/dev/null", "is no file"),
        (&here, "is no file"),
    ] {
        refused(&["--shards", "1", "--flight-recorder", "1M", "--record", path, &echo, "0"], 1, says);
    }
    // Neither does a trace that is made of a text take the place of something else.
    let (trace, text) = (folder.path("run.trace"), folder.path("run.txt"));
    assert_eq!(host::run(["--overwrite", "--record", &trace, &guest, "0"]).code, Some(4));
    fs::write(&text, to_text(&trace)).expect("a file");
    refused(&["trace", "binary", &text, "--guest", &guest, "--output", &guest], 1, "which is no trace");
    assert_eq!(fs::read(&guest).expect("the guest"), before);
    assert_eq!(host::run(["trace", "binary", &text, "--guest", &guest, "--output", &trace]).code, Some(0));
    refused(&["--shards", "1", "--flight-recorder", "much", &echo, "0"], 2, "a size is a number of bytes");
}
