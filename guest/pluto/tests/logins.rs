//! Who may log in, and how little it costs the others.

use crate::support::{ask, get, get_response, send, serve_with};
use pluto::limits::LOGINS_WAITING_MAX;
use pluto_sdk::testing::World;
use std::time::Duration;

/// "U*U", at a cost of 2^5.
const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn site(options: &[&str]) -> World {
    serve_with(options, |world| {
        world.file(
            ".pluto.toml",
            "[[basic-auth]]\nsource = \"/dir/**\"\nrealm = \"The \\\"dir\\\"\"\nusers = \".htpasswd\"\n\
             [[basic-auth]]\nsource = \"/secret.html\"\nusers = \".htpasswd\"\n\
             [[redirects]]\nsource = \"/dir/old\"\ndestination = \"/dir/page.html\"\nkind = 301\n",
        );
        world.file(".htpasswd", format!("alice:{HASH}\n"));
        world.file("secret.html", "secret");
        world.file("secret.html.gz", "secret");
        world.file("404.html", "lost");
    })
}

/// A request with these credentials, in base64.
fn with(target: &str, credentials: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {credentials}\r\n\r\n")
}

const RIGHT: &str = "YWxpY2U6VSpV";
const WRONG: &str = "YWxpY2U6VSpW";
const UNKNOWN: &str = "Ym9iOlUqVQ==";

/// The response, once the password was verified.
#[track_caller]
fn logged_in(world: &mut World, request: &str) -> crate::support::Response {
    let client = send(world, &[request.as_bytes()]);
    for _ in 0..10 {
        world.advance(Duration::from_millis(5));
    }
    let mut found = crate::support::responses(world.received(client), &[]);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn who_has_logged_in_is_in_the_log_and_nobody_else() {
    let mut world = site(&[]);
    for (credentials, user, status) in
        [(RIGHT, "alice", 200), (RIGHT, "alice", 200), (WRONG, "-", 401), (UNKNOWN, "-", 401)]
    {
        assert_eq!(logged_in(&mut world, &with("/dir/page.html", credentials)).status, status);
        let (_, line) = world.logs().last().expect("a line");
        assert!(line.contains(&format!(" - {user} [")) && line.contains(&format!(" {status} ")), "{user}: {line}");
    }
    assert_eq!(logged_in(&mut world, &with("/dir/missing", RIGHT)).status, 404);
    assert!(world.logs().last().is_some_and(|(_, line)| line.contains(" - alice [")));
    // Where nobody is asked nobody has logged in.
    assert_eq!(ask(&mut world, with("/a.txt", RIGHT)).status, 200);
    assert!(world.logs().last().is_some_and(|(_, line)| line.contains(" - - [")));
}

#[test]
fn only_users_read_what_is_protected() {
    let mut world = site(&[]);
    for target in [
        "/dir/",
        "/dir",
        "/dir/page.html",
        "/dir/missing",
        "/dir/old",
        "/x/../dir/page.html",
        "/%64ir/",
        "/secret.html",
        "/secret.html.gz",
    ] {
        let response = get_response(&mut world, target);
        assert_eq!(response.status, 401, "{target}");
        assert!(
            response.field("WWW-Authenticate").is_some_and(|value| value.starts_with("Basic realm=\"")),
            "{target}"
        );
        assert!(!response.text().contains("page") && !response.text().contains("lost"), "{target}");
    }
    assert_eq!(
        get_response(&mut world, "/dir/").field("WWW-Authenticate"),
        Some("Basic realm=\"The \\\"dir\\\"\", charset=\"UTF-8\"")
    );
    assert_eq!(get_response(&mut world, "/a.txt").status, 200);
    for credentials in [WRONG, UNKNOWN] {
        assert_eq!(logged_in(&mut world, &with("/dir/", credentials)).status, 401);
    }
    let page = logged_in(&mut world, &with("/dir/page.html", RIGHT));
    assert_eq!((page.status, page.text().as_str()), (200, "<h1>page</h1>"));
    assert_eq!(page.field("Cache-Control"), Some("private, no-cache"), "a cache in between keeps it to itself");
    assert_eq!(logged_in(&mut world, &with("/dir/old", RIGHT)).status, 301);
    assert_eq!(logged_in(&mut world, &with("/dir/missing", RIGHT)).status, 404);
    for malformed in ["", "!", "YWxpY2U=", "YWxpY2U6VSpV YWxpY2U6VSpV"] {
        assert_eq!(ask(&mut world, with("/dir/", malformed)).status, 401);
    }
    let twice = with("/dir/", RIGHT).replace("Host: a\r\n", &format!("Host: a\r\nAuthorization: Basic {RIGHT}\r\n"));
    assert_eq!(ask(&mut world, twice).status, 401);
}

/// A rule about a file is about all addresses that it is served at.
#[test]
fn a_clean_address_is_protected_as_its_file() {
    let mut world = site(&["--clean-urls"]);
    assert_eq!(get_response(&mut world, "/secret").status, 401);
    assert_eq!(get_response(&mut world, "/secret.html").status, 401);
}

/// Whatever stands in for something else: who may not read a file is not sent it at another
/// address.
#[test]
fn what_stands_in_for_another_is_protected_too() {
    let guarded = |source: &str, options: &[&str]| {
        serve_with(options, |world| {
            let rule = format!("[[basic-auth]]\nsource = \"{source}\"\nusers = \".htpasswd\"\n");
            world.file(
                ".pluto.toml",
                rule + "[[headers]]\nsource = \"/**\"\nheaders = { Cache-Control = \"public\" }\n",
            );
            world.file(".htpasswd", format!("alice:{HASH}\n"));
            world.file("secret.html", "secret");
            world.file("sub/index.html", "index");
            world.file("404.html", "lost");
            world.file("sub/404.html", "lost here");
        })
    };
    for source in ["/sub/", "/sub/index.html", "/sub/index"] {
        let mut world = guarded(source, &["--clean-urls"]);
        for target in ["/sub/", "/sub/index.html", "/sub/index", "/sub/./index"] {
            assert_eq!(get_response(&mut world, target).status, 401, "{source} {target}");
        }
        let page = logged_in(&mut world, &with("/sub/", RIGHT));
        assert_eq!((page.text().as_str(), page.field("Cache-Control")), ("index", Some("private, no-cache")));
    }
    let mut world = guarded("/secret.html", &["--page-fallback", "/secret.html"]);
    assert_eq!(get_response(&mut world, "/missing").status, 404);
    assert_eq!(logged_in(&mut world, &with("/missing", RIGHT)).status, 404, "it is not asked for there");
    // The nearest error page is a file as well, and what is refused before anybody is asked who he
    // is has none.
    let mut world = guarded("/**", &[]);
    for target in ["/.git/x", "/sub/.x", "/a%2fb", &format!("/sub/{}", "a".repeat(5_000))] {
        let response = get_response(&mut world, target);
        assert!(response.status == 404 && !response.text().contains("lost"), "{target}: {}", response.text());
    }
    assert_eq!(logged_in(&mut world, &with("/sub/missing", RIGHT)).text(), "lost here");
    let mut world = guarded("/**", &["--page-fallback", "/secret.html"]);
    assert_eq!(get_response(&mut world, "/missing").status, 401);
    assert_eq!(logged_in(&mut world, &with("/missing", RIGHT)).text(), "secret");
}

/// What was verified is known without a hash: the answer is there in the turns that any file
/// takes.
#[test]
fn a_login_is_verified_once() {
    let mut world = site(&[]);
    for credentials in [RIGHT, WRONG] {
        let request = with("/dir/", credentials);
        let first = send(&mut world, &[request.as_bytes()]);
        assert!(world.received(first).is_empty(), "a hash takes its time");
        let status = logged_in(&mut world, &request).status;
        assert_eq!(ask(&mut world, &request).status, status, "at once");
    }
}

/// However many log in, files are served meanwhile, and those who log in too many at once are told
/// so.
#[test]
fn logins_keep_nobody_from_reading() {
    let mut world = site(&[]);
    let clients: Vec<_> = (0..LOGINS_WAITING_MAX + 3)
        .map(|number| {
            // base64 of `a:NNN`, each another password
            let digits = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
            let text = format!("{:08b}{:08b}{:08b}", b'a', b':', digits[0])
                + &format!("{:08b}{:08b}{:08b}", digits[1], b'x', b'y');
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let bits = |chunk: &[u8]| chunk.iter().fold(0, |sum, bit| sum * 2 + usize::from(bit - b'0'));
            let credentials: String =
                text.as_bytes().chunks(6).map(|chunk| char::from(alphabet[bits(chunk)])).collect();
            send(&mut world, &[with("/dir/", &credentials).as_bytes()])
        })
        .collect();
    assert_eq!(get_response(&mut world, "/a.txt").text(), "alpha");
    let told =
        |world: &World| clients.iter().filter(|client| world.received(**client).starts_with(b"HTTP/1.1 503 ")).count();
    assert_eq!(told(&world), 3);
    for _ in 0..LOGINS_WAITING_MAX * 2 {
        world.advance(Duration::from_millis(5));
        assert_eq!(ask(&mut world, get("/a.txt")).status, 200);
    }
    let refused = clients.iter().filter(|client| world.received(**client).starts_with(b"HTTP/1.1 401 ")).count();
    assert_eq!(refused, LOGINS_WAITING_MAX);
}
