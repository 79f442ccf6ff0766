//! Files that are asked for again and again are kept, and never served wrong.

use crate::hand::{Hand, is_open};
use crate::support::{Response, get, responses, send, serve};
use pluto::limits::{
    BODY_KEPT_BYTES_MAX, KEPT_BYTES_MAX, KEPT_DESCRIPTOR_BYTES, KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX,
    KEPT_UNREAD_MILLIS_MAX, MISSING_KEPT_MILLIS,
};
use pluto_sdk::Error;
use pluto_sdk::testing::{Reply, Request, World};
use std::time::Duration;

fn ask(world: &mut World, path: &str) -> Response {
    let client = send(world, &[get(path).as_bytes()]);
    responses(world.received(client), &[]).remove(0)
}

fn count(world: &World, kind: fn(&Request) -> bool) -> usize {
    world.requests().iter().filter(|submission| kind(&submission.request)).count()
}

fn opens(world: &World) -> usize {
    count(world, is_open)
}

/// A world in which `a.txt` is kept.
fn kept() -> World {
    let mut world = serve(&[]);
    (0..3).for_each(|_| assert_eq!(ask(&mut world, "/a.txt").text(), "alpha"));
    world
}

#[test]
fn a_kept_file_is_not_opened_again_while_it_is_fresh() {
    let mut world = kept();
    let before = opens(&world);
    for _ in 0..100 {
        assert_eq!(ask(&mut world, "/a.txt").text(), "alpha");
    }
    assert_eq!(opens(&world), before);
}

#[test]
fn a_file_that_is_asked_for_once_is_not_kept() {
    let mut world = serve(&[]);
    for path in ["/a.txt", "/b.css", "/dir/", "/dir/page.html"] {
        assert_eq!(ask(&mut world, path).status, 200);
    }
    assert_eq!(world.handles(), 0);
}

#[test]
fn a_change_shows_in_the_next_response_whole() {
    for change in [
        (|world: &mut World| world.overwrite("a.txt", "longer than before")) as fn(&mut World),
        |world| world.overwrite("a.txt", "x"),
        |world| world.file("a.txt", "another file"),
        |world| world.overwrite("a.txt", vec![b'y'; 3 * BODY_KEPT_BYTES_MAX as usize]),
    ] {
        let mut world = kept();
        change(&mut world);
        let changed = ask(&mut world, "/a.txt");
        assert_ne!(changed.text(), "alpha");
        assert_eq!(changed.field("Content-Length"), Some(changed.content.len().to_string().as_str()));
        assert_eq!(ask(&mut world, "/a.txt").content, changed.content);
    }
}

#[test]
fn a_file_that_is_removed_is_gone() {
    let mut world = kept();
    world.remove("a.txt");
    assert_eq!(ask(&mut world, "/a.txt").status, 404);
    world.file("a.txt", "back");
    // The host tells of changes to what is there, and not of what appears.
    world.advance(Duration::from_millis(MISSING_KEPT_MILLIS));
    assert_eq!(ask(&mut world, "/a.txt").text(), "back");
}

/// Not every file system tells of changes. Then age decides;
/// `another_file_in_the_place_of_a_kept_one` shows what comes of it.
#[test]
fn a_kept_file_is_opened_again_within_a_second() {
    for millis in [KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX, 10 * KEPT_MILLIS_MAX] {
        let mut world = kept();
        let before = opens(&world);
        world.advance(Duration::from_millis(millis - 1));
        assert_eq!(ask(&mut world, "/a.txt").status, 200);
        let early = opens(&world) - before;
        world.advance(Duration::from_millis(1));
        assert_eq!(ask(&mut world, "/a.txt").status, 200);
        assert!(opens(&world) - before >= 1, "after {millis} ms");
        assert!(early == 0 || millis > KEPT_FRESH_MILLIS, "opened early");
    }
}

#[test]
fn a_kept_file_that_is_still_the_same_is_opened_again_and_not_read() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; BODY_KEPT_BYTES_MAX as usize + 1]);
    world.advance(Duration::from_secs(10));
    for path in ["/a.txt", "/large.bin"] {
        (0..3).for_each(|_| assert_eq!(ask(&mut world, path).status, 200));
        let read = |request: &Request| matches!(request, Request::Load(_) | Request::Digest(_) | Request::Watch(_));
        let (opened, handles, before) = (opens(&world), world.handles(), count(&world, read));
        for age in [KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX, KEPT_UNREAD_MILLIS_MAX / 2] {
            world.advance(Duration::from_millis(age));
            (0..3).for_each(|_| assert_eq!(ask(&mut world, path).status, 200));
        }
        assert_eq!((opens(&world) - opened, world.handles(), count(&world, read)), (3, handles, before), "{path}");
        // Not every change shows.
        let read = |request: &Request| matches!(request, Request::Load(_) | Request::Digest(_));
        let (digested, before) = (count(&world, |request| matches!(request, Request::Digest(_))), count(&world, read));
        world.advance(Duration::from_millis(KEPT_UNREAD_MILLIS_MAX / 2));
        (0..3).for_each(|_| assert_eq!(ask(&mut world, path).status, 200));
        assert_eq!(count(&world, |request| matches!(request, Request::Digest(_))), digested + 1, "{path}");
        let loaded = usize::from(path == "/a.txt");
        assert_eq!((world.handles(), count(&world, read)), (handles, before + 1 + loaded), "{path}");
    }
}

/// As it is done with a link to the release that is in use: nobody tells of that, for no file has
/// changed.
#[test]
fn another_file_in_the_place_of_a_kept_one_is_seen_within_a_second() {
    let mut world = serve(&[]);
    for (path, content) in [("1/a.txt", "one"), ("2/a.txt", "two"), ("2/a.txt.gz", "packed")] {
        world.file(path, content);
    }
    world.symlink("now", "1");
    world.advance(Duration::from_secs(10));
    for round in 0..10 {
        let (release, content) = if round % 2 == 0 { ("1", "one") } else { ("2", "two") };
        (0..3).for_each(|_| assert_eq!(ask(&mut world, "/now/a.txt").text(), content, "round {round}"));
        let client = send(&mut world, &[b"GET /now/a.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"]);
        let packed = responses(world.received(client), &[]).remove(0);
        assert_eq!(packed.text(), if release == "1" { "one" } else { "packed" });
        world.remove("now");
        world.symlink("now", if release == "1" { "2" } else { "1" });
        world.advance(Duration::from_millis(KEPT_FRESH_MILLIS));
    }
}

/// A file that had changed just before it was opened may change again, and its times not show it.
#[test]
fn a_file_that_has_just_changed_is_read_again() {
    let mut world = kept();
    world.overwrite("a.txt", "first");
    (0..3).for_each(|_| assert_eq!(ask(&mut world, "/a.txt").text(), "first"));
    let loads = |world: &World| count(world, |request| matches!(request, Request::Load(_)));
    let before = loads(&world);
    world.advance(Duration::from_millis(KEPT_FRESH_MILLIS));
    (0..3).for_each(|_| assert_eq!(ask(&mut world, "/a.txt").text(), "first"));
    assert_eq!(loads(&world), before + 1);
}

#[test]
fn what_is_kept_is_bounded_by_what_it_takes() {
    let mut world = serve(&[]);
    world.advance(Duration::from_secs(10));
    let files_max = KEPT_BYTES_MAX / KEPT_DESCRIPTOR_BYTES;
    for number in 0..files_max + 100 {
        for end in ["txt", "txt.gz"] {
            world.file(format!("{number}.{end}"), vec![b'x'; BODY_KEPT_BYTES_MAX as usize + 1]);
        }
        (0..2).for_each(|_| assert_eq!(ask(&mut world, &format!("/{number}.txt")).status, 200));
        if number % 2 == 0 {
            // One of its forms is known only later.
            let request = format!("GET /{number}.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
            let client = send(&mut world, &[request.as_bytes()]);
            assert_eq!(responses(world.received(client), &[])[0].field("Content-Encoding"), Some("gzip"));
        }
        assert!(world.handles() <= files_max, "{number}");
    }
    assert!(world.handles() >= files_max / 3);
}

#[test]
fn large_files_are_kept_open_and_small_ones_with_their_content() {
    let mut world = serve(&[]);
    world.file("large.bin", vec![b'x'; BODY_KEPT_BYTES_MAX as usize + 1]);
    (0..3).for_each(|_| assert_eq!(ask(&mut world, "/large.bin").status, 200));
    assert_eq!(world.handles(), 1);
    (0..3).for_each(|_| assert_eq!(ask(&mut world, "/a.txt").status, 200));
    assert_eq!(world.handles(), 2, "its content alone");
    (0..3).for_each(|_| assert_eq!(ask(&mut world, "/empty.txt").status, 200));
    assert_eq!(world.handles(), 3);
}

/// Descriptors of kept files are given up for one that is wanted now.
#[test]
fn a_file_for_which_there_was_no_descriptor_is_opened_again_without_what_was_kept() {
    let mut hand = Hand::new(get("/a"));
    hand.answer(vec![(hand.id(is_open), Reply::Failed(Error::Exhausted))]);
    assert_eq!(hand.written, "");
    hand.open(hand.id(is_open), 100);
    assert!(hand.written.starts_with("HTTP/1.1 200 OK\r\n") && hand.written.ends_with("<100>"), "{}", hand.written);
}

/// Where no other client holds a file, waiting for one is in vain.
#[test]
fn a_file_for_which_there_is_no_descriptor_is_not_asked_for_again_and_again() {
    let mut hand = Hand::new(get("/a"));
    for _ in 0..2 {
        hand.answer(vec![(hand.id(is_open), Reply::Failed(Error::Exhausted))]);
    }
    assert!(hand.written.starts_with("HTTP/1.1 503 "), "{}", hand.written);
    assert!(hand.ids(is_open).is_empty());
}

#[test]
fn what_is_missing_is_not_looked_for_again_at_once_and_found_when_it_appears() {
    let mut world = serve(&[]);
    assert_eq!(ask(&mut world, "/new.txt").status, 404);
    let before = opens(&world);
    for _ in 0..100 {
        assert_eq!(ask(&mut world, "/new.txt").status, 404);
    }
    assert_eq!(opens(&world), before);
    world.file("new.txt", "new");
    world.advance(Duration::from_millis(MISSING_KEPT_MILLIS));
    assert_eq!(ask(&mut world, "/new.txt").text(), "new");
}

#[test]
fn the_page_for_what_is_missing_is_never_older_than_a_file() {
    let mut world = serve(&[]);
    world.file("404.html", "nothing here");
    (0..5).for_each(|_| assert_eq!(ask(&mut world, "/none").text(), "nothing here"));
    let before = opens(&world);
    assert_eq!(ask(&mut world, "/none").text(), "nothing here");
    assert_eq!(opens(&world), before, "the page is kept");
    world.overwrite("404.html", "still nothing");
    assert_eq!(ask(&mut world, "/none").text(), "still nothing");
    // Nobody tells that a link leads elsewhere.
    world.remove("404.html");
    world.file("1.html", "one");
    world.file("2.html", "two");
    world.symlink("404.html", "1.html");
    world.advance(Duration::from_secs(10));
    (0..5).for_each(|_| assert_eq!(ask(&mut world, "/none").text(), "one"));
    world.advance(Duration::from_millis(KEPT_FRESH_MILLIS - 1));
    assert_eq!(ask(&mut world, "/none").text(), "one");
    world.remove("404.html");
    world.symlink("404.html", "2.html");
    world.advance(Duration::from_millis(KEPT_MILLIS_MAX + 1 - KEPT_FRESH_MILLIS));
    assert_eq!(ask(&mut world, "/none").text(), "two");
    world.remove("404.html");
    world.advance(Duration::from_millis(MISSING_KEPT_MILLIS));
    assert!(ask(&mut world, "/none").text().contains("Not Found"));
}
