//! Traces of every released format and contract, as the host of their time wrote them. They must
//! stay readable for ever.
//!
//! `tests/compat/NAME.trace` is the file itself in base64. The text form would not do: today's
//! parser would read it, and today's writer would frame it, but the old bytes must be understood.
//! `NAME.txt` is the same trace as text, as the host of its time showed it. Neither is ever
//! changed.
//!
//! A new format or contract adds a pair: `UPDATE_COMPAT=NAME cargo test --release --workspace
//! --test all compat::` records `compat/guest.wat`.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use pluto_contract::versions::{RELEASED, Version};
use pluto_engine::contract::shape::Shape;
use pluto_trace::binary::TraceReader;
use pluto_trace::hex::hex;

use crate::support::guests;
use crate::support::host::{self, Ended, Host};
use crate::support::traces::{Folder, as_text, from_text, replays, text, wait_until_recorded};

/// Letters in a line of base64.
const LINE_LETTERS: usize = 96;

fn file(name: &str, ending: &str) -> PathBuf {
    guests::repository().join("tests/compat").join(format!("{name}.{ending}"))
}

/// A trace of `tests/compat` in a folder, with the guest that is in it.
struct Old {
    name: String,
    folder: Folder,
    trace: String,
    guest: PathBuf,
}

impl Old {
    fn all() -> Vec<Self> {
        let entries = fs::read_dir(guests::repository().join("tests/compat")).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
        let all: Vec<Self> = names.filter_map(|name| Some(Self::named(name.strip_suffix(".trace")?))).collect();
        assert!(!all.is_empty(), "no trace is kept");
        all
    }

    fn named(name: &str) -> Self {
        let letters = fs::read_to_string(file(name, "trace")).expect("a trace");
        let bytes = BASE64_STANDARD.decode(letters.replace('\n', "")).expect("base64");
        let folder = Folder::new();
        let reader = TraceReader::open(&bytes[..]).expect("its format is known");
        let (guest, trace) = (folder.write("guest.wasm", &reader.guest), folder.write("old.trace", &bytes));
        Self { name: name.to_owned(), trace: text(&trace), folder, guest }
    }

    /// Runs a command, which must end well and say this.
    fn well(&self, arguments: &[&str], says: &str) -> Ended {
        let ended = host::run(arguments);
        assert_eq!(ended.code, Some(0), "{}: {arguments:?}: {ended:#?}", self.name);
        let said = ended.output.contains(says) || ended.errors.contains(says);
        assert!(said, "{}: {arguments:?}: no {says:?} in {ended:#?}", self.name);
        ended
    }
}

#[test]
fn every_released_contract_has_the_identity_of_the_table() {
    let folder = guests::repository().join("wit/released");
    let files = fs::read_dir(&folder).expect("the folder").count();
    assert_eq!(files, RELEASED.len(), "a version is in wit/released/ and not in the table, or the other way round");
    for Version { number, identity } in RELEASED {
        let document = fs::read_to_string(folder.join(format!("{number}.wit"))).expect("the contract of that version");
        let found = Shape::of_document(&document).expect("it is sound").identity();
        assert_eq!(hex(&found), hex(&identity), "the identity of pluto:system {number} in the table is wrong");
        assert!(document.starts_with(&format!("package pluto:system@{number};\n")), "{number}");
    }
}

#[test]
fn every_released_trace_replays_from_its_beginning_and_from_its_key_frames() {
    for old in Old::all() {
        replays(&old.guest, &old.trace, "to its end");
        let guest = text(&old.guest);
        old.well(&["replay", "--from-turn", "90", &guest, &old.trace], "beginning at the key frame of turn 8");
    }
}

#[test]
fn every_released_trace_is_explained_and_replays_with_a_guest_of_today() {
    for old in Old::all() {
        let explained = old.well(&["explain", &old.trace], "listen");
        for says in ["hello.txt", "new.txt"] {
            assert!(explained.output.contains(says), "{}: no {says:?} in {explained:#?}", old.name);
        }
        // The same guest, built for today's contract.
        let today = old.folder.write("today.wasm", &guests::module(include_str!("compat/guest.wat")));
        let now = text(&today);
        old.well(&["replay", &now, &old.trace], "the same run");
    }
}

#[test]
fn every_released_trace_has_the_text_that_it_had_and_keeps_its_format() {
    for old in Old::all() {
        let then = fs::read_to_string(file(&old.name, "txt")).expect("its text");
        assert_eq!(as_text(&old.trace), then, "{}", old.name);
        let again = old.folder.path("again.trace");
        from_text(&old.folder, &then, &text(&old.guest), &again);
        assert_eq!(as_text(&again), then, "{}", old.name);
        let beginning = |path: &str| fs::read(path).expect("a trace")[..10].to_vec();
        assert_eq!(beginning(&again), beginning(&old.trace), "{}", old.name);
        replays(&old.guest, &again, "to its end");
    }
}

/// A trace of format 5 names the text of its contract: of one, it is known that it is today's.
#[test]
fn a_trace_of_an_earlier_contract_is_told_what_replays_it() {
    let old = Old::named("format-5-contract-0.1.0");
    let then = as_text(&old.trace);
    let named = then.lines().find_map(|line| line.strip_prefix("contract sha256 ")).expect("it names its contract");
    let (guest, edited) = (text(&old.guest), old.folder.path("edited.trace"));
    // That of 65c1e92, which had other comments.
    let comments = "f05f4aef47c190ccc72fef64f91b7529bebabcc11c42cb0df1a54c6b986649b2";
    from_text(&old.folder, &then.replace(named, comments), &guest, &edited);
    replays(&old.guest, &edited, "to its end");
    let before = "0572e47c1a9e6204c7f3f29c4657bab797994ac98b38220a38b31b3e8006a488";
    let unknown = "0".repeat(64);
    for (contract, says) in [
        (
            before,
            "an earlier pluto:system 0.1.0, and this pluto-host speaks 0.3.0: replay it with a pluto-host built from commit 9484843",
        ),
        (&unknown, "that this pluto-host does not know (SHA-256 0000"),
    ] {
        from_text(&old.folder, &then.replace(named, contract), &guest, &edited);
        for arguments in [vec!["replay", &guest, &edited], vec!["explain", &edited]] {
            let ended = host::run(&arguments);
            assert!(ended.code == Some(1) && ended.errors.contains(says), "no {says:?} in {ended:#?}");
            assert!(ended.errors.contains("`pluto-host trace text` shows what is in it"), "{ended:#?}");
        }
        assert!(as_text(&edited).contains(contract));
    }
}

/// A guest of that day is let in by a replay of its trace, and by nothing else.
#[test]
fn an_old_guest_is_not_served() {
    let old = Old::named("format-5-contract-0.1.0");
    let ended = host::run(["--no-cache", &text(&old.guest), "0"]);
    let says = "this guest was built for pluto:system 0.1.0, and this pluto-host speaks 0.3.0";
    assert!(ended.code == Some(1) && ended.errors.contains(says), "{ended:#?}");
}

/// Records everything that a guest can be answered.
#[test]
fn a_trace_is_recorded_when_that_is_asked_for() {
    let Ok(name) = std::env::var("UPDATE_COMPAT") else { return };
    assert!(!file(&name, "trace").exists(), "a released trace is never changed: choose another name than {name}");
    let folder = Folder::new();
    let guest = folder.write("guest.wasm", &guests::module(include_str!("compat/guest.wat")));
    let site = folder.root().join("site");
    fs::create_dir(&site).expect("a folder");
    fs::write(site.join("hello.txt"), "hello, years\n").expect("a file");
    let trace = folder.path("run.trace");
    let (guest, site) = (text(&guest), text(&site));
    let host = Host::serve(["--key-frame-every", "1", "--log", "off", "--record", &trace, &guest, "0", &site]);
    let mut client = host.connect();
    for line in ["the first", "the second"].iter().cycle().take(40) {
        client.write_all(line.as_bytes()).expect("it reads");
        let mut bytes = vec![0; line.len() + 8];
        client.read_exact(&mut bytes).expect("it answers");
        assert_eq!(bytes, [line.as_bytes(), b"ello", b"llo,"].concat());
    }
    fs::write(folder.root().join("site/new.txt"), "").expect("a file");
    drop(client);
    host.signal("HUP");
    wait_until_recorded(&trace, |text| {
        ["changed \"new.txt\"", "signal reload", "done\n"].iter().all(|says| text.contains(says))
    });
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    let lines = BASE64_STANDARD.encode(fs::read(&trace).expect("a trace"));
    let lines: Vec<&str> =
        lines.as_bytes().chunks(LINE_LETTERS).map(|line| str::from_utf8(line).expect("letters")).collect();
    fs::write(file(&name, "trace"), lines.join("\n") + "\n").expect("the folder is there");
    fs::write(file(&name, "txt"), as_text(&trace)).expect("the folder is there");
}
