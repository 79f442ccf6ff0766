//! What a guest's file can cost before the guest runs: it is counted, and then compiled within
//! bounds or refused. Also: what its names can do to messages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::binary::{component, guest, list, module, section, sized};
use crate::support::guests;
use crate::support::host::{self, Ended, Host, PATIENCE};
use crate::support::memory::{children, field, measure};

/// A folder with a guest in it, and where the guest is.
fn file(guest: &[u8]) -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("guest.wasm");
    fs::write(&path, guest).expect("a file");
    let path = path.display().to_string();
    (folder, path)
}

/// What the process that compiles may have beyond its own bound, which is for data alone: the
/// program.
const PROGRAM_MIB: u64 = 64;

/// A guest that must be refused, with these words, in little time and memory: both when it is
/// inspected and when it is run.
fn is_refused(guest: &[u8], seconds: u64, says: &str) {
    let (_folder, path) = file(guest);
    for arguments in [&["inspect", &path][..], &["--no-cache", &path, "0"]] {
        let measured = measure(arguments);
        let (said, ended) = (measured.ended.output.clone() + &measured.ended.errors, &measured.ended);
        assert_eq!(ended.code, Some(1), "{measured:#?}");
        assert!(said.contains(says) && said.len() < 12_000, "no {says:?} in {measured:#?}");
        assert!(measured.own_mib < 48 && measured.others_mib < 512 + PROGRAM_MIB, "{says}: {measured:#?}");
        assert!(measured.time < Duration::from_secs(seconds), "{says}: {measured:#?}");
    }
}

/// So many levels, each of which instantiates the one before twice.
fn doubled(levels: usize) -> Vec<u8> {
    let core = [section(1, &module(&[vec![]], &[])), section(2, b"\x01\0\0\0")].concat();
    let inner = (0..levels).fold(component(&[core]), |inner, _| {
        component(&[section(4, &inner), section(5, &list(&[vec![0, 0, 0], vec![0, 0, 0]]))])
    });
    component(&[
        section(4, &inner),
        section(5, b"\x01\0\0\0"),
        section(1, &module(&[vec![]], &[])),
        section(11, &list(&[[vec![0], sized(b"run"), vec![0, 0x11, 0, 0]].concat()])),
    ])
}

/// A component with a section of types, which passes every check of names.
fn with_types(types: &[u8]) -> Vec<u8> {
    [component(&[section(7, types)]), guest(&[module(&[vec![]], &[])])[8..].to_vec()].concat()
}

#[test]
fn what_is_small_and_would_become_much_is_refused_by_a_count() {
    let one = |body: Vec<u8>| guest(&[module(&[body], &[])]);
    let nested = (0..12_000).fold(component(&[]), |inner, _| component(&[section(4, &inner)]));
    for (guest, says) in [
        (doubled(22), "core instances, each counted as often as it is made"),
        (doubled(29), "core instances, each counted as often as it is made"),
        (
            [component(&[section(4, &nested)]), guest(&[module(&[vec![]], &[])])[8..].to_vec()].concat(),
            "inside each other",
        ),
        (one(b"\x03\x40\x41\0\x0d\0\x0b".repeat(40_000)), "loops; at most 4096 are allowed"),
        (one([b"\x03\x40".repeat(4_000), b"\x0b".repeat(4_000)].concat()), "loops inside each other"),
        (one([b"\x02\x40".repeat(90_000), b"\x0b".repeat(90_000)].concat()), "blocks inside each other"),
        (one(b"\x10\0".repeat(1_500_000)), "bytes in its body"),
        (guest(&[module(&vec![vec![]; 450_000], &[])]), "functions; at most"),
        (
            with_types(&[b"\x01", &b"\x41\x01\x01".repeat(300_000)[..], b"\x41\0"].concat()),
            "types of components inside",
        ),
        (
            guest(&[module(
                &[vec![]],
                &[section(9, &list(&[[b"\x05\x70".to_vec(), list(&vec![b"\xd2\0\x0b".to_vec(); 200_000])].concat()]))],
            )]),
            "that are expressions",
        ),
        (guest(&[module(&[vec![]], &[section(5, b"\x02\0\x01\0\x01")])]), "memories in one core module"),
    ] {
        is_refused(&guest, 5, says);
    }
}

/// What no count tells is ended by the bounds of the process that compiles.
#[test]
fn what_takes_too_much_memory_or_time_to_compile_is_refused() {
    let functions = guest(&[module(&vec![vec![]; 99_999], &[])]);
    is_refused(&functions, 120, "MiB of memory");
    // Memories that hold a byte at their beginning and one 16 MiB behind, which the compiler
    // writes out in full.
    let data = |at: &[u8]| [&b"\0\x41"[..], at, b"\x0b\x01x"].concat();
    let sparse = [
        &b"\0asm\x01\0\0\0"[..],
        &section(5, b"\x01\0\xac\x02"),
        &section(11, &list(&[data(b"\0"), data(b"\xf0\xff\xff\x07")])),
    ]
    .concat();
    is_refused(&guest(&vec![sparse; 60]), 120, "MiB");
}

#[test]
fn a_guest_that_compiles_and_is_refused_leaves_nothing_in_the_cache() {
    let cache = TempDir::new().expect("a folder");
    let (_folder, path) = file(&guest(&[module(&[vec![]], &[])]));
    for arguments in [&["inspect", &path][..], &[&path, "0"]] {
        let ended = with_cache(cache.path(), arguments);
        let said = ended.output.clone() + &ended.errors;
        assert!(ended.code == Some(1) && said.contains("does not fit the contract"), "{ended:#?}");
    }
    assert_eq!(kept(cache.path()), Vec::<PathBuf>::new());
}

/// Runs the command with its compiled code kept in a folder.
fn with_cache(folder: &Path, arguments: &[&str]) -> Ended {
    let output = Command::new(host::command()).args(arguments).env("XDG_CACHE_HOME", folder).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ended { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
}

/// The files of compiled code.
fn kept(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("pluto-host/code")).expect("a folder");
    files.map(|file| file.expect("a file").path()).collect()
}

/// A guest that takes some seconds to compile, and is no attack.
fn slow() -> Vec<u8> {
    let body = b"\x41\x01\x41\x02\x6a\x1a".repeat(2_000);
    guest(&[module(&vec![body; 900], &[])])
}

/// A limit of a process, as /proc tells them; none when it is unlimited.
fn limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find(|line| line.starts_with(name)).expect("Linux has it");
    line[name.len()..].split_whitespace().next().and_then(|limit| limit.parse().ok())
}

#[test]
fn the_process_that_compiles_is_confined_and_ends_with_the_one_that_started_it() {
    let (_folder, path) = file(&slow());
    let host = Host::spawn(["inspect", &path]);
    let begin = Instant::now();
    let (child, limits) = loop {
        // It bears its limits once it has closed what it was left.
        if let Some(child) = children(host.pid()).first().copied()
            && let Ok(limits) = fs::read_to_string(format!("/proc/{child}/limits"))
            && limit(&limits, "Max address space").is_some()
        {
            break (child, limits);
        }
        assert!(begin.elapsed() < PATIENCE, "it starts no process");
    };
    let limit = |name| limit(&limits, name);
    let size = fs::metadata(&path).expect("a file").len();
    assert_eq!(limit("Max data size"), Some((512 << 20) + 32 * size));
    assert!(limit("Max cpu time").is_some_and(|seconds| seconds < 120), "{limits}");
    assert!(limit("Max address space").is_some() && limit("Max core file size") == Some(0), "{limits}");
    let descriptors: Vec<_> =
        fs::read_dir(format!("/proc/{child}/fd")).map(|files| files.flatten().collect()).unwrap_or_default();
    for descriptor in descriptors {
        let target = fs::read_link(descriptor.path()).unwrap_or_default().display().to_string();
        assert!(target.starts_with("pipe:") || target.is_empty() || target.starts_with("/proc/"), "{target}");
    }
    host.signal("KILL");
    while Path::new(&format!("/proc/{child}/exe")).exists() && field(child, "VmRSS:").is_some() {
        assert!(begin.elapsed() < PATIENCE, "it outlives the one that started it");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_process_that_compiles_does_nothing_for_others() {
    let output = Command::new(host::command()).args(["compile-guest", "native", "8", "1"]).output().expect("it runs");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(10), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("this command is internal"), "{output:?}");
}

/// Two components in one, of which one calls the other with a string: the engine makes a module
/// with two memories for that.
fn of_two() -> Vec<u8> {
    let text = r#"(component
        (import "pluto:system/io@0.3.0" (instance))
        (type $variant (variant (case "exit" u8) (case "paused")))
        (import "outcome" (type $outcome (eq $variant)))
        (component $callee
            (core module $m
                (memory (export "m") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256))
                (func (export "f") (param i32 i32) (result i32) (i32.load8_u offset=3 (local.get 0))))
            (core instance $i (instantiate $m))
            (func (export "f") (param "text" string) (result u32)
                (canon lift (core func $i "f") (memory $i "m") (realloc (func $i "realloc")))))
        (component $caller
            (import "f" (func $f (param "text" string) (result u32)))
            (type $variant (variant (case "exit" u8) (case "paused")))
            (import "outcome" (type $outcome (eq $variant)))
            (core module $memory
                (memory (export "m") 1) (data (i32.const 16) "text")
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256)))
            (core instance $memory (instantiate $memory))
            (core func $f (canon lower (func $f) (memory $memory "m") (realloc (func $memory "realloc"))))
            (core module $m
                (import "m" "m" (memory 1))
                (import "f" "f" (func $f (param i32 i32) (result i32)))
                (func (export "run") (param i32 i32) (result i32)
                    ;; exit(the last letter of what the other was given, less what it should be)
                    (i32.store8 (i32.const 65) (i32.sub (call $f (i32.const 16) (i32.const 4)) (i32.const 116)))
                    (i32.const 64)))
            (core instance $i (instantiate $m
                (with "m" (instance $memory)) (with "f" (instance (export "f" (func $f))))))
            (func (export "run") (param "args" (list string)) (result $outcome)
                (canon lift (core func $i "run") (memory $memory "m") (realloc (func $memory "realloc")))))
        (instance $callee (instantiate $callee))
        (instance $caller (instantiate $caller (with "f" (func $callee "f")) (with "outcome" (type $outcome))))
        (export "run" (func $caller "run")))"#;
    wat::parse_str(text).expect("the text is sound")
}

/// It used to panic: "invalid adapter module generated: multiple memories".
#[test]
fn components_that_call_each_other_are_admitted_and_run() {
    let (_folder, path) = file(&of_two());
    let inspected = host::run(["inspect", &path]);
    assert!(inspected.code == Some(0) && inspected.output.contains("admitted  yes"), "{inspected:#?}");
    let ended = host::run(["--no-cache", &path, "0"]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:#?}");
}

/// Sixty MiB of a function's name, twenty times in a backtrace: it used to be written in full, and
/// to be in memory forty times.
#[test]
fn the_name_of_a_function_is_cut_in_a_trap_and_is_not_in_memory_for_each_frame() {
    let guest = |name: &str| {
        guests::module(&format!(
            "(func $f (@name \"{name}\") (param i32) (if (local.get 0)
                (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else unreachable)))
            (func (export \"run\") (param i32 i32) (result i32) (call $f (i32.const 30)) unreachable)"
        ))
    };
    for (length, frame, own_mib_max) in
        [(5, "!nnnnn\n", 48), (60_000, "!nnnnn", 64), (60 << 20, "!<wasm function", 320)]
    {
        let (_folder, path) = file(&guest(&"n".repeat(length)));
        let measured = measure(["--no-cache", "--shards", "1", &path, "0"]);
        let errors = &measured.ended.errors;
        assert!(errors.len() < 16 << 10, "{length}: {} bytes", errors.len());
        assert_eq!((measured.ended.code, errors.matches(frame).count()), (Some(4), 20), "{length}: {errors}");
        assert!(errors.contains("wasm `unreachable` instruction executed"), "{errors}");
        assert!(measured.own_mib < own_mib_max, "{length}: {} MiB", measured.own_mib);
    }
}

/// Names that readers of mangled names make long: those of Rust are cut, those of C++ stay as they
/// are.
#[test]
fn a_mangled_name_is_made_readable_within_bounds() {
    let doubling: String = (0..40).map(|level| format!("S{level}_S{level}_")).collect();
    for (name, told) in [
        ("_ZN5pluto4main17h0123456789abcdefE", "!pluto::main\n"),
        ("_RNvC6_123foo3bar", "!123foo::bar\n"),
        (&format!("_Z1fI1aE1bIS_S_E{doubling}"), "!_Z1f"),
        ("a\\0a  99: forged!line", "!a\\n  99: forged!line\n"),
    ] {
        let guest = guests::module(&format!(
            "(func $f (@name \"{name}\") unreachable)
            (func (export \"run\") (param i32 i32) (result i32) (call $f) unreachable)"
        ));
        let (_folder, path) = file(&guest);
        let ended = host::run(["--no-cache", &path, "0"]);
        assert!(ended.code == Some(4) && ended.errors.contains(told), "no {told:?} in {ended:#?}");
    }
}

/// What a guest names is cut wherever it is told: in a list of imports, in an error of the engine,
/// of `wit-component`.
#[test]
fn names_are_cut_in_a_refusal() {
    let long = "n".repeat(90_000);
    let import = |name: String| [vec![0], sized(name.as_bytes()), vec![0x05, 0]].concat();
    let many: Vec<Vec<u8>> = (0..2_000).map(|number| import(format!("a:b/c{number}"))).collect();
    let instance_type = section(7, b"\x01\x42\0");
    let imports = |imports: &[Vec<u8>]| component(&[instance_type.clone(), section(10, &list(imports))]);
    is_refused(&imports(&many), 5, "and 1950 more");
    is_refused(&imports(&[import("a:b/c\nadmitted  yes".to_owned())]), 5, "a:b/c\\nadmitted  yes");
    is_refused(&imports(&[import(long.clone())]), 5, "bytes in the name of an import or export");
    let core = wat::parse_str(format!("(module (import \"{}\" \"{0}\" (func)))", "m".repeat(9_000))).expect("sound");
    is_refused(&core, 5, "exports nothing");
    let core = wat::parse_str(format!("(module (func (export \"{long}\")))")).expect("sound");
    is_refused(&core, 5, "bytes in the name of an import or export");
}
