//! The cases of Go's `ServeContent`, nginx's and Apache's own tests, read as facts: what is asked
//! of how many bytes, and what comes of it.

use super::*;

fn show(value: &str, length: u64) -> String {
    let Some(ranges) = Ranges::parse(value.as_bytes()) else { return "ignored".to_owned() };
    // As `Content-Range` has it: the last byte is included.
    let part = |part: &Range<u64>| format!("{}-{}", part.start, part.end - 1);
    match ranges.select(length) {
        Selection::Whole => "whole".to_owned(),
        Selection::Part(one) => part(&one),
        Selection::Parts(parts) => parts.iter().map(part).collect::<Vec<_>>().join(" "),
        Selection::Unsatisfiable => "unsatisfiable".to_owned(),
    }
}

#[track_caller]
fn check(value: &str, length: u64, expected: &str) {
    assert_eq!(show(value, length), expected, "{value:?} of {length} bytes");
}

#[test]
fn one_range() {
    check("bytes=0-4", 10, "0-4");
    check("bytes=2-", 10, "2-9");
    check("bytes=-5", 10, "5-9");
    check("bytes=3-7", 10, "3-7");
    check("bytes=0-0", 10, "0-0");
    check("bytes=-1", 10, "9-9");
    check("bytes=9-9", 10, "9-9");
    check("bytes=0-", 10, "0-9");
    check("bytes=0-9", 10, "0-9");
    check("BYTES=0-4", 10, "0-4");
    check("bytes= 0-4 ", 10, "0-4");
}

#[test]
fn a_range_is_clipped() {
    check("bytes=0-10", 10, "0-9");
    check("bytes=5-99999", 10, "5-9");
    check("bytes=-11", 10, "0-9");
    check("bytes=-99999999999999999999999999", 10, "0-9");
    check("bytes=1-99999999999999999999999999", 10, "1-9");
    check("bytes=0-18446744073709551615", 10, "0-9");
    check("bytes=0-18446744073709551615", u64::MAX, "0-18446744073709551614");
}

#[test]
fn a_range_that_is_not_there() {
    check("bytes=10-", 10, "unsatisfiable");
    check("bytes=10-10", 10, "unsatisfiable");
    check("bytes=-0", 10, "unsatisfiable");
    check("bytes=99999999999999999999-", 10, "unsatisfiable");
    check("bytes=10-11,20-", 10, "unsatisfiable");
    check("bytes=10-11,20-,0-0", 10, "0-0");
    check("bytes=-0,1-2", 10, "1-2");
}

#[test]
fn nothing_has_no_parts() {
    for value in ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-", "bytes=0-0,2-3"] {
        check(value, 0, "whole");
    }
}

#[test]
fn several_ranges() {
    check("bytes=0-0,2-2", 10, "0-0 2-2");
    check("bytes=0-0,-2", 10, "0-0 8-9");
    check("bytes=0-1,5-8", 10, "0-1 5-8");
    check("bytes=5-8,0-1", 10, "5-8 0-1");
    check("bytes=0-1, 5-", 10, "0-1 5-9");
    check("bytes=0-1,2-3", 10, "0-1 2-3");
    check("bytes=,0-1,,2-3,", 10, "0-1 2-3");
    check("bytes=0-1\t,\t2-3", 10, "0-1 2-3");
}

#[test]
fn what_overlaps_becomes_one() {
    check("bytes=0-5,3-8", 10, "0-8");
    check("bytes=3-8,0-5", 10, "0-8");
    check("bytes=0-,0-,0-,0-", 10, "0-9");
    check("bytes=0-,-1", 10, "0-9");
    check("bytes=8-9,0-3,2-5", 10, "0-5 8-9");
    check("bytes=0-9,1-2,4-5", 10, "0-9");
}

#[test]
fn what_is_no_set_of_ranges_is_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=1",
        "bytes=a-b",
        "bytes=2-1",
        "bytes=1-2-3",
        "bytes=0-0,-",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1 -2",
        "bytes=0-1;2-3",
        "bytes =0-1",
        "items=0-1",
        "=0-1",
        "bytes=0-5,x",
        "lines=1-2",
        "none",
        "bytes 0-1",
        "bytes=0-1 2-3",
        "bytes=0-\u{664}",
    ] {
        check(value, 10, "ignored");
    }
}

#[test]
fn absurd_sets_are_ignored() {
    let set = |count: usize| {
        let ranges: Vec<String> = (0..count).map(|number| format!("{0}-{0}", 2 * number)).collect();
        format!("bytes={}", ranges.join(","))
    };
    assert!(matches!(Ranges::parse(set(RANGES_MAX).as_bytes()), Some(Ranges(specs)) if specs.len() == RANGES_MAX));
    assert_eq!(Ranges::parse(set(RANGES_MAX + 1).as_bytes()), None);
    assert_eq!(Ranges::parse(format!("bytes={}", ",".repeat(10_000)).as_bytes()), None);
}

/// Whatever is asked for: no byte is sent twice, and none that is not there.
#[test]
fn parts_are_never_longer_than_the_whole() {
    // A linear congruential generator: the cases are the same in each run.
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..20_000 {
        let length = random(40);
        let count = random(6) + 1;
        let specs: Vec<String> = (0..count)
            .map(|_| match random(3) {
                0 => format!("{}-", random(45)),
                1 => format!("-{}", random(45)),
                _ => {
                    let first = random(45);
                    format!("{first}-{}", first + random(20))
                }
            })
            .collect();
        let value = format!("bytes={}", specs.join(","));
        match Ranges::parse(value.as_bytes()).expect("a set").select(length) {
            Selection::Whole => assert_eq!(length, 0, "{value}"),
            Selection::Unsatisfiable => (),
            Selection::Part(part) => assert!(part.start < part.end && part.end <= length, "{value} of {length}"),
            Selection::Parts(parts) => {
                assert!(parts.len() > 1 && parts.len() as u64 <= count, "{value} of {length}");
                let mut seen = vec![false; length as usize];
                for at in parts.into_iter().flatten() {
                    assert!(!std::mem::replace(&mut seen[at as usize], true), "{value} of {length}: {at} twice");
                }
            }
        }
    }
}
