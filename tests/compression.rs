//! Compression on the fly on a live server, on both drivers. An independent decoder checks what
//! arrives, also while the file changes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::Host;
use crate::support::http::{Client, Response};

/// Replacements of the file while clients ask for it.
const VERSIONS: usize = 12;

/// A page of about 100 KB that says in each line which version it is, all of the same length.
fn page(version: usize) -> Vec<u8> {
    (0..4_000).flat_map(|line| format!("<p>{version:04} {:08x}</p>\n", line * 2_654_435_761_u64).into_bytes()).collect()
}

/// What gzip makes of it: a program that shares nothing with the server.
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip is installed");
    let mut input = gzip.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writer = thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output().expect("gzip ends");
    writer.join().expect("it does not panic").expect("gzip reads");
    assert!(output.status.success(), "gzip finds it broken");
    output.stdout
}

fn get_compressed(client: &mut Client) -> Response {
    client.send("GET /page.html HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    client.response(true)
}

/// Another file in its place, as deployments do it.
fn replace(folder: &Path, version: usize) {
    let new = folder.join("new");
    fs::write(&new, page(version)).expect("a file");
    fs::rename(new, folder.join("page.html")).expect("in its place");
}

#[test]
fn a_file_that_is_replaced_under_load_arrives_compressed_as_it_is_and_under_a_tag_of_its_own() {
    for driver in ["io-uring", "poll"] {
        let folder = TempDir::new().expect("a folder");
        replace(folder.path(), 0);
        let pluto = guests::built("pluto").display().to_string();
        let root = folder.path().display().to_string();
        let host = Host::serve(["--driver", driver, "--log", "off", &pluto, "0", &root, "--compress"]);
        let done = AtomicBool::new(false);
        let done = &done;
        let ask_until_done = move |mut client: Client| {
            let mut found: Vec<Response> = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let response = get_compressed(&mut client);
                assert_eq!(response.status, 200);
                if found.last().is_none_or(|last| last.body != response.body) {
                    found.push(response);
                }
            }
            found
        };
        let found: Vec<Response> = thread::scope(|scope| {
            let clients: Vec<Client> = (0..4).map(|_| Client::new(host.connect())).collect();
            let clients: Vec<_> =
                clients.into_iter().map(|client| scope.spawn(move || ask_until_done(client))).collect();
            let mut client = Client::new(host.connect());
            for version in 1..VERSIONS {
                replace(folder.path(), version);
                // What is sent is no older than a second; until then it is the one before.
                while decoded(&get_compressed(&mut client)) != page(version) {}
            }
            done.store(true, Ordering::Relaxed);
            clients.into_iter().flat_map(|client| client.join().expect("it does not panic")).collect()
        });
        let mut tags: Vec<(String, Vec<u8>)> = Vec::new();
        for response in &found {
            let content = decoded(response);
            let version = String::from_utf8_lossy(&content[3..7]).parse().expect("a version");
            assert!(content == page(version), "one version, and whole");
            // One that was replaced while its digest was made goes out without a tag.
            let Some(tag) = response.field("ETag").map(str::to_owned) else { continue };
            match tags.iter().find(|(other, _)| *other == tag) {
                Some((_, body)) => assert!(*body == response.body, "{driver}: {tag} is of two contents"),
                None => tags.push((tag, response.body.clone())),
            }
        }
        assert!(found.iter().any(|response| response.field("Content-Encoding") == Some("gzip")));
    }
}

fn decoded(response: &Response) -> Vec<u8> {
    match response.field("Content-Encoding") {
        Some("gzip") => gunzip(&response.body),
        Some(other) => panic!("{other}"),
        None => response.body.clone(),
    }
}
