//! Conditional requests and parts of files, as clients see them: the response's status, fields and
//! content.

use crate::support::{Response, ask, get, get_response, responses, send, serve};
use pluto::limits::PIECE_BYTES_START;
use pluto_http::limits::RANGES_MAX;
use pluto_sdk::testing::{Request, World};
use std::time::Duration;

/// A GET request with further lines, each ended by a semicolon.
fn request(target: &str, lines: &str) -> String {
    get(target).replace("\r\n\r\n", &format!("\r\n{}\r\n", lines.replace(';', "\r\n")))
}

fn with(world: &mut World, target: &str, lines: &str) -> Response {
    ask(world, request(target, lines))
}

fn tag(world: &mut World, target: &str) -> String {
    get_response(world, target).field("ETag").expect("a tag").to_owned()
}

/// The parts of a `multipart/byteranges`, each with the first byte, the last and the whole length
/// that it names. Read as RFC 2046 §5.1.1 says, and strictly.
fn parts(response: &Response) -> Vec<(u64, u64, u64, Vec<u8>)> {
    let boundary = response.field("Content-Type").and_then(|it| it.strip_prefix("multipart/byteranges; boundary="));
    let delimiter = format!("\r\n--{}", boundary.expect("several parts"));
    let mut rest = [b"\r\n", &response.content[..]].concat();
    let mut found = Vec::new();
    loop {
        rest.drain(
            ..rest.windows(delimiter.len()).position(|bytes| bytes == delimiter.as_bytes()).expect("a boundary"),
        );
        rest.drain(..delimiter.len());
        if rest == b"--\r\n" {
            return found;
        }
        let head_end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the head of a part");
        let head = String::from_utf8(rest[..head_end].to_vec()).expect("text");
        let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: bytes ")).expect("a range");
        let numbers: Vec<u64> = range.split(['-', '/']).map(|number| number.parse().expect("a number")).collect();
        let length = (numbers[1] - numbers[0] + 1) as usize;
        let content = rest[head_end + 4..head_end + 4 + length].to_vec();
        assert!(rest[head_end + 4 + length..].starts_with(delimiter.as_bytes()), "a part is as long as it says");
        found.push((numbers[0], numbers[1], numbers[2], content));
        rest.drain(..head_end + 4 + length);
    }
}

#[test]
fn a_tag_is_of_the_content_and_of_nothing_else() {
    let mut world = serve(&[]);
    let before = tag(&mut world, "/a.txt");
    assert!(before.starts_with('"') && before.ends_with('"') && before.len() > 16, "a strong one: {before}");
    world.file("same.txt", "alpha");
    assert_eq!(tag(&mut world, "/same.txt"), before);
    world.set_modified("a.txt", 1_000_000_000);
    assert_eq!(tag(&mut world, "/a.txt"), before);
    // As long, with the same time, and in place: what containers and Nix do.
    world.overwrite("a.txt", "ALPHA");
    world.set_modified("a.txt", 1_000_000_000);
    assert_ne!(tag(&mut world, "/a.txt"), before);
    world.overwrite("a.txt", "alpha");
    assert_eq!(tag(&mut world, "/a.txt"), before, "what comes back is the same again");
}

#[test]
fn a_file_is_digested_once() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; 5 << 20]);
    world.advance(Duration::from_secs(10));
    let digests = |world: &World| {
        world.requests().iter().filter(|submission| matches!(submission.request, Request::Digest(_))).count()
    };
    for round in 0..20 {
        assert_eq!(get_response(&mut world, "/large.bin").status, 200);
        assert_eq!(digests(&world), 1, "in round {round}");
        world.advance(Duration::from_secs(1));
    }
    world.overwrite("large.bin", vec![b'y'; 5 << 20]);
    assert_eq!(get_response(&mut world, "/large.bin").status, 200);
    assert_eq!(digests(&world), 2);
}

/// The world in which a long file is asked for, from the first response to the one that has a tag.
fn until_there_is_a_tag(world: &mut World, path: &str) -> String {
    let head = |world: &mut World| ask(world, get(path).replace("GET", "HEAD"));
    for step in 0..1_000 {
        if let Some(tag) = head(world).field("ETag") {
            assert!(step > 0, "the first response does not wait for it");
            return tag.to_owned();
        }
        world.advance(Duration::from_millis(10));
        world.run_until_idle();
    }
    panic!("{path} has no tag")
}

/// What is too long to be read before it is sent is read beside that: its tag is of its content as
/// well, and the same on every machine.
#[test]
fn a_very_large_file_has_the_tag_of_its_content() {
    let content = |first: u8| [&[first][..], &vec![0; 16 << 20]].concat();
    let mut tags = Vec::new();
    for (inodes, first) in [(0, b'a'), (5, b'a'), (0, b'b')] {
        let mut world = serve(&[]);
        (0..inodes).for_each(|number| world.file(format!("before{number}"), "x"));
        world.advance(Duration::from_secs(inodes));
        world.file("huge.bin", content(first));
        let tag = until_there_is_a_tag(&mut world, "/huge.bin");
        assert!(tag.starts_with('"'), "{tag}");
        let part = with(&mut world, "/huge.bin", &format!("Range: bytes=-1;If-Range: {tag};"));
        assert_eq!((part.status, part.content.len()), (206, 1));
        tags.push(tag);
    }
    assert_eq!(tags[0], tags[1], "whatever its inode and its times");
    assert_ne!(tags[0], tags[2]);
}

#[test]
fn a_very_large_file_that_changes_has_no_tag_until_it_is_read_again() {
    let mut world = serve(&[]);
    world.file("huge.bin", vec![0; (16 << 20) + 1]);
    let before = until_there_is_a_tag(&mut world, "/huge.bin");
    // As long, and in place.
    let mut changed = vec![0; (16 << 20) + 1];
    changed[1 << 20] = 1;
    world.overwrite("huge.bin", changed);
    assert_eq!(get_response(&mut world, "/huge.bin").field("ETag"), None);
    let after = until_there_is_a_tag(&mut world, "/huge.bin");
    assert_ne!(before, after);
}

/// Without a tag there is the date.
#[test]
fn a_very_large_file_can_be_resumed_by_its_date_meanwhile() {
    let mut world = serve(&[]);
    world.file("huge.bin", vec![0; (16 << 20) + 1]);
    world.advance(Duration::from_secs(5));
    let head = ask(&mut world, get("/huge.bin").replace("GET", "HEAD"));
    let date = head.field("Last-Modified").expect("a date").to_owned();
    assert_eq!(head.field("ETag"), None);
    let part = with(&mut world, "/huge.bin", &format!("Range: bytes=-1;If-Range: {date};"));
    assert_eq!((part.status, part.content.len()), (206, 1));
}

#[test]
fn a_response_304_has_the_fields_of_200_and_no_content() {
    let mut world = serve(&[]);
    for target in ["/a.txt", "/", "/empty.txt"] {
        for method in ["GET", "HEAD"] {
            let full = get_response(&mut world, target);
            let lines = format!("If-None-Match: {};", full.field("ETag").expect("a tag"));
            let bare = ask(&mut world, request(target, &lines).replace("GET", method));
            assert_eq!((bare.status, bare.content.len()), (304, 0));
            let describes_content =
                |name: &str| matches!(name, "Content-Type" | "Content-Length" | "X-Content-Type-Options");
            let expected: Vec<_> = full.fields.into_iter().filter(|(name, _)| !describes_content(name)).collect();
            assert_eq!(bare.fields, expected, "{target}");
        }
    }
}

#[test]
fn conditions_are_of_representations_only() {
    let mut world = serve(&[]);
    let failing = "If-Match: \"none\";If-None-Match: *;Range: bytes=100-;";
    for (target, status) in [("/missing", 404), ("/dir", 301), ("/.env", 404), ("/denied.txt", 403), ("/a.txt", 412)] {
        assert_eq!(with(&mut world, target, failing).status, status, "{target}");
    }
    let options = request("/a.txt", failing).replace("GET", "OPTIONS");
    assert_eq!(ask(&mut world, options).status, 204);
    let failed = with(&mut world, "/a.txt", failing);
    assert!(failed.text().contains("412 Precondition Failed"), "{failed:?}");
}

#[test]
fn dates_are_compared_with_the_file_s() {
    let mut world = serve(&[]);
    world.set_modified("a.txt", 784_111_777_900_000_000);
    for (lines, status) in [
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT;", 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT;", 200),
        ("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT;", 304),
        ("If-Unmodified-Since: Sun Nov  6 08:49:36 1994;", 412),
        ("If-Unmodified-Since: Sun Nov  6 08:49:37 1994;", 200),
        ("If-Range: Sun, 06 Nov 1994 08:49:37 GMT;Range: bytes=1-2;", 206),
        ("If-Range: Sun, 06 Nov 1994 08:49:38 GMT;Range: bytes=1-2;", 200),
    ] {
        assert_eq!(with(&mut world, "/a.txt", lines).status, status, "{lines}");
    }
}

#[test]
fn a_part_says_where_it_stands() {
    let mut world = serve(&[]);
    for (range, content, content_range) in [
        ("0-1", "al", "bytes 0-1/5"),
        ("2-", "pha", "bytes 2-4/5"),
        ("-2", "ha", "bytes 3-4/5"),
        ("3-100", "ha", "bytes 3-4/5"),
        ("0-", "alpha", "bytes 0-4/5"),
        ("0-2,1-3", "alph", "bytes 0-3/5"),
        ("1-1,9-", "l", "bytes 1-1/5"),
    ] {
        let part = with(&mut world, "/a.txt", &format!("Range: bytes={range};"));
        assert_eq!((part.status, part.text().as_str()), (206, content), "{range}");
        assert_eq!(part.field("Content-Range"), Some(content_range));
        let full = get_response(&mut world, "/a.txt");
        for name in ["Content-Type", "ETag", "Last-Modified", "Cache-Control", "Vary", "Accept-Ranges"] {
            assert_eq!(part.field(name), full.field(name), "{name}");
        }
    }
}

#[test]
fn a_range_that_is_not_there_is_refused_with_the_length() {
    let mut world = serve(&[]);
    for range in ["5-", "5-9", "-0", "99999999999999999999-"] {
        let refused = with(&mut world, "/a.txt", &format!("Range: bytes={range};"));
        assert_eq!((refused.status, refused.field("Content-Range")), (416, Some("bytes */5")), "{range}");
        assert_eq!(refused.field("ETag"), None);
    }
}

#[test]
fn a_range_is_for_get_and_for_what_has_bytes() {
    let mut world = serve(&[]);
    let full = get_response(&mut world, "/a.txt");
    for lines in [
        "Range: lines=0-1;",
        "Range: bytes=1-0;",
        "Range: bytes=x;",
        "Range: bytes=0-1;Range: bytes=2-3;",
        "Range: bytes=0-1;If-Range: \"other\";",
    ] {
        assert_eq!(with(&mut world, "/a.txt", lines), full, "{lines}");
    }
    let head = ask(&mut world, request("/a.txt", "Range: bytes=0-1;").replace("GET", "HEAD"));
    assert_eq!((head.status, head.fields), (200, full.fields));
    assert_eq!(with(&mut world, "/empty.txt", "Range: bytes=0-;").status, 200);
}

#[test]
fn several_parts_are_one_response() {
    let mut world = serve(&[]);
    let response = with(&mut world, "/a.txt", "Range: bytes=0-0,-2;");
    assert_eq!(response.status, 206);
    assert_eq!(response.field("Content-Range"), None);
    assert_eq!(parts(&response), [(0, 0, 5, b"a".to_vec()), (3, 4, 5, b"ha".to_vec())]);
    let backwards = with(&mut world, "/a.txt", "Range: bytes=4-4,0-0;");
    assert_eq!(parts(&backwards), [(4, 4, 5, b"a".to_vec()), (0, 0, 5, b"a".to_vec())]);
}

/// Parts of a file that no write takes as a whole, to clients that take them in pieces of any
/// size.
#[test]
fn parts_read_back_are_the_bytes_of_the_file() {
    let mut world = serve(&[]);
    let file: Vec<u8> = (0..3 * PIECE_BYTES_START).map(|n| (n % 251) as u8).collect();
    world.file("large.bin", file.clone());
    let cuts = ["0-9,20-300000,-400000", "700000-700001,5-5,9-9", "0-262143,262144-262144,262145-700000"];
    for takes in [1_000, 262_144, 262_145, 1 << 20] {
        for cut in cuts {
            let client = world.connect();
            world.client_takes(client, 0);
            world.client_sends(client, request("/large.bin", &format!("Range: bytes={cut};")).repeat(2));
            world.run_until_idle();
            for _ in 0..2 * (file.len() / takes + 2) {
                world.client_takes(client, takes as u64);
                world.run_until_idle();
            }
            let found = responses(world.received(client), &[]);
            assert_eq!(found.len(), 2, "{cut} by {takes}");
            for response in found {
                let parts = parts(&response);
                assert_eq!(parts.len(), 3);
                for (first, last, length, content) in parts {
                    assert_eq!(length, file.len() as u64);
                    assert!(content == file[first as usize..=last as usize], "{first}-{last} of {cut}");
                }
            }
        }
    }
}

/// What a request can cost: never more than the file and the heads of the parts, however it asks.
#[test]
fn ranges_do_not_amplify() {
    let mut world = serve(&[]);
    let length = 100_000;
    world.file("large.bin", vec![b'x'; length]);
    let sets = [
        vec!["0-".to_owned(); RANGES_MAX],
        vec!["0-".to_owned(); 8_000],
        (0..RANGES_MAX).map(|n| format!("{}-", n)).collect(),
        (0..RANGES_MAX).map(|n| format!("{0}-{0}", 2 * n)).collect(),
        (0..4_000).map(|n| format!("{0}-{0}", 2 * n)).collect(),
        (0..RANGES_MAX).map(|n| format!("-{}", n + 1)).collect(),
    ];
    for set in sets {
        let request = request("/large.bin", &format!("Range: bytes={};", set.join(",")));
        let client = send(&mut world, &[request.as_bytes()]);
        let received = world.received(client).len();
        assert!(received <= length + 600 + RANGES_MAX * 200, "{received} bytes for {} ranges", set.len());
    }
}

#[test]
fn kept_files_and_others_answer_alike() {
    let mut world = serve(&[]);
    let tag = tag(&mut world, "/a.txt");
    for lines in
        ["", "Range: bytes=1-2;", "Range: bytes=0-0,2-3;", &format!("If-None-Match: {tag};"), "If-Match: \"x\";"]
    {
        let ask = |world: &mut World| {
            let mut response = with(world, "/a.txt", lines);
            // Its boundary has the time in it.
            response.fields.retain(|(name, _)| !(name == "Content-Type" && lines.contains(',')));
            response.fields.retain(|(name, _)| name != "Date");
            let content = std::mem::take(&mut response.content);
            (response, content.len())
        };
        world.advance(Duration::from_secs(5));
        let first = ask(&mut world);
        for _ in 0..4 {
            assert_eq!(ask(&mut world), first, "{lines}");
        }
    }
}
