//! Several shards of one server: clients come to each of them, the operator's signals reach all,
//! and the end of one ends all.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pluto_contract::stop::StopReason;
use pluto_contract::*;
use pluto_live::{Board, DriverChoice, Port};
use serde_json::Value;

use crate::contract::{World, failed, on_each_driver};
use crate::support::guests;
use crate::support::host::{self, Host, PATIENCE};
use crate::support::http::Client;
use crate::support::traces::{self, Folder};

/// So many that it is no chance when all of them come to one of two shards.
const CLIENTS: usize = 64;

fn pluto() -> String {
    guests::built("pluto").display().to_string()
}

fn serve(options: &[&str], guest: &str, arguments: &[&str]) -> Host {
    Host::serve([&["--shards", "2"], options, &[guest, "0"], arguments].concat())
}

/// Asks for a page on each of many connections, which are all open at once.
fn visit(host: &Host) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(host.connect())).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/").status, 200));
    clients
}

/// The lines of a log in JSON.
fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// By which shards a line was said that begins so, and how often.
fn said(lines: &[Value], begin: &str) -> HashMap<u64, usize> {
    let mut by = HashMap::new();
    for line in lines.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(begin))) {
        *by.entry(line["shard"].as_u64().expect("the number of a shard")).or_default() += 1;
    }
    by
}

#[test]
fn each_shard_serves_and_all_reload_and_stop_while_the_start_is_told_once() {
    let folder = Folder::new();
    std::fs::write(folder.path("index.html"), "home").expect("a file");
    let host = serve(&["--log", "json"], &pluto(), &[&folder.path("")]);
    let mut clients = visit(&host);
    std::fs::write(folder.path(".pluto.toml"), "security-headers = true").expect("a file");
    host.signal("HUP");
    let begin = Instant::now();
    for client in &mut clients {
        // Every response says `X-Content-Type-Options`.
        while client.get("/").field("Referrer-Policy").is_none() {
            assert!(begin.elapsed() < PATIENCE, "a shard does not reload");
        }
    }
    drop(clients);
    host.signal("TERM");
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.errors.contains(" by 2 shards, ready in ") && ended.errors.lines().count() == 1, "{ended:#?}");
    let lines = lines(&ended.output);
    let served = said(&lines, "127.0.0.1 ");
    assert!(served.len() == 2 && served.values().sum::<usize>() >= 2 * CLIENTS, "{served:?}");
    for begin in ["reloaded: ", "stopping: "] {
        assert_eq!(said(&lines, begin), HashMap::from([(1, 1), (2, 1)]), "{begin}");
    }
    for begin in ["serving /", "listening on port "] {
        assert_eq!(said(&lines, begin).values().sum::<usize>(), 1, "{begin}: {}", ended.output);
    }
}

/// Both shards write long lines, of which a pipe that nobody reads takes a part.
#[test]
fn no_line_of_the_log_is_torn_whoever_reads_it_and_when() {
    let mut child = Command::new(host::command())
        .args(["--shards", "2", "--log", "json", &pluto(), "0", "html/", "--access-log", "json"])
        .current_dir(guests::repository())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("it says where it serves");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let visit = |requests: usize| {
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let mut client = Client::new(TcpStream::connect(&address).expect("it accepts"));
                std::thread::spawn(move || {
                    let target = format!("/{}", "a".repeat(3_000));
                    (0..requests).for_each(|_| assert_eq!(client.get(&target).status, 404));
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().expect("every request is answered"));
    };
    // 64 KiB are what a pipe takes.
    visit(20);
    let mut log = child.stdout.take().expect("piped");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).expect("text");
        text
    });
    visit(100);
    host::signal(child.id(), "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let lines = lines(&reading.join().expect("it reads"));
    assert_eq!(lines.iter().filter(|line| line["message"]["status"] == 404).count(), 16 * 120);
}

#[test]
fn a_guest_that_does_not_listen_runs_once() {
    let hello = guests::built("hello").display().to_string();
    let ended = host::run(["--shards", "4", &hello, "0"]);
    assert_eq!((ended.code, ended.output.as_str(), ended.errors.as_str()), (Some(0), "Hello,\nworld!\n", ""));
    let ended = host::run(["--shards", "4", &pluto(), "0", "html/", "--idle"]);
    assert_eq!((ended.code, ended.output.as_str(), ended.errors.lines().count()), (Some(5), "", 2), "{ended:#?}");
}

#[test]
fn a_port_that_another_server_has_is_refused_although_shards_share_theirs() {
    let first = serve(&[], &pluto(), &["html/"]);
    let port = first.address().port().to_string();
    for shards in ["1", "2"] {
        let ended = host::run(["--shards", shards, &pluto(), &port, "html/"]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.errors.contains(&format!("port {port} is in use")), "{ended:#?}");
    }
    visit(&first);
}

/// Nobody listens when both bind, so that both can; but only the shards of the first that listens
/// can join it.
#[test]
fn of_two_servers_that_bind_a_port_at_the_same_time_one_has_it() {
    let first = Port::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = first.address();
    let second = Port::bind(address).expect("nobody listens");
    let world = |port| World::of_shard(DriverChoice::Auto, vec![port], Board::alone());
    let mut first: Vec<World> = first.shared(2).into_iter().map(world).collect();
    let mut second: Vec<World> = second.shared(2).into_iter().map(world).collect();
    let listen = || Request::Listen(Listen { port: address.port(), connections_max: 3, shared: true });
    assert_eq!(first[0].ask(listen()), Reply::Listening(address.port()));
    second[0].send(listen());
    assert_eq!(
        second[0].ends(),
        Some(StopReason::PortTaken(address.port())),
        "its operator is told, and not the guest"
    );
    assert_eq!(first[1].ask(listen()), Reply::Listening(address.port()));
    // Once is enough: a guest that listens again later hears of it as an error.
    assert_eq!(second[0].ask(listen()), failed(Error::AddressInUse));
}

/// A guest that accepts one client, and then does this.
fn after_a_client(folder: &Folder, end: &str) -> String {
    let body = format!(
        "(func (export \"run\") (param i32 i32) (result i32)
          (call $submit (i32.const 0) (i64.const 42949672960) (i64.const 1) (i64.const 0))
          (loop $next
            ;; 1 is `accepted`.
            (br_if $next (i32.ne (call $verdict (call $answer)) (i32.const 1))))
          {end})"
    );
    folder.guest("guest.wasm", &body)
}

#[test]
fn the_first_shard_that_ends_badly_ends_all_and_the_process_with_its_code() {
    let folder = Folder::new();
    for (end, code, says) in [
        ("unreachable", 4, "the guest trapped: "),
        ("(call $exit (i32.const 7))", 5, "the guest ended with an error (its exit code is 7)"),
    ] {
        let guest = after_a_client(&folder, end);
        let host = serve(&["--no-cache"], &guest, &[]);
        let _client = host.connect();
        let ended = host.wait();
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        let of_a_shard = [1, 2].map(|shard| format!("pluto-host: shard {shard}: {says}"));
        assert_eq!(of_a_shard.iter().filter(|says| ended.errors.contains(*says)).count(), 1, "{ended:#?}");
        assert!(ended.errors.contains("the other shards are told to stop"), "{ended:#?}");
    }
}

#[test]
fn a_shard_that_ends_well_ends_the_others_well() {
    let folder = Folder::new();
    let guest = after_a_client(&folder, "(call $exit (i32.const 0))");
    let host = serve(&["--no-cache"], &guest, &[]);
    let _client = host.connect();
    let ended = host.wait();
    assert_eq!((ended.code, ended.errors.lines().count()), (Some(0), 1), "{ended:#?}");
}

/// A guest that keeps a state counts on it that every client comes to the same instance.
#[test]
fn a_guest_that_is_not_shared_has_one_instance() {
    let folder = Folder::new();
    // It takes `listening` and as many connections as clients come, and then ends.
    let body = format!(
        "(func (export \"run\") (param i32 i32) (result i32) (local $answers i32)
          (call $submit (i32.const 0) (i64.const 0x3e8_0000_0000) (i64.const 0) (i64.const 0))
          (loop $next
            (drop (call $answer))
            (local.set $answers (i32.add (local.get $answers) (i32.load (i32.const 20))))
            (br_if $next (i32.le_u (local.get $answers) (i32.const {CLIENTS}))))
          (call $exit (i32.const 0)))"
    );
    let guest = folder.guest("guest.wasm", &body);
    for (options, is_told) in [(&["--no-cache"][..], false), (&["--no-cache", "--shards", "2"], true)] {
        let host = Host::serve([options, &[&guest, "0"]].concat());
        let _clients: Vec<TcpStream> = (0..CLIENTS).map(|_| host.connect()).collect();
        let ended = host.wait();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(ended.errors.contains("this guest has one instance"), is_told, "{ended:#?}");
        assert!(!ended.errors.contains("shards,"), "{ended:#?}");
    }
}

#[test]
fn each_recorded_shard_has_a_trace_of_its_own_that_replays_exactly() {
    let folder = Folder::new();
    let trace = folder.path("run.trace");
    let host = serve(&["--log", "off", "--record", &trace], &pluto(), &["html/"]);
    drop(visit(&host));
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    let traces = ["run.1.trace", "run.2.trace"].map(|name| folder.path(name));
    for trace in &traces {
        traces::replays(&guests::built("pluto"), trace, "turns");
    }
    let accepted = traces.map(|trace| traces::as_text(&trace).matches(" accepted ").count());
    assert_eq!(accepted.iter().sum::<usize>(), CLIENTS);
    assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    assert!(!Path::new(&trace).exists());
}

#[test]
fn a_recording_is_of_one_shard_unless_the_operator_says_how_many() {
    let folder = Folder::new();
    let trace = folder.path("run.trace");
    let host = Host::serve(["--record", &trace, &pluto(), "0", "html/"]);
    drop(visit(&host));
    host.signal("TERM");
    let ended = host.wait();
    let cores = std::thread::available_parallelism().expect("a number").get();
    assert_eq!(ended.errors.contains("note: one shard, for a trace is the run of one"), cores > 1, "{ended:#?}");
    assert_eq!(traces::as_text(&trace).matches(" accepted ").count(), CLIENTS);
}

#[test]
fn each_shard_has_a_flight_recorder() {
    let folder = Folder::new();
    let trace = folder.path("run.trace");
    let mut host = serve(&["--flight-recorder", "1M", "--record", &trace], &pluto(), &["html/"]);
    drop(visit(&host));
    host.signal("USR1");
    (0..2).for_each(|_| drop(host.wait_for_error("the flight recorder has written ")));
    for name in ["run.1.trace", "run.2.trace"] {
        traces::replays(&guests::built("pluto"), &folder.path(name), "turns");
    }
}

/// The second port is the first shard's, which tells of all: of itself exactly, of the others at
/// most a second late.
#[test]
fn metrics_are_the_sum_of_all_shards() {
    let mut host = serve(&["--grant-port", "0"], &pluto(), &["html/", "--metrics-port", "0", "--no-access-log"]);
    let line = host.wait_for_error("listening on ");
    let address = line.split("listening on ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    let address: SocketAddr = address.parse().expect("a socket address");
    let clients = visit(&host);
    // Connections to a port that only one shard accepts are never given to another.
    for _ in 0..CLIENTS {
        let mut operator = Client::new(TcpStream::connect(address).expect("it accepts"));
        assert_eq!(operator.get("/healthz").status, 200);
    }
    let mut operator = Client::new(TcpStream::connect(address).expect("it accepts"));
    let begin = Instant::now();
    let mut page = String::new();
    while !["pluto_http_requests_total{method=\"GET\",code=\"2xx\"} 64\n", "pluto_connections_open 64\n"]
        .iter()
        .all(|line| page.contains(line))
    {
        assert!(begin.elapsed() < PATIENCE, "{page}");
        page = String::from_utf8(operator.get("/metrics").body).expect("text");
        sleep(Duration::from_millis(20));
    }
    for line in [
        "pluto_connections_accepted_total 64",
        "pluto_http_request_duration_seconds_count 64",
        "pluto_connections_max 10000",
    ] {
        assert!(page.lines().any(|it| it == line), "no {line} in {page}");
    }
    drop(clients);
}

#[test]
fn a_number_of_connections_is_that_of_the_server_and_a_further_port_is_the_first_shard_s() {
    let bind = || Port::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    for driver in [DriverChoice::IoUring, DriverChoice::Poll] {
        let (shared, further) = (bind().shared(2), bind().of_the_first(2));
        let (shared_address, further_address) = (shared[0].address(), further[0].address());
        let ports = shared.into_iter().zip(further).zip(Board::shared(2));
        let worlds = ports.map(|((shared, further), board)| World::of_shard(driver, vec![shared, further], board));
        let mut worlds: Vec<World> = worlds.collect();
        let [first, second] = &mut worlds[..] else { panic!("two") };
        let listen = |port: SocketAddr| Request::Listen(Listen { port: port.port(), connections_max: 3, shared: true });
        // Only one of two listens, so that all clients are its own.
        let id = first.send(listen(shared_address));
        let _clients: Vec<_> = (0..5).map(|_| TcpStream::connect(shared_address).expect("it listens")).collect();
        assert_eq!(first.answer(id), Reply::Listening(shared_address.port()));
        (0..2).for_each(|_| assert!(matches!(first.answer(id), Reply::Accepted(_))));
        assert!(!first.has_answer(id), "three for two shards are two for each");
        assert_eq!(second.ask(listen(further_address)), Reply::Listening(further_address.port()));
        assert_eq!(second.ask(listen(further_address)), failed(Error::AddressInUse));
        assert!(TcpStream::connect(further_address).is_err(), "it accepts nobody");
        let _ = first.ask(listen(further_address));
        assert!(TcpStream::connect(further_address).is_ok());
    }
}

#[test]
fn what_shards_leave_is_gathered_in_their_order() {
    let port = || Port::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let world = |board| World::of_shard(DriverChoice::Auto, vec![port()], board);
    let mut worlds: Vec<World> = Board::shared(2).into_iter().map(world).collect();
    let [first, second] = &mut worlds[..] else { panic!("two") };
    let gathered = |posts: [&str; 2]| Reply::Gathered(posts.map(|post| post.as_bytes().to_vec()).to_vec());
    assert_eq!(second.ask(Request::Gather), gathered(["", ""]));
    assert_eq!(second.ask(Request::Post(b"two".to_vec())), Reply::Done);
    assert_eq!(first.ask(Request::Gather), gathered(["", "two"]));
    assert_eq!(first.ask(Request::Post(b"one".to_vec())), Reply::Done);
    assert_eq!(second.ask(Request::Post(b"2".to_vec())), Reply::Done);
    assert_eq!(second.ask(Request::Post(vec![0; pluto_contract::limits::POST_BYTES_MAX + 1])), failed(Error::TooLarge));
    worlds.truncate(1);
    assert_eq!(worlds[0].ask(Request::Gather), gathered(["one", "2"]));
    on_each_driver(|world| assert_eq!(world.ask(Request::Gather), Reply::Gathered(vec![Vec::new()])));
}
