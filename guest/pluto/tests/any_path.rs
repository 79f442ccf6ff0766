//! Paths, random and hostile, against a second reading of the rules.

use crate::generate::seeds;
use crate::support::{get, send, serve};
use fastrand::Rng;
use pluto_http::target::Path;
use pluto_sdk::contract::Listing;
use pluto_sdk::testing::Request;

/// What is wrong with a path.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It names this, beneath the root: the names, and whether the last is a directory.
    Names(Vec<Vec<u8>>, bool),
    /// No file can have it.
    Impossible,
    /// 400.
    Bad,
}

/// The rules once more, in another order of steps: split first, decode each name, then walk.
fn reference(escaped: &[u8]) -> Fate {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut possible = true;
    let mut directory = true;
    for piece in escaped.split(|&byte| byte == b'/') {
        let Some(name) = unescape(piece) else { return Fate::Bad };
        if name.contains(&0) {
            return Fate::Bad;
        }
        possible &= !name.iter().any(|byte| matches!(byte, b'/' | b'\\'));
        directory = matches!(name.as_slice(), b"" | b"." | b"..");
        match name.as_slice() {
            b"" | b"." => (),
            b".." => match names.pop() {
                Some(_) => (),
                None => return Fate::Bad,
            },
            _ => names.push(name),
        }
    }
    if possible { Fate::Names(names, directory) } else { Fate::Impossible }
}

fn unescape(piece: &[u8]) -> Option<Vec<u8>> {
    let text: String = piece.iter().map(|&byte| char::from(byte)).collect();
    let mut parts = text.split('%');
    let mut bytes: Vec<u8> = parts.next()?.chars().map(|letter| letter as u8).collect();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(part[2..].chars().map(|letter| letter as u8));
    }
    Some(bytes)
}

/// Pieces of which hostile paths are made.
const PIECES: &[&str] = &[
    "/",
    "/",
    "//",
    ".",
    "..",
    "../",
    "/..",
    "%2e",
    "%2E%2e",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    "%00",
    "%",
    "%2",
    "%zz",
    "%25",
    "%252e",
    "a",
    "b",
    "dir",
    "a.txt",
    "index.html",
    ".git",
    "%2egit",
    ".well-known",
    "...",
    "~",
    ";x=1",
    "%c0%ae",
    "%ff",
    "+",
    "%20",
    ":",
    "*",
    "%0d%0a",
];

fn path(rng: &mut Rng) -> String {
    let mut path = "/".to_owned();
    for _ in 0..rng.usize(..12) {
        path += rng.choice(PIECES).expect("one");
    }
    path
}

#[test]
fn a_path_means_what_the_rules_say_and_stays_in_the_root() {
    seeds(20_000, |rng| {
        let escaped = path(rng);
        let found = Path::parse(escaped.as_bytes());
        let fate = match &found {
            Err(error) => {
                assert_eq!(error.status.code(), 400, "{escaped}");
                Fate::Bad
            }
            Ok(None) => Fate::Impossible,
            Ok(Some(path)) => {
                let mut names: Vec<Vec<u8>> = path.bytes().split(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
                names.retain(|name| !name.is_empty());
                Fate::Names(names, path.is_directory())
            }
        };
        assert_eq!(fate, reference(escaped.as_bytes()), "{escaped}");
        let Ok(Some(path)) = found else { return };
        let clean = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
        let names = path.bytes().strip_suffix(b"/").unwrap_or(path.bytes());
        assert!(names.is_empty() || names.split(|&byte| byte == b'/').all(clean), "{escaped}: {path:?}");
        // Normal form: what it is escaped to means the same, and is escaped to itself.
        let again = Path::parse(path.escape().as_bytes()).ok().flatten().expect(&escaped);
        assert_eq!((&again, again.escape()), (&path, path.escape()), "{escaped}");
        assert!(path.escape().starts_with('/') && !path.escape().contains("//"), "{escaped}");
    });
}

/// Whatever is asked for, the host is asked for nothing outside of the root, and for nothing that
/// is hidden.
#[test]
fn the_host_is_never_asked_for_what_is_outside_or_hidden() {
    let mut world = serve(&[]);
    // Before there are clients, the server looks for the site's configuration.
    let before = world.requests().len();
    seeds(2_000, |rng| {
        let target = path(rng);
        let client = send(&mut world, &[get(&target).as_bytes()]);
        let received = String::from_utf8_lossy(world.received(client)).into_owned();
        assert!(received.starts_with("HTTP/1.1 "), "{target}");
        assert!(!received.contains("secret"), "{target}: {received}");
        if let Some(location) = received.lines().find_map(|line| line.strip_prefix("Location: ")) {
            // Relative, so that it stays on this host: neither a path, nor something with a
            // scheme.
            let first = location.split(['/', '?']).next().expect("a name");
            assert!(!first.is_empty() && !first.contains(':'), "{target}: {location}");
            assert!(!location.contains('\\'), "{target}: {location}");
        }
        if !world.is_closed(client) {
            world.client_ends(client);
            world.run_until_idle();
        }
    });
    let mut asked = 0;
    for submission in &world.requests()[before..] {
        let path = match &submission.request {
            Request::Open(open) => &open.path[..],
            Request::List(Listing { path, .. }) => path,
            Request::Watch(path) => path,
            _ => continue,
        };
        asked += 1;
        let shown = path.escape_ascii();
        let mut names = path.split(|&byte| byte == b'/');
        assert!(path.first() != Some(&b'/') && !path.contains(&0), "{shown}");
        assert!(names.clone().all(|name| name != b".." && name != b"."), "{shown}");
        let hidden = names.next().is_some_and(|name| name.starts_with(b".") && name != b".well-known")
            || names.any(|name| name.starts_with(b"."));
        assert!(!hidden, "{shown}");
    }
    assert!(asked > 300, "only {asked} files were asked for");
}
