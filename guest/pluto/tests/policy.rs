//! What a site's configuration file says, and what it does.

use crate::support::{Response, ask, get, get_response, responses, send, serve, serve_with};
use pluto::limits::{LISTING_REST_NANOS, LISTINGS_WAITING_MAX};
use pluto_sdk::testing::{Request, World};
use pluto_sdk::{Level, Signal};
use std::time::Duration;

/// A site with this configuration.
fn site(config: &str) -> World {
    serve_with(&[], |world| world.file(".pluto.toml", config))
}

/// A GET request with further fields, each with its line end.
fn get_with(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: example.org\r\n{fields}\r\n")
}

/// What a response comes to: its content, `-> ` and a location behind the status, or the status.
fn outcome(response: &Response) -> String {
    match (response.status, response.field("Location")) {
        (200, _) => response.text(),
        (status, Some(location)) => format!("{status} -> {location}"),
        (status, None) => status.to_string(),
    }
}

#[test]
fn redirects_come_before_files() {
    let mut world = site(
        "[[redirects]]\nsource = \"/a.txt\"\ndestination = \"/b.css\"\nkind = 302\n\
         [[redirects]]\nsource = \"/old/**\"\ndestination = \"/dir/$1\"\nkind = 308\n\
         [[redirects]]\nsource = \"/dir/*.htm\"\ndestination = \"https://example.com/$1?page=$1\"\nkind = 307\n",
    );
    let mut check = |target: &str, expected: &str| assert_eq!(outcome(&get_response(&mut world, target)), expected);
    check("/a.txt", "302 -> /b.css");
    check("/a.txt?x=<", "302 -> /b.css?x=%3C");
    check("/./x/../a%2Etxt", "302 -> /b.css");
    check("/old", "308 -> /dir/");
    check("/old/page.html?q", "308 -> /dir/page.html?q");
    check("/old//evil.example/%0d%0aX:y", "308 -> /dir/evil.example/%0D%0AX:y");
    check("/old/..%2f..", "404");
    check("/dir/a%26b.htm", "307 -> https://example.com/a&b?page=a%26b");
    check("/dir/page.html", "<h1>page</h1>");
    let response = ask(&mut world, get("/old/x").replace("GET", "HEAD"));
    assert_eq!(outcome(&response), "308 -> /dir/x");
}

#[test]
fn fields_are_set_and_removed_for_files_and_not_for_errors() {
    let mut world = site(
        "[[headers]]\nsource = \"**/*.{txt,css}\"\nheaders = { Cache-Control = \"max-age=5\", X-A = \"1\" }\n\
         [[headers]]\nsource = \"/b.css\"\nremove = [\"X-A\", \"X-Content-Type-Options\"]\n\
         [[headers]]\nsource = \"/\"\nheaders = { X-Home = \"yes\", Content-Type = \"text/x\" }\n",
    );
    // Also when the file is kept, and what is said of it remembered.
    for _ in 0..3 {
        let a = get_response(&mut world, "/a.txt");
        assert_eq!((a.field("Cache-Control"), a.field("X-A")), (Some("max-age=5"), Some("1")));
        let b = get_response(&mut world, "/b.css");
        assert_eq!((b.field("Cache-Control"), b.field("X-A")), (Some("max-age=5"), None));
        assert_eq!(b.field("X-Content-Type-Options"), None);
        let home = get_response(&mut world, "/");
        assert_eq!((home.field("X-Home"), home.field("Content-Type")), (Some("yes"), Some("text/x")));
        assert_eq!(home.text(), "<h1>home</h1>");
        assert_eq!(get_response(&mut world, "/index.html").field("X-Home"), Some("yes"), "the same file");
        let missing = get_response(&mut world, "/missing.txt");
        assert_eq!((missing.status, missing.field("X-A")), (404, None), "an error is nothing to keep");
    }
}

/// A policy for content is needed most where a page shows what was asked for.
#[test]
fn a_rule_can_be_about_every_response() {
    let config = "clean-urls = true\n[error-pages]\n404 = \"/dir/page.html\"\n\
         [[redirects]]\nsource = \"/old\"\ndestination = \"/a.txt\"\nkind = 301\n\
         [[headers]]\nsource = \"/**\"\nevery-response = true\nheaders = { Content-Security-Policy = \"default-src 'self'\" }\n\
         [[headers]]\nsource = \"/dir/**\"\nevery-response = true\nremove = [\"X-Content-Type-Options\"]\n\
         [[headers]]\nsource = \"/**\"\nheaders = { X-File = \"1\" }\n\
         [[basic-auth]]\nsource = \"/bare/**\"\nusers = \".users\"\n";
    let mut world = serve_with(&["--security-headers"], |world| {
        world.file(".pluto.toml", config);
        world.file(".users", "a:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n");
    });
    let get_range = get_with("/a.txt", "Range: bytes=100-\r\n");
    let get_match = get_with("/a.txt", "If-Match: \"x\"\r\n");
    let get_none = get_with("/a.txt", "If-None-Match: *\r\n");
    for _ in 0..2 {
        for (request, status, is_file) in [
            (get("/a.txt"), 200, true),
            (get("/missing"), 404, false),
            (get("/denied.txt"), 403, false),
            (get("/a%2fb"), 404, false),
            (get("/.."), 400, false),
            (get("/old"), 301, false),
            (get("/dir"), 301, false),
            (get("/bare/file"), 401, false),
            (get("/a.txt").replace("GET", "POST"), 405, false),
            (get("/a.txt").replace("GET", "OPTIONS"), 204, false),
            (get("/a.txt").replace("GET", "BREW"), 501, false),
            (get_range.clone(), 416, false),
            (get_match.clone(), 412, false),
            (get_none.clone(), 304, true),
            (get("/a.txt").replace("Host", "Hosts"), 400, false),
        ] {
            let response = ask(&mut world, &request);
            assert_eq!(response.status, status, "{request}");
            assert_eq!(response.field("Content-Security-Policy"), Some("default-src 'self'"), "{request}");
            assert_eq!(response.field("X-File"), is_file.then_some("1"), "{request}");
        }
        assert_eq!(get_response(&mut world, "/dir/missing").field("X-Content-Type-Options"), None);
        assert_eq!(get_response(&mut world, "/missing").field("X-Content-Type-Options"), Some("nosniff"));
    }
}

#[test]
fn the_security_preset_is_sent_with_everything() {
    let mut world = serve_with(&["--security-headers"], |world| {
        world.file(
            ".pluto.toml",
            "hsts-max-age = 60\n[[headers]]\nsource = \"/a.txt\"\nheaders = { X-Frame-Options = \"DENY\" }",
        );
    });
    for target in ["/", "/missing", "/dir"] {
        let response = get_response(&mut world, target);
        assert_eq!(response.field("Referrer-Policy"), Some("strict-origin-when-cross-origin"), "{target}");
        assert_eq!(response.field("X-Frame-Options"), Some("SAMEORIGIN"), "{target}");
        assert_eq!(response.field("Strict-Transport-Security"), Some("max-age=60"), "{target}");
    }
    assert_eq!(get_response(&mut world, "/a.txt").field("X-Frame-Options"), Some("DENY"), "a rule wins");
    let plain = get_response(&mut serve(&["--security-headers"]), "/");
    assert_eq!(plain.field("Strict-Transport-Security"), None, "only when it is asked for");
}

#[test]
fn the_nearest_page_answers_for_what_is_missing() {
    let mut world = serve_with(&[], |world| {
        world.file("404.html", "lost");
        world.file("dir/404.html", "lost in dir");
        world.directory("dir/sub");
    });
    let mut check = |target: &str, status: u16, text: &str| {
        let response = get_response(&mut world, target);
        assert_eq!((response.status, response.text().as_str()), (status, text), "{target}");
        assert_eq!(response.field("Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.field("Last-Modified"), None, "it is not the page's own address");
    };
    for _ in 0..3 {
        check("/missing", 404, "lost");
        check("/dir/missing", 404, "lost in dir");
        check("/dir/sub/", 404, "lost in dir");
        check("/dir/sub/a/b/c/d/e/f", 404, "lost");
        check("/.git/config", 404, "lost");
        check("/dir/.hidden/index.html", 404, "lost");
        check("/a%2fb", 404, "lost");
    }
}

#[test]
fn the_configuration_names_error_pages() {
    let mut world = serve_with(&[], |world| {
        world.file(
            ".pluto.toml",
            "[error-pages]\n404 = \"/dir/page.html\"\n403 = \"/missing.html\"\n501 = \"/a.txt\"\n400 = \"/empty.txt\"",
        );
        world.file("404.html", "never");
    });
    let mut check = |request: &str, status: u16, text: &str| {
        let response = ask(&mut world, request);
        assert_eq!(response.status, status);
        assert!(response.text().starts_with(text), "{request}: {}", response.text());
    };
    check(&get("/missing"), 404, "<h1>page</h1>");
    check(&get("/denied.txt"), 403, "<!doctype html>");
    check(&get("/").replace("GET", "BREW"), 501, "alpha");
    check(&get("/.."), 400, "");
    let head = ask(&mut world, get("/missing").replace("GET", "HEAD"));
    assert_eq!((head.status, head.field("Content-Length"), head.text().as_str()), (404, Some("13"), ""));
    let refused = ask(&mut world, get("/").replace("GET", "POST"));
    assert_eq!((refused.status, refused.field("Allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[test]
fn a_single_page_answers_for_pages_and_not_for_assets() {
    let mut world = serve(&["--page-fallback", "/index.html"]);
    let mut check = |target: &str, accept: &str, expected: &str| {
        let request = get_with(target, &format!("Accept: {accept}\r\n"));
        assert_eq!(outcome(&ask(&mut world, request)), expected, "{target} {accept}");
    };
    check("/user/5", "*/*", "<h1>home</h1>");
    check("/user/john.doe", "text/html,*/*;q=0.8", "<h1>home</h1>");
    check("/bare/", "*/*", "<h1>home</h1>");
    // A program that asks for data is told that there is none.
    check("/api/x", "application/json", "404");
    check("/api/x", "application/json, text/plain, */*", "404");
    check("/api/x", "application/vnd.api+json", "404");
    check("/api/x", "text/html, application/json;q=0.9", "<h1>home</h1>");
    check("/api/x", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "<h1>home</h1>");
    check("/app.js", "*/*", "404");
    check("/image.png", "image/avif,image/*,*/*;q=0.8", "404");
    check("/.env", "text/html", "404");
    check("/a%2fb", "text/html", "404");
    check("/a.txt", "text/html", "alpha");
    check("/denied.txt", "text/html", "403");
    assert_eq!(ask(&mut world, get("/user/5").replace("GET", "POST")).status, 405);
    // A cache must not give a page to who asks for a picture, nor the other way round (RFC 9110
    // §12.5.5).
    for (target, accept, varies) in [
        ("/a.b", "text/html", true),
        ("/a.b", "*/*", true),
        ("/a", "*/*", true),
        ("/a", "application/json", true),
        ("/a.txt", "*/*", false),
    ] {
        let response = ask(&mut world, get_with(target, &format!("Accept: {accept}\r\n")));
        let vary = response.fields.contains(&("Vary".to_owned(), "Accept".to_owned()));
        assert_eq!(vary, varies, "{target} {accept}");
    }
    let mut missing = serve(&["--page-fallback", "/gone.html"]);
    assert!(missing.logs().iter().any(|(level, line)| {
        *level == Level::Warn
            && line.starts_with("--page-fallback: page-fallback, gone.html, cannot be opened: no file")
    }));
    assert_eq!(get_response(&mut missing, "/user").status, 404, "no loop");
}

#[test]
fn clean_urls_lead_to_pages() {
    let mut world = serve_with(&["--clean-urls"], |world| world.file("dir.html", "beside the folder"));
    let mut check = |target: &str, expected: &str| assert_eq!(outcome(&get_response(&mut world, target)), expected);
    check("/dir/page", "<h1>page</h1>");
    check("/dir/page.html?q=1", "301 -> page?q=1");
    check("/dir/index.html", "301 -> ./");
    check("/index.html", "301 -> ./");
    check("/dir/", "<h1>dir</h1>");
    check("/dir", "beside the folder");
    check("/bare", "301 -> bare/");
    check("/a.txt", "alpha");
    check("/missing", "404");
    check("/dir/page/?q", "301 -> ../page?q");
    check("//dir//page.html", "301 -> page");
    check("/missing.html", "404");
    check("/missing/", "404");
    check("/dir/index?q", "301 -> ./?q");
    check("/index", "301 -> ./");
}

/// Where a file has the clean address of a page, the page keeps its own.
#[test]
fn a_clean_address_leads_to_no_other_file() {
    let mut world = serve_with(&["--clean-urls"], |world| {
        world.file("foo", "another file");
        world.file("foo.html", "page");
        world.file("folder.html", "page beside a folder");
        world.file("folder/x", "");
        world.file("closed", "");
        world.deny("closed");
        world.file("closed.html", "page beside what is closed");
    });
    let mut check = |target: &str, expected: &str| assert_eq!(outcome(&get_response(&mut world, target)), expected);
    for _ in 0..3 {
        check("/foo", "another file");
        check("/foo.html", "page");
        check("/foo/", "404");
        check("/folder.html", "301 -> folder");
        check("/folder", "page beside a folder");
        check("/folder/", "301 -> ../folder");
        check("/closed.html", "page beside what is closed");
    }
}

#[test]
fn a_site_names_its_index_files() {
    for clean in [false, true] {
        let config = format!("clean-urls = {clean}\nindex = [\"home.html\", \"index.htm\"]\n");
        let mut world = serve_with(&[], |world| {
            world.file(".pluto.toml", config);
            world.file("both/home.html", "home");
            world.file("both/index.htm", "second");
            world.file("second/index.htm", "second alone");
            world.file("odd/home.html/x", "");
            world.file("odd/index.htm", "beside a folder");
        });
        let mut check = |target: &str, expected: &str| assert_eq!(outcome(&get_response(&mut world, target)), expected);
        for _ in 0..3 {
            check("/both/", "home");
            check("/second/", "second alone");
            check("/odd/", "beside a folder");
            check("/dir/", "404");
            check("/dir", "301 -> dir/");
            check("/both/index.htm", "second");
            check("/both/home.html", if clean { "301 -> ./" } else { "home" });
            check("/both/home", if clean { "301 -> ./" } else { "404" });
            check("/dir/index.html", if clean { "301 -> index" } else { "<h1>dir</h1>" });
        }
    }
    // An index file that is not served for its folder keeps its address.
    let mut world = serve_with(&["--clean-urls"], |world| {
        world.file(".pluto.toml", "index = [\"first.txt\", \"index.html\"]");
        world.file("dir/first.txt", "first");
    });
    assert_eq!(outcome(&get_response(&mut world, "/dir/index.html")), "<h1>dir</h1>");
    assert_eq!(outcome(&get_response(&mut world, "/dir/")), "first");
    assert_eq!(outcome(&get_response(&mut world, "/index.html")), "301 -> ./");
}

#[test]
fn directories_are_listed_when_that_is_wanted() {
    let files = |world: &mut World| {
        world.file(".pluto.toml", "[[headers]]\nsource = \"/bare/\"\nheaders = { X-Listed = \"yes\" }");
        world.file("bare/a&b.txt", "12345");
        world.directory("bare/sub");
        world.symlink("bare/link", "file");
        world.special("bare/pipe");
        world.file("bare/.secret", "");
        world.file("bare/back\\slash", "");
    };
    let mut world = serve_with(&["--directory-listing"], |world| {
        files(world);
        world.symlink("linked/folder", "../dir");
        world.symlink("linked/file", "../dir/page.html");
        world.symlink("linked/nothing", "../missing");
        world.symlink("linked/out", "../../secret");
        world.symlink("linked/denied", "../denied.txt");
    });
    let links = get_response(&mut world, "/linked/").text();
    for shown in [
        "<a href=\"./folder/\">folder/</a></td><td></td>",
        "<a href=\"./file\">file</a></td><td>13 B</td>",
        "<s>nothing</s> leads nowhere",
        "<s>out</s> leads nowhere",
        "<a href=\"./denied\">denied</a></td><td></td>",
    ] {
        assert!(links.contains(shown), "{shown}: {links}");
    }
    for (target, status) in [("folder/", 200), ("file", 200), ("nothing", 404), ("out", 404), ("denied", 403)] {
        assert_eq!(get_response(&mut world, &format!("/linked/{target}")).status, status, "{target}");
    }
    let page = get_response(&mut world, "/bare/?sort=size&order=desc");
    let text = page.text();
    let names: Vec<&str> = text.split("href=\"./").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(names, ["sub/", "a%26b.txt", "file", "link"]);
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!((page.field("Vary"), page.field("X-Listed")), (Some("Accept"), Some("yes")));
    let json = ask(&mut world, get_with("/bare/", "Accept: application/json\r\n"));
    assert_eq!(json.field("Content-Type"), Some("application/json"));
    assert!(json.text().contains("{\"name\":\"a&b.txt\",\"type\":\"file\",") && !json.text().contains("secret"));
    let head = ask(&mut world, get("/bare/").replace("GET", "HEAD"));
    assert!(head.status == 200 && head.content.is_empty());
    let mut check = |target: &str, expected: &str| assert_eq!(outcome(&get_response(&mut world, target)), expected);
    check("/bare", "301 -> bare/");
    check("/dir/", "<h1>dir</h1>");
    check("/.git/", "404");
    check("/missing/", "404");
    check("/a.txt/", "404");
    let mut denied = serve_with(&["--directory-listing", "--symlinks", "deny"], |world| {
        files(world);
        world.symlink("linked", "bare");
    });
    assert!(!get_response(&mut denied, "/bare/").text().contains("./link\""));
    assert_eq!(get_response(&mut denied, "/linked/").status, 404);
    assert_eq!(get_response(&mut serve_with(&[], files), "/bare/").status, 404, "off unless wanted");
}

/// A large listing takes as long as a thousand files: behind it there is a rest, in which the
/// others are served.
#[test]
fn large_listings_are_made_one_after_the_other() {
    let mut world = serve_with(&["--directory-listing"], |world| {
        (0..1_000).for_each(|number| world.file(format!("many/{number}"), ""));
    });
    let clients: Vec<_> = (0..2).map(|_| send(&mut world, &[get("/many/").as_bytes()])).collect();
    let listed =
        |world: &World| -> Vec<bool> { clients.iter().map(|client| !world.received(*client).is_empty()).collect() };
    assert_eq!(listed(&world), [false, false]);
    assert_eq!(get_response(&mut world, "/a.txt").status, 200);
    world.advance(Duration::from_nanos(1_000 * LISTING_REST_NANOS));
    assert_eq!(listed(&world), [true, false]);
    world.advance(Duration::from_nanos(1_000 * LISTING_REST_NANOS));
    assert_eq!(listed(&world), [true, true]);
    // Those who wait are bounded.
    let clients: Vec<_> = (0..=LISTINGS_WAITING_MAX).map(|_| send(&mut world, &[get("/many/").as_bytes()])).collect();
    assert!(world.received(clients[LISTINGS_WAITING_MAX]).starts_with(b"HTTP/1.1 503 "));
}

/// The addresses of the entries on a page, and that of the next page.
fn page_of(response: &Response) -> (Vec<String>, Option<String>) {
    let text = response.text();
    let entries = text.split("<a href=\"./").skip(1).filter_map(|rest| rest.split('"').next());
    let next = text.split("<a href=\"").find(|link| link.contains("rel=\"next\""));
    let next = next.and_then(|link| link.split('"').next()).map(|link| link.replace("&amp;", "&"));
    (entries.map(str::to_owned).collect(), next)
}

#[test]
fn a_large_directory_has_pages_and_all_of_it_in_json() {
    let count = 2 * pluto::limits::LISTING_ENTRIES_MAX + 1;
    let mut world = serve_with(&["--directory-listing"], |world| {
        (0..count).for_each(|number| world.file(format!("many/{number:05} &=+%"), ""));
    });
    let mut get_slowly = |target: &str, fields: &str| -> Response {
        let client = send(&mut world, &[get_with(target, fields).as_bytes()]);
        world.advance(Duration::from_secs(2));
        responses(world.received(client), &["GET"]).remove(0)
    };
    for order in ["", "sort=name&order=desc&"] {
        let (mut target, mut found, mut pages) = (format!("/many/?{order}"), Vec::new(), 0);
        loop {
            let response = get_slowly(&target, "");
            assert_eq!(response.status, 200, "{target}");
            let (entries, next) = page_of(&response);
            found.extend(entries);
            pages += 1;
            let Some(next) = next else { break };
            target = format!("/many/{next}");
        }
        assert_eq!((pages, found.len()), (3, count), "{order}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), count, "{order}");
    }
    let all = get_slowly("/many/", "Accept: application/json\r\n");
    assert_eq!((all.status, all.field("Link")), (200, None));
    assert_eq!(all.text().matches("\"name\":").count(), count);
}

#[test]
fn a_directory_with_long_names_has_pages_too() {
    let long = "n".repeat(240);
    let mut world = serve_with(&["--directory-listing"], |world| {
        (0..4_000).for_each(|number| world.file(format!("long/{number:04}{long}"), ""));
    });
    let client = send(&mut world, &[get("/long/").as_bytes()]);
    world.advance(Duration::from_secs(2));
    let response = responses(world.received(client), &["GET"]).remove(0);
    let (entries, next) = page_of(&response);
    assert!(response.status == 200 && entries.len() < 4_000 && next.is_some(), "{}", entries.len());
    assert!(response.text().len() <= pluto::limits::LISTING_BYTES_MAX);
}

#[test]
fn other_sites_may_read_what_they_are_allowed() {
    let mut world = site(
        "[cors]\nsource = \"/dir/**\"\nallow-origins = [\"https://a.example\"]\nallow-methods = [\"GET\"]\nallow-headers = [\"Range\"]\n",
    );
    let origin = "Origin: https://a.example\r\n";
    let allowed = ask(&mut world, get_with("/dir/page.html", origin));
    assert_eq!(allowed.field("Access-Control-Allow-Origin"), Some("https://a.example"));
    let varies = |response: &Response| response.fields.contains(&("Vary".to_owned(), "Origin".to_owned()));
    assert!(varies(&allowed) && allowed.text() == "<h1>page</h1>");
    let missing = ask(&mut world, get_with("/dir/missing", origin));
    assert_eq!((missing.status, missing.field("Access-Control-Allow-Origin")), (404, Some("https://a.example")));
    for (target, fields) in [("/dir/", "Origin: https://b.example\r\n"), ("/dir/", ""), ("/a.txt", origin)] {
        let other = ask(&mut world, get_with(target, fields));
        assert_eq!((other.status, other.field("Access-Control-Allow-Origin")), (200, None), "{target} {fields}");
    }
    let preflight =
        get_with("/dir/x", &format!("{origin}Access-Control-Request-Method: GET\r\n")).replace("GET /", "OPTIONS /");
    let answer = ask(&mut world, &preflight);
    assert_eq!((answer.status, answer.field("Access-Control-Allow-Methods")), (204, Some("GET")));
    assert_eq!(
        (answer.field("Access-Control-Allow-Headers"), answer.field("Access-Control-Max-Age")),
        (Some("Range"), Some("600"))
    );
    let elsewhere = ask(&mut world, preflight.replace("/dir/x", "/x"));
    assert_eq!((elsewhere.status, elsewhere.field("Access-Control-Allow-Origin")), (204, None));
    let mut clean = site("clean-urls = true\n[cors]\nsource = \"/dir/page.html\"\nallow-origins = [\"*\"]\n");
    for target in ["/dir/page", "/dir/page.html"] {
        let response = get_response(&mut clean, target);
        assert_eq!(response.field("Access-Control-Allow-Origin"), Some("*"), "{target}: the same file");
    }
}

/// An address that a page's file does without its ending is no way to what is nobody's business.
#[test]
fn a_clean_address_is_no_way_to_the_configuration() {
    let mut world = serve_with(&["--clean-urls", "--config", "site.html"], |world| world.file("site.html", ""));
    for target in ["/site.html", "/site", "/site/"] {
        assert_eq!(get_response(&mut world, target).status, 404, "{target}");
    }
}

#[test]
fn each_host_has_its_folder_and_its_configuration() {
    let mut world = serve_with(&["--virtual-hosts"], |world| {
        world.file("a.example/index.html", "site a");
        world.file("a.example/404.html", "lost in a");
        world.file("b.example/index.html", "site b");
        world.file("b.example/.pluto.toml", "[[redirects]]\nsource = \"/x\"\ndestination = \"/y\"\nkind = 301");
        world.file("file.example", "no folder");
        world.file("UPPER/index.html", "never");
        world.symlink("linked.example", "a.example");
    });
    let mut check = |host: &str, target: &str, expected: &str| {
        let response = ask(&mut world, get(target).replace("example.org", host));
        let found = if response.status == 404 { response.text() } else { outcome(&response) };
        assert!(found.starts_with(expected), "{host} {target}: {found}");
    };
    check("a.example", "/", "site a");
    check("A.Example.:8000", "/", "site a");
    check("linked.example", "/", "site a");
    check("a.example", "/missing", "lost in a");
    check("b.example", "/", "site b");
    check("b.example", "/x?q", "301 -> /y?q");
    check("b.example", "/missing", "<!doctype html>");
    check("a.example", "/../b.example/", "400");
    check("a.example", "http://b.example/", "site b");
    for host in ["c.example", "file.example", "upper", "127.0.0.1", "[::1]", ".git", ".well-known"] {
        check(host, "/", "421");
    }
    assert!(world.logs().iter().any(|(_, line)| line == "UPPER: no host is called so; expected upper"));
    let mut world = serve_with(&["--virtual-hosts"], |world| world.file("default/index.html", "site of all"));
    assert_eq!(outcome(&get_response(&mut world, "/")), "site of all");
    let old = ask(&mut world, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(outcome(&old), "site of all");
}

#[test]
fn the_files_of_the_policy_are_never_served() {
    let mut world = serve_with(&["--allow-hidden", "--directory-listing", "--config", "conf/site.toml"], |world| {
        let rule = "[[basic-auth]]\nsource = \"/x/**\"\nusers = \".users\"\n";
        world.file("conf/site.toml", format!("{rule}[error-pages]\n404 = \"/.users\"\n"));
        world.file(".users", "a:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        world.file("conf/other", "");
        world.file("conf/.pluto.toml", "of another site");
        world.file("conf/.htpasswd", "of another site");
    });
    for target in ["/conf/site.toml", "/.users", "/conf/./site%2Etoml", "/x/..//.users"] {
        let response = get_response(&mut world, target);
        assert!(response.status == 404 && !response.text().contains("$2a$"), "{target}: nor as an error page");
    }
    assert_eq!(get_response(&mut world, "/.env").text(), "secret", "other hidden files are, when they may");
    for target in ["/.pluto.toml", "/conf/.pluto.toml", "/conf/.htpasswd"] {
        assert_eq!(get_response(&mut world, target).status, 404, "{target}");
    }
    let listing = get_response(&mut world, "/conf/").text();
    assert!(listing.contains("other") && !listing.contains(".toml") && !listing.contains(".htpasswd"));
}

#[test]
fn a_reload_takes_the_new_configuration_or_keeps_the_old_one() {
    let mut world = site("[[redirects]]\nsource = \"/x\"\ndestination = \"/y\"\nkind = 301");
    let redirect = |world: &mut World| outcome(&get_response(world, "/x"));
    assert_eq!(redirect(&mut world), "301 -> /y");
    let reload = |world: &mut World, config: &str| {
        world.overwrite(".pluto.toml", config);
        world.signal(Signal::Reload);
        world.run_until_idle();
    };
    reload(&mut world, "[[redirects]]\nsource = \"/x\"\ndestination = \"/z\"\nkind = 302");
    assert_eq!(redirect(&mut world), "302 -> /z");
    reload(&mut world, "[[redirects]]\nsource = \"/x\"\n");
    assert_eq!(redirect(&mut world), "302 -> /z");
    assert!(world.logs().iter().any(|(level, line)| *level == Level::Error && line.starts_with(".pluto.toml:1:1: ")));
    reload(&mut world, "");
    assert_eq!(redirect(&mut world), "404");
}

/// A site without a configuration asks for no more than it did: one open for a file that is not
/// kept, and none for one that is.
#[test]
fn without_a_configuration_nothing_is_paid() {
    let opens = |config: Option<&str>| {
        let mut world = serve_with(&[], |world| {
            if let Some(config) = config {
                world.file(".pluto.toml", config);
            }
        });
        let count =
            |world: &World| world.requests().iter().filter(|sent| matches!(sent.request, Request::Open(_))).count();
        let before = count(&world);
        (0..5).for_each(|_| drop(get_response(&mut world, "/a.txt")));
        count(&world) - before
    };
    assert_eq!(opens(None), opens(Some("clean-urls = true")));
    assert_eq!(opens(None), 2);
}
