//! Which file a path names, and which it never does.

use crate::support::{get_response, serve};
use pluto_sdk::testing::{Request, World};

/// What a target comes to: the content of a file, `-> ` and a location, or a status.
#[track_caller]
fn check(world: &mut World, target: &str, expected: &str) {
    let before = world.requests().len();
    let response = get_response(world, target);
    let found = match response.status {
        200 => response.text(),
        301 => format!("-> {}", response.field("Location").expect("a location")),
        status => status.to_string(),
    };
    assert_eq!(found, expected, "{target}");
    // The host would refuse such paths as well; the server does not even ask.
    for submission in &world.requests()[before..] {
        if let Request::Open(open) = &submission.request {
            let names = open.path.split(|&byte| byte == b'/');
            assert!(!open.path.contains(&0), "{target}");
            for name in names {
                assert!(!matches!(name, b"" | b"." | b".."), "{target} asks for {}", open.path.escape_ascii());
            }
        }
    }
}

#[test]
fn index_files_and_redirects() {
    let mut world = serve(&[]);
    let mut check = |target: &str, expected: &str| check(&mut world, target, expected);
    check("/", "<h1>home</h1>");
    check("/?a=b", "<h1>home</h1>");
    check("/index.html", "<h1>home</h1>");
    check("/dir/", "<h1>dir</h1>");
    check("/dir/page.html?a/b", "<h1>page</h1>");
    check("/dir", "-> dir/");
    check("/dir?a=b&c=/d?e", "-> dir/?a=b&c=/d?e");
    check("/dir?", "-> dir/?");
    // RFC 3986 §3.4 knows none of these in a query; what is escaped stays as it is.
    check("/dir?\"<b>\\^`{|}[]%22", "-> dir/?%22%3Cb%3E%5C%5E%60%7B%7C%7D%5B%5D%22");
    check("/odd%20dir&", "-> odd%20dir&/");
    check("/odd%20dir%26?x=%20", "-> odd%20dir&/?x=%20");
    check("/bare", "-> bare/");
    check("/bare/", "404");
    check("/odd.html/", "404");
    check("/odd.html/index.html", "-> index.html/");
    check("/a.txt/", "404");
    check("/a.txt/x", "404");
    check("/missing", "404");
    check("/missing/", "404");
    check("/empty.txt", "");
}

/// A location that begins with `//` names another host, and one with a line end is another
/// response.
#[test]
fn a_redirect_stays_on_this_host() {
    let mut world = serve(&[]);
    world.directory("evil.example");
    world.directory("a\r\nX: y");
    let mut check = |target: &str, expected: &str| check(&mut world, target, expected);
    check("//evil.example", "-> evil.example/");
    check("///evil.example/.", "404");
    check("//evil.example/..//evil.example", "-> evil.example/");
    check("/%2fevil.example", "404");
    check("/\\evil.example", "404");
    check("/%5cevil.example", "404");
    check("http://other.example/dir", "-> dir/");
    check("http://other.example//evil.example?//", "-> evil.example/?//");
    check("/a%0d%0aX:%20y", "-> ./a%0D%0AX:%20y/");
}

#[test]
fn a_path_is_decoded_once_and_normalised_inside_the_root() {
    let mut world = serve(&[]);
    let mut check = |target: &str, expected: &str| check(&mut world, target, expected);
    check("/%61.txt", "alpha");
    check("/%2561.txt", "404");
    check("//dir///page.html", "<h1>page</h1>");
    check("/dir/../a.txt", "alpha");
    check("/dir/%2e%2E/a.txt", "alpha");
    check("/missing/../a.txt", "alpha");
    check("/./a.txt", "alpha");
    check("/dir/.", "<h1>dir</h1>");
    check("/dir/..", "<h1>home</h1>");
    check("/..", "400");
    check("/../html/a.txt", "400");
    check("/dir/../../a.txt", "400");
    check("/%2e%2e/etc/passwd", "400");
    check("/..%2fetc/passwd", "404");
    check("/%2e%2e%2fetc%2fpasswd", "404");
    check("/..%5cetc", "404");
    check("/..\\etc", "404");
    check("/dir%2fpage.html", "404");
    check("/back\\slash.txt", "404");
    check("/back%5Cslash.txt", "404");
    check("/x%5c/../a.txt", "404");
    check("/x\\/../a.txt", "404");
    check("/x%2f/../a.txt", "404");
    check("/a.txt%00.html", "400");
    check("/%", "400");
    check("/%2", "400");
    check("/%zz", "400");
    check("/a.txt?%zz", "alpha");
    check("/caf%C3%A9.txt", "utf-8");
    check("/caf%E9.txt", "latin-1");
    check("/caf%ff.txt", "404");
    check(&format!("/{}", "a/".repeat(4_000)), "404");
}

#[test]
fn hidden_files_are_not_found_unless_allowed() {
    let hidden = ["/.env", "/%2eenv", "/.git/config", "/.git", "/.git/", "/dir/.hidden/", "/.well-known/.hidden"];
    let mut world = serve(&[]);
    for target in hidden {
        check(&mut world, target, "404");
    }
    check(&mut world, "/.well-known/security.txt", "well known");
    check(&mut world, "/.git/../a.txt", "alpha");
    assert_eq!(get_response(&mut world, "/.env").content, get_response(&mut world, "/missing").content);
    let mut world = serve(&["--allow-hidden"]);
    check(&mut world, "/.env", "secret");
    check(&mut world, "/.git", "-> .git/");
    check(&mut world, "/dir/.hidden/", "secret");
}

#[test]
fn links_are_followed_inside_the_root_only() {
    let mut world = serve(&[]);
    check(&mut world, "/link.txt", "alpha");
    check(&mut world, "/out.txt", "404");
    check(&mut world, "/absolute.txt", "404");
    check(&mut world, "/loop.txt", "404");
    let mut world = serve(&["--symlinks=deny"]);
    check(&mut world, "/link.txt", "404");
    check(&mut world, "/a.txt", "alpha");
}

#[test]
fn what_is_no_file_is_not_found_and_what_is_not_allowed_is_forbidden() {
    let mut world = serve(&[]);
    check(&mut world, "/pipe", "404");
    check(&mut world, "/denied.txt", "403");
}
