//! A disk that stalls delays only the clients that ask for what is on it.
//!
//! When a shard itself waited for its disk, each of these stalls ended the server after five
//! seconds: "the guest was ended: […] an endless loop?".

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::guests;
use crate::support::host::Host;
use crate::support::http::{Client, Response};
use crate::support::slow_disk::{Files, Operation, SlowDisk};

/// How long a slow call takes: longer than a guest's turn may, which is 5 s.
const STALL: Duration = Duration::from_secs(7);

/// How long the others may wait for an answer: they need a few milliseconds, on a machine that is
/// not busy.
const QUICK: Duration = Duration::from_secs(1);

const DRIVERS: [&str; 2] = ["io-uring", "poll"];

/// The sizes of slow files: one that the host reads, and one that the system sends.
const SIZES: [usize; 2] = [5, 300_000];

fn content(size: usize) -> Vec<u8> {
    (0..size as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

/// Runs a test with each driver, at the same time, for each takes a while.
fn with_each_driver(test: impl Fn(&str) + Sync) {
    std::thread::scope(|scope| {
        for driver in DRIVERS {
            scope.spawn(|| test(driver));
        }
    });
}

fn serve(driver: &str, disk: &SlowDisk, options: &[&str]) -> Host {
    let (guest, root) = (guests::built("pluto").display().to_string(), disk.path().display().to_string());
    Host::serve([&["--driver", driver, "--shards", "1", &guest, "0", &root], options].concat())
}

/// Waits until so many slow calls are under way.
fn wait_for_calls(disk: &SlowDisk, count: usize) {
    let begin = Instant::now();
    while disk.waiting() < count {
        assert!(begin.elapsed() < STALL, "{} of {count} slow calls are under way", disk.waiting());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Asks for the page and for another file again and again, until `ends`; the longest that one
/// took.
fn ask_meanwhile(host: &Host, ends: impl Fn() -> bool) -> Duration {
    let mut client = Client::new(host.connect());
    let (mut longest, mut count) = (Duration::ZERO, 0);
    while !ends() {
        for path in ["/", "/other.txt", "/missing"] {
            let begin = Instant::now();
            let response = client.get(path);
            longest = longest.max(begin.elapsed());
            assert!(longest < QUICK, "{path} took {longest:?}, after {count} answers");
            assert_eq!(response.status, if path == "/missing" { 404 } else { 200 }, "{path}: {}", response.head);
            count += 1;
        }
        // Also what the guest looks at now and then is to come by.
        std::thread::sleep(Duration::from_millis(20));
    }
    longest
}

/// Asks for a path; also how long that took.
fn timed(client: TcpStream, path: &str) -> (Response, Duration) {
    let begin = Instant::now();
    let response = Client::new(client).get(path);
    (response, begin.elapsed())
}

/// Has clients of their own ask for each of these slow files, while another asks for quick ones:
/// each gets all of its file, and the host ends well.
fn stalls(driver: &str, operation: Operation) {
    let mut files = Files::default().quick("index.html", "<p>quick</p>").quick("other.txt", "quick");
    for size in SIZES {
        files = files.slow(&format!("{size}.bin"), content(size), operation, STALL);
    }
    let Some(disk) = files.mount() else { return };
    let host = serve(driver, &disk, &[]);
    let longest = std::thread::scope(|scope| {
        let slow = SIZES.map(|size| {
            let client = host.connect();
            (size, scope.spawn(move || timed(client, &format!("/{size}.bin"))))
        });
        // A slow `close` begins when the answer is there.
        wait_for_calls(&disk, SIZES.len());
        let begin = Instant::now();
        let longest =
            ask_meanwhile(&host, || begin.elapsed() > STALL && slow.iter().all(|(_, client)| client.is_finished()));
        for (size, client) in slow {
            let (response, time) = client.join().expect("it is answered");
            assert_eq!((response.status, response.body.len()), (200, size), "{operation:?}: {}", response.head);
            assert!(response.body == content(size), "{operation:?}: other bytes");
            assert!(operation == Operation::Close || time >= STALL, "{operation:?} took {time:?}: it is not slow");
        }
        longest
    });
    eprintln!("{driver}, {operation:?}: others waited {longest:?} at most");
    host.signal("TERM");
    let ended = host.wait();
    assert_eq!(ended.code, Some(0), "{operation:?}: {ended:#?}");
}

#[test]
fn a_stalled_lookup_keeps_no_other_client_waiting() {
    with_each_driver(|driver| stalls(driver, Operation::Lookup));
}

#[test]
fn stalled_attributes_keep_no_other_client_waiting() {
    with_each_driver(|driver| stalls(driver, Operation::Attributes));
}

#[test]
fn a_stalled_open_keeps_no_other_client_waiting() {
    with_each_driver(|driver| stalls(driver, Operation::Open));
}

#[test]
fn a_stalled_read_keeps_no_other_client_waiting() {
    with_each_driver(|driver| stalls(driver, Operation::Read));
}

#[test]
fn a_stalled_close_keeps_no_other_client_waiting() {
    with_each_driver(|driver| stalls(driver, Operation::Close));
}

#[test]
fn a_listing_that_stalls_keeps_no_other_client_waiting() {
    with_each_driver(|driver| {
        let files = Files::default()
            .quick(".pluto.toml", "directory-listing = true\n")
            .quick("other.txt", "quick")
            .slow("slow.txt", "slow", Operation::Attributes, STALL);
        let Some(disk) = files.mount() else { return };
        let host = serve(driver, &disk, &[]);
        let mut client = Client::new(host.connect());
        std::thread::scope(|scope| {
            let stream = host.connect();
            let listing = scope.spawn(move || timed(stream, "/"));
            wait_for_calls(&disk, 1);
            while !listing.is_finished() {
                for (path, status) in [("/other.txt", 200), ("/missing", 404)] {
                    let begin = Instant::now();
                    assert_eq!(client.get(path).status, status, "{driver}: {path}");
                    assert!(begin.elapsed() < QUICK, "{driver}: {path} took {:?}", begin.elapsed());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let (response, time) = listing.join().expect("it is answered");
            let page = String::from_utf8(response.body).expect("text");
            assert_eq!(response.status, 200, "{driver}: {page}");
            assert!(page.contains("slow.txt") && page.contains("other.txt"), "{driver}: {page}");
            assert!(time >= STALL, "{driver}: it took {time:?}: it is not slow");
        });
        host.signal("TERM");
        let ended = host.wait();
        assert_eq!(ended.code, Some(0), "{driver}: {ended:#?}");
    });
}

/// The disk of this test lets go of calls that are interrupted. The system keeps a process until
/// its last call has ended, so a disk that does not let go keeps the process, too.
#[test]
fn a_host_ends_while_its_disk_stalls() {
    for operation in [Operation::Lookup, Operation::Attributes, Operation::Open, Operation::Read] {
        with_each_driver(|driver| {
            let mut files = Files::default().quick("index.html", "<p>quick</p>");
            for size in SIZES {
                files = files.slow(&format!("{size}.bin"), content(size), operation, 10 * STALL);
            }
            let Some(disk) = files.mount() else { return };
            let host = serve(driver, &disk, &["--grace-seconds", "1"]);
            let mut clients: Vec<Client> = SIZES.iter().map(|_| Client::new(host.connect())).collect();
            for (client, size) in clients.iter_mut().zip(SIZES) {
                client.send(format!("GET /{size}.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            }
            wait_for_calls(&disk, SIZES.len());
            let begin = Instant::now();
            host.signal("TERM");
            let ended = host.wait();
            let time = begin.elapsed();
            assert_eq!(ended.code, Some(0), "{driver}, {operation:?}: {ended:#?}");
            assert!(time < Duration::from_secs(3), "{driver}, {operation:?}: it took {time:?} to end");
        });
    }
}
