//! What an operator does with a running web server: reload it, watch it, read its log.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::guests;
use crate::support::host::{self, Host};
use crate::support::http::Client;

fn pluto() -> String {
    guests::built("pluto").display().to_string()
}

/// What stands for the second port on standard error.
fn second_address(host: &mut Host) -> SocketAddr {
    let line = host.wait_for_error("listening on ");
    let address = line.split("listening on ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    address.parse().expect("a socket address")
}

fn metrics(operator: &mut Client) -> String {
    String::from_utf8(operator.get("/metrics").body).expect("text")
}

fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().expect("a number")
}

#[test]
fn metrics_and_health_are_told_on_a_second_port_that_was_granted() {
    // One shard, which tells of itself at once.
    let pluto = pluto();
    let arguments =
        ["--shards", "1", "--grant-port", "0", &pluto, "0", "html/", "--no-access-log", "--metrics-port", "0"];
    let mut host = Host::serve(arguments);
    let address = second_address(&mut host);
    assert!(address.ip().is_loopback() && address != host.address());
    let mut operator = Client::new(TcpStream::connect(address).expect("it accepts"));
    let health = operator.get("/healthz");
    assert_eq!((health.status, &health.body[..]), (200, &b"ok\n"[..]));
    let mut client = Client::new(host.connect());
    (0..10).for_each(|_| assert_eq!(client.get("/").status, 200));
    assert_eq!(client.get("/metrics").status, 404);
    let page = metrics(&mut operator);
    let value = |name: &str| value(&page, name);
    assert_eq!(value("pluto_http_requests_total{method=\"GET\",code=\"2xx\"}"), 10.0);
    assert_eq!(value("pluto_http_requests_total{method=\"GET\",code=\"4xx\"}"), 1.0);
    assert_eq!(value("pluto_connections_open"), 1.0);
    assert_eq!(value("pluto_http_request_duration_seconds_count"), 11.0);
    assert!(value("pluto_http_request_duration_seconds_sum") > 0.0, "time passes while a request is answered");
    assert!(value("pluto_memory_bytes") >= 65_536.0);
}

/// The memory of the shipped guest, in which futures, allocator and tables are as they are in the
/// sandbox. It once was 8 KB for each client, because a future that is moved into another is in
/// there twice.
#[test]
fn an_idle_client_costs_the_guest_about_a_kilobyte() {
    const CLIENTS: usize = 400;
    let arguments =
        ["--shards", "1", "--grant-port", "0", &pluto(), "0", "html/", "--no-access-log", "--metrics-port", "0"];
    let mut host = Host::serve(arguments);
    let mut operator = Client::new(TcpStream::connect(second_address(&mut host)).expect("it accepts"));
    let connect = || {
        let mut client = Client::new(host.connect());
        assert_eq!(client.get("/").status, 200);
        client
    };
    drop(connect());
    let before = value(&metrics(&mut operator), "pluto_memory_bytes");
    let clients: Vec<Client> = (0..CLIENTS).map(|_| connect()).collect();
    let page = metrics(&mut operator);
    assert_eq!(value(&page, "pluto_connections_open"), CLIENTS as f64);
    let each = (value(&page, "pluto_memory_bytes") - before) / clients.len() as f64;
    assert!(each <= 1_500.0, "{each} bytes for each client");
}

#[test]
fn a_port_that_was_not_granted_or_granted_twice_is_explained() {
    let ended = host::run([&pluto(), "0", "html/", "--metrics-port", "9100"]);
    assert_eq!(ended.code, Some(5), "{ended:#?}");
    assert!(ended.errors.contains("give the host --grant-port 9100"), "{ended:#?}");
    assert_eq!(ended.errors.lines().count(), 2, "it was told once, and nothing was served: {ended:#?}");
    let ended = host::run(["--grant-port", "9100", "--grant-port", "[::1]:9100", &pluto(), "0", "html/"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.errors.contains("port 9100 is granted twice"), "{ended:#?}");
}

/// The web server knows the host's options by name, to say where they belong.
#[test]
fn an_option_of_the_host_behind_the_root_is_told_from_one_that_does_not_exist() {
    let help = host::run(["--help"]).output;
    let own = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let name = line.strip_prefix("-h, ").or(line.strip_prefix("-V, ")).unwrap_or(line);
        name.starts_with("--").then(|| name.split_whitespace().next().expect("a name"))
    });
    let own: Vec<_> = own.filter(|name| *name != "--help").collect();
    assert!(own.len() >= 8, "{help}");
    for name in own {
        let ended = host::run([&pluto(), "0", "html/", name]);
        assert_eq!(ended.code, Some(5), "{name}: {ended:#?}");
        let says = format!("{name} is an option of the host: it stands before the guest's file");
        let advice = "a new option of the host is named in HOST_OPTIONS of guest/pluto/src/options.rs";
        assert!(ended.errors.contains(&says), "{advice}: {}", ended.errors);
    }
}

/// In the host's JSON log each line is an object, and one of the access log is an object in it.
#[test]
fn an_access_log_in_json_stands_in_the_host_s_as_an_object() {
    // One shard, so that the lines are in the order of the requests.
    let host = Host::serve(["--shards", "1", "--log", "json", &pluto(), "0", "html/", "--access-log", "json"]);
    let mut client = Client::new(host.connect());
    client.send("GET /?\"} HTTP/1.1\r\nHost: a\r\nUser-Agent: a\"},{\u{1b}\r\n\r\n");
    assert_eq!(client.response(true).status, 400);
    let mut client = Client::new(host.connect());
    client.send("GET /?a HTTP/1.1\r\nHost: a\r\nUser-Agent: a\"},{\\\r\nConnection: close\r\n\r\n");
    client.rest();
    host.signal("TERM");
    let ended = host.wait();
    let lines: Vec<Value> = ended.output.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let accesses: Vec<_> = lines.iter().map(|line| &line["message"]).filter(|message| message.is_object()).collect();
    assert_eq!(accesses.len(), 2, "{}", ended.output);
    let access = accesses[1];
    assert_eq!(access["user_agent"], "a\"},{\\");
    assert_eq!((&access["method"], &access["target"], &access["status"]), (&"GET".into(), &"/?a".into(), &200.into()));
    assert!(access["duration"].as_f64().is_some_and(|seconds| seconds > 0.0), "{access}");
}

/// 10,000 requests on connections that last, and on new ones, beside 100 reloads: each is
/// answered.
#[test]
fn reloads_under_load_lose_no_request_and_no_connection() {
    let host = Host::serve([pluto().as_str(), "0", "html/", "--no-access-log"]);
    let done = AtomicBool::new(false);
    let (pid, address) = (host.pid(), host.address());
    let connect = move || Client::new(TcpStream::connect(address).expect("it accepts"));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let mut kept = connect();
                    for count in 0..2_500 {
                        let response = match count % 10 {
                            0 => connect().get("/"),
                            _ => kept.get("/index.html"),
                        };
                        assert_eq!(response.status, 200);
                        assert!(response.field("Connection").is_none(), "{}", response.head);
                    }
                })
            })
            .collect();
        let reloading = scope.spawn(|| {
            let mut reloads = 0;
            while reloads < 100 || !done.load(Ordering::Relaxed) {
                host::signal(pid, "HUP");
                reloads += 1;
            }
        });
        clients.into_iter().for_each(|client| client.join().expect("every request is answered"));
        done.store(true, Ordering::Relaxed);
        reloading.join().expect("it can be signalled");
    });
    host::signal(pid, "TERM");
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.output.contains("reloaded: "), "{}", ended.output);
}
