//! Files that are asked for again and again are kept, and never served wrong.

use crate::hand::{Hand, is_open};
use crate::support::{Response, get, responses, send, serve};
use pluto::limits::{BODY_KEPT_BYTES_MAX, KEPT_FRESH_MILLIS, KEPT_MILLIS_MAX};
use pluto_sdk::Error;
use pluto_sdk::testing::{Reply, Request, World};
use std::time::Duration;

fn ask(world: &mut World, path: &str) -> Response {
    let client = send(world, &[get(path).as_bytes()]);
    responses(world.received(client), &[]).remove(0)
}

fn opens(world: &World) -> usize {
    world.requests().iter().filter(|submission| matches!(submission.request, Request::Open(_))).count()
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
fn a_file_that_is_removed_or_forbidden_is_gone() {
    let mut world = kept();
    world.remove("a.txt");
    assert_eq!(ask(&mut world, "/a.txt").status, 404);
    world.file("a.txt", "back");
    // The host tells of changes to what is there, and not of what appears.
    world.advance(Duration::from_millis(KEPT_FRESH_MILLIS));
    assert_eq!(ask(&mut world, "/a.txt").text(), "back");
}

/// Not every file system tells of changes. Then age decides.
#[test]
fn a_change_that_nobody_tells_of_shows_within_a_second() {
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

/// Descriptors of kept files are given up for one that is wanted now, and the request is tried once more: not for ever.
#[test]
fn a_file_for_which_there_was_no_descriptor_is_opened_again_without_what_was_kept() {
    let mut hand = Hand::new(get("/a"));
    hand.answer(vec![(hand.id(is_open), Reply::Failed(Error::Exhausted))]);
    assert_eq!(hand.written, "");
    hand.open(hand.id(is_open), 100);
    assert!(hand.written.starts_with("HTTP/1.1 200 OK\r\n") && hand.written.ends_with("<100>"), "{}", hand.written);
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
    world.advance(Duration::from_millis(KEPT_FRESH_MILLIS));
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
    world.remove("404.html");
    world.advance(Duration::from_millis(KEPT_FRESH_MILLIS));
    assert!(ask(&mut world, "/none").text().contains("Not Found"));
}
