//! The folder that is served. It is found by its path at any time, and links may lead into folders
//! that the operator grants.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::guests;
use crate::support::host::{self, Host, PATIENCE};
use crate::support::http::Client;
use crate::support::traces::{Folder, text};

fn pluto() -> String {
    text(&guests::built("pluto"))
}

/// A release of a site, in which every file says which one it is.
fn release(folder: &Folder, name: &str, files: &[&str]) {
    for file in files {
        let path = folder.root().join(name).join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, format!("{name}: {file}")).expect("a file");
    }
}

/// Asks until a page is of that release. Before that it must be of the other one.
fn turns_into(host: &Host, path: &str, before: &str, after: &str) {
    let begin = Instant::now();
    let mut client = Client::new(host.connect());
    loop {
        let response = client.get(path);
        let body = String::from_utf8(response.body).expect("text");
        if response.status == 200 && body.starts_with(after) {
            return;
        }
        assert!(response.status == 200 && body.starts_with(before), "{path}: {} {body}", response.status);
        assert!(begin.elapsed() < PATIENCE, "{path} is still {body:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_link_that_a_deploy_switches_is_followed() {
    let folder = Folder::new();
    release(&folder, "one", &["index.html", "sub/page.html"]);
    release(&folder, "two", &["index.html", "sub/page.html"]);
    symlink("one", folder.path("current")).expect("a link");
    let host = Host::serve([&pluto(), "0", &folder.path("current")]);
    // Asked for often enough to be kept.
    let mut client = Client::new(host.connect());
    for path in ["/", "/sub/page.html"].repeat(4) {
        assert!(client.get(path).body.starts_with(b"one: "));
    }
    for (before, after, signal) in [("one", "two", None), ("two", "one", Some("HUP"))] {
        let new = folder.path("new");
        symlink(after, &new).expect("a link");
        fs::rename(&new, folder.path("current")).expect("the link is switched");
        signal.into_iter().for_each(|signal| host.signal(signal));
        turns_into(&host, "/", before, after);
        // What one path has shown, the others must not take back.
        for _ in 0..4 {
            assert!(client.get("/").body.starts_with(after.as_bytes()));
        }
        turns_into(&host, "/sub/page.html", before, after);
    }
}

#[test]
fn a_folder_that_is_moved_into_the_place_of_another_is_served() {
    let folder = Folder::new();
    release(&folder, "site", &["index.html"]);
    release(&folder, "next", &["index.html", "new.html"]);
    let host = Host::serve([&pluto(), "0", &folder.path("site")]);
    let mut client = Client::new(host.connect());
    (0..4).for_each(|_| assert_eq!(client.get("/").body, b"site: index.html"));
    assert_eq!(client.get("/new.html").status, 404);
    fs::rename(folder.path("site"), folder.path("old")).expect("moved away");
    // Between the two steps the old folder is served.
    assert_eq!(client.get("/").body, b"site: index.html");
    fs::rename(folder.path("next"), folder.path("site")).expect("moved into its place");
    turns_into(&host, "/", "site", "next");
    assert_eq!(client.get("/new.html").body, b"next: new.html");
}

#[test]
fn a_response_under_way_is_of_the_old_folder_to_its_end() {
    let folder = Folder::new();
    for (name, byte) in [("one", b'1'), ("two", b'2')] {
        fs::create_dir(folder.path(name)).expect("a folder");
        fs::write(folder.root().join(name).join("large"), vec![byte; 64 << 20]).expect("a file");
        fs::write(folder.root().join(name).join("index.html"), name).expect("a file");
    }
    symlink("one", folder.path("current")).expect("a link");
    let host = Host::serve([&pluto(), "0", &folder.path("current")]);
    // This client reads nothing yet: most of the file is still to be sent.
    let mut slow = Client::new(host.connect());
    slow.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(Client::new(host.connect()).get("/").body, b"one");
    symlink("two", folder.path("new")).expect("a link");
    fs::rename(folder.path("new"), folder.path("current")).expect("the link is switched");
    turns_into(&host, "/", "one", "two");
    let response = slow.response(true);
    assert_eq!(response.body.len(), 64 << 20);
    assert!(response.body.iter().all(|byte| *byte == b'1'), "the two are mixed");
}

/// A site whose links lead out of it: into `shared`, and from there into `deep`.
fn linked(folder: &Folder) {
    release(folder, "site", &["index.html"]);
    release(folder, "shared", &["file.txt", "sub/page.html", ".hidden/secret"]);
    release(folder, "deep", &["far.txt"]);
    release(folder, "outside", &["secret.txt"]);
    let link = |target: &Path, name: &str| symlink(target, folder.root().join(name)).expect("a link");
    link(&folder.root().join("shared/file.txt"), "site/absolute.txt");
    link(Path::new("../shared/file.txt"), "site/relative.txt");
    link(&folder.root().join("shared"), "site/folder");
    link(&folder.root().join("deep/far.txt"), "shared/far.txt");
    link(&folder.root().join("outside/secret.txt"), "site/secret.txt");
    link(Path::new("../outside/secret.txt"), "shared/secret.txt");
    link(&folder.root().join("shared/../outside/secret.txt"), "site/dots.txt");
    link(Path::new("loop.txt"), "shared/loop.txt");
    link(&folder.root().join("shared/loop.txt"), "site/loop.txt");
}

#[test]
fn a_link_leads_into_a_granted_folder_and_nowhere_else() {
    let folder = Folder::new();
    linked(&folder);
    let (shared, deep, site) = (folder.path("shared"), folder.path("deep"), folder.path("site"));
    let host = Host::serve(["--grant-folder", &shared, "--grant-folder", &deep, &pluto(), "0", &site]);
    let mut client = Client::new(host.connect());
    for (path, body) in [
        ("/absolute.txt", "shared: file.txt"),
        ("/relative.txt", "shared: file.txt"),
        ("/folder/file.txt", "shared: file.txt"),
        ("/folder/sub/page.html", "shared: sub/page.html"),
        ("/folder/far.txt", "deep: far.txt"),
    ] {
        for _ in 0..3 {
            let response = client.get(path);
            assert_eq!((response.status, &response.body[..]), (200, body.as_bytes()), "{path}");
        }
    }
    for path in ["/secret.txt", "/folder/secret.txt", "/dots.txt", "/loop.txt", "/folder/.hidden/secret"] {
        assert!([403, 404].contains(&client.get(path).status), "{path}");
    }
    drop(client);
    drop(host);
    // Without a grant, every one of them is refused.
    let host = Host::serve([&pluto(), "0", &site]);
    let mut client = Client::new(host.connect());
    assert_eq!(client.get("/").status, 200);
    for path in ["/absolute.txt", "/relative.txt", "/folder/file.txt", "/secret.txt"] {
        assert!([403, 404].contains(&client.get(path).status), "{path}");
    }
}

#[test]
fn a_granted_folder_that_is_none_is_told_at_the_start() {
    let folder = Folder::new();
    release(&folder, "site", &["index.html"]);
    let ended = host::run(["--grant-folder", &folder.path("none"), &pluto(), "0", &folder.path("site")]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.errors.contains("cannot open the granted folder"), "{ended:#?}");
}
