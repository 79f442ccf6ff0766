//! The second port: metrics and health.

use crate::support::{ARGS, get, responses, send, site};
use pluto_sdk::Signal;
use pluto_sdk::contract::Request;
use pluto_sdk::testing::{Outcome, World};
use std::collections::HashMap;
use std::time::Duration;

const PORT: u16 = 9100;

fn serve(options: &[&str]) -> World {
    let mut world = World::new();
    world.grant(PORT);
    site(&mut world);
    world.start(pluto::main, &[&ARGS[..], &["--metrics-port", "9100"], options].concat());
    world.run_until_idle();
    world
}

/// What the second port answers: status, content type, content.
fn ask(world: &mut World, request: &str) -> (u16, String, String) {
    let client = world.connect_to(PORT);
    world.client_sends(client, request);
    world.run_until_idle();
    let found = responses(world.received(client), &[if request.starts_with("HEAD") { "HEAD" } else { "GET" }]);
    assert_eq!(found.len(), 1);
    world.client_ends(client);
    world.run_until_idle();
    (found[0].status, found[0].field("content-type").unwrap_or_default().to_owned(), found[0].text())
}

/// The samples of the metrics page. Each has its family before it, with a text and a type, and
/// stands in it.
fn samples(world: &mut World) -> HashMap<String, f64> {
    let (status, kind, text) = ask(world, &get("/metrics"));
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let mut family = String::new();
    let mut found = HashMap::new();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["#", "HELP", name, _, ..] => {
                assert!(
                    !text[..text.find(line).expect("it is there")].contains(&format!("# HELP {name} ")),
                    "{name} twice"
                );
                family = name.to_owned();
            }
            ["#", "TYPE", name, kind] => {
                assert!(name == family && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            }
            [name, value] => {
                assert!(name.starts_with(&family), "{line} in {family}");
                assert!(found.insert(name.to_owned(), value.parse().expect(line)).is_none(), "{line} twice");
            }
            _ => panic!("{line}"),
        }
    }
    found
}

#[test]
fn what_happens_is_counted() {
    let mut world = serve(&["--head-seconds", "5", "--idle-seconds", "7", "--write-seconds", "60"]);
    world.file("large.bin", vec![b'x'; 1 << 20]);
    let before = samples(&mut world);
    assert!(before["pluto_http_requests_total{method=\"GET\",code=\"2xx\"}"] == 0.0);
    for _ in 0..4 {
        send(&mut world, &[get("/a.txt").as_bytes()]);
    }
    send(&mut world, &[get("/a.txt").replace("GET", "HEAD").as_bytes(), get("/missing").as_bytes()]);
    send(&mut world, &[get("/dir").as_bytes(), get("/").replace("GET", "BREW").as_bytes()]);
    send(&mut world, &[b"\x16\x03\x01"]);
    send(&mut world, &[b"GET /"]);
    let slow = world.connect();
    world.client_takes(slow, 1_000);
    world.client_sends(slow, get("/large.bin"));
    world.advance(Duration::from_secs(70));
    let after = samples(&mut world);
    for (name, value) in [
        ("pluto_http_requests_total{method=\"GET\",code=\"2xx\"}", 5.0),
        ("pluto_http_requests_total{method=\"HEAD\",code=\"2xx\"}", 1.0),
        ("pluto_http_requests_total{method=\"GET\",code=\"3xx\"}", 1.0),
        // What is not there, and half a head.
        ("pluto_http_requests_total{method=\"GET\",code=\"4xx\"}", 2.0),
        ("pluto_http_requests_total{method=\"other\",code=\"5xx\"}", 1.0),
        // Bytes that are no HTTP.
        ("pluto_http_requests_total{method=\"other\",code=\"4xx\"}", 1.0),
        ("pluto_http_requests_refused_total", 2.0),
        ("pluto_http_responses_cut_total", 1.0),
        ("pluto_http_timeouts_total{phase=\"head\"}", 1.0),
        ("pluto_http_timeouts_total{phase=\"write\"}", 1.0),
        ("pluto_http_timeouts_total{phase=\"body\"}", 0.0),
        ("pluto_connections_accepted_total", 9.0),
        ("pluto_connections_open", 0.0),
        ("pluto_connections_max", 10_000.0),
        ("pluto_http_request_duration_seconds_bucket{le=\"0.0001\"}", 10.0),
        ("pluto_http_request_duration_seconds_bucket{le=\"60\"}", 11.0),
        ("pluto_http_request_duration_seconds_bucket{le=\"+Inf\"}", 11.0),
        ("pluto_http_request_duration_seconds_count", 11.0),
        ("pluto_http_request_duration_seconds_sum", 60.0),
        ("pluto_draining", 0.0),
        ("pluto_uptime_seconds", 70.0),
        ("pluto_reloads_total{result=\"success\"}", 0.0),
    ] {
        assert_eq!(after.get(name), Some(&value), "{name} of {after:#?}");
    }
    assert!(after["pluto_http_response_content_bytes_total"] > 20.0);
    assert!(after["pluto_http_timeouts_total{phase=\"idle\"}"] > 0.0);
    assert!(after["pluto_file_cache_hits_total"] >= 2.0 && after["pluto_file_cache_misses_total"] >= 2.0, "{after:#?}");
    world.signal(Signal::Reload);
    world.run_until_idle();
    let after = samples(&mut world);
    assert_eq!((after["pluto_reloads_total{result=\"success\"}"], after["pluto_files_kept"]), (1.0, 0.0));
    assert_eq!(after["pluto_log_lines_lost_total"], 0.0);
    [3, 4].into_iter().for_each(|lines| world.signal(Signal::LogLost(lines)));
    world.run_until_idle();
    assert_eq!(samples(&mut world)["pluto_log_lines_lost_total"], 7.0);
}

fn posts(world: &World) -> usize {
    world.requests().iter().filter(|submission| matches!(submission.request, Request::Post(_))).count()
}

/// A client comes, asks for these paths, and goes.
fn visit(world: &mut World, paths: &[&str]) {
    let client = send(world, &[paths.iter().map(|path| get(path)).collect::<String>().as_bytes()]);
    world.client_ends(client);
    world.run_until_idle();
}

fn serve_besides(shards: &[&[u8]]) -> World {
    let mut world = World::new();
    world.grant(PORT);
    shards.iter().for_each(|&figures| world.shard(figures));
    site(&mut world);
    world.start(pluto::main, &[&ARGS[..], &["--metrics-port", "9100"]].concat());
    world.run_until_idle();
    world
}

/// What the shards have counted is added up, but for what each of them knows of the whole server.
#[test]
fn the_page_tells_the_sum_of_all_shards() {
    let serve_for_a_while = |world: &mut World| {
        visit(world, &["/a.txt", "/missing"]);
        world.signal(Signal::Reload);
        world.advance(Duration::from_secs(3));
    };
    let mut other = serve_besides(&[b""]);
    serve_for_a_while(&mut other);
    let open = other.connect();
    other.advance(Duration::from_secs(1));
    let figures = other.posted().to_vec();
    let mut world = serve_besides(&[&figures, &figures, b"", b"short"]);
    serve_for_a_while(&mut world);
    let samples = samples(&mut world);
    for (name, value) in [
        ("pluto_http_requests_total{method=\"GET\",code=\"2xx\"}", 3.0),
        ("pluto_http_requests_total{method=\"GET\",code=\"4xx\"}", 3.0),
        ("pluto_http_request_duration_seconds_bucket{le=\"+Inf\"}", 6.0),
        ("pluto_http_request_duration_seconds_count", 6.0),
        ("pluto_connections_accepted_total", 5.0),
        ("pluto_connections_open", 2.0),
        ("pluto_connections_max", 10_000.0),
        ("pluto_reloads_total{result=\"success\"}", 1.0),
        ("pluto_uptime_seconds", 3.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} of {samples:#?}");
    }
    assert!(other.is_accepted(open));
}

#[test]
fn figures_are_left_once_a_second_while_there_is_something_new_and_never_by_a_server_of_one_shard() {
    let mut world = serve_besides(&[b""]);
    let first = posts(&world);
    world.advance(Duration::from_secs(100));
    assert_eq!(posts(&world), first, "nothing is new");
    for _ in 0..100 {
        visit(&mut world, &["/a.txt"]);
        world.advance(Duration::from_millis(100));
    }
    assert!((10..=12).contains(&(posts(&world) - first)), "{}", posts(&world) - first);
    world.advance(Duration::from_secs(1));
    let left = world.posted().to_vec();
    let last = posts(&world);
    world.advance(Duration::from_secs(100));
    assert!((posts(&world), world.posted()) == (last, &left[..]), "the last of them was left within a second");
    visit(&mut world, &["/a.txt"]);
    visit(&mut world, &["/a.txt"]);
    world.signal(Signal::Stop);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
    assert!(world.posted() != left, "what came between is left at the end");
    let mut alone = serve(&[]);
    visit(&mut alone, &["/a.txt"]);
    alone.advance(Duration::from_secs(10));
    samples(&mut alone);
    assert_eq!(posts(&alone), 0);
}

#[test]
fn labels_are_from_fixed_sets_whatever_clients_send() {
    let mut world = serve(&[]);
    for method in ["GET", "get", "HEAD", "OPTIONS", "TRACE", "X\"", "A{}", "PROPFIND"] {
        send(&mut world, &[format!("{method} /a HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()]);
    }
    let methods = ["GET", "HEAD", "OPTIONS", "other"].map(|method| format!("method=\"{method}\""));
    for name in samples(&mut world).keys().filter(|name| name.contains("method=")) {
        assert!(methods.iter().any(|method| name.contains(method)), "{name}");
    }
}

#[test]
fn the_second_port_is_http_with_the_same_limits_and_nothing_of_the_site() {
    let mut world = serve(&["--head-seconds", "5"]);
    assert_eq!(ask(&mut world, &get("/healthz")), (200, "text/plain; charset=utf-8".to_owned(), "ok\n".to_owned()));
    assert_eq!(ask(&mut world, &get("/")).2, "/metrics\n/healthz\n");
    for (request, status) in [
        (get("/healthz").replace("GET", "HEAD"), 200),
        (get("/healthz").replace("GET", "POST"), 405),
        (get("/healthz").replace("GET", "OPTIONS"), 204),
        (get("/a.txt"), 404),
        (get("/metrics/"), 404),
        (get("/%6detrics"), 200),
        (get(&format!("/{}", "a".repeat(9_000))), 414),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
    ] {
        assert_eq!(ask(&mut world, &request).0, status, "{request}");
    }
    let slow = world.connect_to(PORT);
    world.client_sends(slow, "GET /metr");
    world.advance(Duration::from_secs(5));
    assert_eq!(responses(world.received(slow), &[])[0].status, 408);
    let log = world.logs().iter().filter(|(_, line)| line.contains("healthz")).count();
    assert_eq!(log, 0, "a look at the health is no line of the access log");
    let client = send(&mut world, &[get("/metrics").as_bytes()]);
    assert_eq!(responses(world.received(client), &[])[0].status, 404, "the site's port knows nothing of it");
}

#[test]
fn the_health_page_tells_of_the_stop_until_the_last_client_has_gone() {
    let mut world = serve(&["--grace-seconds", "8"]);
    let busy = world.connect();
    world.file("large.bin", vec![b'x'; 1 << 20]);
    world.client_takes(busy, 1_000);
    world.client_sends(busy, get("/large.bin"));
    world.run_until_idle();
    world.signal(Signal::Stop);
    assert_eq!(
        ask(&mut world, &get("/healthz")),
        (503, "text/plain; charset=utf-8".to_owned(), "draining\n".to_owned())
    );
    assert_eq!(samples(&mut world)["pluto_draining"], 1.0);
    world.client_takes(busy, 1 << 30);
    world.client_ends(busy);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(0)));
    assert_eq!(world.handles(), 0);
}

#[test]
fn a_port_that_was_not_granted_is_an_error_that_says_what_to_do() {
    let mut world = World::new();
    world.start(pluto::main, &["8000", "html", "--metrics-port", "9100"]);
    world.run_until_idle();
    assert_eq!(world.outcome(), Some(Outcome::Exit(1)));
    let line = &world.logs().last().expect("a line").1;
    assert_eq!(line, "port 9100 was not granted for metrics: give the host --grant-port 9100, before the guest's file");
}
