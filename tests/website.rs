//! The web server on the live world, on both drivers, with real sites.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::Host;
use crate::support::http::{Client, Response};
use crate::support::site;

const DRIVERS: [&str; 2] = ["io-uring", "poll"];

fn serve(driver: &str, root: &Path) -> Host {
    let pluto = guests::built("pluto").display().to_string();
    Host::serve(["--driver", driver, "--log", "off", &pluto, "0", &root.display().to_string()])
}

/// Asks for a file and compares what comes with what is there.
fn arrives(client: &mut Client, root: &Path, file: &Path) {
    let url = site::url(root, file);
    let response = client.get(&url);
    assert_eq!(response.status, 200, "{url}: {}", response.head);
    assert!(response.body == fs::read(file).expect("it is there"), "{url} arrived changed");
    if let Some(expected) = site::content_type(file) {
        assert_eq!(response.field("Content-Type"), Some(expected), "{url}");
    }
}

/// So many files, the same in each run, from all over the list.
fn some(files: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let step = (files.len() / count).max(1);
    let offset = |n: usize| (n.wrapping_mul(2_654_435_761) >> 7) % step;
    (0..files.len() / step).map(|n| files[n * step + offset(n)].clone()).collect()
}

#[test]
fn every_file_of_the_odd_site_arrives_byte_for_byte() {
    for driver in DRIVERS {
        let host = serve(driver, site::odd());
        let mut client = Client::new(host.connect());
        let files = site::files(site::odd());
        assert!(files.len() > 25);
        for file in &files {
            arrives(&mut client, site::odd(), file);
        }
    }
}

/// 2,000 files of the Rust documentation, on one connection and then over 256 at once. Where the
/// toolchain has come without its documentation, the odd site stands in.
#[test]
fn a_large_site_arrives_byte_for_byte_also_over_256_connections() {
    let documentation = site::rust_documentation();
    let root = documentation.as_deref().unwrap_or(site::odd());
    let files = some(&site::files(root), 2_000);
    for driver in DRIVERS {
        let host = serve(driver, root);
        let mut client = Client::new(host.connect());
        for file in &files {
            arrives(&mut client, root, file);
        }
        let mut clients: Vec<Client> = (0..256).map(|_| Client::new(host.connect())).collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for share in clients.chunks_mut(32) {
                scope.spawn(|| {
                    while next.load(Ordering::Relaxed) < files.len() {
                        for client in &mut *share {
                            let index = next.fetch_add(1, Ordering::Relaxed);
                            files.get(index).into_iter().for_each(|file| arrives(client, root, file));
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn thousands_of_idle_clients_and_a_silent_one_delay_nobody() {
    for driver in DRIVERS {
        let host = serve(driver, site::odd());
        let idle: Vec<TcpStream> = (0..2_000).map(|_| host.connect()).collect();
        let mut silent = host.connect();
        silent.write_all(b"GET / HT").expect("it reads");
        let files = site::files(site::odd());
        let mut busy: Vec<Client> = (0..100).map(|_| Client::new(host.connect())).collect();
        for round in 0..10 {
            for (index, client) in busy.iter_mut().enumerate() {
                arrives(client, site::odd(), &files[(round + index) % files.len()]);
            }
        }
        // None of them was forgotten.
        for stream in [&idle[0], &idle[1_999]] {
            let mut client = Client::new(stream.try_clone().expect("a second handle"));
            arrives(&mut client, site::odd(), &files[0]);
        }
        silent.write_all(b"TP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
        assert_eq!(Client::new(silent).response(true).status, 200);
    }
}

fn exchange(host: &Host, pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut client = Client::new(host.connect());
    for piece in pieces {
        client.send(piece);
    }
    // The server may have closed already, after an error.
    let _ = client.stream().shutdown(Shutdown::Write);
    client.rest()
}

/// The date changes from second to second.
fn without_date(response: &[u8]) -> String {
    let text = String::from_utf8_lossy(response);
    text.split_inclusive("\r\n").filter(|line| !line.starts_with("Date:")).collect()
}

#[test]
fn a_request_one_byte_at_a_time_gets_the_same_response() {
    let request = b"GET /a%20b.html HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for driver in DRIVERS {
        let host = serve(driver, site::odd());
        let whole = without_date(&exchange(&host, [request]));
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
        assert_eq!(whole, without_date(&exchange(&host, request.chunks(1))), "{driver}");
    }
}

/// Nobody waits for a client that has said that it is done. What the system has for it by then
/// arrives all the same.
#[test]
fn a_client_that_is_done_and_reads_late_gets_all_of_its_response() {
    let folder = TempDir::new().expect("a folder");
    let content: Vec<u8> = (0..1 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(folder.path().join("a.bin"), &content).expect("it can be written");
    for driver in DRIVERS {
        let host = serve(driver, folder.path());
        let mut client = Client::new(host.connect());
        client.send("GET /a.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        std::thread::sleep(Duration::from_millis(200));
        let response = client.rest();
        assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n") && response.ends_with(&content), "{driver}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_whatever_their_size() {
    let files = site::files(site::odd());
    for driver in DRIVERS {
        let host = serve(driver, site::odd());
        let mut client = Client::new(host.connect());
        let order: Vec<&PathBuf> = (0..200).map(|n| &files[(n * 7) % files.len()]).collect();
        let mut sender = client.stream().try_clone().expect("a second handle");
        let requests: String = order
            .iter()
            .map(|file| format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", site::url(site::odd(), file)))
            .collect();
        std::thread::scope(|scope| {
            scope.spawn(move || sender.write_all(requests.as_bytes()).expect("it reads"));
            for file in &order {
                let Response { status, body, .. } = client.response(true);
                assert_eq!(status, 200);
                assert!(body == fs::read(file).expect("it is there"), "{} out of its turn", file.display());
            }
        });
    }
}

#[test]
fn a_fifo_a_device_and_a_socket_are_not_found_and_do_not_block() {
    let folder = TempDir::new().expect("a folder");
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("a socket");
    // Like /dev/zero, which can be read for ever. Not everybody may make one.
    let device = Command::new("mknod").arg(folder.path().join("device")).args(["c", "1", "5"]).output();
    if !device.as_ref().is_ok_and(|made| made.status.success()) {
        eprintln!("NOT TESTED: a device, which takes the right to make one: {device:?}");
    }
    for driver in DRIVERS {
        let host = serve(driver, folder.path());
        let mut client = Client::new(host.connect());
        for path in ["/fifo", "/socket", "/device", "/nothing"] {
            assert_eq!(client.get(path).status, 404, "{path}");
        }
    }
}

/// A length that was promised and cannot be kept: the client must see that the response is not
/// whole.
#[test]
fn a_file_that_shrinks_while_it_is_sent_cuts_the_connection() {
    for driver in DRIVERS {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("large.bin");
        fs::write(&path, vec![7; 64 << 20]).expect("a file");
        let host = serve(driver, folder.path());
        let mut client = Client::new(host.connect());
        client.send("GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n");
        // Nobody reads yet, so that the server stops in the midst of it.
        std::thread::sleep(Duration::from_millis(300));
        fs::File::options().write(true).open(&path).expect("it is there").set_len(1 << 20).expect("it shrinks");
        let mut received = Vec::new();
        let _ = client.stream().read_to_end(&mut received);
        assert!(received.len() < 64 << 20, "{} bytes", received.len());
        assert_eq!(Client::new(host.connect()).get("/nothing").status, 404, "the server lives on");
    }
}

#[test]
fn a_client_that_leaves_in_the_midst_of_a_response_leaves_nothing_behind() {
    for driver in DRIVERS {
        let host = serve(driver, site::odd());
        let descriptors = || fs::read_dir(format!("/proc/{}/fd", host.pid())).expect("it runs").count();
        // Asked for more than once, the file is kept open and watched: two descriptors that stay,
        // in each shard. So many clients come to all of them.
        for _ in 0..24 {
            let mut client = Client::new(host.connect());
            (0..3).for_each(|_| assert_eq!(client.get("/size/3000000.bin").status, 200));
        }
        std::thread::sleep(Duration::from_millis(100));
        let before = descriptors();
        for _ in 0..100 {
            let mut client = host.connect();
            client.write_all(b"GET /size/3000000.bin HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
            client.read_exact(&mut [0; 100]).expect("it answers");
        }
        let settled = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            descriptors() <= before
        });
        assert!(settled, "{driver}: {before} descriptors before, {} after", descriptors());
    }
}
