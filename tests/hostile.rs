//! Guests that are hostile or badly broken. Each is refused, answered with an error value, or
//! ended with a clear message. The host goes on, and no byte outside the root is read.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::{self, Ended};

/// A folder with a root in it, and beside the root what nobody may read.
fn world() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("inside")).expect("a folder");
    fs::write(root.join("index.html"), "<p>for all</p>").expect("a file");
    fs::write(folder.path().join("secret"), "for nobody").expect("a file");
    symlink("../secret", root.join("link")).expect("a link");
    symlink("..", root.join("up")).expect("a link");
    symlink("/etc/passwd", root.join("absolute")).expect("a link");
    symlink("index.html", root.join("home")).expect("a link");
    folder
}

fn run_bytes(guest: &[u8], options: &[&str]) -> Ended {
    let folder = world();
    let path = folder.path().join("guest.wasm");
    fs::write(&path, guest).expect("a file");
    let (path, root) = (path.display().to_string(), folder.path().join("root").display().to_string());
    let mut arguments = options.to_vec();
    arguments.extend(["--shards", "1", "--no-cache", &path, "0", &root]);
    host::run(arguments)
}

/// Runs a guest that the host must end, or refuse, with that code and a message that says this.
fn ends(guest: &[u8], code: i32, message: &str) {
    ends_with(guest, &[], code, message);
}

fn ends_with(guest: &[u8], options: &[&str], code: i32, message: &str) {
    let ended = run_bytes(guest, options);
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(ended.errors.contains(message), "no {message:?} in {ended:#?}");
}

/// Runs a guest that checks its answers itself, and exits with the number of the first that is
/// wrong.
fn checks(body: &str) {
    for driver in ["io-uring", "poll"] {
        let ended = run_bytes(&guests::run(body), &["--driver", driver]);
        let complaints: Vec<&str> = ended.errors.lines().filter(|line| !line.contains(": serving ")).collect();
        assert_eq!((ended.code, complaints), (Some(0), Vec::new()), "{driver}: {ended:#?}");
    }
}

/// A step of such a guest: what is asked, and what the answer must say.
fn step(number: u32, ask: &str, verdict: u32) -> String {
    format!("(if (i32.ne {ask} (i32.const {verdict})) (then (return (call $exit (i32.const {number})))))\n")
}

fn steps(asks: &[(&str, u32)]) -> String {
    let steps: String = (1..).zip(asks).map(|(number, (ask, verdict))| step(number, ask, *verdict)).collect();
    steps + "(call $exit (i32.const 0))"
}

const DONE: u32 = 4;
const OPENED: u32 = 5;
const NOT_PERMITTED: u32 = 100;
const BAD_HANDLE: u32 = 101;
const INVALID: u32 = 102;
const IS_DIRECTORY: u32 = 111;
const NOT_FOUND: u32 = 109;

#[test]
fn a_trap_at_start_is_told() {
    ends(
        &guests::module(
            "(func $boom unreachable) (start $boom) (func (export \"run\") (param i32 i32) (result i32) unreachable)",
        ),
        4,
        "unreachable",
    );
}

#[test]
fn a_trap_is_told_with_its_place() {
    let guest = guests::module(
        "(func $the_place unreachable) (func (export \"run\") (param i32 i32) (result i32) (call $the_place) unreachable)",
    );
    ends(&guest, 4, "the_place");
}

#[test]
fn an_endless_loop_is_ended() {
    ends(&guests::run("(loop $forever (br $forever)) unreachable"), 4, "endless loop");
}

#[test]
fn an_endless_loop_at_start_is_ended() {
    let guest = "(func $boom (loop $forever (br $forever))) (start $boom) (func (export \"run\") (param i32 i32) (result i32) unreachable)";
    ends(&guests::module(guest), 4, "endless loop");
}

#[test]
fn a_guest_that_eats_memory_is_ended() {
    let guest = guests::run("(loop $more (drop (memory.grow (i32.const 16))) (br $more)) unreachable");
    ends_with(&guest, &["--memory-max", "64M"], 4, "--memory-max");
}

#[test]
fn a_guest_that_begins_with_too_much_memory_is_ended() {
    ends_with(&guests::run("(call $exit (i32.const 0))"), &["--memory-max", "65536"], 4, "--memory-max");
}

#[test]
fn endless_recursion_is_ended() {
    let guest = "(func $deeper (call $deeper) (call $deeper)) (func (export \"run\") (param i32 i32) (result i32) (call $deeper) unreachable)";
    ends(&guests::module(guest), 4, "call stack exhausted");
}

#[test]
fn a_million_requests_without_receiving_are_too_many() {
    let guest = "(local $left i32) (local.set $left (i32.const 1000000))
        (loop $more
          (call $submit (i32.const 10) (i64.const 3600000000000) (i64.const 0) (i64.const 0))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $exit (i32.const 0))";
    ends(&guests::run(guest), 4, "without receiving");
}

#[test]
fn a_pending_id_sent_again_ends_the_guest() {
    let guest = "(call $prepare (i32.const 10) (i64.const 3600000000000) (i64.const 0) (i64.const 0))
        (call $send (i32.const 64) (i32.const 1)) (call $send (i32.const 64) (i32.const 1)) (call $exit (i32.const 0))";
    ends(&guests::run(guest), 4, "id 1 while that id was pending");
}

#[test]
fn receiving_with_nothing_pending_ends_the_guest() {
    ends(&guests::run("(drop (call $answer)) (call $exit (i32.const 0))"), 4, "wait forever");
}

#[test]
fn lists_that_lie_outside_the_memory_trap() {
    for list in ["(i32.const -64) (i32.const 1)", "(i32.const 64) (i32.const 100000000)", "(i32.const 3) (i32.const 1)"]
    {
        ends(&guests::run(&format!("(call $send {list}) (call $exit (i32.const 0))")), 4, "trapped");
    }
}

/// 20,000 submissions of 40 bytes, each of which names the same MiB: 20 GB, if the host took them
/// all.
#[test]
fn a_send_that_names_the_same_bytes_often_is_too_much() {
    let guest = "(local $at i32) (local $left i32)
        (drop (memory.grow (i32.const 32)))
        (local.set $at (i32.const 65536)) (local.set $left (i32.const 20000))
        (loop $more
          (i64.store (local.get $at) (i64.extend_i32_u (local.get $left)))
          (i32.store8 offset=8 (local.get $at) (i32.const 8))
          (i32.store offset=16 (local.get $at) (i32.const 65536))
          (i32.store offset=20 (local.get $at) (i32.const 1048576))
          (local.set $at (i32.add (local.get $at) (i32.const 40)))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $send (i32.const 65536) (i32.const 20000))
        (call $exit (i32.const 0))";
    ends(&guests::run(guest), 4, "trapped");
}

#[test]
fn a_log_line_that_is_no_text_traps() {
    ends(
        &guests::module(
            "(data (i32.const 1024) \"\\ff\\fe\") (func (export \"run\") (param i32 i32) (result i32) (call $log (i32.const 2) (i32.const 1024) (i32.const 2)) (call $exit (i32.const 0)))",
        ),
        4,
        "utf-8",
    );
}

#[test]
fn forged_handles_are_answered_with_an_error() {
    let mut asks = Vec::new();
    for handle in ["0", "1", "2", "4294967296", "4294967297", "-1"] {
        // read, write, shutdown, close, read-file, load
        for kind in [1, 2, 3, 4, 6, 7] {
            asks.push(format!("(call $ask (i32.const {kind}) (i64.const {handle}) (i64.const 0) (i64.const 1))"));
        }
    }
    let asks: Vec<(&str, u32)> = asks.iter().map(|ask| (ask.as_str(), BAD_HANDLE)).collect();
    checks(&steps(&asks));
}

#[test]
fn a_handle_closed_twice_is_answered_with_an_error() {
    let close = "(call $ask (i32.const 4) (global.get $kept) (i64.const 0) (i64.const 0))";
    let read = "(call $ask (i32.const 6) (global.get $kept) (i64.const 0) (i64.const 1))";
    let open_and_keep = "(block (result i32)
        (call $submit (i32.const 5) (call $list (i32.const 10)) (i64.const 1) (i64.const 0))
        (global.set $kept (i64.load offset=16 (call $answer))) (i32.const 0))";
    let body = steps(&[(open_and_keep, 0), (read, 2), (close, DONE), (close, BAD_HANDLE), (read, BAD_HANDLE)]);
    let guest = format!(
        "(global $kept (mut i64) (i64.const 0)) (data (i32.const 1024) \"index.html\")
        (func (export \"run\") (param i32 i32) (result i32) {body})"
    );
    let ended = run_bytes(&guests::module(&guest), &[]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:#?}");
}

#[test]
fn no_path_leads_out_of_the_root() {
    for (path, verdict) in [
        ("index.html", OPENED),
        ("home", OPENED),
        ("inside/../index.html", OPENED),
        ("../secret", NOT_PERMITTED),
        ("inside/../../secret", NOT_PERMITTED),
        ("../root/index.html", NOT_PERMITTED),
        ("..", NOT_PERMITTED),
        ("/etc/passwd", NOT_PERMITTED),
        ("/", NOT_PERMITTED),
        ("link", NOT_PERMITTED),
        ("up/secret", NOT_PERMITTED),
        ("absolute", NOT_PERMITTED),
        ("", IS_DIRECTORY),
        (".", IS_DIRECTORY),
        ("nothing", NOT_FOUND),
        ("index.html\\00", INVALID),
    ] {
        let length = path.replace("\\00", "0").len();
        let body = steps(&[(&format!("(call $open (i32.const {length}))"), verdict)]);
        let guest =
            format!("(data (i32.const 1024) \"{path}\") (func (export \"run\") (param i32 i32) (result i32) {body})");
        let ended = run_bytes(&guests::module(&guest), &[]);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{path:?}: {ended:#?}");
    }
}

#[test]
fn lists_and_watches_do_not_lead_out_of_the_root_either() {
    for path in ["..", "up", "/", "/etc"] {
        let ask = |kind| {
            format!(
                "(call $ask (i32.const {kind}) (call $list (i32.const {})) (i64.const 0) (i64.const 9))",
                path.len()
            )
        };
        let body = steps(&[(&ask(8), NOT_PERMITTED), (&ask(9), NOT_PERMITTED)]);
        let guest =
            format!("(data (i32.const 1024) \"{path}\") (func (export \"run\") (param i32 i32) (result i32) {body})");
        let ended = run_bytes(&guests::module(&guest), &[]);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{path:?}: {ended:#?}");
    }
}

#[test]
fn another_port_is_not_granted() {
    // listen: the port in the low half of the first word, the connections in its high half
    let listen =
        |port: u64| format!("(call $ask (i32.const 0) (i64.const {}) (i64.const 0) (i64.const 0))", port | 10 << 32);
    checks(&steps(&[(&listen(80), NOT_PERMITTED), (&listen(22), NOT_PERMITTED), (&listen(0), 0), (&listen(0), 107)]));
}

#[test]
fn its_own_exit_code_is_told() {
    ends(&guests::run("(call $exit (i32.const 7))"), 5, "its exit code is 7");
}

#[test]
fn a_guest_that_pauses_is_run_again() {
    let guest = "(global $paused (mut i32) (i32.const 0))
        (func (export \"run\") (param i32 i32) (result i32)
          (if (i32.eq (global.get $paused) (i32.const 3)) (then (return (call $exit (i32.const 0)))))
          (global.set $paused (i32.add (global.get $paused) (i32.const 1)))
          (i32.store8 (i32.const 0) (i32.const 1))
          (i32.const 0))";
    let ended = run_bytes(&guests::module(guest), &[]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:#?}");
}

/// A clever guest keeps the host busy instead of computing itself: that is its turn as well.
#[test]
fn a_guest_that_keeps_the_host_busy_without_end_is_ended() {
    let folder = world();
    let root = folder.path().join("root");
    for number in 0..60_000 {
        fs::write(root.join(format!("inside/{number}")), "").expect("a file");
    }
    // One send of 3,000 requests to list that folder.
    let guest = guests::module(
        "(data (i32.const 1024) \"inside\")
        (func (export \"run\") (param i32 i32) (result i32) (local $at i32) (local $left i32)
          (drop (memory.grow (i32.const 4)))
          (local.set $at (i32.const 65536)) (local.set $left (i32.const 3000))
          (loop $more
            (i64.store (local.get $at) (i64.extend_i32_u (local.get $left)))
            (i32.store8 offset=8 (local.get $at) (i32.const 8))
            (i64.store offset=16 (local.get $at) (call $list (i32.const 6)))
            (i64.store offset=24 (local.get $at) (i64.const 0))
            (i64.store offset=32 (local.get $at) (i64.const -1))
            (local.set $at (i32.add (local.get $at) (i32.const 40)))
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (call $send (i32.const 65536) (i32.const 3000))
          (call $exit (i32.const 0)))",
    );
    let path = folder.path().join("guest.wasm");
    fs::write(&path, guest).expect("a file");
    let ended = host::run(["--no-cache", &path.display().to_string(), "0", &root.display().to_string()]);
    assert_eq!(ended.code, Some(4), "{ended:#?}");
    assert!(ended.errors.contains("without calling receive"), "{ended:#?}");
}

/// What a guest's author has chosen is shown to the operator; it must not move his cursor.
#[test]
fn names_in_a_guest_reach_the_terminal_escaped() {
    let mut guest = guests::module(
        "(func $XESCX unreachable) (func (export \"run\") (param i32 i32) (result i32) (call $XESCX) unreachable)",
    );
    for at in 0..guest.len() - 5 {
        if &guest[at..at + 5] == b"XESCX" {
            guest[at..at + 5].copy_from_slice(b"\x1b[31m");
        }
    }
    let ended = run_bytes(&guest, &[]);
    assert_eq!(ended.code, Some(4));
    assert!(ended.errors.contains("\\u001b[31m") && !ended.errors.contains('\u{1b}'), "{ended:#?}");
}
