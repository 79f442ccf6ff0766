//! Compression on the fly: what is compressed, for whom, how often, and what becomes of it when
//! the file changes.

use crate::support::{ARGS, Response, ask, get, responses, serve};
use miniz_oxide::inflate::decompress_to_vec;
use pluto::limits::{
    COMPRESSED_BYTES_MAX, COMPRESSED_ENTRY_BYTES, COMPRESSED_FILE_BYTES_MAX, COMPRESSED_FILE_BYTES_MIN,
    COMPRESSED_MILLIS_MIN, COMPRESSED_PIECE_BYTES, COMPRESSIONS_WAITING_MAX, GATHER_BYTES_MAX,
};
use pluto_sdk::testing::contract::{Accepted, Digested, IpAddress, Opened, SocketAddress};
use pluto_sdk::testing::{Answer, Guest, Reply, Request, Submission, World};
use pluto_sdk::{Error, Kind, Metadata, Part};
use std::collections::VecDeque;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_128;

/// So many bytes of text, another one for each seed.
fn text(bytes: u64, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let words = ["lorem ", "ipsum ", "dolor ", "sit ", "amet\n", "consectetur ", "<p>", "</p>\n"];
    let mut text = format!("{seed} ").into_bytes();
    while (text.len() as u64) < bytes {
        text.extend_from_slice(random.choice(words).unwrap_or_default().as_bytes());
    }
    text.truncate(bytes as usize);
    text
}

/// What no compression makes shorter.
fn noise(bytes: u64, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(bytes as usize).collect()
}

/// What compression makes a third shorter.
fn letters(bytes: u64, seed: u64) -> Vec<u8> {
    noise(bytes, seed).iter().map(|byte| b'a' + byte % 26).collect()
}

fn decoded(response: &Response) -> Vec<u8> {
    match response.field("Content-Encoding") {
        Some("gzip") => {
            // Ten bytes before, eight behind: the CRC and the length.
            let end = response.content.len() - 8;
            let content = decompress_to_vec(&response.content[10..end]).expect("gzip");
            assert_eq!(response.content[end..end + 4], crc32fast::hash(&content).to_le_bytes());
            content
        }
        None => response.content.clone(),
        Some(other) => panic!("{other}"),
    }
}

fn request(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

fn accepting(world: &mut World, target: &str, accepted: &str) -> Response {
    ask(world, request("GET", target, &format!("Accept-Encoding: {accepted}")))
}

/// How often a file was read to be compressed, in pieces.
fn reads(world: &World) -> usize {
    world.requests().iter().filter(|sent| matches!(sent.request, Request::ReadFile(_))).count()
}

#[test]
fn what_a_client_gets_is_negotiated_as_with_files_beside_it() {
    let mut world = serve(&["--compress"]);
    for name in ["app.js", "both.js", "none.js"] {
        world.file(name, text(20_000, 1));
    }
    world.file("both.js.br", "brotli");
    world.file("none.js.gz", "sidecar");
    for _ in 0..4 {
        for (target, accepted, status, coding) in [
            ("/app.js", "gzip", 200, Some("gzip")),
            ("/app.js", "x-gzip", 200, Some("gzip")),
            ("/app.js", "gzip, deflate, br, zstd", 200, Some("gzip")),
            ("/app.js", "*", 200, Some("gzip")),
            ("/app.js", "br", 200, None),
            ("/app.js", "", 200, None),
            ("/app.js", "gzip;q=0", 200, None),
            ("/app.js", "identity, gzip;q=0.5", 200, None),
            ("/app.js", "identity;q=0.5, gzip;q=0.5", 200, Some("gzip")),
            ("/app.js", "gzip, identity;q=0", 200, Some("gzip")),
            ("/app.js", "br, *;q=0", 406, None),
            ("/both.js", "gzip;q=0.9, br", 200, Some("br")),
            ("/both.js", "gzip, br", 200, Some("br")),
            ("/both.js", "gzip, br;q=0.9", 200, Some("gzip")),
        ] {
            let response = accepting(&mut world, target, accepted);
            assert_eq!((response.status, response.field("Content-Encoding")), (status, coding), "{target} {accepted}");
            if coding != Some("br") && status == 200 {
                assert!(decoded(&response) == text(20_000, 1), "{target} {accepted}");
                assert_eq!(response.field("Vary"), Some("Accept-Encoding"));
                assert_eq!(response.content.len() < 20_000, coding.is_some());
            }
        }
        assert_eq!(accepting(&mut world, "/none.js", "gzip").text(), "sidecar");
        assert_eq!(ask(&mut world, get("/app.js")).content, text(20_000, 1));
        let old = ask(&mut world, "GET /app.js HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
        assert!(old.field("Content-Encoding") == Some("gzip") && decoded(&old) == text(20_000, 1));
        // Also when it is opened again.
        world.advance(Duration::from_millis(600));
    }
}

#[test]
fn what_is_compressed_depends_on_type_and_length_and_on_what_comes_of_it() {
    let (min, max) = (COMPRESSED_FILE_BYTES_MIN, COMPRESSED_FILE_BYTES_MAX);
    let mut world = serve(&["--compress"]);
    for (name, content, compressed) in [
        ("a.html", text(9_000, 1), true),
        ("a.css", text(9_000, 2), true),
        ("a.svg", text(9_000, 3), true),
        ("a.json", text(9_000, 4), true),
        ("a.wasm", text(9_000, 5), true),
        ("a.xml", text(9_000, 6), true),
        ("LICENSE", text(9_000, 7), true),
        ("a.png", text(9_000, 8), false),
        ("a.woff2", text(9_000, 9), false),
        ("a.js.gz", text(9_000, 10), false),
        ("noise.txt", noise(9_000, 11), false),
        ("empty.txt", Vec::new(), false),
        ("short.txt", text(min - 1, 12), false),
        ("least.txt", text(min, 13), true),
        ("piece.txt", text(COMPRESSED_PIECE_BYTES, 14), true),
        ("pieces.txt", text(COMPRESSED_PIECE_BYTES + 1, 15), true),
        ("greatest.txt", text(max, 16), true),
        ("long.txt", text(max + 1, 17), false),
    ] {
        world.file(name, content.clone());
        for time in 0..3 {
            let response = accepting(&mut world, &format!("/{name}"), "gzip");
            assert_eq!(response.field("Content-Encoding").is_some(), compressed, "{name} {time}");
            assert!(decoded(&response) == content, "{name} {time}");
        }
    }
}

#[test]
fn nothing_is_compressed_unless_it_is_wanted() {
    let mut world = serve(&[]);
    world.file("app.js", text(9_000, 1));
    for _ in 0..3 {
        assert_eq!(accepting(&mut world, "/app.js", "gzip").field("Content-Encoding"), None);
    }
    assert_eq!(reads(&world), 0);
}

#[test]
fn what_is_compressed_has_a_tag_and_parts_of_its_own() {
    let mut world = serve(&["--compress"]);
    world.file("app.js", letters(200_000, 1));
    for _ in 0..3 {
        let plain = ask(&mut world, get("/app.js"));
        let full = accepting(&mut world, "/app.js", "gzip");
        assert!(full.content.len() > GATHER_BYTES_MAX, "in several writes");
        let tag = full.field("ETag").expect("a tag").to_owned();
        assert!(tag.starts_with('"') && Some(&*tag) != plain.field("ETag"), "{tag}");
        assert_eq!(full.field("Last-Modified"), plain.field("Last-Modified"));
        assert_eq!(full.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        let with = |fields: &str| request("GET", "/app.js", &format!("Accept-Encoding: gzip\r\n{fields}"));
        let head = ask(&mut world, request("HEAD", "/app.js", "Accept-Encoding: gzip"));
        assert_eq!(head.fields, full.fields);
        let same = ask(&mut world, with(&format!("If-None-Match: {tag}")));
        assert_eq!((same.status, same.field("ETag"), same.field("Vary")), (304, Some(&*tag), Some("Accept-Encoding")));
        let other = ask(&mut world, with(&format!("If-None-Match: {}", plain.field("ETag").expect("a tag"))));
        assert_eq!(other.status, 200);
        let part = ask(&mut world, with(&format!("Range: bytes=1000-40999\r\nIf-Range: {tag}")));
        assert_eq!((part.status, part.field("Content-Encoding")), (206, Some("gzip")));
        assert!(part.content == full.content[1_000..41_000], "a range of what is compressed");
        let last = ask(&mut world, with("Range: bytes=-1"));
        assert_eq!((last.status, &last.content[..]), (206, &full.content[full.content.len() - 1..]));
        let parts = ask(&mut world, with("Range: bytes=0-0,2-2"));
        assert!(parts.status == 200 && parts.content == full.content, "all, for several ranges");
        let stale = ask(&mut world, with("Range: bytes=0-0\r\nIf-Range: \"other\""));
        assert!(stale.status == 200 && stale.content == full.content);
        assert_eq!(ask(&mut world, with("Range: bytes=1000000-")).status, 416);
        assert_eq!(ask(&mut world, with("If-Match: \"other\"")).status, 412);
        world.advance(Duration::from_millis(600));
    }
}

#[test]
fn many_clients_at_once_have_a_file_compressed_once() {
    let mut world = serve(&["--compress"]);
    let content = text(3 * COMPRESSED_PIECE_BYTES, 1);
    world.file("app.js", content.clone());
    let crowd = COMPRESSIONS_WAITING_MAX + 20;
    let clients: Vec<_> = (0..crowd).map(|_| world.connect()).collect();
    for &client in &clients {
        world.client_sends(client, request("GET", "/app.js", "Accept-Encoding: gzip").repeat(2));
    }
    world.run_until_idle();
    let mut compressed = 0;
    for &client in &clients {
        let found = responses(world.received(client), &[]);
        assert!(found.len() == 2 && found.iter().all(|response| decoded(response) == content));
        compressed += usize::from(found[0].field("Content-Encoding").is_some());
    }
    assert!(compressed >= COMPRESSIONS_WAITING_MAX, "who cannot wait gets the file as it is: {compressed}");
    assert_eq!(reads(&world), 3, "it is read once");
    // As long as the file is the same, also when it is opened again, or the server has never kept
    // it.
    for _ in 0..20 {
        world.advance(Duration::from_millis(300));
        assert_eq!(accepting(&mut world, "/app.js", "gzip").field("Content-Encoding"), Some("gzip"));
    }
    assert_eq!(reads(&world), 3);
}

#[test]
fn a_file_that_is_not_worth_it_is_not_tried_again() {
    let mut world = serve(&["--compress"]);
    world.file("noise.txt", noise(9_000, 1));
    for _ in 0..20 {
        world.advance(Duration::from_millis(300));
        assert_eq!(accepting(&mut world, "/noise.txt", "gzip").field("Content-Encoding"), None);
        assert_eq!(accepting(&mut world, "/noise.txt", "gzip, identity;q=0").status, 406);
    }
    assert_eq!(reads(&world), 1);
}

#[test]
fn a_file_that_is_replaced_is_compressed_anew() {
    let mut world = serve(&["--compress"]);
    let mut tags = Vec::new();
    for round in 0..6 {
        // The last ones are as long as each other, and one comes back.
        let content = text(9_000 + 100 * u64::min(round, 3), round % 5);
        if round % 2 == 0 {
            world.file("a.js", content.clone());
        } else {
            world.overwrite("a.js", content.clone());
        }
        for _ in 0..3 {
            let response = accepting(&mut world, "/a.js", "gzip");
            assert_eq!(response.field("Content-Encoding"), Some("gzip"));
            assert!(decoded(&response) == content, "round {round}");
            tags.push(response.field("ETag").expect("a tag").to_owned());
        }
    }
    tags.dedup();
    assert_eq!(tags.len(), 6, "{tags:?}");
}

/// A file that changes while it is compressed, in a way that its metadata do not show: nothing of
/// it is sent under the tag that was found before.
#[test]
fn what_is_read_is_compared_with_what_the_tag_speaks_of() {
    let before = text(40_000, 1);
    let mut changed = before.clone();
    changed[39_000] ^= 1;
    for (read, compressed) in [(&before, true), (&changed, false), (&before[..39_000].to_vec(), false)] {
        let written = conversation(&before, read);
        assert_eq!(written.iter().any(|part| matches!(part, Part::File(_))), !compressed);
        let Part::Bytes(head) = &written[0] else { panic!("a head first: {written:?}") };
        let head = String::from_utf8_lossy(head);
        assert_eq!(head.contains("Content-Encoding: gzip"), compressed, "{head}");
        assert!(head.contains(&format!("ETag: \"{:032x}", xxh3_128(&before))), "{head}");
        assert_eq!(head.contains(&format!("ETag: \"{:032x}\"", xxh3_128(&before))), !compressed, "{head}");
    }
}

/// What a client is sent that asks for a file which was `digested` when it was opened, and is
/// `read` afterwards.
fn conversation(digested: &[u8], read: &[u8]) -> Vec<Part> {
    let (mut guest, turn) = Guest::start(pluto::main, &[&ARGS[..], &["--compress"]].concat(), 0);
    let (mut waiting, mut written) = (VecDeque::from(turn.requests), Vec::new());
    let peer = SocketAddress { address: IpAddress::Ipv4((192, 0, 2, 7)), port: 40_000 };
    let size = digested.len() as u64;
    let (digest, modified, changed) = (xxh3_128(digested), 5, 6);
    let mut asks = Some(request("GET", "/a.js", "Accept-Encoding: gzip"));
    let mut time = 0;
    while let Some(Submission { id, request }) = waiting.pop_front() {
        let replies = match request {
            Request::Listen(_) => {
                vec![Reply::Listening(8000), Reply::Accepted(Accepted { connection: 1, peer })]
            }
            Request::Read(_) => asks.take().map(|bytes| Reply::Data(bytes.into_bytes())).into_iter().collect(),
            Request::Open(open) if open.path == b"a.js" => {
                let metadata = Metadata { kind: Kind::Regular, size, modified, changed, inode: 7 };
                vec![Reply::Opened(Opened { file: 1 << 41 | id, metadata })]
            }
            Request::Open(_) => vec![Reply::Failed(Error::NotFound)],
            Request::Digest(_) => {
                let digest = ((digest >> 64) as u64, digest as u64);
                vec![Reply::Digested(Digested { digest, size, modified, changed })]
            }
            Request::ReadFile(range) => {
                let end = read.len().min((range.offset + range.length) as usize);
                vec![Reply::Data(read[end.min(range.offset as usize)..end].to_vec())]
            }
            Request::Write(write) => {
                written.extend(write.parts);
                vec![Reply::Written(1)]
            }
            _ => Vec::new(),
        };
        for reply in replies {
            time += 1;
            waiting.extend(guest.turn(time, vec![Answer { id, reply }]).requests);
        }
    }
    written
}

/// Whoever asks for more than there is room for has the server compress no more than that, until
/// what is there has got old.
#[test]
fn what_is_kept_is_bounded_and_so_is_what_is_compressed_in_a_time() {
    let mut world = serve(&["--compress"]);
    let least = COMPRESSED_FILE_BYTES_MAX as usize / 2 + COMPRESSED_ENTRY_BYTES;
    let count = COMPRESSED_BYTES_MAX / least;
    (0..count).for_each(|n| world.file(format!("{n}.txt"), letters(COMPRESSED_FILE_BYTES_MAX, n as u64)));
    let sent = |world: &mut World, n: usize| {
        let response = accepting(world, &format!("/{n}.txt"), "gzip");
        response.field("Content-Encoding").map(|_| response.content.len())
    };
    let compressed: Vec<_> = (0..count).map_while(|n| sent(&mut world, n)).collect();
    let kept = compressed.len();
    assert!(kept > 10 && kept < count, "{kept} of {count} have found room");
    assert!(compressed.iter().sum::<usize>() + kept * COMPRESSED_ENTRY_BYTES <= COMPRESSED_BYTES_MAX);
    let before = reads(&world);
    assert!(sent(&mut world, 0).is_some() && sent(&mut world, count - 1).is_none());
    assert_eq!(reads(&world), before, "the first is kept, and the last not tried");
    assert_eq!(accepting(&mut world, "/missing", "gzip").status, 404);

    world.advance(Duration::from_millis(COMPRESSED_MILLIS_MIN));
    assert!(sent(&mut world, count - 1).is_some(), "in the place of the first");
    let before = reads(&world);
    assert!(sent(&mut world, kept - 1).is_some());
    assert_eq!(reads(&world), before, "of which the last is still there");
    assert!(sent(&mut world, 0).is_some());
    assert!(reads(&world) > before, "the first is compressed again");
}

/// Compressed bytes that a client does not take are counted as long as they are there.
#[test]
fn clients_that_read_nothing_cost_the_others_compression_and_not_memory() {
    let mut world = serve(&["--compress"]);
    let count = 2 * COMPRESSED_BYTES_MAX / COMPRESSED_FILE_BYTES_MAX as usize;
    let mut stalled = Vec::new();
    for n in 0..count {
        world.file(format!("{n}.txt"), letters(COMPRESSED_FILE_BYTES_MAX, n as u64));
        let client = world.connect();
        world.client_takes(client, 1_000);
        world.client_sends(client, request("GET", &format!("/{n}.txt"), "Accept-Encoding: gzip"));
        world.run_until_idle();
        stalled.push(client);
        if n % 8 == 7 {
            // They are given up after 75 s.
            world.advance(Duration::from_secs(7));
        }
    }
    world.file("new.txt", text(COMPRESSED_FILE_BYTES_MAX, 1));
    assert_eq!(accepting(&mut world, "/new.txt", "gzip").field("Content-Encoding"), None, "there is no room");
    world.advance(Duration::from_secs(76));
    assert!(stalled.iter().all(|client| world.is_closed(*client)));
    assert_eq!(accepting(&mut world, "/new.txt", "gzip").field("Content-Encoding"), Some("gzip"));
}
