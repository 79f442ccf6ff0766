//! Everything that could make two runs on the same answers differ. Each cause is excluded, on
//! every engine.
//!
//! The guests here make visible what their engine does: they send it as the time of a `sleep`, and
//! never wait for the answer.

mod recorded_limits;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pluto_contract::world::Batch;
use pluto_contract::{Answer, Reply, Request};
use pluto_engine::admission;
use pluto_engine::engine::Engine;
use pluto_engine::guest::{Guest, RunResult};
use pluto_engine::script::Script;
use pluto_trace::engine_kind::EngineKind;
use pluto_trace::key_frames::WithoutKeyFrames;
use tempfile::TempDir;

use crate::support::guests;
use crate::support::host;
use crate::support::traces::{ENGINES, Folder, as_text, from_text, replays};

/// Sends a number.
const TELL: &str = "(func $tell (param $number i64)
    (call $submit (i32.const 10) (local.get $number) (i64.const 0) (i64.const 0)))";

/// A module whose `run` is `body`.
fn teller(body: &str) -> String {
    format!("{TELL} (func (export \"run\") (param i32 i32) (result i32) (local $count i64) {body})")
}

/// The numbers that a guest sends on these batches, and how it ends.
fn tells(target: EngineKind, guest: &[u8], batches: &[Batch]) -> (Vec<u64>, RunResult) {
    let engine = Engine::for_kind(target, None).expect("the engine starts");
    let admitted = admission::inspect(&engine, guest).and_then(|guest| guest.admitted).expect("it is admitted");
    let (script, transcript) = Script::new(1_000, batches.iter().cloned());
    let ended =
        Guest::new(&engine, admitted, Box::new(WithoutKeyFrames(script)), pluto_engine::limits::MEMORY_BYTES_DEFAULT)
            .run(&["0".to_owned()]);
    let transcript = transcript.borrow();
    let numbers = transcript.sent.iter().flatten().map(|submission| match submission.request {
        Request::Sleep(number) => number,
        ref other => panic!("it tells by sleeping, and not by {other:?}"),
    });
    (numbers.collect(), ended)
}

/// Records a guest live, which must end with `code`, and replays it on every engine; its trace as
/// text.
fn lives_and_replays(folder: &Folder, guest: &str, options: &[&str], code: i32) -> String {
    let trace = folder.path("run.trace");
    let mut arguments = options.to_vec();
    arguments.extend(["--overwrite", "--record", &trace, guest, "0"]);
    let ended = host::run(&arguments);
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    replays(Path::new(guest), &trace, "to its end");
    as_text(&trace)
}

/// What each expression gives, as 64 bits, the same live and on every engine.
fn values(data: &str, expressions: &[String]) -> Vec<u64> {
    let all: String = expressions.iter().map(|expression| format!("(call $tell {expression})\n")).collect();
    let body = format!("{data} {}", teller(&format!("{all} (call $exit (i32.const 0))")));
    let folder = Folder::new();
    let text = lives_and_replays(&folder, &folder.guest("a.wasm", &body), &[], 0);
    assert!(text.contains(&format!("end exit 0 sent {} ", expressions.len())), "{text}");
    let [native, pulley] =
        [EngineKind::Native, EngineKind::Pulley].map(|target| tells(target, &guests::module(&body), &[]).0);
    assert_eq!(native, pulley);
    native
}

/// Operands in memory, where no compiler knows them: 0, 1, infinity, -1, a signalling NaN, a
/// negative quiet NaN; as `f64` from 1024, as `f32` from 1152. Both NaNs carry bits of their own.
const OPERANDS: &str = r#"
    (data (i32.const 1024) "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\f0\3f" "\00\00\00\00\00\00\f0\7f"
        "\00\00\00\00\00\00\f0\bf" "\01\00\ef\be\ad\de\f4\7f" "\78\56\34\12\00\00\f8\ff")
    (data (i32.const 1152) "\00\00\00\00" "\00\00\80\3f" "\00\00\80\7f" "\00\00\80\bf" "\01\be\a5\7f" "\34\12\c0\ff")"#;

const ZERO: usize = 0;
const ONE: usize = 1;
const INFINITY: usize = 2;
const MINUS_ONE: usize = 3;
const SIGNALLING: usize = 4;
const QUIET: usize = 5;

fn f64(operand: usize) -> String {
    format!("(f64.load (i32.const {}))", 1_024 + 8 * operand)
}

fn f32(operand: usize) -> String {
    format!("(f32.load (i32.const {}))", 1_152 + 4 * operand)
}

const NAN_64: u64 = 0x7ff8_0000_0000_0000;
const NAN_32: u64 = 0x7fc0_0000;

#[test]
fn every_nan_that_arithmetic_makes_has_the_same_bits() {
    let (mut expressions, mut expected) = (Vec::new(), Vec::new());
    for (kind, canonical) in [("f64", NAN_64), ("f32", NAN_32)] {
        let operand = |operand| if kind == "f64" { f64(operand) } else { f32(operand) };
        let lanes = |number| format!("({kind}x{}.splat {})", if kind == "f64" { 2 } else { 4 }, operand(number));
        let bits = |value: String| match kind {
            "f64" => format!("(i64.reinterpret_f64 {value})"),
            _ => format!("(i64.extend_i32_u (i32.reinterpret_f32 {value}))"),
        };
        let (shape, last) = if kind == "f64" { ("f64x2", 1) } else { ("f32x4", 3) };
        let mut nan = |scalar: &str, vector: &str| {
            expressions.push(bits(format!("({kind}.{scalar})")));
            expressions.push(bits(format!("({shape}.extract_lane {last} ({shape}.{vector}))")));
            expected.extend([canonical; 2]);
        };
        for (name, left, right) in [("div", ZERO, ZERO), ("sub", INFINITY, INFINITY), ("mul", INFINITY, ZERO)] {
            nan(
                &format!("{name} {} {}", operand(left), operand(right)),
                &format!("{name} {} {}", lanes(left), lanes(right)),
            );
        }
        nan(&format!("sqrt {}", operand(MINUS_ONE)), &format!("sqrt {}", lanes(MINUS_ONE)));
        for payload in [SIGNALLING, QUIET] {
            for name in ["add", "sub", "mul", "div", "min", "max"] {
                for (left, right) in [(payload, ONE), (ONE, payload), (payload, QUIET)] {
                    nan(
                        &format!("{name} {} {}", operand(left), operand(right)),
                        &format!("{name} {} {}", lanes(left), lanes(right)),
                    );
                }
            }
            for name in ["sqrt", "ceil", "floor", "trunc", "nearest"] {
                nan(&format!("{name} {}", operand(payload)), &format!("{name} {}", lanes(payload)));
            }
        }
    }
    for payload in [SIGNALLING, QUIET] {
        expressions.extend([
            format!("(i64.reinterpret_f64 (f64.promote_f32 {}))", f32(payload)),
            format!("(i64.extend_i32_u (i32.reinterpret_f32 (f32.demote_f64 {})))", f64(payload)),
            format!("(i64x2.extract_lane 1 (f64x2.promote_low_f32x4 (f32x4.splat {})))", f32(payload)),
            format!("(i64x2.extract_lane 0 (f32x4.demote_f64x2_zero (f64x2.splat {})))", f64(payload)),
        ]);
        expected.extend([NAN_64, NAN_32, NAN_64, NAN_32 << 32 | NAN_32]);
    }
    let found = values(OPERANDS, &expressions);
    let wrong = || (0..found.len()).filter(|&at| found[at] != expected[at]);
    let told: Vec<String> = wrong().map(|at| format!("{:x} from {}", found[at], expressions[at])).collect();
    assert_eq!(told, Vec::<String>::new());
}

/// What WebAssembly defines bit for bit.
#[test]
fn the_bits_of_a_nan_that_is_only_moved_are_kept() {
    const SIGN: u64 = 1 << 63;
    let bits = |value: &str| format!("(i64.reinterpret_f64 ({value}))");
    let (nan, quiet) = (0x7ff4_dead_beef_0001, 0xfff8_0000_1234_5678_u64);
    let cases = [
        (bits(&format!("f64.neg {}", f64(SIGNALLING))), nan | SIGN),
        (bits(&format!("f64.abs {}", f64(QUIET))), quiet & !SIGN),
        (bits(&format!("f64.copysign {} {}", f64(SIGNALLING), f64(MINUS_ONE))), nan | SIGN),
        (bits(&format!("select {} {} (i32.const 1)", f64(SIGNALLING), f64(QUIET))), nan),
        (format!("(i64.reinterpret_f64 {})", f64(SIGNALLING)), nan),
        (format!("(i64x2.extract_lane 1 (f64x2.splat {}))", f64(SIGNALLING)), nan),
        (format!("(i64x2.extract_lane 0 (f64x2.neg (f64x2.splat {})))", f64(SIGNALLING)), nan | SIGN),
        (
            format!("(i64x2.extract_lane 0 (f64x2.pmin (f64x2.splat {}) (f64x2.splat {})))", f64(SIGNALLING), f64(ONE)),
            nan,
        ),
    ];
    let (expressions, expected): (Vec<String>, Vec<u64>) = cases.into_iter().unzip();
    assert_eq!(values(OPERANDS, &expressions), expected);
}

#[test]
fn what_webassembly_leaves_open_is_refused() {
    let folder = Folder::new();
    for (says, fields, body) in [
        ("relaxed simd support is not enabled", "", "(drop (i32x4.relaxed_trunc_f32x4_s (v128.const i32x4 0 0 0 0)))"),
        ("threads support is not enabled", "", "(drop (i32.atomic.load (i32.const 0)))"),
        ("exceptions proposal not enabled", "(tag $e)", "(throw $e)"),
        ("gc types are disabled", "(type $s (struct (field i32)))", "(drop (struct.new $s (i32.const 1)))"),
        ("multiple memories", "(memory $other 1)", ""),
        ("memory64 must be enabled", "(table $wide i64 1 funcref)", ""),
    ] {
        let run = format!("(func (export \"run\") (param i32 i32) (result i32) {body} (call $exit (i32.const 0)))");
        let guest = folder.guest("a.wasm", &format!("{fields} {run}"));
        let ended = host::run(["--no-cache", &guest, "0"]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let said = ended.errors.to_lowercase();
        assert!(said.contains("is refused") && said.contains(says), "no {says:?} in {ended:#?}");
    }
}

#[test]
fn memory_grows_as_its_type_says_and_up_to_the_limit_of_the_recording() {
    let grow = |pages: u32| format!("(call $tell (i64.extend_i32_s (memory.grow (i32.const {pages}))))");
    let refused = u64::MAX;
    // Its own maximum, and what no memory can have: both are for the guest to see.
    let body = [3, 0, 6, 5, 1, 65_536, u32::MAX].map(grow).concat() + "(call $exit (i32.const 0))";
    let bounded = guests::module_with_pages(10, &teller(&body));
    for target in [EngineKind::Native, EngineKind::Pulley] {
        let (numbers, ended) = tells(target, &bounded, &[]);
        assert_eq!(
            (numbers, ended),
            (vec![2, 5, refused, 5, refused, refused, refused], RunResult::Exit(0)),
            "{target:?}"
        );
    }
    let folder = Folder::new();
    let guest = folder.path("bounded.wasm");
    fs::write(&guest, bounded).expect("a file");
    lives_and_replays(&folder, &guest, &[], 0);
    // The limit of `--memory-max`, which the trace carries.
    let eats = format!("(loop $more {} (br $more)) unreachable", grow(16));
    let guest = folder.guest("eats.wasm", &teller(&eats));
    let text = lives_and_replays(&folder, &guest, &["--memory-max", "16M"], 4);
    assert!(text.contains("\nmemory-max 16777216\n"), "{text}");
    // 2 pages and 15 times 16.
    assert!(text.contains("\nend stopped memory wanted 16908288 limit 16777216 sent 15 "), "{text}");
    let (trace, edited) = (folder.path("edited.trace"), text.replace("memory-max 16777216", "memory-max 33554432"));
    from_text(&folder, &edited, &guest, &trace);
    let ended = host::run(["replay", &guest, &trace]);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.errors.contains("may have 32768 KiB") && ended.errors.contains("may have 16384 KiB"), "{ended:#?}");
}

/// A guest that was told so would go on in a way that no trace explains.
#[test]
fn memory_that_the_system_refuses_ends_the_guest_and_replays() {
    let folder = Folder::new();
    let grow = "(call $tell (i64.extend_i32_s (memory.grow (i32.const 4096))))";
    let guest = folder.guest("a.wasm", &teller(&format!("{grow} {grow} (call $exit (i32.const 0))")));
    let trace = folder.path("run.trace");
    let limited = format!("ulimit -d 200000; exec '{}' --record '{trace}' '{guest}' 0", host::command().display());
    let output = Command::new("sh").args(["-c", &limited]).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("no memory for the guest") && said.contains("ulimit"), "{said}");
    replays(Path::new(&guest), &trace, "to its end");
}

/// Recurses without end, and tells how deep it is at each step of `step`.
fn recursion(step: u32) -> String {
    format!(
        "{TELL} (func $deeper (param $depth i32) (result i32)
            (if (i32.eqz (i32.rem_u (local.get $depth) (i32.const {step})))
              (then (call $tell (i64.extend_i32_u (local.get $depth)))))
            (i32.add (call $deeper (i32.add (local.get $depth) (i32.const 1))) (i32.const 1)))
        (func (export \"run\") (param i32 i32) (result i32) (call $deeper (i32.const 1)))"
    )
}

#[test]
fn a_guest_that_exhausts_its_stack_replays_to_the_same_end() {
    let folder = Folder::new();
    let guest = folder.guest("silent.wasm", &recursion(1 << 30));
    let text = lives_and_replays(&folder, &guest, &[], 4);
    assert!(text.contains("\nend trapped sent 0"), "{text}");
    // One that tells how deep it comes: exactly so again on the same engine, and on another one it
    // is told.
    let guest = folder.guest("tells.wasm", &recursion(1));
    let trace = folder.path("run.trace");
    assert_eq!(host::run(["--overwrite", "--record", &trace, &guest, "0"]).code, Some(4));
    for _ in 0..3 {
        let ended = host::run(["replay", &guest, &trace]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
    let ended = host::run(["replay", "--engine", "pulley", &guest, &trace]);
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    let engines =
        format!("recorded on wasmtime 48.0.8 {}, and this is wasmtime 48.0.8 pulley64", std::env::consts::ARCH);
    for says in [&engines, "how deep a guest can recurse", "call stack exhausted"] {
        assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
    }
}

#[test]
fn an_operators_limit_of_the_stack_is_no_danger_to_the_host() {
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &recursion(1 << 30));
    for (limit, code, says) in [("-Ss 128", 4, "call stack exhausted"), ("-s 1024", 1, "ulimit -Hs 4096")] {
        let limited = format!("ulimit {limit}; exec '{}' --no-cache '{guest}' 0", host::command().display());
        let output = Command::new("sh").args(["-c", &limited]).output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(says), "no {says:?} in {output:#?}");
    }
}

#[test]
fn ids_of_any_shape_are_as_good_as_others() {
    // Each is answered before it is used again, and the later ones while the first is pending.
    let ids = ["-1", "0", "1", "0x8000000000000000", "0xffffffff", "0x100000000", "-2", "42", "0", "1", "41", "-2"];
    let ask = |id: &str| {
        format!(
            "(call $prepare (i32.const 10) (i64.const 0) (i64.const 0) (i64.const 0))
            (i64.store (i32.const 64) (i64.const {id})) (call $send (i32.const 64) (i32.const 1))
            (if (i64.ne (i64.load (call $answer)) (i64.const {id})) (then unreachable))"
        )
    };
    let pending = "(call $prepare (i32.const 10) (i64.const 3600000000000) (i64.const 0) (i64.const 0))
        (i64.store (i32.const 64) (i64.const 0xdeadbeefdeadbeef)) (call $send (i32.const 64) (i32.const 1))";
    let asks: String = ids.iter().map(|id| ask(id)).collect();
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &teller(&format!("{pending} {asks} (call $exit (i32.const 0))")));
    let text = lives_and_replays(&folder, &guest, &[], 0);
    assert_eq!(text.lines().filter(|line| line.ends_with(" elapsed")).count(), ids.len(), "{text}");
    assert!(text.contains("  4294967295.4294967295 elapsed") && text.contains("  2147483648.0 elapsed"), "{text}");
}

/// Waits for the answers to `count` requests, and tells the size and the time of each batch.
fn counts_batches(count: u32) -> String {
    let ask = |at| format!("(call $submit (i32.const 10) (i64.const {}) (i64.const 0) (i64.const 0))", at * 3_000_000);
    let asks: String = (0..count).map(ask).collect();
    let wait = format!(
        "(loop $more
          (call $receive (i32.const 16))
          (local.set $count (i64.add (local.get $count) (i64.load32_u (i32.const 20))))
          (call $tell (i64.add (i64.const 3600000000000) (i64.load32_u (i32.const 20))))
          (call $tell (call $time))
          (br_if $more (i64.lt_u (local.get $count) (i64.const {count}))))"
    );
    teller(&format!("{asks} {wait} (call $exit (i32.const 0))"))
}

#[test]
fn the_grouping_into_batches_and_their_times_are_part_of_the_run() {
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &counts_batches(6));
    let is_grouped = |text: &String| text.matches("\nturn ").count() > 1;
    // A machine that stalls makes one batch of all.
    let text = (0..10).map(|_| lives_and_replays(&folder, &guest, &[], 0)).find(is_grouped).expect("two batches");
    let (first, rest) = text.split_once("elapsed\nturn ").expect("two batches");
    let (_, rest) = rest.split_once('\n').expect("answers");
    let merged = format!("{first}elapsed\n{rest}");
    let (first, rest) = text.split_once("elapsed\nturn +").expect("two batches");
    let later = format!("{first}elapsed\nturn +1{rest}");
    let trace = folder.path("edited.trace");
    for (edited, after) in [(merged, "after turn 1"), (later, "after turn 2")] {
        from_text(&folder, &edited, &guest, &trace);
        for engine in ENGINES {
            let ended = host::run(["replay", "--engine", engine, &guest, &trace]);
            assert_eq!(ended.code, Some(3), "{ended:#?}");
            for says in [after, "sends the same: the trace was edited"] {
                assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
            }
        }
    }
}

#[test]
fn time_never_goes_back_whatever_a_trace_says() {
    let guest = guests::module(&counts_batches(4));
    let batches = [5_000, 4_000, 0, 6_000].map(|time| (time, vec![Answer { id: 1, reply: Reply::Elapsed }]));
    let batches = batches.map(|(time, answers)| Batch { time, answers });
    for target in [EngineKind::Native, EngineKind::Pulley] {
        let (numbers, ended) = tells(target, &guest, &batches);
        let times: Vec<u64> = numbers[4..].iter().skip(1).step_by(2).copied().collect();
        assert_eq!((times, ended), (vec![5_000, 5_000, 5_000, 6_000], RunResult::Exit(0)), "{target:?}");
    }
}

#[test]
fn a_guest_that_a_limit_has_ended_replays_to_the_same_end() {
    let folder = Folder::new();
    let table = |max: &str| {
        let grow =
            |delta: u32| format!("(call $tell (i64.extend_i32_s (table.grow $t (ref.null func) (i32.const {delta}))))");
        let run = format!("{}{}{} (call $exit (i32.const 0))", grow(5), grow(100), grow(2_000_000));
        format!("(table $t 1 {max} funcref) {}", teller(&run))
    };
    let flood = "(local $left i32) (local.set $left (i32.const 800000))
        (loop $more (call $tell (i64.const 3600000000000))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $exit (i32.const 0))";
    let twice = "(call $tell (i64.const 3600000000000)) (call $send (i32.const 64) (i32.const 1)) unreachable";
    // 16,384 times the same 16 KiB.
    let large = "(local $at i32)
        (drop (memory.grow (i32.const 16))) (local.set $at (i32.const 65536))
        (loop $more
          (i64.store (local.get $at) (i64.extend_i32_u (local.get $at)))
          (i32.store8 offset=8 (local.get $at) (i32.const 8))
          (i32.store offset=20 (local.get $at) (i32.const 16384))
          (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 40))) (i32.const 720896))))
        (call $send (i32.const 65536) (i32.const 16384)) unreachable";
    let started = "(func $deeper (call $deeper)) (start $deeper)";
    for (name, body, code, end) in [
        ("tables", table(""), 4, "end stopped tables wanted 20001"),
        ("a table of its own", table("10"), 0, "end exit 0 sent 3 "),
        ("requests", run(flood), 4, "end stopped requests-pending sent 786432 "),
        ("an id twice", teller(twice), 4, "end stopped duplicate-id 0.1 sent 1 "),
        ("waiting for nothing", teller("(drop (call $answer)) unreachable"), 4, "end stopped nothing-pending sent 0"),
        ("a large send", run(large), 4, "end trapped sent 0"),
        ("its start", format!("{started} {}", teller("unreachable")), 4, "end trapped sent 0"),
        ("memory", teller("(drop (memory.grow (i32.const 40000))) unreachable"), 4, "end stopped memory wanted "),
    ] {
        let guest = folder.guest("a.wasm", &body);
        let text = lives_and_replays(&folder, &guest, &[], code);
        assert!(text.contains(end), "{name}: no {end:?} in {text}");
    }
}

/// A module whose `run` begins with locals of its own.
fn run(body: &str) -> String {
    format!("{TELL} (func (export \"run\") (param i32 i32) (result i32) {body})")
}

#[test]
fn a_guest_that_the_clock_has_ended_replays_to_the_same_end() {
    let folder = Folder::new();
    let loops = teller("(call $tell (i64.const 3600000000000)) (loop $forever (br $forever)) unreachable");
    let guest = folder.guest("loops.wasm", &loops);
    let trace = folder.path("run.trace");
    assert_eq!(host::run(["--overwrite", "--record", &trace, &guest, "0"]).code, Some(4));
    // Each takes as long as a turn may take.
    let replays: Vec<_> =
        ENGINES.iter().map(|engine| host::Host::spawn(["replay", "--engine", engine, &guest, &trace])).collect();
    let text = as_text(&trace);
    assert!(text.contains("end stopped turn-too-long sent 1 "), "{text}");
    for ended in replays.into_iter().map(host::Host::wait) {
        assert!(ended.code == Some(0) && ended.errors.contains("to its end"), "{ended:#?}");
    }
    // Where it is fast enough it goes on, in a way that was not recorded: to wait, to exit, or to
    // trap.
    for (name, goes_on) in [("waits", "(drop (call $answer)) unreachable"), ("exits", "(call $exit (i32.const 0))")] {
        let quick = folder.guest(name, &teller(&format!("(call $tell (i64.const 3600000000000)) {goes_on}")));
        let ended = host::run(["replay", &quick, &trace]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}");
    }
}

#[test]
fn what_no_replay_can_repeat_is_refused_and_named() {
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &teller("(call $tell (i64.const 1)) (call $exit (i32.const 0))"));
    let text = lives_and_replays(&folder, &guest, &[], 0);
    let trace = folder.path("edited.trace");
    let contract = text.lines().find(|line| line.starts_with("contract \"0.3.0\" identity ")).expect("it is there");
    let zeros = "0".repeat(64);
    for (from, to, says) in [
        (contract, format!("contract \"9.9.9\" identity {zeros}"), "by pluto-host 0.1.0 with pluto:system 9.9.9"),
        (contract, format!("contract \"9.9.9\" identity {zeros}"), "speaks 0.3.0: replay it with pluto-host 0.1.0"),
        (contract, format!("contract \"0.3.0\" identity {zeros}"), "with another pluto:system 0.3.0"),
        ("memory-max", "limit \"more=1\"\nmemory-max".to_owned(), "recorded with the limit more=1"),
        ("memory-max", "limit \"more\"\nmemory-max".to_owned(), "`name=number` is expected"),
    ] {
        from_text(&folder, &text.replacen(from, &to, 1), &guest, &trace);
        for command in [vec!["replay", &guest, &trace], vec!["explain", &trace], vec!["diff", &trace, &guest, &guest]] {
            let ended = host::run(&command);
            assert_eq!(ended.code, Some(1), "{command:?}: {ended:#?}");
            let named = ended.errors.contains("cannot be replayed") && ended.errors.contains(says);
            assert!(named, "no {says:?} in {ended:#?}");
        }
        assert!(as_text(&trace).contains(&to), "its text can be read");
    }
}

/// The hashes prove the run; only where they do not, is the engine a possible reason.
#[test]
fn another_version_of_the_engine_is_told_when_the_replay_differs() {
    let folder = Folder::new();
    let guest = folder.guest("a.wasm", &teller("(call $tell (i64.const 1)) (call $exit (i32.const 0))"));
    let text = lives_and_replays(&folder, &guest, &[], 0);
    let engine = format!("engine \"wasmtime 48.0.8 {}\"", std::env::consts::ARCH);
    assert!(text.contains(&engine), "no {engine:?} in {text}");
    let trace = folder.path("edited.trace");
    from_text(&folder, &text.replacen(&engine, "engine \"wasmtime 99.0.0 abacus\"", 1), &guest, &trace);
    replays(Path::new(&guest), &trace, "to its end");
    let note = "note: it was recorded on wasmtime 99.0.0 abacus, and this is wasmtime 48.0.8";
    let same = host::run(["replay", &guest, &trace]);
    assert!(!same.errors.contains("note:"), "{same:#?}");
    let traps = folder.guest("b.wasm", &teller("(call $tell (i64.const 1)) unreachable"));
    let other = host::run(["replay", &traps, &trace]);
    assert!(other.code == Some(3) && other.errors.contains(note), "{other:#?}");
    assert!(other.errors.contains("the guest trapped: ") && other.errors.contains("unreachable"), "{other:#?}");
}

#[test]
fn the_cache_tells_the_engines_apart() {
    let (folder, cache) = (Folder::new(), TempDir::new().expect("a folder"));
    let guest = folder.guest("a.wasm", &teller("(call $exit (i32.const 0))"));
    let trace = folder.path("run.trace");
    assert_eq!(host::run(["--no-cache", "--record", &trace, &guest, "0"]).code, Some(0));
    for round in 0..2 {
        for engine in ENGINES {
            let mut command = Command::new(host::command());
            command.env("XDG_CACHE_HOME", cache.path()).args(["replay", "--engine", engine, &guest, &trace]);
            assert!(command.output().expect("it starts").status.success(), "{engine}, round {round}");
        }
        let kept = fs::read_dir(cache.path().join("pluto-host/code")).expect("a folder").count();
        assert_eq!(kept, ENGINES.len(), "round {round}");
    }
}

#[test]
fn code_is_not_taken_from_where_others_can_put_it() {
    let (folder, cache) = (Folder::new(), TempDir::new().expect("a folder"));
    let guest = folder.guest("a.wasm", &teller("(call $exit (i32.const 0))"));
    let run = || {
        let output = Command::new(host::command()).env("XDG_CACHE_HOME", cache.path()).args([&guest, "0"]).output();
        let output = output.expect("it starts");
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("a text")
    };
    assert!(!run().contains("going on without"));
    let code = cache.path().join("pluto-host/code");
    assert_eq!(fs::read_dir(&code).expect("a folder").count(), 1);
    fs::set_permissions(&code, Permissions::from_mode(0o777)).expect("ours");
    let errors = run();
    assert!(errors.contains("others may write to it; remove it, or set XDG_CACHE_HOME; going on without"), "{errors}");
}

/// One that sends a MiB again and again, and never receives: each is refused at once, and what is
/// recorded of it is a sum.
#[test]
fn a_guest_that_sends_without_end_costs_the_recorder_and_the_replay_no_memory() {
    let folder = Folder::new();
    // 3 GiB, in writes to a connection that is none.
    let floods = run("(local $left i32) (drop (memory.grow (i32.const 16))) (local.set $left (i32.const 3000))
        (i32.store8 (i32.const 1024) (i32.const 0)) (i32.store (i32.const 1032) (i32.const 65536))
        (i32.store (i32.const 1036) (i32.const 1048576))
        (loop $more
          (call $submit (i32.const 2) (i64.const 99) (i64.const 0x100000400) (i64.const 0))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $exit (i32.const 0))");
    let guest = folder.guest("a.wasm", &floods);
    let trace = folder.path("run.trace");
    let limited = |arguments: &str| {
        let line = format!("ulimit -d 1000000; exec '{}' {arguments}", host::command().display());
        Command::new("sh").args(["-c", &line]).output().expect("a shell")
    };
    for arguments in
        [format!("--record '{trace}' '{guest}' 0"), format!("replay '{guest}' '{trace}'"), format!("explain '{trace}'")]
    {
        let output = limited(&arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(as_text(&trace).contains("\nend exit 0 sent 3000 "), "{}", as_text(&trace));
}
