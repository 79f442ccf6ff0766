//! Checks names that only some files may use.

use super::source::{code_of, lines_naming, without_tests};

/// A rule about names.
struct Rule {
    /// Identifiers, macros with their `!`, or paths of two parts.
    names: &'static [&'static str],
    /// The files to which the rule applies: those whose paths begin with one of these texts.
    within: &'static [&'static str],
    /// The files that may use the names: the beginning of their paths, and the reason.
    allowed: &'static [(&'static str, &'static str)],
    /// Whether the rule applies to tests too.
    in_tests: bool,
    /// The rule and its reason, as they appear in the error.
    why: &'static str,
}

const RULES: [Rule; 5] = [
    Rule {
        names: &["dbg!", "todo!", "unimplemented!"],
        within: &[""],
        allowed: &[],
        in_tests: true,
        why: "is for work in progress: finish it, or say what does not work in an error",
    },
    Rule {
        names: &["unsafe", "allow(unsafe_code", "expect(unsafe_code"],
        within: &[""],
        allowed: &[
            ("host/live/src/driver/", "the length of a buffer that the system has filled, a field of an entry"),
            ("host/live/src/heap.rs", "a call of the system's allocator"),
            ("host/engine/src/turn.rs", "a call of the C library: what a thread has computed"),
            ("host/engine/src/code_cache/mod.rs", "code that we have compiled, in a file of our own"),
            ("host/engine/src/compile/child.rs", "descriptors that somebody else has left open"),
            ("guest/memcmp/src/lib.rs", "C's `memcmp`, by its signature"),
            ("guest/sdk/src/contract.rs", "generated bindings: the ABI of WebAssembly is raw pointers"),
            ("guest/sdk/src/lib.rs", "the generated export, in the macro that writes a guest's main"),
            ("guest/sdk/src/memory.rs", "an allocator of its own, inside the sandbox"),
            ("guest/pluto/tests/memory.rs", "a test's allocator that counts"),
        ],
        in_tests: true,
        why: "is allowed only where xtask/src/tidy/names.rs lists the file and the reason",
    },
    Rule {
        names: &["bindgen!", "generate!"],
        within: &[""],
        allowed: &[
            ("host/engine/src/contract.rs", "the host's bindings"),
            ("guest/sdk/src/contract.rs", "the guests' bindings"),
        ],
        in_tests: true,
        why: "belongs in contract.rs: only that file names generated types, on either side of the wall",
    },
    Rule {
        names: &["std::fs", "std::net", "rustix", "socket2", "signal_hook"],
        within: &["host/"],
        allowed: &[
            ("host/live/", "the live world, and the terminal or whoever else reads the log"),
            ("host/src/command/", "for the operator: the guest's file, the port, the limit of descriptors"),
            ("host/engine/src/code_cache/", "for the operator: compiled code"),
            ("host/engine/src/compile/", "for the operator: the process that compiles"),
            ("host/engine/src/engine.rs", "errors of the system, as types only"),
            ("host/lab/src/trace_file.rs", "for the operator: the file of a trace"),
            ("host/src/cli/", "addresses, as types only"),
        ],
        in_tests: true,
        why: "touches the operating system: for a guest only the live world does, so that its answers determine a run",
    },
    Rule {
        names: &["Instant::now", "SystemTime::now", "std::env", "std::process"],
        within: &["host/", "guest/"],
        allowed: &[
            ("host/src/main.rs", "the exit code of the program"),
            ("host/live/", "the live world: the clock that guests are told of, and the stamps of log lines"),
            ("host/src/command/", "for the operator: how long the start takes, names of files, the exit code"),
            ("host/engine/src/code_cache/", "how old compiled code is, and names of files that nobody else has"),
            ("host/engine/src/compile/", "the process that compiles, and how long it may take"),
            ("host/engine/src/engine.rs", "the operator's folder of compiled code"),
            ("host/trace/src/engine_kind.rs", "the name of this processor"),
            ("host/trace/src/record/background_writer.rs", "how long a disk may take for the end of a recording"),
        ],
        in_tests: false,
        why: "asks for the time, the environment or a process: a run is determined by its answers, so only the live \
              world may, and what xtask/src/tidy/names.rs lists with its reason",
    },
];

/// Reports names that a Rust file must not use.
pub(crate) fn misplaced(file: &str, text: &str) -> Vec<String> {
    let begins = |paths: &[&str]| paths.iter().any(|path| file.starts_with(path));
    let code = code_of(text);
    let without_tests = if is_test(file) { String::new() } else { without_tests(&code) };
    let mut breaches = Vec::new();
    for rule in RULES.iter().filter(|rule| begins(rule.within)) {
        if rule.allowed.iter().any(|(path, _)| file.starts_with(path)) {
            continue;
        }
        let code = if rule.in_tests { &code } else { &without_tests };
        for name in rule.names {
            let lines = lines_naming(code, name);
            breaches.extend(lines.iter().map(|line| format!("{file}:{line}: `{name}` {}", rule.why)));
        }
    }
    breaches
}

/// Reports files that may use names but no longer exist.
pub(crate) fn stale(files: &[String]) -> Vec<String> {
    let allowed = RULES.iter().flat_map(|rule| rule.allowed);
    let gone = allowed.filter(|(path, _)| !files.iter().any(|file| file.starts_with(path)));
    gone.map(|(path, why)| format!("xtask/src/tidy/names.rs:1: {path} ({why}) is not there: take it off its list"))
        .collect()
}

/// Returns whether a file is compiled only for tests.
fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::{RULES, misplaced, stale};

    fn check(file: &str, code: &str, breaches: usize) {
        let found = misplaced(file, code);
        assert_eq!(found.len(), breaches, "{file}: {found:?}");
    }

    #[test]
    fn names_are_bound_to_their_files() {
        check("host/engine/src/exchange.rs", "use std::fs;", 1);
        check("host/live/src/file.rs", "use std::fs; unsafe {}", 1);
        check("host/live/src/driver/mod.rs", "use rustix::fs; unsafe {}", 0);
        check("host/sim/src/world.rs", "use std::net::TcpStream; rustix::io::read()", 2);
        check("host/other/src/lib.rs", "use std::{fmt, fs};", 1);
        check("tests/src/main.rs", "use std::fs;\nunsafe {}", 1);
        check("host/engine/src/guest.rs", "bindgen!({})", 1);
        check("guest/echo/src/lib.rs", concat!("#[allow(unsafe_code)] ", "todo", "!()"), 2);
    }

    #[test]
    fn only_the_live_world_asks_for_time_environment_and_processes() {
        for code in [
            "let begin = Instant::now();",
            "let begin = std::time::Instant::now();",
            "SystemTime::now().elapsed()",
            "std::env::var(NAME)",
            "use std::{env, fmt};",
            "use std::process::Command;",
        ] {
            check("host/engine/src/exchange.rs", code, 1);
            check("host/trace/src/replay.rs", code, 1);
            check("guest/pluto/src/server.rs", code, 1);
            check("host/live/src/clock.rs", code, 0);
            check("host/engine/src/exchange.rs", &format!("#[cfg(test)]\nmod tests {{ {code} }}"), 0);
            check("host/trace/src/tests.rs", code, 0);
            check("xtask/src/main.rs", code, 0);
        }
        check("host/engine/src/exchange.rs", "fn at(now: SystemTime, begin: Instant) -> Duration { now - begin }", 0);
    }

    #[test]
    fn a_file_that_is_gone_is_taken_off_the_lists() {
        let mut files: Vec<String> =
            RULES.iter().flat_map(|rule| rule.allowed).map(|(path, _)| format!("{path}x.rs")).collect();
        assert_eq!(stale(&files), [] as [&str; 0]);
        files.retain(|file| !file.contains("/heap.rs"));
        assert!(stale(&files).concat().contains("host/live/src/heap.rs"));
    }

    #[test]
    fn a_breach_names_its_place() {
        let breach = misplaced("host/engine/src/guest.rs", "a\nunsafe {}").concat();
        assert!(breach.starts_with("host/engine/src/guest.rs:2: `unsafe` "), "{breach}");
    }
}
