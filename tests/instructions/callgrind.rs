//! Counting with callgrind, and reading its output.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{guests, host};

/// Instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Those of the code that wasmtime has compiled of the guest, with what leads into and out of
    /// it.
    pub guest: u64,
    /// All others: the wall, the exchange, reading the trace, copying memory for the guest. Of the
    /// allocator only how often it is called.
    pub host: u64,
}

impl Cost {
    /// All of them.
    pub fn all(self) -> u64 {
        self.guest + self.host
    }
}

/// Where it is counted. Names, arguments and environment lie on the stack and in memory, where
/// their length moves all else; so everything has a name here that is as long on every machine.
pub struct Folder(TempDir);

/// Only this is counted, and not how the guest is compiled or taken from the cache.
const COUNTED: &str = "pluto_engine::guest::Guest::run";

impl Folder {
    /// A new one, with links to the host and to the built guests.
    pub fn new() -> Self {
        // Not beneath TMPDIR, for the reason above. The cache is new as well, and in a place that
        // nobody else has.
        let folder = tempfile::Builder::new().prefix("pluto-count-").tempdir_in("/tmp").expect("a folder");
        let links = [(host::command(), HOST), (guests::repository().join("target/guests"), "guests")];
        links.iter().for_each(|(path, name)| symlink(path, folder.path().join(name)).expect("a link"));
        Self(folder)
    }

    /// Has the guest compiled into the cache, for the processor that valgrind shows to every
    /// program. It should be the same wherever the real one has AVX2, and so the code and its
    /// count; no other model was at hand to try.
    pub fn warm(&self, guest: &str) {
        let mut valgrind = self.valgrind("none");
        let ended =
            valgrind.args(["inspect", "--compile-here"]).arg(file(guest)).output().expect("valgrind is installed");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    /// The instructions of a replay, in which the guest must send so many requests. `name` is a
    /// file's.
    pub fn count(&self, guest: &str, name: &str, trace: &[u8], sent: usize) -> Cost {
        let (trace_file, out) = (format!("{name}.trace"), format!("{name}.callgrind"));
        fs::write(self.0.path().join(&trace_file), trace).expect("a file");
        let mut valgrind = self.valgrind(&format!("callgrind --callgrind-out-file={out} --toggle-collect={COUNTED}"));
        let ended = valgrind.args(["replay", &file(guest), &trace_file]).output().expect("valgrind is installed");
        let errors = String::from_utf8_lossy(&ended.stderr);
        let said = format!("{sent} requests");
        assert!(
            ended.status.success() && errors.contains(&said),
            "expected the replay of {name} to end well after {said}:\n{errors}"
        );
        let cost = read(&fs::read_to_string(self.0.path().join(out)).expect("callgrind has written it"));
        assert!(cost.guest > 0 && cost.host > 0, "nothing was counted in {COUNTED}: {cost:?}");
        cost
    }

    /// The host, in a tool of valgrind with these options.
    fn valgrind(&self, tool: &str) -> Command {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--smc-check=all-non-file"]).args(format!("--tool={tool}").split(' ')).arg(HOST);
        valgrind.current_dir(self.0.path()).env_clear();
        valgrind.env("PATH", "/usr/bin:/bin").env("XDG_CACHE_HOME", self.0.path().join("cache"));
        valgrind
    }
}

const HOST: &str = "./host";

fn file(guest: &str) -> String {
    format!("guests/{guest}.wasm")
}

/// The functions of the system's allocator that the host calls.
const ALLOCATOR: [&str; 5] = ["malloc", "calloc", "realloc", "free", "posix_memalign"];

/// What each call of the allocator counts. In truth it takes from 20 to over 1,000, and 110 or so
/// in the mean, by what was allocated before by anybody and where; which the length of a path can
/// change, and with it a request by 3 %. callgrind counts calls outside of [`COUNTED`] too, at the
/// start and at the end: as many for a short trace as for a long one, but for two or three.
const ALLOCATOR_CALL: i64 = 100;

/// Sums up what callgrind has written, by whether the code is a guest's: valgrind knows no object
/// for code that becomes executable after it was mapped.
///
/// <https://valgrind.org/docs/manual/cl-format.html>: `ob=(ID) NAME` names the object of the lines
/// that follow, and `cfn=(ID) NAME` the function that the next call is of, the name only the first
/// time; a line of numbers ends with its own cost; the line behind `calls=COUNT` is what was
/// called, and counted there.
fn read(text: &str) -> Cost {
    let (mut guest, mut host): (i64, i64) = (0, 0);
    let (mut objects, mut functions) = (HashMap::new(), HashMap::new());
    let (mut is_guest, mut is_allocator) = (false, false);
    let mut called = "";
    let mut calls: Option<i64> = None;
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_guest = name(object, &mut objects) == "???";
        } else if let Some(object) = line.strip_prefix("cob=") {
            name(object, &mut objects);
        } else if let Some(function) = line.strip_prefix("fn=") {
            is_allocator = ALLOCATOR.contains(&name(function, &mut functions));
        } else if let Some(function) = line.strip_prefix("cfn=") {
            called = name(function, &mut functions);
        } else if let Some(count) = line.strip_prefix("calls=") {
            let count = count.split(' ').next().and_then(|count| count.parse().ok());
            calls = Some(count.expect("a number of calls"));
        } else if line.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '*')) {
            let cost: i64 = line.split(' ').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
            match calls.take() {
                // What it calls of itself is in its own cost already.
                Some(count) if !is_allocator && ALLOCATOR.contains(&called) => host += count * ALLOCATOR_CALL - cost,
                Some(_) => {}
                None if is_guest => guest += cost,
                None => host += cost,
            }
        }
    }
    let [guest, host] = [guest, host].map(|cost| u64::try_from(cost).expect("a part costs no more than the whole"));
    Cost { guest, host }
}

/// The name in `(ID) NAME`, or that which `(ID)` had before.
fn name<'a>(text: &'a str, names: &mut HashMap<&'a str, &'a str>) -> &'a str {
    match text.split_once(' ') {
        Some((id, name)) => {
            names.insert(id, name);
            name
        }
        None => names.get(text).copied().unwrap_or_default(),
    }
}

#[test]
fn own_costs_are_summed_up_by_object() {
    let text = "events: Ir\n\nob=(1) /bin/host\nfl=(1) a.rs\nfn=(1) main\n10 5\n+1 7\ncob=(2) ???\ncfn=(2) 0x1\ncalls=1 0\n\
                +1 100\n* 1\n\nob=(2)\nfn=(2)\n0 90\ncob=(1)\ncfn=(1)\ncalls=1 0\n0 10\n\nob=(1)\nfn=(3) x\n0 2\ntotals: 105\n";
    assert_eq!(read(text), Cost { guest: 90, host: 15 });
}

#[test]
fn each_call_of_the_allocator_counts_the_same() {
    let text = "events: Ir\n\nob=(1) /bin/host\nfn=(1) main\n10 5\ncob=(2) libc\ncfn=(2) malloc\ncalls=2 0\n+1 1100\n* 1\n\
                cob=(2)\ncfn=(2)\ncalls=1 0\n+1 20\n\nob=(2)\nfn=(2)\n0 320\ncfn=(3) _int_malloc\ncalls=1 0\n0 800\n\n\
                fn=(3)\n0 800\n\nfn=(4) realloc\n0 7\ncfn=(2)\ncalls=1 0\n0 30\n";
    assert_eq!(read(text), Cost { guest: 0, host: 6 + 300 + 7 });
}
