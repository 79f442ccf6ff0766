//! What the built guests send for given answers, in files for people: `tests/traces/*.txt`.
//!
//! Each file is a trace in its text form. For each turn it says what the guest receives, and
//! comments (`# >`) say what the guest sends between two turns. The file names its guest and not
//! the guest's digest, because digests differ between toolchains. The test runs the component on
//! the answers of the file, on each engine, and compares the resulting file with it.
//!
//! After a change of behaviour, `UPDATE_GOLDEN=1 cargo xtask test` writes the files again, from
//! the scenarios below. `git diff tests/traces` shows what the change does.

mod connections;

use std::cell::RefCell;
use std::fmt::Display;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use pluto_contract::stop::{Exit, StopReason};
use pluto_engine::admission;
use pluto_engine::engine::Engine;
use pluto_engine::guest::Guest;
use pluto_sdk::contract::Signal;
use pluto_sdk::testing::{ClientId, World};
use pluto_trace::binary::TraceReader;
use pluto_trace::engine_kind::EngineKind;
use pluto_trace::replay::{Replay, Step};
use pluto_trace::text::{Text, TextWriter};
use pluto_trace::{End, Header, Record, Sent, Turn};

use crate::support::guests;

/// A file of `tests/traces`, or what should be one.
struct Golden {
    name: &'static str,
    /// What happens, in a line.
    story: &'static str,
    guest: &'static str,
    arguments: &'static [&'static str],
}

impl Golden {
    /// Compares the file with what the guest does now; or writes it anew, from what happens in
    /// `scenario`.
    fn check<M, F, E>(&self, main: M, scenario: impl FnOnce(&mut World))
    where
        M: FnOnce(Vec<String>) -> F + 'static,
        F: Future<Output = Result<(), E>> + 'static,
        E: Display,
    {
        let path = guests::repository().join("tests/traces").join(format!("{}.txt", self.name));
        let bytes = fs::read(guests::built(self.guest)).expect("it is built");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let mut world = World::new();
            let start = world.now();
            world.start(main, self.arguments);
            scenario(&mut world);
            let text = Text { header: self.header(&bytes, start), records: records(&world) };
            fs::write(path, self.transcript(EngineKind::Native, &bytes, &text)).expect("the folder is there");
            return;
        }
        let advice = "UPDATE_GOLDEN=1 writes it";
        let file = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; {advice}", path.display()));
        let text = self.parse(&bytes, &file);
        for target in [EngineKind::Native, EngineKind::Pulley] {
            let found = self.transcript(target, &bytes, &text);
            assert!(
                found == file,
                "{} is not what the guest does ({target:?}); {advice}\n{}",
                path.display(),
                difference(&file, &found)
            );
        }
    }

    fn header(&self, guest: &[u8], start: u64) -> Header {
        let arguments = self.arguments.iter().map(|&word| word.to_owned()).collect();
        Header::new(guest, pluto_engine::limits::MEMORY_BYTES_DEFAULT, arguments, start)
    }

    /// Reads a file, in which the guest's name stands for what a trace says of the guest and the
    /// host.
    fn parse(&self, guest: &[u8], file: &str) -> Text {
        let mut whole = Vec::new();
        TextWriter::new(&mut whole, &self.header(guest, 0)).expect("a vector takes all");
        let whole = String::from_utf8(whole).expect("text");
        let (host, _) = whole.split_once("argument ").expect("there is a port");
        let named = format!("guest {}\n", self.guest);
        assert!(file.contains(&named), "{}: no line {named:?}", self.name);
        let text = Text::parse(file.replacen(&named, host, 1).as_bytes()).unwrap_or_else(|error| {
            panic!("{} (with {} lines for that of the guest): {error}", self.name, host.lines().count())
        });
        assert_eq!(text.header.arguments, self.arguments, "{}", self.name);
        text
    }

    /// Runs the guest on the answers, and writes down what happens as the file has it.
    fn transcript(&self, target: EngineKind, guest: &[u8], text: &Text) -> String {
        let start = text.header.start;
        let mut out = format!("# {}\nguest {}\n", self.story, self.guest).into_bytes();
        for word in self.arguments {
            out.extend(format!("argument {word:?}\n").bytes());
        }
        out.extend(format!("start {start}\n").bytes());
        let mut writer = TextWriter::records(&mut out, start);
        for step in steps(target, guest, text) {
            step.sent.iter().try_for_each(|request| writer.request(request)).expect("a vector takes all");
            let record = match step.end {
                None => Record::Turn(Turn { sent: Sent::UNKNOWN, time: step.time, answers: step.answers }),
                // It waits, and there is nothing more in the file.
                Some(Exit::Stopped(StopReason::AnswersEnded)) => continue,
                Some(exit) => Record::End(End { sent: Sent::UNKNOWN, exit }),
            };
            writer.record(&record).expect("a vector takes all");
        }
        String::from_utf8(out).expect("the text form is text")
    }
}

fn records(world: &World) -> Vec<Record> {
    let turn = |(time, answers): &(u64, Vec<_>)| {
        Record::Turn(Turn { sent: Sent::UNKNOWN, time: *time, answers: answers.clone() })
    };
    world.batches().iter().map(turn).collect()
}

fn steps(target: EngineKind, guest: &[u8], text: &Text) -> Vec<Step> {
    let engine = Engine::for_kind(target, None).expect("the engine starts");
    let admitted = admission::inspect(&engine, guest).and_then(|guest| guest.admitted).expect("it is admitted");
    let trace = text.to_binary(guest).expect("it packs");
    let reader = TraceReader::open(std::io::Cursor::new(trace)).expect("it is a trace");
    let steps = Rc::<RefCell<Vec<Step>>>::default();
    let seen = steps.clone();
    let (world, _) = Replay::new(reader, u64::MAX);
    let world = world.observed(Box::new(move |step| seen.borrow_mut().push(step)));
    Guest::new(&engine, admitted, Box::new(world), text.header.memory_max).run(&text.header.arguments);
    steps.take()
}

/// The lines that differ, with a few around them.
fn difference(expected: &str, found: &str) -> String {
    const AROUND: usize = 3;
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let (left, right) = (&expected[same..], &found[same..]);
    let tail = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    let mut show = |sign: char, lines: &[&str]| {
        text.extend(lines.iter().map(|line| format!("{sign} {line}\n")));
    };
    show(' ', &expected[same.saturating_sub(AROUND)..same]);
    show('-', &left[..left.len() - tail]);
    show('+', &right[..right.len() - tail]);
    show(' ', &left[left.len() - tail..][..tail.min(AROUND)]);
    text
}

/// The web server with a small site.
fn pluto(name: &'static str, story: &'static str, scenario: impl FnOnce(&mut World)) {
    let golden = Golden { name, story, guest: "pluto", arguments: &["8000", "html"] };
    golden.check(pluto::main, |world| {
        world.file("index.html", "<p>hello</p>");
        world.file("style.css", "p {}");
        world.file("large.bin", vec![b'x'; 700_000]);
        world.file("dir/index.html", "<p>dir</p>");
        world.run_until_idle();
        scenario(world);
    });
}

fn echo(name: &'static str, story: &'static str, arguments: &'static [&'static str], scenario: fn(&mut World)) {
    let golden = Golden { name, story, guest: "echo", arguments };
    golden.check(echo::main, |world| {
        world.run_until_idle();
        scenario(world);
    });
}

/// A new client that sends this.
fn client(world: &mut World, text: &str) -> ClientId {
    let client = world.connect();
    sends(world, client, text);
    client
}

fn sends(world: &mut World, client: ClientId, text: &str) {
    world.client_sends(client, text);
    world.run_until_idle();
}

#[test]
fn pluto_keep_alive() {
    pluto("pluto-keep-alive", "One connection: the index, then what is not there; then the client ends.", |world| {
        let client = client(world, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        world.advance(Duration::from_secs(1));
        sends(world, client, "GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
        world.client_ends(client);
        world.run_until_idle();
        assert!(world.is_closed(client));
    });
}

#[test]
fn pluto_pipelining() {
    pluto("pluto-pipelining", "Three requests at once are answered in their order, with one write.", |world| {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        client(world, &[get("/"), get("/none"), get("/style.css")].concat());
    });
}

#[test]
fn pluto_directory() {
    pluto("pluto-directory", "A directory without its slash is redirected, and with it shows its index.", |world| {
        let client = client(world, "GET /dir?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
        sends(world, client, "GET /dir/?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
    });
}

#[test]
fn pluto_head() {
    pluto("pluto-head", "HEAD: the fields of the answer to GET, and no content.", |world| {
        client(world, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    });
}

#[test]
fn pluto_bad_request() {
    let story = "A bad request: its answer is the last, and what still comes is dropped until the client ends.";
    pluto("pluto-bad-request", story, |world| {
        let client = client(world, "nonsense\r\n\r\n");
        sends(world, client, "and more of it");
        world.client_ends(client);
        world.run_until_idle();
        assert!(world.is_closed(client));
    });
}

#[test]
fn pluto_head_times_out() {
    let story =
        "A head that does not come to its end is answered 408, and the connection closed when the client stays.";
    pluto("pluto-head-times-out", story, |world| {
        let client = client(world, "GET / HT");
        world.advance(Duration::from_secs(60));
        assert!(world.is_closed(client));
    });
}

#[test]
fn pluto_stops() {
    let story = "A stop: who is idle is closed, who is served is served to the end, and then the server exits.";
    pluto("pluto-stops", story, |world| {
        let idle = world.connect();
        world.run_until_idle();
        let served = world.connect();
        world.client_takes(served, 100_000);
        sends(world, served, "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        world.signal(Signal::Stop);
        world.run_until_idle();
        assert!(world.is_ended(idle) && !world.is_ended(served));
        world.client_takes(served, 1_000_000);
        world.run_until_idle();
        world.client_ends(served);
        world.advance(Duration::from_secs(10));
        assert!(world.outcome().is_some());
    });
}

#[test]
fn echo_once() {
    echo("echo-once", "With --once a client is sent back one read, and then closed.", &["7000", "--once"], |world| {
        let client = client(world, "hello\n");
        assert_eq!(world.received(client), b"hello\n");
        world.client_ends(client);
        world.run_until_idle();
        assert!(world.is_closed(client));
    });
}

#[test]
fn echo_two_clients() {
    echo("echo-two-clients", "Two clients in turns; one leaves without a word, the other ends.", &["7000"], |world| {
        let clients = [client(world, "one"), client(world, "two")];
        sends(world, clients[0], "more of one");
        world.client_resets(clients[1]);
        world.run_until_idle();
        world.client_ends(clients[0]);
        world.run_until_idle();
        world.signal(Signal::Stop);
        world.advance(Duration::from_secs(10));
    });
}
