//! How a server starts, or says why it does not start: ports that are taken, too few descriptors.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::support::guests;
use crate::support::host::{self, Ended, Host};
use crate::support::http::Client;

fn pluto() -> String {
    guests::built("pluto").display().to_string()
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.local_addr().expect("an address").port()
}

/// Starts eight servers at once, of which one serves; the others' ends. Both ports are free when
/// they start.
fn start_together(shards: &str, arguments: &[&str]) -> Vec<Ended> {
    let hosts: Vec<Host> = (0..8).map(|_| Host::spawn([&["--shards", shards], arguments].concat())).collect();
    let mut threads: Vec<_> = hosts
        .into_iter()
        .map(|host| {
            let pid = host.pid();
            (pid, std::thread::spawn(move || host.wait()))
        })
        .collect();
    let begin = std::time::Instant::now();
    while threads.iter().filter(|(_, thread)| !thread.is_finished()).count() > 1 {
        assert!(begin.elapsed() < host::PATIENCE, "more than one goes on");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let index = threads.iter().position(|(_, thread)| !thread.is_finished()).expect("one serves");
    let (pid, serves) = threads.swap_remove(index);
    let refused = threads.into_iter().map(|(_, thread)| thread.join().expect("it ended")).collect();
    host::signal(pid, "TERM");
    let ended = serves.join().expect("it ended");
    assert!(ended.code == Some(0) && ended.errors.contains("serving "), "{ended:#?}");
    refused
}

/// Of servers that had bound the port before one of them listened, some once ended with exit code
/// 5 and a message of the guest's.
#[test]
fn of_servers_that_start_at_once_on_one_port_one_serves_and_the_others_say_that_it_is_in_use() {
    for round in 0..3 {
        for shards in ["1", "2"] {
            let port = free_port().to_string();
            for ended in start_together(shards, &[&pluto(), &port, "html/", "--no-access-log"]) {
                assert_eq!(ended.code, Some(1), "round {round}: {ended:#?}");
                assert!(ended.errors.contains(&format!("port {port} is in use: stop the program")), "{ended:#?}");
            }
        }
    }
}

#[test]
fn the_same_is_said_of_a_port_that_is_granted_besides() {
    let metrics = free_port().to_string();
    let arguments = ["--grant-port", &metrics, &pluto(), "0", "html/", "--metrics-port", &metrics];
    for ended in start_together("2", &arguments) {
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.errors.contains(&format!("port {metrics} is in use: stop the program")), "{ended:#?}");
    }
}

/// Serves clients and files with so few descriptors, or returns how many it wants.
fn with_descriptors(descriptors: u64, shards: &str) -> Option<u64> {
    let limit = format!("ulimit -n {descriptors} && exec \"$@\"");
    let mut host = Host::by_shell(&limit, ["--shards", shards, &pluto(), "0", "html/"]);
    let line = host.wait_for_error("");
    if line.contains("descriptors, and ") {
        let ended = host.wait();
        assert_eq!((ended.code, ended.errors.lines().count()), (Some(1), 1), "{ended:#?}");
        let needed = line.split("LimitNOFILE=").nth(1).and_then(|rest| rest.split(')').next()).expect("a number");
        return Some(needed.parse().expect("a number"));
    }
    let host = host.serving();
    let mut clients: Vec<Client> = (0..6).map(|_| Client::new(host.connect())).collect();
    let names = fs::read_dir(guests::repository().join("html")).expect("the site").flatten();
    let names: Vec<String> =
        names.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name().display().to_string()).collect();
    for (count, name) in names.iter().filter(|name| !name.starts_with('.')).cycle().take(60).enumerate() {
        let status = clients[count % 6].get(&format!("/{name}")).status;
        assert_eq!(status, 200, "{descriptors} descriptors, {shards} shards: {name}");
    }
    host.signal("TERM");
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    None
}

/// With 16 descriptors it once said that it serves, and answered 503 to everything.
#[test]
fn with_too_few_descriptors_a_server_does_not_start_and_says_how_many_it_needs() {
    for shards in ["1", "2", "8"] {
        let needed: Vec<u64> =
            [8, 16, 20, 40, 64, 80, 100, 200].iter().filter_map(|count| with_descriptors(*count, shards)).collect();
        assert!(needed.len() >= 4, "with 40 descriptors nobody serves: {needed:?}");
        assert_eq!(with_descriptors(needed[0], shards), None, "what it needs is enough");
        assert!(with_descriptors(needed[0] - 1, shards).is_some());
    }
}

/// Also where nobody can read what is wrong.
#[test]
fn closed_standard_streams_are_no_reason_not_to_serve() {
    for close in [">&-", "<&-", "2>&1 >&-"] {
        let port = free_port().to_string();
        let script = format!("exec \"$@\" {close}");
        let host = Host::by_shell(&script, [&pluto(), &port, "html/"]);
        let begin = std::time::Instant::now();
        let client = loop {
            match TcpStream::connect(format!("127.0.0.1:{port}")) {
                Ok(client) => break client,
                Err(error) => assert!(begin.elapsed() < host::PATIENCE, "{close}: {error}"),
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        assert_eq!(Client::new(client).get("/").status, 200, "{close}");
        host.signal("TERM");
        assert_eq!(host.wait().code, Some(0), "{close}");
    }
}
