//! The native build of a guest and its component send the same requests for the same answers, byte
//! for byte. Both bear answers that no sane host would give. The host's world of a recorded run
//! agrees with the world of the SDK's tests.

use std::fmt::{Debug, Display};
use std::fs;
use std::path::Path;

use pluto_contract::stop::{Exit, StopReason};
use pluto_contract::world::Batch;
use pluto_engine::admission;
use pluto_engine::engine::Engine;
use pluto_engine::guest::{Guest, RunResult};
use pluto_engine::script::Script;
use pluto_lab::difference::{Sides, TOLERANCE, compare};
use pluto_lab::stage::Stage;
use pluto_lab::trace_file::open as open_trace;
use pluto_sdk::contract as sdk;
use pluto_sdk::testing::{World, run_on_answers};
use pluto_trace::binary::{self, Block};
use pluto_trace::key_frames::WithoutKeyFrames;
use pluto_trace::{End, Header, Sent};
use std::time::Duration;

use crate::support::guests;

/// What a guest did: its requests, one line each, turn by turn, and its log.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    requests: Vec<Vec<String>>,
    log: Vec<String>,
    exit: Option<u8>,
}

/// Runs the component and the native build on the same answers.
fn agree<M, F, E>(name: &str, main: M, arguments: &[&str], start: u64, batches: &[(u64, Vec<sdk::Answer>)]) -> Run
where
    M: FnOnce(Vec<String>) -> F + 'static,
    F: Future<Output = Result<(), E>> + 'static,
    E: Display,
{
    let native = run_native(main, arguments, start, batches);
    let component = run_component(name, arguments, start, batches);
    for (turn, (native, component)) in native.requests.iter().zip(&component.requests).enumerate() {
        assert_eq!(native, component, "{name}: send number {turn} differs");
    }
    assert_eq!(native, component, "{name}");
    native
}

fn run_native<M, F, E>(main: M, arguments: &[&str], start: u64, batches: &[(u64, Vec<sdk::Answer>)]) -> Run
where
    M: FnOnce(Vec<String>) -> F + 'static,
    F: Future<Output = Result<(), E>> + 'static,
    E: Display,
{
    let turns = run_on_answers(main, arguments, start, batches.to_vec());
    let exit = match turns.last().and_then(|turn| turn.outcome) {
        Some(sdk::Outcome::Exit(code)) => Some(code),
        _ => None,
    };
    Run {
        requests: turns.iter().map(|turn| lines(&turn.requests)).filter(|turn| !turn.is_empty()).collect(),
        log: turns.iter().flat_map(|turn| &turn.logs).map(|line| format!("{line:?}")).collect(),
        exit,
    }
}

fn run_component(name: &str, arguments: &[&str], start: u64, batches: &[(u64, Vec<sdk::Answer>)]) -> Run {
    let engine = Engine::new(None).expect("the engine starts");
    let bytes = fs::read(guests::built(name)).expect("it is built");
    let admitted = admission::inspect(&engine, &bytes).and_then(|guest| guest.admitted).expect("it is admitted");
    let batches = batches.iter().map(|(time, answers)| Batch { time: *time, answers: answers.clone() });
    let (script, transcript) = Script::new(start, batches);
    let mut guest =
        Guest::new(&engine, admitted, Box::new(WithoutKeyFrames(script)), pluto_engine::limits::MEMORY_BYTES_DEFAULT);
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let exit = match guest.run(&arguments) {
        RunResult::Exit(code) => Some(code),
        RunResult::Stopped(StopReason::AnswersEnded) => None,
        other => panic!("{name} ended otherwise: {other:?}"),
    };
    let transcript = transcript.borrow();
    Run {
        requests: transcript.sent.iter().map(|sent| lines(sent)).collect(),
        log: transcript.log.iter().map(|line| format!("{line:?}")).collect(),
        exit,
    }
}

/// A request on a line.
fn lines(requests: &[impl Debug]) -> Vec<String> {
    requests.iter().map(|request| format!("{request:?}")).collect()
}

/// The component does the same to its clients in the world of the host that is made of what it was
/// answered.
fn agrees_in_a_scene(
    name: &str,
    arguments: &[&str],
    start: u64,
    batches: &[(u64, Vec<sdk::Answer>)],
    exit: Option<u8>,
) {
    let engine = Engine::new(None).expect("the engine starts");
    let bytes = fs::read(guests::built(name)).expect("it is built");
    let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    let header = Header::new(&bytes, pluto_engine::limits::MEMORY_BYTES_DEFAULT, arguments, start);
    let mut trace = binary::begin(&header, &bytes).expect("it is packed");
    let mut block = Block::default();
    for (time, answers) in batches {
        block.turn(Sent::UNKNOWN, *time, answers);
    }
    if let Some(code) = exit {
        block.end(&End { sent: Sent::UNKNOWN, exit: Exit::Code(code) });
    }
    trace.extend(block.seal());
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), trace).expect("it is written");
    let stage = Stage::within(
        &engine,
        open_trace(file.path()).expect("a trace"),
        file.path(),
        pluto_engine::limits::MEMORY_BYTES_DEFAULT,
    )
    .expect("it replays");
    let found = stage.run(&engine, Path::new(name), &bytes).expect("it runs").behaviour;
    let (sides, store) = (Sides { first: "script", second: "scene" }, stage.store.borrow());
    let differences = compare(&stage.scene, &store, [&stage.recorded, &found], sides, TOLERANCE);
    assert!(differences.is_empty(), "{name}:\n{}", differences.text(sides));
    assert_eq!(found.clients.len(), stage.scene.clients.len());
}

#[test]
fn hello_world() {
    let run = agree("hello", hello::main, &["8000"], 1, &[]);
    assert_eq!(run.log, [r#"(Level::Info, "Hello,")"#, r#"(Level::Info, "world!")"#]);
    assert_eq!((run.requests.len(), run.exit), (0, Some(0)));
}

#[test]
fn the_echo_server() {
    let mut world = World::new();
    let start = world.now();
    world.start(echo::main, &["7000"]);
    let clients: Vec<_> = (0..20).map(|_| world.connect()).collect();
    for (index, client) in clients.iter().enumerate() {
        world.client_sends(*client, vec![index as u8; 100 * (index + 1)]);
        world.run_until_idle();
    }
    for client in &clients {
        world.client_sends(*client, b"again");
        world.client_ends(*client);
    }
    world.client_resets(clients[3]);
    world.run_until_idle();
    world.signal(sdk::Signal::Pause);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(sdk::Outcome::Paused));
    world.resume();
    let late = world.connect();
    world.client_sends(late, "after the pause");
    world.run_until_idle();
    assert_eq!(world.received(late), b"after the pause");
    world.signal(sdk::Signal::Stop);
    world.advance(Duration::from_secs(10));
    let run = agree("echo", echo::main, &["7000"], start, world.batches());
    agrees_in_a_scene("echo", &["7000"], start, world.batches(), run.exit);
    assert!(run.requests.len() > 40 && run.exit == Some(0), "{} sends, {:?}", run.requests.len(), run.exit);
}

#[test]
fn the_web_server() {
    let arguments = ["8000", "html/"];
    let mut world = World::new();
    let start = world.now();
    world.file("index.html", "<p>hello</p>");
    world.file("a b.css", vec![b'x'; 100_000]);
    world.file("empty.txt", "");
    world.directory("sub/dir");
    world.start(pluto::main, &arguments);
    for requests in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /a%20b.css HTTP/1.1\r\nHost: x\r\n\r\nHEAD /empty.txt HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /sub?query HTTP/1.0\r\n\r\n",
        "GET /../x HTTP/1.1\r\nHost: x\r\n\r\nDELETE / HTTP/1.1\r\nHost: x\r\n\r\nBREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HT",
    ] {
        let client = world.connect();
        for byte in requests.as_bytes().chunks(7) {
            world.client_sends(client, byte);
            world.run_until_idle();
        }
    }
    world.advance(Duration::from_secs(300));
    let last = world.connect();
    world.client_sends(last, "GET /a%20b.css HTTP/1.1\r\nHost: x\r\n\r\n");
    world.client_takes(last, 5_000);
    world.run_until_idle();
    world.signal(sdk::Signal::Stop);
    world.advance(Duration::from_secs(20));
    let run = agree("pluto", pluto::main, &arguments, start, world.batches());
    agrees_in_a_scene("pluto", &arguments, start, world.batches(), run.exit);
    assert!(run.requests.len() > 20 && run.exit == Some(0), "{} sends, {:?}", run.requests.len(), run.exit);
}

/// Answers for ids that were never issued, of the wrong kind, and all of them twice and late:
/// nothing changes but that the guest is called more often.
#[test]
fn answers_that_no_sane_host_would_give_change_nothing() {
    let mut world = World::new();
    let start = world.now();
    world.start(echo::main, &["7000"]);
    let client = world.connect();
    for text in ["one", "two"] {
        world.client_sends(client, text);
        world.run_until_idle();
    }
    let sane = run_native(echo::main, &["7000"], start, world.batches());
    let mut seen = Vec::new();
    let mut insane = Vec::new();
    for (time, answers) in world.batches() {
        let mut batch = Vec::new();
        for answer in answers {
            let wrong = [sdk::Reply::Elapsed, sdk::Reply::Listed(Vec::new()), sdk::Reply::Signal(sdk::Signal::Pause)];
            batch.extend(wrong.map(|reply| sdk::Answer { id: answer.id, reply }));
            batch.extend([7, u64::MAX, 1 << 40].map(|id| sdk::Answer { id, reply: answer.reply.clone() }));
            batch.push(answer.clone());
        }
        // A listener's answers are many, and each of them counts; all others only once.
        let once = |answer: &&sdk::Answer| {
            !matches!(answer.reply, sdk::Reply::Listening(_) | sdk::Reply::Accepted(_) | sdk::Reply::Signal(_))
        };
        seen.extend(answers.iter().filter(once).cloned());
        batch.extend(seen.iter().cloned());
        insane.push((*time, batch));
    }
    let disturbed = agree("echo", echo::main, &["7000"], start, &insane);
    assert_eq!(disturbed, sane);
}
