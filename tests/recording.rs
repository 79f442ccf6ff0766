//! What a disk, a pipe or a limit of the system can do to a recording. The recording may end; the
//! server goes on.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::guests;
use crate::support::host::{self, Host, PATIENCE};
use crate::support::http::Client;
use crate::support::traces::{Folder, record, replays, text};

/// How long a run takes to end whose recording is not taken: 5 s, and what a busy machine adds.
const END_OF_STALLED: Duration = Duration::from_secs(20);

/// A pipe in a folder.
fn pipe(folder: &Folder) -> String {
    let pipe = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    pipe
}

/// The command with a limit on the files that it writes, in blocks of 512 bytes.
fn limited(blocks: u64, folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let line = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.current_dir(folder.path("")).arg("-c").arg(line).arg(host::command()).args(arguments);
    let output = command.stdin(Stdio::null()).output().expect("a shell");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A guest that reads the first MiB of `big` 64 times in each of three turns, which is what the
/// limits allow, and closes a handle that there is not some thousand times besides.
const GREEDY: &str = "(data (i32.const 1024) \"big\")
    (func $times (param $kind i32) (param $count i32) (param $handle i64) (param $length i64)
      (loop $more
        (call $submit (local.get $kind) (local.get $handle) (i64.const 0) (local.get $length))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br_if $more (local.get $count))))
    (func (export \"run\") (param i32 i32) (result i32) (local $file i64) (local $rounds i32) (local $heap i32)
      (if (i32.ne (call $open (i32.const 3)) (i32.const 5)) (then (unreachable)))
      (local.set $file (i64.load offset=16 (i32.load (i32.const 16))))
      (local.set $heap (global.get $heap))
      (local.set $rounds (i32.const 3))
      (loop $more
        (global.set $heap (local.get $heap))
        (call $times (i32.const 6) (i32.const 64) (local.get $file) (i64.const 1048576))
        (call $times (i32.const 4) (i32.const 200000) (i64.const 77) (i64.const 0))
        (if (i32.ne (call $verdict (call $answer)) (i32.const 2)) (then (unreachable)))
        (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
        (br_if $more (local.get $rounds)))
      (call $exit (i32.const 0)))";

#[test]
fn a_turn_that_the_limits_allow_is_recorded() {
    let folder = Folder::new();
    let guest = folder.guest("greedy.wasm", GREEDY);
    let (root, trace) = (folder.path("root"), folder.path("run.trace"));
    fs::create_dir(&root).expect("a folder");
    File::create(Path::new(&root).join("big")).and_then(|file| file.set_len(1 << 20)).expect("a file");
    let ended = host::run(["--record", &trace, &guest, "0", &root]);
    assert_eq!((ended.code, ended.errors.contains("recording has ended")), (Some(0), false), "{ended:#?}");
    let length = fs::metadata(&trace).expect("a trace").len();
    assert!(length > 3 * (64 << 20), "{length} bytes");
    replays(Path::new(&guest), &trace, "to its end: 4 turns");
    // The last of them is what a smaller recorder keeps.
    let flown = folder.path("flown.trace");
    let traps = folder.guest("traps.wasm", &GREEDY.replace("(call $exit (i32.const 0))", "unreachable"));
    let ended = host::run(["--shards", "1", "--flight-recorder", "1M", "--record", &flown, &traps, "0", &root]);
    assert_eq!(ended.code, Some(4), "{ended:#?}");
    assert!(ended.errors.contains("the flight recorder has written"), "{ended:#?}");
}

#[test]
fn a_pipe_that_nobody_reads_is_told_and_not_waited_for() {
    let folder = Folder::new();
    let pipe = pipe(&folder);
    let begin = Instant::now();
    let ended = host::run(["--record", &pipe, &text(&guests::built("echo")), "0"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.errors.contains(&format!("cannot record to {pipe}: nobody reads it")), "{ended:#?}");
    assert!(begin.elapsed() < END_OF_STALLED, "{:?}", begin.elapsed());
}

#[test]
fn a_reader_that_reads_nothing_keeps_neither_the_start_nor_the_end() {
    for reads_beginning in [false, true] {
        let (folder, pluto) = (Folder::new(), guests::built("pluto"));
        let pipe = pipe(&folder);
        let reader = std::thread::spawn({
            let (pipe, length) = (pipe.clone(), fs::metadata(&pluto).expect("it is built").len());
            move || {
                let mut pipe = File::open(pipe).expect("a pipe");
                if reads_beginning {
                    // The guest in it is packed, so that this is some megabytes of the run
                    // besides.
                    std::io::copy(&mut (&mut pipe).take(length), &mut std::io::sink()).expect("it reads");
                }
                pipe
            }
        });
        // The other end must be there when the host looks for it, which is not to be waited for.
        let mut arguments = vec!["--log", "off", "--record", &pipe];
        let (pluto, begin) = (text(&pluto), Instant::now());
        arguments.extend([&*pluto, "0", "html/"]);
        let host = loop {
            let mut host = Host::spawn(arguments.iter().copied());
            match host.wait_for_any_error(&["serving ", "nobody reads it"]) {
                line if line.contains("serving ") => break host.serving_at(&line),
                _ => assert!(begin.elapsed() < PATIENCE, "the reader is there"),
            }
        };
        let mut client = Client::new(host.connect());
        let padding = "x".repeat(2_000);
        for _ in 0..2_000 {
            client.send(format!("GET / HTTP/1.1\r\nHost: x\r\nX: {padding}\r\n\r\n"));
            assert_eq!(client.response(true).status, 200);
        }
        let begin = Instant::now();
        host.signal("TERM");
        let ended = host.wait();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(ended.errors.contains("the end of the trace is missing"), "{ended:#?}");
        assert!(begin.elapsed() < END_OF_STALLED, "{:?}", begin.elapsed());
        assert_eq!(ended.errors.contains("the trace file takes no data yet"), !reads_beginning, "{ended:#?}");
        drop(reader.join().expect("it opens the pipe"));
    }
}

/// One who reads slowly gets all of it.
#[test]
fn a_slow_reader_is_waited_for_to_the_end() {
    let (folder, echo) = (Folder::new(), guests::built("echo"));
    let (pipe, trace) = (pipe(&folder), folder.path("run.trace"));
    let mut reader = Command::new("sh");
    // A piece of 64 KiB each 20 ms: 3 MiB a second.
    let line = "exec 3<\"$0\"; while head -c 65536 <&3 >\"$1.part\"; test -s \"$1.part\"; do cat \"$1.part\" >>\"$1\"; sleep 0.02; done";
    let mut reader = reader.arg("-c").arg(line).args([&pipe, &trace]).spawn().expect("a shell");
    let hold = fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("a pipe");
    let host = record("auto", &pipe, &echo, &[]);
    drop(hold);
    let mut client = host.connect();
    for _ in 0..400 {
        client.write_all(&[7; 16_000]).expect("it reads");
        client.read_exact(&mut [0; 16_000]).expect("it answers");
    }
    drop(client);
    host.signal("TERM");
    let ended = host.wait();
    assert_eq!((ended.code, ended.errors.contains("recording")), (Some(0), false), "{ended:#?}");
    assert!(reader.wait().expect("it ends").code().is_some());
    replays(&echo, &trace, "to its end");
}

#[test]
fn a_limit_on_files_ends_the_recording_and_not_the_server() {
    let folder = Folder::new();
    let ticks = "(func (export \"run\") (param i32 i32) (result i32) (local $turns i32)
        (local.set $turns (i32.const 9000))
        (loop $more
          (drop (call $ask (i32.const 10) (i64.const 1) (i64.const 0) (i64.const 0)))
          (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
          (br_if $more (local.get $turns)))
        END)";
    let guest = folder.guest("ticks.wasm", &ticks.replace("END", "(call $exit (i32.const 0))"));
    let trace = folder.path("run.trace");
    let (code, errors) = limited(32, &folder, &["--no-cache", "--record", &trace, &guest, "0"]);
    assert_eq!(code, Some(0), "the run goes on to its end: {errors}");
    assert_eq!(errors.matches("recording has ended: File too large").count(), 1, "{errors}");
    replays(Path::new(&guest), &trace, "as far as it was recorded");
    // What the flight recorder cannot write is told as well, and every command that writes a file
    // says why it cannot.
    let traps = folder.guest("traps.wasm", &ticks.replace("END", "unreachable"));
    let flown = folder.path("flown.trace");
    let arguments = ["--no-cache", "--shards", "1", "--flight-recorder", "64K", "--record", &flown, &traps, "0"];
    let (code, errors) = limited(8, &folder, &arguments);
    assert_eq!(code, Some(4), "{errors}");
    assert!(errors.contains("the flight recorder cannot write") && errors.contains("File too large"), "{errors}");
    assert!(!Path::new(&flown).exists(), "a part of a trace helps nobody");
    let page = folder.path("page.html");
    let (code, errors) = limited(8, &folder, &["explain", &trace, "--html", &page]);
    assert!(code == Some(1) && errors.contains("cannot write") && errors.contains("File too large"), "{errors}");
}

/// A supervisor starts a server again after a crash: the trace of the crash must not be lost.
#[test]
fn a_trace_is_overwritten_only_when_that_is_asked_for() {
    let folder = Folder::new();
    let (trace, echo) = (folder.path("run.trace"), text(&guests::built("hello")));
    let run = |options: &[&str]| host::run([options, &[&echo, "0"]].concat());
    assert_eq!(run(&["--record", &trace]).code, Some(0));
    let first = fs::read(&trace).expect("a trace");
    for options in [&["--record", &trace][..], &["--shards", "1", "--flight-recorder", "1M", "--record", &trace]] {
        let ended = run(options);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.errors.contains("there is a trace of that name: --overwrite replaces it"), "{ended:#?}");
        assert_eq!(fs::read(&trace).expect("a trace"), first);
    }
    assert_eq!(run(&["--record", &trace, "--overwrite"]).code, Some(0));
    assert_ne!(fs::read(&trace).expect("a trace"), first, "its start has another time");
}

#[test]
fn the_name_of_a_trace_has_the_time_and_the_process() {
    let folder = Folder::new();
    let named = folder.path("run.%t.%p.trace");
    let ended = host::run(["--record", &named, &text(&guests::built("hello")), "0"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let names: Vec<String> = fs::read_dir(folder.root())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    let [name] = &names[..] else { panic!("{names:?}") };
    let parts: Vec<&str> = name.split('.').collect();
    let ["run", time, process, "trace"] = parts[..] else { panic!("{name}") };
    assert!(time.len() == 16 && time.starts_with("20") && time.ends_with('Z') && &time[8..9] == "T", "{name}");
    assert!(process.parse::<u32>().is_ok(), "{name}");
}
