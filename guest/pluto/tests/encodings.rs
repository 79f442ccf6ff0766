//! Files beside a file that hold it encoded: who gets which.

use crate::support::{Response, ask, get, get_response, serve, serve_with};
use pluto_sdk::testing::{Request, World};
use std::time::Duration;

const NOW: i64 = 1_700_000_000_000_000_000;

/// A site with `app.js` in all encodings, and other files in some.
fn encoded() -> World {
    let mut world = serve(&[]);
    for (name, content) in [
        ("app.js", "plain and long"),
        ("app.js.br", "brotli"),
        ("app.js.zst", "zstandard"),
        ("app.js.gz", "gzipped"),
        ("some.css", "plain"),
        ("some.css.gz", "gz"),
        ("photo.png", "png"),
        ("photo.png.gz", "never"),
        ("only.txt.gz", "only"),
        ("dir/index.html.br", "brotli dir"),
    ] {
        world.file(name, content);
    }
    world
}

fn accepting(world: &mut World, target: &str, accepted: &str) -> Response {
    ask(world, get(target).replace("\r\n\r\n", &format!("\r\nAccept-Encoding: {accepted}\r\n\r\n")))
}

#[test]
fn a_client_gets_the_encoding_that_it_likes_best() {
    let mut world = encoded();
    for _ in 0..3 {
        for (target, accepted, content, coding) in [
            ("/app.js", "gzip, deflate, br, zstd", "brotli", Some("br")),
            ("/app.js", "gzip", "gzipped", Some("gzip")),
            ("/app.js", "x-gzip", "gzipped", Some("gzip")),
            ("/app.js", "zstd, br;q=0.9", "zstandard", Some("zstd")),
            ("/app.js", "*", "brotli", Some("br")),
            ("/app.js", "*, br;q=0", "zstandard", Some("zstd")),
            ("/app.js", "identity, gzip;q=0.5", "plain and long", None),
            ("/app.js", "deflate", "plain and long", None),
            ("/app.js", "", "plain and long", None),
            ("/app.js", "gzip;q=0", "plain and long", None),
            ("/some.css", "br, gzip", "gz", Some("gzip")),
            ("/some.css", "br", "plain", None),
            ("/photo.png", "gzip", "png", None),
            ("/dir/", "br", "brotli dir", Some("br")),
        ] {
            let response = accepting(&mut world, target, accepted);
            assert_eq!((response.status, response.text().as_str()), (200, content), "{target} {accepted}");
            assert_eq!(response.field("Content-Encoding"), coding, "{target} {accepted}");
        }
        assert_eq!(get_response(&mut world, "/app.js").text(), "plain and long");
    }
}

#[test]
fn identity_is_refused_when_it_is_not_there_otherwise() {
    let mut world = encoded();
    for _ in 0..3 {
        for (target, accepted, status) in [
            ("/app.js", "identity;q=0", 406),
            ("/app.js", "*;q=0", 406),
            ("/app.js", "gzip, identity;q=0", 200),
            ("/some.css", "br, *;q=0", 406),
            ("/some.css", "br, *;q=0, gzip;q=0.1", 200),
            ("/photo.png", "gzip, identity;q=0", 406),
            ("/missing", "identity;q=0", 404),
        ] {
            assert_eq!(accepting(&mut world, target, accepted).status, status, "{target} {accepted}");
        }
    }
}

/// Each is a representation of its own.
#[test]
fn encodings_have_tags_lengths_and_ranges_of_their_own() {
    let mut world = encoded();
    let mut tags = Vec::new();
    for accepted in ["identity", "br", "zstd", "gzip"] {
        let full = accepting(&mut world, "/app.js", accepted);
        assert_eq!(full.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(full.field("Vary"), Some("Accept-Encoding"));
        let tag = full.field("ETag").expect("a tag").to_owned();
        let lines = |lines: &str| format!("{accepted}\r\n{lines}");
        let same = accepting(&mut world, "/app.js", &lines(&format!("If-None-Match: {tag}")));
        assert_eq!((same.status, same.field("ETag"), same.field("Vary")), (304, Some(&*tag), Some("Accept-Encoding")));
        let part = accepting(&mut world, "/app.js", &lines(&format!("Range: bytes=1-3\r\nIf-Range: {tag}")));
        assert_eq!((part.status, &part.content[..]), (206, &full.content[1..4]));
        assert_eq!(part.field("Content-Encoding"), full.field("Content-Encoding"));
        let parts = accepting(&mut world, "/app.js", &lines("Range: bytes=0-0,2-2"));
        assert_eq!(parts.status, if accepted == "identity" { 206 } else { 200 }, "one part or all, when encoded");
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4);
    // The same bytes, and still another representation.
    world.file("same.txt", "same");
    world.file("same.txt.gz", "same");
    let plain = get_response(&mut world, "/same.txt");
    assert_ne!(plain.field("ETag"), accepting(&mut world, "/same.txt", "gzip").field("ETag"));
}

#[test]
fn an_encoded_file_is_served_as_itself_and_for_nobody_else() {
    let mut world = encoded();
    let direct = accepting(&mut world, "/app.js.gz", "gzip");
    assert_eq!((direct.text().as_str(), direct.field("Content-Type")), ("gzipped", Some("application/gzip")));
    assert_eq!((direct.field("Content-Encoding"), direct.field("Vary")), (None, None));
    assert_eq!(accepting(&mut world, "/only.txt", "gzip").status, 404);
}

/// A sidecar that was forgotten when the file was made anew is not what the file is now.
#[test]
fn an_encoded_file_that_is_older_is_not_used() {
    const SECOND: i64 = 1_000_000_000;
    for (plain, beside, expected) in [
        (NOW, NOW - 1, "plain and long"),
        (NOW, NOW - SECOND, "plain and long"),
        (NOW, NOW, "gzipped"),
        (NOW, NOW + SECOND, "gzipped"),
        (1, 1, "gzipped"),
        // What encodes files mostly keeps the time of the original in whole seconds.
        (NOW + 999_999_999, NOW, "gzipped"),
        (-1, -SECOND, "gzipped"),
        (0, -1, "plain and long"),
    ] {
        let mut world = encoded();
        world.set_modified("app.js", plain);
        world.set_modified("app.js.gz", beside);
        assert_eq!(accepting(&mut world, "/app.js", "gzip").text(), expected);
    }
}

#[test]
fn what_may_be_negotiated_varies_and_the_rest_does_not() {
    let mut world = encoded();
    for (target, varies) in [("/app.js", true), ("/a.txt", true), ("/photo.png", false), ("/app.js.gz", false)] {
        assert_eq!(get_response(&mut world, target).field("Vary").is_some(), varies, "{target}");
    }
}

#[test]
fn files_beside_are_looked_for_once_while_a_file_is_kept() {
    let mut world = encoded();
    let opens = |world: &World| {
        world.requests().iter().filter(|submission| matches!(submission.request, Request::Open(_))).count()
    };
    world.advance(Duration::from_secs(5));
    (0..3).for_each(|_| assert_eq!(accepting(&mut world, "/a.txt", "gzip, br, zstd").text(), "alpha"));
    let before = opens(&world);
    (0..50).for_each(|_| assert_eq!(accepting(&mut world, "/a.txt", "gzip, br, zstd").text(), "alpha"));
    (0..50).for_each(|_| assert_eq!(get_response(&mut world, "/a.txt").text(), "alpha"));
    assert_eq!(opens(&world), before);
    world.file("a.txt.gz", "new");
    world.advance(Duration::from_secs(1));
    assert_eq!(accepting(&mut world, "/a.txt", "gzip, br, zstd").text(), "new", "within a second");
    world.remove("a.txt.gz");
    world.advance(Duration::from_secs(1));
    assert_eq!(accepting(&mut world, "/a.txt", "gzip, br, zstd").text(), "alpha");
}

#[test]
fn everything_is_revalidated_unless_the_site_has_names_with_a_hash() {
    let hashed = "/assets/index-BfT3q_9x.js";
    for (config, expected) in [("", "no-cache"), ("immutable-names = true", "max-age=31536000, immutable")] {
        let mut world = configured(config);
        world.file("assets/index-BfT3q_9x.js", "x");
        world.file("price-list-2025-en.pdf", "x");
        world.file("sw.js", "x");
        for (target, expected) in [
            ("/", "no-cache"),
            ("/a.txt", "no-cache"),
            ("/sw.js", "no-cache"),
            ("/price-list-2025-en.pdf", "no-cache"),
            (hashed, expected),
        ] {
            for _ in 0..3 {
                assert_eq!(get_response(&mut world, target).field("Cache-Control"), Some(expected), "{target}");
            }
        }
        assert_eq!(get_response(&mut world, "/missing").field("Cache-Control"), None);
    }
}

/// A site with this configuration.
fn configured(config: &str) -> World {
    serve_with(&[], |world| world.file(".pluto.toml", config))
}

/// RFC 9110 §8.4: what is there in one form only is sent in it, whoever asks.
#[test]
fn a_file_that_is_encoded_says_so() {
    let mut world = configured("[[encodings]]\nsource = \"/Build/**/*.{wasm,data}.{br,gz}\"\nencoding = \"br\"\n");
    for name in ["Build/x.wasm.br", "Build/x.data.gz", "x.wasm.br", "logo.svgz", "logo.svgz.gz"] {
        world.file(name, "encoded");
    }
    for _ in 0..3 {
        for (target, media, coding) in [
            ("/Build/x.wasm.br", "application/wasm", Some("br")),
            ("/Build/x.data.gz", "application/octet-stream", Some("br")),
            ("/x.wasm.br", "application/octet-stream", None),
            ("/logo.svgz", "image/svg+xml", Some("gzip")),
        ] {
            for accepted in ["br, gzip", "gzip", "identity", "gzip;q=0, br;q=0", "identity;q=0"] {
                if coding.is_none() && accepted == "identity;q=0" {
                    continue;
                }
                let response = accepting(&mut world, target, accepted);
                assert_eq!((response.status, response.text().as_str()), (200, "encoded"), "{target} {accepted}");
                assert_eq!(response.field("Content-Type"), Some(media), "{target}");
                assert_eq!(response.field("Content-Encoding"), coding, "{target}");
            }
        }
        assert_eq!(get_response(&mut world, "/logo.svgz").field("Vary"), None, "there is no other form");
    }
    let tag = get_response(&mut world, "/logo.svgz").field("ETag").expect("a tag").to_owned();
    let same = accepting(&mut world, "/logo.svgz", &format!("gzip\r\nIf-None-Match: {tag}"));
    assert_eq!((same.status, same.field("Content-Encoding")), (304, None));
    let part = accepting(&mut world, "/logo.svgz", "gzip\r\nRange: bytes=0-2");
    assert_eq!((part.status, part.text().as_str(), part.field("Content-Encoding")), (206, "enc", Some("gzip")));
    let parts = accepting(&mut world, "/logo.svgz", "gzip\r\nRange: bytes=0-0,2-2");
    assert_eq!((parts.status, parts.text().as_str()), (200, "encoded"));
}

#[test]
fn a_site_names_types_of_its_own() {
    let mut world = configured("[types]\nfoo = \"text/x-foo; charset=iso-8859-1\"\ntxt = \"text/markdown\"\n");
    for (name, media) in [
        ("a.foo", "text/x-foo; charset=iso-8859-1"),
        ("a.txt", "text/markdown"),
        ("b.css", "text/css; charset=utf-8"),
        (".well-known/apple-app-site-association", "application/json"),
    ] {
        world.file(name, "x");
        assert_eq!(get_response(&mut world, &format!("/{name}")).field("Content-Type"), Some(media), "{name}");
    }
}
