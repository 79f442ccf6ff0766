//! The cases of Go's `ServeContent`, nginx's and Apache's own tests, read as facts.

use super::*;
use crate::validator::{EntityTag, Modified};

/// Sun, 06 Nov 1994 08:49:37 GMT
const MODIFIED: u64 = 784_111_777;
const NOW: u64 = MODIFIED + 1_000_000;

const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn validators() -> Validators {
    Validators { tag: Some(EntityTag::strong("a")), modified: Some(Modified { second: MODIFIED, changed: MODIFIED }) }
}

fn conditions(method: Method, fields: &[(&str, &str)]) -> Result<Conditions, HttpError> {
    Conditions::read(method, &fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

fn verdict(fields: &[(&str, &str)], validators: &Validators, now: u64) -> &'static str {
    assert!(fields.iter().all(|(name, _)| is_condition(name.as_bytes())), "{fields:?}");
    match conditions(Method::Get, fields).expect("short conditions").evaluate(validators, now) {
        Verdict::Perform(None) => "200",
        Verdict::Perform(Some(_)) => "206",
        Verdict::NotModified => "304",
        Verdict::Failed => "412",
    }
}

#[track_caller]
fn check(fields: &[(&str, &str)], expected: &str) {
    assert_eq!(verdict(fields, &validators(), NOW), expected, "{fields:?}");
}

#[test]
fn if_none_match_is_compared_weakly() {
    for (value, expected) in [
        ("\"a\"", "304"),
        ("W/\"a\"", "304"),
        ("*", "304"),
        ("\"b\"", "200"),
        ("\"b\", \"a\"", "304"),
        ("\"b\",W/\"a\" ", "304"),
        ("\"b\", W/\"c\"", "200"),
        ("a", "200"),
        ("\"A\"", "200"),
        ("\"a", "200"),
        ("w/\"a\"", "200"),
        ("", "200"),
        ("\"b\", *", "200"),
    ] {
        check(&[("If-None-Match", value)], expected);
    }
    check(&[("if-none-match", "\"b\""), ("IF-NONE-MATCH", "\"a\"")], "304");
}

#[test]
fn if_match_is_compared_strongly() {
    for (value, expected) in [
        ("\"a\"", "200"),
        ("*", "200"),
        ("\"b\", \"a\"", "200"),
        ("W/\"a\"", "412"),
        ("\"b\"", "412"),
        ("a", "412"),
        ("", "412"),
    ] {
        check(&[("If-Match", value)], expected);
    }
    let weak = Validators { tag: Some(EntityTag::weak("a")), ..validators() };
    assert_eq!(verdict(&[("If-Match", "W/\"a\"")], &weak, NOW), "412");
    assert_eq!(verdict(&[("If-Match", "\"a\"")], &weak, NOW), "412");
    assert_eq!(verdict(&[("If-None-Match", "\"a\"")], &weak, NOW), "304");
}

#[test]
fn dates_are_compared_by_the_second() {
    for (value, since, unmodified) in [
        (SAME, "304", "200"),
        (AFTER, "304", "200"),
        (BEFORE, "200", "412"),
        ("Sunday, 06-Nov-94 08:49:37 GMT", "304", "200"),
        ("Sun Nov  6 08:49:37 1994", "304", "200"),
        ("Sun Nov  6 08:49:36 1994", "200", "412"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "304", "200"),
        // What is no date is ignored.
        ("", "200", "200"),
        ("yesterday", "200", "200"),
        ("784111777", "200", "200"),
        ("Sun, 06 Nov 1994 08:49:37", "200", "200"),
        ("Sun, 06 Nov 1994 08:49:37 PST", "200", "200"),
        ("1994-11-06T08:49:37Z", "200", "200"),
    ] {
        check(&[("If-Modified-Since", value)], since);
        check(&[("If-Unmodified-Since", value)], unmodified);
    }
    check(&[("If-Modified-Since", SAME), ("If-Modified-Since", SAME)], "200");
}

/// RFC 9110 §13.2.2, every step before every other.
#[test]
fn preconditions_have_an_order() {
    let (matches, other) = ("\"a\"", "\"b\"");
    check(&[("If-Match", matches), ("If-Unmodified-Since", BEFORE)], "200");
    check(&[("If-Unmodified-Since", AFTER), ("If-Match", other)], "412");
    check(&[("If-None-Match", other), ("If-Modified-Since", AFTER)], "200");
    check(&[("If-None-Match", matches), ("If-Modified-Since", BEFORE)], "304");
    check(&[("If-Match", other), ("If-None-Match", matches)], "412");
    check(&[("If-Match", matches), ("If-None-Match", matches)], "304");
    check(&[("If-Unmodified-Since", BEFORE), ("If-None-Match", matches)], "412");
    check(&[("If-Unmodified-Since", SAME), ("If-Modified-Since", SAME)], "304");
    check(&[("If-None-Match", matches), ("Range", "bytes=0-0")], "304");
    check(&[("If-Modified-Since", SAME), ("Range", "bytes=0-0"), ("If-Range", matches)], "304");
    check(&[("If-Match", other), ("Range", "bytes=0-0")], "412");
    check(&[("If-Match", matches), ("Range", "bytes=0-0")], "206");
    check(&[("If-None-Match", other), ("If-Range", other), ("Range", "bytes=0-0")], "200");
}

#[test]
fn a_range_can_have_a_condition() {
    let check = |if_range: &str, expected: &str| check(&[("Range", "bytes=0-0"), ("If-Range", if_range)], expected);
    check("\"a\"", "206");
    check("\"b\"", "200");
    check("W/\"a\"", "200");
    check("\"a\", \"b\"", "200");
    check("*", "200");
    check("", "200");
    check("a", "200");
    check(SAME, "206");
    check("Sun Nov  6 08:49:37 1994", "206");
    // Not earlier or later: exactly the same.
    check(AFTER, "200");
    check(BEFORE, "200");
}

/// What was replaced by an older file, with its older time: who has seen the newer one must not be
/// told that it is still there.
#[test]
fn a_rollback_is_a_change() {
    let modified = Some(Modified { second: MODIFIED, changed: MODIFIED + 100 });
    let rolled_back = Validators { modified, ..validators() };
    for (date, since, unmodified, range) in [
        (SAME, "304", "200", "206"),
        (AFTER, "200", "412", "200"),
        (BEFORE, "200", "412", "200"),
        ("Sun, 06 Nov 1994 08:51:17 GMT", "200", "412", "200"),
        ("Sun, 06 Nov 1994 08:51:18 GMT", "304", "200", "200"),
    ] {
        assert_eq!(verdict(&[("If-Modified-Since", date)], &rolled_back, NOW), since, "{date}");
        assert_eq!(verdict(&[("If-Unmodified-Since", date)], &rolled_back, NOW), unmodified, "{date}");
        let fields = [("Range", "bytes=0-0"), ("If-Range", date)];
        assert_eq!(verdict(&fields, &rolled_back, NOW), range, "{date}");
    }
}

#[test]
fn a_date_before_1970_is_one_as_well() {
    for date in ["Wed, 31 Dec 1969 23:59:59 GMT", "Wed Dec 31 23:59:59 1969", "Mon, 01 Jan 1900 00:00:00 GMT"] {
        check(&[("If-Modified-Since", date)], "200");
        check(&[("If-Unmodified-Since", date)], "412");
        check(&[("Range", "bytes=0-0"), ("If-Range", date)], "200");
    }
}

#[test]
fn a_date_of_this_second_is_weak() {
    let fields = [("Range", "bytes=0-0"), ("If-Range", SAME)];
    assert_eq!(verdict(&fields, &validators(), MODIFIED), "200");
    assert_eq!(verdict(&fields, &validators(), MODIFIED + 1), "206");
}

#[test]
fn without_validators_only_an_asterisk_matches() {
    for (name, value, expected) in [
        ("If-Match", "*", "200"),
        ("If-Match", "\"a\"", "412"),
        ("If-None-Match", "*", "304"),
        ("If-None-Match", "\"a\"", "200"),
        ("If-Modified-Since", AFTER, "200"),
        ("If-Unmodified-Since", BEFORE, "200"),
    ] {
        assert_eq!(verdict(&[(name, value)], &Validators::default(), NOW), expected, "{name}: {value}");
    }
    for value in ["\"a\"", SAME] {
        let fields = [("Range", "bytes=0-0"), ("If-Range", value)];
        assert_eq!(verdict(&fields, &Validators::default(), NOW), "200", "{value}");
    }
}

#[test]
fn a_range_is_one_line_of_a_get() {
    check(&[("Range", "bytes=0-0")], "206");
    check(&[("Range", "bytes=0-0"), ("Range", "bytes=1-1")], "200");
    check(&[("Range", "lines=1-2")], "200");
    check(&[("If-Range", "\"a\"")], "200");
    let head = conditions(Method::Head, &[("Range", "bytes=0-0")]).expect("short");
    assert_eq!(head.evaluate(&validators(), NOW), Verdict::Perform(None));
}

#[test]
fn what_is_remembered_of_a_request_is_bounded() {
    let list = |bytes: usize| format!("\"{}\"", "t".repeat(bytes - 2));
    assert!(conditions(Method::Get, &[("If-None-Match", &list(CONDITION_BYTES_MAX))]).is_ok());
    for name in ["If-Match", "If-None-Match", "If-Range"] {
        let error = conditions(Method::Get, &[(name, &list(CONDITION_BYTES_MAX + 1))]).expect_err(name);
        assert_eq!((error.status, error.fatal), (Status::HeadTooLarge, false));
    }
}
