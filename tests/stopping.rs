//! How a run ends: by the guest, by the operator, by a second Ctrl-C.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::guests;
use crate::support::host::{self, Host};

fn serve(guest: &str) -> Host {
    Host::serve([guests::built(guest).display().to_string().as_str(), "0", "html/"])
}

#[test]
fn hello_world_logs_its_two_lines_and_ends() {
    let ended = host::run([guests::built("hello").display().to_string().as_str(), "0"]);
    assert_eq!((ended.code, ended.output.as_str(), ended.errors.as_str()), (Some(0), "Hello,\nworld!\n", ""));
}

#[test]
fn log_lines_can_be_json_or_off() {
    let hello = guests::built("hello").display().to_string();
    let json = host::run(["--log", "json", &hello, "0"]).output;
    let lines: Vec<&str> = json.lines().collect();
    assert_eq!(lines.len(), 2, "{json}");
    assert!(lines[0].ends_with(r#","level":"info","message":"Hello,"}"#), "{json}");
    assert_eq!(host::run(["--log", "off", &hello, "0"]).output, "");
    assert_eq!(host::run(["--log-level", "warn", &hello, "0"]).output, "");
}

#[test]
fn idle_servers_stop_at_once_with_exit_code_0() {
    for signal in ["INT", "TERM"] {
        for guest in ["echo", "pluto"] {
            let host = serve(guest);
            host.signal(signal);
            let ended = host.wait();
            assert_eq!(ended.code, Some(0), "{guest}, {signal}: {ended:#?}");
        }
    }
}

#[test]
fn a_guest_that_did_not_ask_for_signals_is_stopped_with_exit_code_0() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("guest.wasm");
    // Listens, and waits for clients for ever.
    let guest = "(call $submit (i32.const 0) (i64.const 42949672960) (i64.const 0) (i64.const 0))
        (loop $forever (drop (call $answer)) (br $forever)) unreachable";
    std::fs::write(&path, guests::run(guest)).expect("a file");
    let host = Host::serve(["--no-cache", &path.display().to_string(), "0"]);
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
}

/// A client of the echo server that sends without reading, until the server can take no more: an
/// answer is under way.
fn busy_client(host: &Host) -> TcpStream {
    let mut client = host.connect();
    client.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    while client.write_all(&bytes).is_ok() {}
    client
}

#[test]
fn what_is_under_way_is_finished_and_new_clients_are_refused() {
    let host = serve("echo");
    let mut client = busy_client(&host);
    host.signal("TERM");
    host.wait_until_it_refuses();
    let mut back = Vec::new();
    client.read_to_end(&mut back).expect("the answer goes on to its end");
    assert!(back.len() > 100_000, "{} bytes", back.len());
    let wrong = back.chunks_exact(4).zip((0..1_000_000_u32).cycle()).position(|(bytes, n)| bytes != n.to_le_bytes());
    assert_eq!(wrong, None);
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let host = serve("echo");
        let _client = busy_client(&host);
        host.signal(signal);
        // Two signals that come together are one: the first must have been obeyed.
        host.wait_until_it_refuses();
        host.signal(signal);
        assert_eq!(host.wait().code, Some(code));
    }
}

#[test]
fn a_port_is_free_again_at_once() {
    let first = serve("echo");
    let port = first.address().port().to_string();
    let mut client = first.connect();
    client.write_all(b"x").expect("it reads");
    client.read_exact(&mut [0; 1]).expect("it answers");
    drop(client);
    first.signal("TERM");
    assert_eq!(first.wait().code, Some(0));
    let second = Host::serve([guests::built("echo").display().to_string().as_str(), &port]);
    assert_eq!(second.address().port().to_string(), port);
}

#[test]
fn nobody_reading_the_log_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(host::command())
        .args([guests::built("hello").display().to_string().as_str(), "0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// A log that nobody takes from its pipe must not stop the server.
#[test]
fn a_reader_of_the_log_who_does_not_read_delays_no_client() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut child = Command::new(host::command())
        .args([guests::built("pluto").display().to_string().as_str(), "0", "html/"])
        .current_dir(guests::repository())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("it says where it serves");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let mut client = crate::support::http::Client::new(TcpStream::connect(address).expect("it accepts"));
    client.stream().set_read_timeout(Some(host::PATIENCE)).expect("a timeout");
    for _ in 0..20_000 {
        assert_eq!(client.get("/").status, 200);
    }
    let mut log = child.stdout.take().expect("piped");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).expect("text");
        text
    });
    assert_eq!(client.get("/last").status, 404);
    host::signal(child.id(), "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let text = reading.join().expect("it reads");
    assert!(text.contains("lines of the log were lost"), "{} bytes of log and none lost", text.len());
}
