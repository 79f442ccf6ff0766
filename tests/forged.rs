//! Traces from strangers. Each command that reads a trace must end with a message, within bounds
//! of memory and time that do not depend on what the file claims.
//!
//! The traces here are real ones that were changed and framed again, so that every checksum is
//! right.

use std::fs;
use std::time::{Duration, Instant};

use pluto_contract::{Answer, Error, Reply};
use pluto_trace::binary::{self, Block};
use pluto_trace::wire::{put_bytes, put_halves, put_number};
use pluto_trace::{Header, KeyFrame, Sent, Turn};

use crate::support::frames::{PREAMBLE_BYTES, blocks, framed, of_blocks};
use crate::support::guests;
use crate::support::host::{self, Measured};
use crate::support::traces::Folder;

/// What a command takes besides what its file makes it hold: the program, the engine, a small
/// guest and its compiled code.
const BASE_KIB: u64 = 80 << 10;

/// A guest that receives until it is told to end, and sleeps meanwhile.
const WAITS: &str = "(func (export \"run\") (param i32 i32) (result i32)
    (loop $more
      (drop (call $ask (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0)))
      (br $more))
    unreachable)";

/// What a trace of this guest begins with.
fn begin(guest: &[u8], memory_max: u64) -> Vec<u8> {
    binary::begin(&Header::new(guest, memory_max, vec!["0".to_owned()], 1), guest).expect("it packs")
}

/// A turn of which nobody knows what was sent before it, up to its number of answers.
fn turn(answers: u64) -> Vec<u8> {
    let mut out = vec![0];
    put_number(&mut out, Sent::UNKNOWN.count);
    out.extend([0; 8]);
    put_number(&mut out, 1);
    put_number(&mut out, answers);
    out
}

/// The beginning of an answer of that case.
fn answer(out: &mut Vec<u8>, case: u8) {
    put_halves(out, 1);
    out.push(case);
}

/// One that lists so many files, each with a name of a letter and the facts of the one before it.
fn listing(out: &mut Vec<u8>, entries: u64) {
    answer(out, 7);
    put_number(out, entries);
    for number in 0..entries {
        put_bytes(out, b"x");
        // The facts are new at first, and then those that were used last.
        out.extend_from_slice(if number == 0 { &[0, 0, 0, 0, 0, 0] } else { &[1] });
    }
}

/// Runs a command on a trace; it must end with a message, and take no more than so much.
fn bounded(arguments: &[&str], kib_max: u64, says: &str) -> Measured {
    let measured = host::measured(arguments);
    let Measured { code, errors, peak_kib, time, .. } = &measured;
    assert!(code.is_some(), "{arguments:?}: ended by a signal: {errors}");
    assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    assert!(errors.contains(says), "{arguments:?}: no {says:?} in {errors:?}");
    assert!(*peak_kib < kib_max, "{arguments:?}: {peak_kib} KiB of memory, {kib_max} expected: {errors}");
    assert!(*time < Duration::from_secs(60), "{arguments:?}: {time:?}");
    measured
}

/// Holds every command that reads traces to so much memory.
fn all_bounded(folder: &Folder, bytes: &[u8], guest: &str, kib_max: u64, says: &str) {
    let trace = folder.path("hostile.trace");
    fs::write(&trace, bytes).expect("a file");
    for arguments in [
        &["trace", "text", &trace][..],
        &["explain", &trace],
        &["replay", guest, &trace],
        &["replay", "--loose", guest, &trace],
        &["diff", &trace, guest, guest],
    ] {
        bounded(arguments, kib_max, says);
    }
}

#[test]
fn a_trace_whose_header_names_another_guest_is_refused_by_every_command() {
    let folder = Folder::new();
    let (named, inside) = (guests::module(WAITS), guests::module(&format!("{WAITS} (func)")));
    let guest = folder.guest("named.wasm", WAITS);
    let forged = binary::begin(&Header::new(&named, 1 << 20, vec![], 1), &inside).expect("it packs");
    let digest = |bytes: &[u8]| -> String { Header::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    let says = format!("names the guest with SHA-256 {}, and the guest inside has {}", digest(&named), digest(&inside));
    all_bounded(&folder, &forged, &guest, BASE_KIB, &says);
    let sound = folder.path("sound.trace");
    fs::write(&sound, begin(&named, 1 << 20)).expect("a file");
    assert_eq!(host::run(["replay", &guest, &sound]).code, Some(0));
}

#[test]
fn lists_take_no_more_than_a_host_would_hold() {
    let folder = Folder::new();
    let (module, guest) = (guests::module(WAITS), folder.guest("waits.wasm", WAITS));
    // Six million names in one list, and in sixty that a host could give one at a time: 19 MB
    // each, which took 1.2 GB.
    let mut one = turn(1);
    listing(&mut one, 6_000_000);
    let mut sixty = turn(60);
    (0..60).for_each(|_| listing(&mut sixty, 100_000));
    for (block, says) in [(one, "a list or a text is longer"), (sixty, "the lists of one turn take more memory")] {
        let bytes = [begin(&module, 1 << 30), framed(&block)].concat();
        assert!(bytes.len() > 18_000_000, "{}", bytes.len());
        all_bounded(&folder, &bytes, &guest, BASE_KIB + (160 << 10), says);
    }
    // Text is written while it is read, so that only the block is held, and one list.
    let mut six = turn(6);
    (0..6).for_each(|_| listing(&mut six, 100_000));
    let bytes = [begin(&module, 1 << 30), framed(&six).repeat(10)].concat();
    let trace = folder.path("six.trace");
    fs::write(&trace, bytes).expect("a file");
    let measured = bounded(&["trace", "text", &trace], 48 << 10, "");
    assert_eq!(measured.code, Some(0), "{measured:?}");
    // What the shards have left, of which there are never more than shards.
    let mut gathered = turn(1);
    answer(&mut gathered, 13);
    put_number(&mut gathered, 10_000_000);
    gathered.extend(vec![0; 10_000_000]);
    let bytes = [begin(&module, 1 << 30), framed(&gathered)].concat();
    all_bounded(&folder, &bytes, &guest, BASE_KIB + (64 << 10), "a list or a text is longer");
}

#[test]
fn a_turn_has_no_more_answers_than_a_host_would_give() {
    let folder = Folder::new();
    let (module, guest) = (guests::module(WAITS), folder.guest("waits.wasm", WAITS));
    for (count, says) in
        [(6_000_000, "a list or a text is longer"), (pluto_trace::limits::TRACE_TURN_ANSWERS_MAX as u64, "")]
    {
        let mut block = turn(count);
        (0..count).for_each(|_| answer(&mut block, 9));
        let bytes = [begin(&module, 1 << 30), framed(&block)].concat();
        // The largest of them are handed to the guest, which has a copy as large.
        all_bounded(&folder, &bytes, &guest, BASE_KIB + (200 << 10), says);
        let trace = folder.path("hostile.trace");
        bounded(&["trace", "text", &trace], 48 << 10, says);
    }
}

#[test]
fn a_header_takes_no_more_than_a_few_times_its_bytes() {
    let folder = Folder::new();
    let (module, guest) = (guests::module(WAITS), folder.guest("waits.wasm", WAITS));
    let sound = begin(&module, 1 << 30);
    let [header, packed] = &blocks(&sound)[..] else { panic!("a header and a guest") };
    // The one argument and the start are its last four bytes.
    let before = &header[..header.len() - 4];
    let with_arguments = |count: u64, zeros: usize| {
        let mut header = before.to_vec();
        put_number(&mut header, count);
        header.extend(vec![0; zeros]);
        header.push(1);
        of_blocks(&sound[..PREAMBLE_BYTES], &[header, packed.clone()])
    };
    for (bytes, says) in [
        (with_arguments(60_000_000, 60_000_000), "a list or a text is longer"),
        (with_arguments(7_000_000, 7_000_000), "a list or a text is longer"),
        (with_arguments(u64::MAX, 100), "a number is too large|a list or a text is longer"),
    ] {
        let trace = folder.path("hostile.trace");
        fs::write(&trace, bytes).expect("a file");
        for arguments in [&["trace", "text", &trace][..], &["explain", &trace], &["replay", &guest, &trace]] {
            let measured = bounded(arguments, BASE_KIB + (64 << 10), "");
            assert!(says.split('|').any(|says| measured.errors.contains(says)), "no {says:?} in {measured:?}");
        }
    }
    // As many as Linux lets a process have are no reason to refuse.
    let trace = folder.path("many.trace");
    fs::write(&trace, with_arguments(600_000, 600_000)).expect("a file");
    assert_eq!(bounded(&["trace", "text", &trace], BASE_KIB, "").code, Some(0));
}

/// A guest that wants so many pages at once, and goes on for some turns.
fn grows(pages: u32) -> String {
    format!(
        "(func (export \"run\") (param i32 i32) (result i32)
          (drop (call $ask (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0)))
          (if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then (unreachable)))
          (memory.fill (i32.const 131072) (i32.const 1) (i32.const {}))
          (drop (call $ask (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0)))
          (call $exit (i32.const 0)))",
        (pages - 2) << 16
    )
}

#[test]
fn memory_that_a_header_allows_is_given_within_the_readers_own_limit() {
    let folder = Folder::new();
    // 2.7 GB, as a trace of 1.9 KB had it.
    let (greedy, body) = (folder.path("greedy.trace"), grows(41_200));
    let (module, guest) = (guests::module(&body), folder.guest("greedy.wasm", &body));
    let answers = |id| vec![Answer { id, reply: Reply::Elapsed }];
    let turns = |ids: [u64; 2]| {
        let mut block = Block::default();
        ids.iter().for_each(|id| block.turn(Sent::UNKNOWN, *id, &answers(*id)));
        block.seal()
    };
    fs::write(&greedy, [begin(&module, 1 << 42), turns([1, 2])].concat()).expect("a file");
    for arguments in [
        &["replay", &guest, &greedy][..],
        &["replay", "--loose", &guest, &greedy],
        &["explain", &greedy],
        &["diff", &greedy, &guest, &guest],
    ] {
        let measured = bounded(arguments, BASE_KIB, "--memory-max 4294967296K");
        assert_eq!((measured.code, measured.errors.contains("another run")), (Some(1), false), "{measured:?}");
    }
    // A real recording with more than is given by default, and what helps.
    let (trace, body) = (folder.path("run.trace"), grows(1_600));
    let guest = folder.guest("grows.wasm", &body);
    assert_eq!(host::run(["--memory-max", "200M", "--record", &trace, &guest, "0"]).code, Some(0));
    for arguments in [
        &["replay", &guest, &trace][..],
        &["replay", "--loose", &guest, &trace],
        &["explain", &trace],
        &["diff", &trace, &guest, &guest],
    ] {
        let with = |size: &'static str| {
            let (command, rest) = arguments.split_first().expect("a command");
            [&[*command, "--memory-max", size][..], rest].concat()
        };
        let ended = bounded(
            &with("64M"),
            BASE_KIB,
            "is given 65536 KiB here, while the trace says that it could have 204800 KiB",
        );
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(host::run(with("128M")).code, Some(0), "enough, and less than the header allows");
        assert_eq!(host::run(arguments).code, Some(0));
    }
    // A guest that was ended for its memory is ended in the same way, also where a reader gives as
    // much as was recorded.
    let (trace, body) = (folder.path("ended.trace"), grows(3_200));
    let guest = folder.guest("ended.wasm", &body);
    assert_eq!(host::run(["--memory-max", "100M", "--record", &trace, &guest, "0"]).code, Some(4));
    let ended = host::run(["replay", &guest, &trace]);
    assert!(ended.code == Some(0) && ended.errors.contains("to its end"), "{ended:?}");
    let ended = host::run(["replay", "--memory-max", "50M", &guest, &trace]);
    assert!(ended.code == Some(1) && ended.errors.contains("--memory-max 102400K"), "{ended:?}");
}

#[test]
fn a_key_frame_takes_no_more_than_it_may() {
    let folder = Folder::new();
    let (module, guest) = (guests::module(WAITS), folder.guest("waits.wasm", WAITS));
    let key = |pending: u64, image: Vec<u8>| {
        let pending = (0..pending).map(|id| (id, pluto_contract::Arity::Once)).collect();
        let key = KeyFrame { turn: 7, time: 7, sent: Sent::UNKNOWN, requests: 9, pending, image };
        binary::key_frame(&key).expect("it fits")
    };
    // As many requests as can be pending, of which the replay then knows as much as the guest.
    let many = pluto_contract::limits::REQUESTS_PENDING_MAX as u64;
    let bytes = [begin(&module, 1 << 42), key(many, vec![1; 40])].concat();
    let trace = folder.path("pending.trace");
    fs::write(&trace, bytes).expect("a file");
    for arguments in [&["trace", "text", &trace][..], &["explain", &trace], &["replay", &guest, &trace]] {
        bounded(arguments, BASE_KIB + (160 << 10), "");
    }
    let bytes = [begin(&module, 1 << 42), key(0, vec![0x55; 30 << 20])].concat();
    fs::write(&trace, bytes).expect("a file");
    for arguments in [&["trace", "text", &trace][..], &["explain", &trace], &["replay", &guest, &trace]] {
        bounded(arguments, BASE_KIB + (80 << 10), "");
    }
}

/// 64 MiB of zeros take 6 KB in a trace, and are no guest.
#[test]
fn a_guest_that_unpacks_to_much_is_held_once() {
    let folder = Folder::new();
    let zeros = vec![0; pluto_trace::limits::GUEST_BYTES_MAX as usize];
    let bytes = begin(&zeros, 1 << 20);
    assert!(bytes.len() < 20_000, "{}", bytes.len());
    let trace = folder.path("zeros.trace");
    fs::write(&trace, bytes).expect("a file");
    assert_eq!(bounded(&["trace", "text", &trace], 96 << 10, "").code, Some(0));
    bounded(&["explain", &trace], BASE_KIB + (64 << 10), "");
    let more = vec![0; zeros.len() + 1];
    fs::write(&trace, begin(&more, 1 << 20)).expect("a file");
    bounded(&["trace", "text", &trace], 96 << 10, "the guest cannot be unpacked");
}

#[test]
fn a_guest_that_loops_for_ever_in_a_replay_is_ended() {
    let folder = Folder::new();
    let body = "(func (export \"run\") (param i32 i32) (result i32)
        (drop (call $ask (i32.const 10) (i64.const 1000) (i64.const 0) (i64.const 0)))
        (loop $for_ever (call $log (i32.const 2) (i32.const 0) (i32.const 0)) (br $for_ever))
        unreachable)";
    let (module, guest) = (guests::module(body), folder.guest("loops.wasm", body));
    let mut block = Block::default();
    for id in 1..=2 {
        block.turn(Sent::UNKNOWN, id, &[Answer { id, reply: Reply::Elapsed }]);
    }
    let trace = folder.path("loops.trace");
    fs::write(&trace, [begin(&module, 1 << 30), block.seal()].concat()).expect("a file");
    // It logs meanwhile, as fast as it can: lines of nothing, which take memory all the same.
    for arguments in [&["replay", &guest, &trace][..], &["explain", &trace]] {
        let begin = Instant::now();
        let measured = bounded(arguments, BASE_KIB + (320 << 10), "another run");
        assert_eq!(measured.code, Some(3), "{measured:?}");
        // Twice, where the recorded guest is run again to tell what it did.
        assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_text_is_read_within_the_same_bounds() {
    let folder = Folder::new();
    let (module, guest) = (guests::module(WAITS), folder.guest("waits.wasm", WAITS));
    let sound = folder.path("sound.trace");
    fs::write(&sound, begin(&module, 1 << 30)).expect("a file");
    let header = host::run(["trace", "text", &sound]).output;
    let (text, output) = (folder.path("hostile.txt"), folder.path("made.trace"));
    let turn = "turn +1 sent ?\n";
    let cases: [(&str, String, &str, u64); 9] = [
        ("answers", format!("{turn}{}", "0.1 done\n".repeat(3_000_000)), "at most 1048576 answers", 200),
        (
            "entries",
            format!("{turn}0.1 listed\n{}", ENTRY.repeat(200_000)),
            "no more than 100000 lines of `entry`",
            100,
        ),
        (
            "lists",
            format!("{turn}{}", format!("0.1 listed\n{}", ENTRY.repeat(90_000)).repeat(20)),
            "take less memory",
            300,
        ),
        ("posts", format!("{turn}0.1 gathered\n{}", "post \"\"\n".repeat(1_000_000)), "no more than 256 lines", 100),
        (
            "pending",
            format!("key-frame 1 +0 sent ? requests 1\n{}", "pending 0.1 once\n".repeat(900_000)),
            "no more than 786432",
            100,
        ),
        ("line", format!("{turn}0.1 data \"{}\"\n0.2 what\n", "x".repeat(40_000_000)), "expected listening", 160),
        ("words", format!("{turn}0.1 data {}\n0.2 what\n", "\"\" ".repeat(5_000_000)), "expected listening", 100),
        ("quotes", format!("{turn}0.1 data {}", "\"".repeat(5_000_001)), "a quote at the end", 100),
        ("number", format!("turn +{} sent ?\n", "9".repeat(1_000_000)), "such as +1234", 60),
    ];
    for (name, records, says, mib_max) in cases {
        fs::write(&text, header.clone() + &records).expect("a file");
        let arguments = ["trace", "binary", &text, "--guest", &guest, "--output", &output];
        let measured = bounded(&arguments, mib_max << 10, says);
        assert_eq!(measured.code, Some(1), "{name}: {measured:?}");
        assert!(fs::metadata(&output).is_err(), "{name}: nothing is written for a text that is wrong");
    }
    // One that is right is made a trace turn by turn: 40 MB of text, 1.4 million answers.
    let many = format!("{turn}{}", "  0.1 written 12345678901234567890\n".repeat(1_000)).repeat(1_400);
    fs::write(&text, header.clone() + &many).expect("a file");
    let arguments = ["trace", "binary", &text, "--guest", &guest, "--output", &output];
    assert_eq!(bounded(&arguments, 90 << 10, "").code, Some(0));
    fs::remove_file(&output).expect("it was made");
    for endless in ["/dev/zero", "/dev/urandom"] {
        let measured =
            bounded(&["trace", "binary", endless, "--guest", &guest, "--output", &output], 60 << 10, "is no text");
        assert_eq!(measured.code, Some(1), "{measured:?}");
    }
}

const ENTRY: &str = "entry \"x\" regular size 0 modified 0 changed 0 inode 0\n";

/// A million changes told in one turn are a million, and not each against each.
#[test]
fn a_comparison_takes_no_more_time_than_the_file_is_long() {
    let folder = Folder::new();
    let body = "(func (export \"run\") (param i32 i32) (result i32)
        (call $submit (i32.const 9) (i64.const 0) (i64.const 0) (i64.const 0))
        (loop $more (drop (call $answer)) (br $more))
        unreachable)";
    let (module, guest) = (guests::module(body), folder.guest("watches.wasm", body));
    let count = 300_000;
    let answers = (0..count).map(|name: u32| Answer { id: 1, reply: Reply::Changed(name.to_le_bytes().to_vec()) });
    let turn = Turn { sent: Sent::UNKNOWN, time: 5, answers: answers.collect() };
    let mut block = Block::default();
    block.turn(turn.sent, turn.time, &turn.answers);
    block.turn(Sent::UNKNOWN, 6, &[Answer { id: 1, reply: Reply::Failed(Error::NotFound) }]);
    let trace = folder.path("changes.trace");
    fs::write(&trace, [begin(&module, 1 << 30), block.seal()].concat()).expect("a file");
    let measured = bounded(&["diff", &trace, &guest, &guest], BASE_KIB + (400 << 10), "");
    assert!(measured.time < Duration::from_secs(20), "{measured:?}");
}
