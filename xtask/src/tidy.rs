//! The house rules, as a test: what no compiler checks and no reader should have to.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::source::{code_of, is_word, lines_naming};
use crate::workspace::{Result, output, root, say};

/// A file that does not fit in one reader's head is more than one room.
const FILE_LINES_MAX: usize = 600;

/// The files that the limit above is for: those that people write and read.
const READ_BY_PEOPLE: [&str; 3] = ["rs", "wit", "md"];

/// A larger file is a build product or a recording: git would keep each version of it for ever.
const FILE_BYTES_MAX: u64 = 512 * 1024;

/// What is left behind for later, in code or comment; written apart so that this file does not hold it.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// Where every module of the host has its place.
const MAP: &str = "ARCHITECTURE.md";

/// The folder whose modules the map shows.
const MAPPED: &str = "host/src/";

/// Names that may stand only in some files.
struct Rule {
    /// Identifiers, macros with their `!`, or paths of two parts.
    names: &'static [&'static str],
    /// The files that the rule is for: paths that begin so.
    within: &'static str,
    /// The files that may use the names: paths that begin so.
    allowed: &'static [&'static str],
    /// The rule and its reason, as the error says it.
    why: &'static str,
}

const RULES: [Rule; 5] = [
    Rule {
        names: &["dbg!", "todo!", "unimplemented!"],
        within: "",
        allowed: &[],
        why: "is for work in progress: finish it, or say what does not work in an error",
    },
    Rule {
        names: &["unsafe", "allow(unsafe_code", "expect(unsafe_code"],
        within: "",
        allowed: &[
            "host/src/backend/live/driver/", // the length of a buffer that the system has filled, a field of an entry
            "host/src/backend/live/heap.rs", // a call of the system's allocator
            "host/src/turn.rs",              // a call of the C library: what a thread has computed
            "host/src/code_cache/mod.rs",    // code that we have compiled, in a file of our own
            "host/src/compile/child.rs",     // descriptors that somebody else has left open
            "guest/sdk/src/compare.rs",      // C's `memcmp`, by its signature
            "guest/sdk/src/contract.rs",     // generated bindings: the ABI of WebAssembly is raw pointers
            "guest/sdk/src/lib.rs",          // the generated export, in the macro that writes a guest's main
            "guest/sdk/src/memory.rs",       // an allocator of its own, inside the sandbox
            "guest/pluto/tests/memory.rs",   // a test's allocator that counts
        ],
        why: "is allowed only where xtask/src/tidy.rs lists the file and the reason",
    },
    Rule {
        names: &["bindgen!", "generate!"],
        within: "",
        allowed: &["host/src/contract.rs", "guest/sdk/src/contract.rs"],
        why: "belongs in contract.rs: only that file names generated types, on either side of the wall",
    },
    Rule {
        names: &["std::fs", "std::net", "rustix", "socket2", "signal_hook"],
        within: "host/src/",
        allowed: &[
            "host/src/backend/live",
            "host/src/command/", // for the operator: the guest's file, the port, the limit of descriptors
            "host/src/console/", // the terminal, or whoever reads the log
            "host/src/code_cache/", // for the operator
            "host/src/compile/", // for the operator: the process that compiles
            "host/src/engine.rs", // errors of the system, as types only
            "host/src/cli.rs",   // addresses, as types only
        ],
        why: "touches the operating system: for a guest only backend/live does, so that its answers determine a run",
    },
    Rule {
        names: &["compio_driver", "compio_buf"],
        within: "host/src/",
        allowed: &["host/src/backend/live"],
        why: "is the completion queue: only backend/live knows that there is one",
    },
];

/// Checks every rule and reports every breach, each with its place.
pub(crate) fn tidy() -> Result<()> {
    let root = root();
    let files = files()?;
    let map = fs::read_to_string(root.join(MAP)).unwrap_or_default();
    let mut breaches = if map.is_empty() { vec![format!("{MAP}:1: the map of the rooms is missing")] } else { vec![] };
    let mapped = words_in_code(&map);
    for file in &files {
        let Ok(bytes) = fs::read(root.join(file)) else { continue }; // tracked, but deleted just now
        breaches.extend(check_size(file, &bytes));
        if file.ends_with(".rs") {
            let text = String::from_utf8_lossy(&bytes);
            breaches.extend(check_marks(file, &text));
            breaches.extend(check_names(file, &code_of(&text)));
            breaches.extend(check_map(file, &mapped));
        }
    }
    if breaches.is_empty() {
        say(&format!("{} files are tidy", files.len()));
        return Ok(());
    }
    Err(format!("the house rules are broken in {} places:\n{}", breaches.len(), breaches.join("\n")))
}

/// The files that git tracks or would track.
fn files() -> Result<Vec<String>> {
    let list = output("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .ok_or("tidy asks git which files there are, and `git ls-files` failed: run it in a clone of the repository")?;
    Ok(list.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect())
}

fn check_size(file: &str, bytes: &[u8]) -> Vec<String> {
    let mut breaches = Vec::new();
    if bytes.len() as u64 > FILE_BYTES_MAX {
        breaches.push(format!(
            "{file}:1: {} bytes, more than {FILE_BYTES_MAX}: what is built or recorded does not belong in git",
            bytes.len()
        ));
    }
    let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    let read =
        Path::new(file).extension().and_then(|end| end.to_str()).is_some_and(|end| READ_BY_PEOPLE.contains(&end));
    if read && lines > FILE_LINES_MAX {
        breaches.push(format!(
            "{file}:{FILE_LINES_MAX}: {lines} lines, more than {FILE_LINES_MAX}: it is more than one room, so divide it"
        ));
    }
    breaches
}

fn check_marks(file: &str, text: &str) -> Vec<String> {
    let marked = (1..)
        .zip(text.lines())
        .flat_map(|(number, line)| MARKS.iter().filter(|mark| line.contains(**mark)).map(move |mark| (number, mark)));
    marked
        .map(|(number, mark)| format!("{file}:{number}: {mark}: do it now, or write it down where it is read"))
        .collect()
}

fn check_names(file: &str, code: &str) -> Vec<String> {
    let holds = |rule: &&Rule| file.starts_with(rule.within) && !rule.allowed.iter().any(|path| file.starts_with(path));
    let mut breaches = Vec::new();
    for rule in RULES.iter().filter(holds) {
        for name in rule.names {
            let lines = lines_naming(code, name);
            breaches.extend(lines.iter().map(|line| format!("{file}:{line}: `{name}` {}", rule.why)));
        }
    }
    breaches
}

/// Every folder and file of the host is on the map, so that a reader of the map has seen all rooms.
fn check_map(file: &str, mapped: &BTreeSet<&str>) -> Vec<String> {
    let Some(module) = file.strip_prefix(MAPPED).and_then(|path| path.strip_suffix(".rs")) else { return vec![] };
    let missing = module.split('/').filter(|part| !matches!(*part, "mod" | "lib") && !mapped.contains(part));
    missing.map(|part| format!("{file}:1: `{part}` is not in {MAP}: every module of the host is on the map")).collect()
}

/// The words of a Markdown text that stand in code: between backticks, or in a fenced block.
fn words_in_code(markdown: &str) -> BTreeSet<&str> {
    let code = markdown.split('`').skip(1).step_by(2);
    code.flat_map(|code| code.split(|letter: char| !letter.is_ascii() || !is_word(letter as u8))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FILE_LINES_MAX, check_map, check_marks, check_names, check_size, words_in_code};

    #[test]
    fn names_are_bound_to_their_files() {
        let check =
            |file: &str, code: &str, breaches: usize| assert_eq!(check_names(file, code).len(), breaches, "{file}");
        check("host/src/exchange.rs", "use std::fs;", 1);
        check("host/src/backend/live/file.rs", "use std::fs; unsafe {}", 1);
        check("host/src/backend/live/driver/mod.rs", "use compio_driver::op; unsafe {}", 0);
        check("host/src/backend/sim.rs", "use compio_driver::Proactor; rustix::io::read()", 2);
        check("tests/src/main.rs", "use std::fs;\nunsafe {}", 1);
        check("host/src/guest.rs", "bindgen!({})", 1);
        check("guest/echo/src/lib.rs", concat!("#[allow(unsafe_code)] ", "todo", "!()"), 2);
    }

    #[test]
    fn a_breach_names_its_place() {
        let breach = check_names("host/src/guest.rs", "a\nunsafe {}").concat();
        assert!(breach.starts_with("host/src/guest.rs:2: `unsafe` "), "{breach}");
    }

    #[test]
    fn long_files_and_marks_are_found() {
        let long = "\n".repeat(FILE_LINES_MAX + 1);
        assert_eq!(check_size("a.rs", long.as_bytes()).len(), 1);
        assert_eq!(check_size("Cargo.lock", long.as_bytes()).len(), 0);
        assert_eq!(check_size("a.wasm", &vec![0; 600 * 1024]).len(), 1);
        assert_eq!(check_marks("a.rs", concat!("a\n// FIX", "ME")).len(), 1);
    }

    #[test]
    fn the_map_shows_every_module() {
        let map = words_in_code("Rooms: `exchange.rs`, `backend/live/{net,file}`\n```\ntrace/binary\n```\n sim");
        let check = |file: &str, missing: usize| assert_eq!(check_map(file, &map).len(), missing, "{file}");
        check("host/src/exchange.rs", 0);
        check("host/src/backend/live/net.rs", 0);
        check("host/src/backend/live/mod.rs", 0);
        check("host/src/trace/binary.rs", 0);
        check("host/src/backend/sim.rs", 1);
        check("tests/src/other.rs", 0);
        assert_eq!(check_map("host/src/a/b.rs", &BTreeSet::new()).len(), 2);
    }
}
