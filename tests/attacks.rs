//! Clients that attack or disappear: the server gives back what they took, and goes on serving the
//! others. The latencies under attack were measured: see
//! docs/measurements/2026-11-21-slow-clients.md and docs/measurements/2026-11-25-slow-clients.md.
//! These tests check what must hold on any machine.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::{Host, PATIENCE};
use crate::support::http::Client;

/// A site with a page, and a file that no socket takes whole.
fn site() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("index.html"), "home").expect("a file");
    fs::write(folder.path().join("large.bin"), vec![b'x'; 32 << 20]).expect("a file");
    folder
}

fn serve(root: &Path, options: &[&str]) -> Host {
    let (pluto, root) = (guests::built("pluto").display().to_string(), root.display().to_string());
    // One shard: each would keep files of its own, and what is there before an attack is to be
    // known.
    Host::serve([&["--shards", "1", "--log", "off", &pluto, "0", &root, "--no-access-log"], options].concat())
}

fn descriptors(host: &Host) -> usize {
    fs::read_dir(format!("/proc/{}/fd", host.pid())).expect("it runs").count()
}

/// Resident memory, in KiB.
fn memory(host: &Host) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", host.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is told");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Waits until it has no more descriptors than before.
#[track_caller]
fn settles(host: &Host, before: usize) {
    let begin = Instant::now();
    while descriptors(host) > before {
        assert!(begin.elapsed() < PATIENCE, "{before} descriptors before, {} after", descriptors(host));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_served(host: &Host) {
    assert_eq!(Client::new(host.connect()).get("/").body, b"home");
}

/// Ends a connection by a reset, without a word.
fn reset(client: TcpStream) {
    set_socket_linger(&client, Some(Duration::ZERO)).expect("it can be set");
    drop(client);
}

#[test]
fn a_thousand_resets_in_the_middle_of_a_response_lose_no_handle_and_no_memory() {
    let folder = site();
    let host = serve(folder.path(), &[]);
    let ask = |count: usize| {
        for round in 0..count {
            let mut client = host.connect();
            client.write_all(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
            let mut some = [0; 4_096];
            client.read_exact(&mut some[..1 + round % 4_096]).expect("it answers");
            reset(client);
        }
    };
    // Once, so that what it keeps is there.
    ask(100);
    is_served(&host);
    is_served(&host);
    std::thread::sleep(Duration::from_millis(200));
    let (handles, kib) = (descriptors(&host), memory(&host));
    ask(1_000);
    is_served(&host);
    settles(&host, handles);
    let grown = memory(&host).saturating_sub(kib);
    // A connection's buffers, lost a thousand times, would be above 16 MiB.
    assert!(grown < 4 << 10, "{grown} KiB more than before");
}

#[test]
fn ten_thousand_pipelined_requests_of_a_client_that_never_reads_cost_the_others_nothing() {
    let folder = site();
    let host = serve(folder.path(), &["--write-seconds", "2"]);
    is_served(&host);
    is_served(&host);
    let (handles, kib) = (descriptors(&host), memory(&host));
    let mut greedy = host.connect();
    greedy.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let requests = "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n".repeat(10_000);
    // The server takes no more than it can answer, so that this may not get through; which is the
    // point.
    let _ = greedy.write_all(requests.as_bytes());
    for _ in 0..50 {
        is_served(&host);
    }
    let grown = memory(&host).saturating_sub(kib);
    assert!(grown < 4 << 10, "{grown} KiB more than before");
    assert!(descriptors(&host) <= handles + 8, "{handles} descriptors before, {} now", descriptors(&host));
    // It is not waited for beyond its time, although it is still there.
    settles(&host, handles);
    is_served(&host);
    drop(greedy);
}

#[test]
fn a_thousand_heads_that_never_end_are_given_up_in_time_and_keep_nobody_waiting() {
    let folder = site();
    let host = serve(folder.path(), &["--head-seconds", "2", "--linger-seconds", "1"]);
    is_served(&host);
    is_served(&host);
    let handles = descriptors(&host);
    let mut slow: Vec<TcpStream> = (0..1_000).map(|_| host.connect()).collect();
    for client in &mut slow {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").expect("it reads");
    }
    is_served(&host);
    for mut client in slow {
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer, and the end");
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    }
    settles(&host, handles);
}

/// How many clients send and never read.
const SILENT: usize = 800;

/// Memory that one of them may cost the host, in KiB, with all that a guest holds of it: 64 MiB
/// for a thousand.
const SILENT_KIB_MAX: usize = 64;

/// A client with a small receive buffer: what the server sends soon finds no place.
fn small_client(host: &Host) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    set_socket_recv_buffer_size(&socket, 2_048).expect("it can be set");
    rustix::net::connect(&socket, &host.address()).expect("it accepts");
    let client = TcpStream::from(socket);
    client.set_nonblocking(true).expect("it can be set");
    client
}

/// Each of these clients sends the bytes again and again, as long as the server takes them, and
/// reads nothing.
fn send_and_never_read(clients: &mut [TcpStream], bytes: &[u8]) {
    let (begin, mut sent) = (Instant::now(), vec![0; clients.len()]);
    while begin.elapsed() < Duration::from_secs(3) {
        for (client, sent) in clients.iter_mut().zip(&mut sent) {
            while let Ok(count) = client.write(&bytes[*sent..]) {
                *sent = (*sent + count) % bytes.len();
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A receive that went on until it was cancelled brought up to 99 pieces of 16 KiB of such a
/// client: half a MiB each, which was counted nowhere.
#[test]
fn clients_that_send_and_never_read_cost_a_bounded_amount_of_memory_each() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit");
    let folder = site();
    let root = folder.path().display().to_string();
    for driver in ["io-uring", "poll"] {
        for (guest, asks) in [("echo", "a line of no meaning\n"), ("pluto", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")] {
            let path = guests::built(guest).display().to_string();
            let host = Host::serve(["--shards", "1", "--log", "off", "--driver", driver, &path, "0", &root]);
            drop(host.connect());
            std::thread::sleep(Duration::from_millis(200));
            let (handles, kib, of_the_host) = (descriptors(&host), memory(&host), heap(&host));
            let mut clients: Vec<TcpStream> = (0..SILENT).map(|_| small_client(&host)).collect();
            send_and_never_read(&mut clients, asks.repeat(1_000).as_bytes());
            let grown = memory(&host).saturating_sub(kib);
            assert!(grown < SILENT * SILENT_KIB_MAX, "{driver}, {guest}: {grown} KiB more with {SILENT} clients");
            drop(clients);
            // The web server opens what it watches files with.
            settles(&host, handles + 4);
            gives_back(&host, of_the_host + HEAP_LEFT_KIB_MAX);
        }
    }
}

/// What may stay of the host's own memory when they have left, in KiB: the queue keeps a place for
/// each of them.
const HEAP_LEFT_KIB_MAX: usize = 6 << 10;

/// Resident memory of the host's own heap, in KiB: without the guest's memory, which WebAssembly
/// cannot give back.
fn heap(host: &Host) -> usize {
    let maps = fs::read_to_string(format!("/proc/{}/smaps", host.pid())).expect("it runs");
    let heap = maps.lines().skip_while(|line| !line.ends_with("[heap]"));
    let kib = heap.filter_map(|line| line.strip_prefix("Rss:")).next().expect("it has a heap");
    kib.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Waits until the host's own heap has no more resident memory than so many KiB.
#[track_caller]
fn gives_back(host: &Host, kib: usize) {
    let begin = Instant::now();
    while heap(host) > kib {
        assert!(begin.elapsed() < PATIENCE, "{} KiB, more than {kib}", heap(host));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Each held its connection and two files; files could take all descriptors that clients had left,
/// and nobody new was let in until the first of them had had their minute.
#[test]
fn slow_clients_that_ask_for_large_files_do_not_keep_others_out() {
    let folder = site();
    for number in 0..9 {
        fs::write(folder.path().join(format!("{number}.bin")), vec![b'x'; 4 << 20]).expect("a file");
    }
    let (pluto, root) = (guests::built("pluto").display().to_string(), folder.path().display().to_string());
    for driver in ["io-uring", "poll"] {
        let options = ["--shards", "1", "--log", "off", "--driver", driver, &pluto, "0", &root];
        // 236 handles: 177 of them can be clients, 118 can be files.
        let host = Host::by_shell("ulimit -n 300; exec \"$@\"", options).serving();
        let mut slow: Vec<TcpStream> = (0..150).map(|_| small_client(&host)).collect();
        for (number, client) in slow.iter_mut().enumerate() {
            let ask = |file: usize| format!("GET /{}.bin HTTP/1.1\r\nHost: a\r\n\r\n", file % 9);
            let asks: String = (number..number + 4).map(ask).collect();
            client.write_all(asks.as_bytes()).expect("there is room for so little");
        }
        std::thread::sleep(Duration::from_secs(1));
        let begin = Instant::now();
        for _ in 0..10 {
            is_served(&host);
        }
        let waited = begin.elapsed();
        assert!(waited < Duration::from_secs(30), "{driver}: others waited for {waited:?}");
        drop(slow);
    }
}
