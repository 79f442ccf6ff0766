//! Guests that send and cancel requests without end, or ask for more than can be done soon. The
//! requests that wait for them have a limit, and cancelled requests free their memory at once.

use std::fs;

use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::Host;
use crate::support::memory::{Measured, measure};

/// A folder with a file that takes many turns to digest, and where the guest is put.
fn world(guest: &[u8]) -> (TempDir, String, String) {
    let folder = TempDir::new().expect("a folder");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a folder");
    fs::write(root.join("large"), vec![b'x'; 16 << 20]).expect("a file");
    let path = folder.path().join("guest.wasm");
    fs::write(&path, guest).expect("a file");
    let (path, root) = (path.display().to_string(), root.display().to_string());
    (folder, path, root)
}

fn run(driver: &str, guest: &[u8]) -> Measured {
    let (_folder, path, root) = world(guest);
    measure(["--driver", driver, "--shards", "1", "--no-cache", &path, "0", &root])
}

/// The guest ends well, and the host has never had more than so many MiB in memory.
#[track_caller]
fn takes(guest: &[u8], mib_max: u64) {
    for driver in ["io-uring", "poll"] {
        let measured = run(driver, guest);
        assert_eq!(measured.ended.code, Some(0), "{driver}: {measured:#?}");
        assert!(measured.own_mib < mib_max, "{driver}: {measured:#?}");
    }
}

/// Behind two thousand digests that take their time, each cancelled one used to keep its place,
/// without a limit: 953 MiB after 25 s, and more with each turn.
#[test]
fn digests_that_are_cancelled_are_not_kept() {
    let guest = guests::module(
        "(data (i32.const 1024) \"large\")
        (func $digest (param $file i64) (call $submit (i32.const 13) (local.get $file) (i64.const 0) (i64.const 0)))
        (func (export \"run\") (param i32 i32) (result i32)
          (local $file i64) (local $left i32) (local $turns i32) (local $heap i32)
          (call $submit (i32.const 5) (call $list (i32.const 5)) (i64.const 1) (i64.const 0))
          (local.set $file (i64.load offset=16 (call $answer)))
          (local.set $heap (global.get $heap))
          (local.set $left (i32.const 2000))
          (loop $more
            (call $digest (local.get $file))
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (local.set $turns (i32.const 100))
          (loop $turn
            (local.set $left (i32.const 40000))
            (loop $more
              (call $digest (local.get $file))
              (call $submit (i32.const 12) (global.get $id) (i64.const 0) (i64.const 0))
              (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (drop (call $answer))
            (global.set $heap (local.get $heap))
            (br_if $turn (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
          (call $exit (i32.const 0)))",
    );
    takes(&guest, 96);
}

/// A guest that opens 200,000 files which are not there, by names of 4 KB that the system has
/// never seen; `behind` follows each.
fn opener(behind: &str) -> Vec<u8> {
    guests::module(&format!(
        "(func (export \"run\") (param i32 i32) (result i32) (local $left i32) (local $at i32)
          (memory.fill (i32.const 4096) (i32.const 97) (i32.const 4090))
          ;; Names of 200 letters.
          (local.set $at (i32.const 4096))
          (loop $name
            (i32.store8 offset=200 (local.get $at) (i32.const 47))
            (local.set $at (i32.add (local.get $at) (i32.const 201)))
            (br_if $name (i32.lt_u (local.get $at) (i32.const 7900))))
          (local.set $left (i32.const 200000))
          (loop $more
            ;; Eight letters that are others each time.
            (i64.store (i32.const 4096) (i64.or (i64.const 0x4040404040404040) (i64.and (i64.const 0x0f0f0f0f0f0f0f0f)
              (i64.mul (i64.extend_i32_u (local.get $left)) (i64.const 0x9e3779b97f4a7c15)))))
            (call $submit (i32.const 5)
              (i64.or (i64.const 4096) (i64.shl (i64.const 4080) (i64.const 32))) (i64.const 1) (i64.const 0))
            {behind}
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (drop (call $answer))
          (call $exit (i32.const 0)))"
    ))
}

/// They used to hold their paths until a thread had looked for them, without a limit: 1.6 GiB in
/// the 5 s of a turn.
#[test]
fn paths_that_wait_for_the_disk_have_a_limit() {
    takes(&opener(""), 200);
}

#[test]
fn what_is_cancelled_before_the_disk_is_asked_is_not_kept() {
    takes(&opener("(call $submit (i32.const 12) (global.get $id) (i64.const 0) (i64.const 0))"), 160);
}

/// Each time a socket was left to the queue until the next `receive`: 9,828 descriptors in a turn,
/// of which none was left for the clients of other shards.
#[test]
fn a_guest_that_listens_and_stops_again_leaves_the_descriptors_to_others() {
    let guest = guests::run(
        "(local $left i32) (local $at i32)
        (local.set $left (i32.const 2000))
        (loop $more
          (call $submit (i32.const 0) (i64.const 429496729600) (i64.const 0) (i64.const 0))
          (call $submit (i32.const 12) (global.get $id) (i64.const 0) (i64.const 0))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (local.set $at (call $answer))
        (local.set $left (i32.load (i32.const 20)))
        ;; Whether any of them has failed for another reason than that it was cancelled.
        (loop $more
          (if (i32.eq (i32.load8_u offset=8 (local.get $at)) (i32.const 11))
            (then (if (i32.ne (i32.load8_u offset=16 (local.get $at)) (i32.const 4)) (then (return (call $exit (i32.const 1)))))))
          (local.set $at (i32.add (local.get $at) (i32.const 64)))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $exit (i32.const 0))",
    );
    for driver in ["io-uring", "poll"] {
        let (_folder, path, root) = world(&guest);
        let options = ["--driver", driver, "--shards", "1", "--no-cache", &path, "0", &root];
        let ended = Host::by_shell("ulimit -n 200; exec \"$@\"", options).wait();
        assert_eq!(ended.code, Some(0), "{driver}: {ended:#?}");
    }
}
