//! Where bodies end, and which are refused.

use super::*;

#[test]
fn framing_follows_from_the_fields() {
    // The fields: `L` for Content-Length, `T` for Transfer-Encoding; the framing, or the status of
    // the error.
    let check = |version: Version, fields: &[(char, &str)], expected: Result<Framing, u16>| {
        let mut found = FramingFields::default();
        let taken = fields.iter().try_for_each(|&(kind, value)| match kind {
            'L' => found.content_length(value.as_bytes()),
            _ => found.transfer_encoding(value.as_bytes()),
        });
        let framing = taken.and_then(|()| found.framing(version)).map_err(|error| error.status.code());
        assert_eq!(framing, expected, "{fields:?}");
    };
    let check11 = |fields: &[(char, &str)], expected| check(Version::Http11, fields, expected);
    check11(&[], Ok(Framing::None));
    check11(&[('L', "0")], Ok(Framing::None));
    check11(&[('L', "7")], Ok(Framing::Length(7)));
    check11(&[('L', "007")], Ok(Framing::Length(7)));
    check11(&[('L', "18446744073709551615")], Ok(Framing::Length(u64::MAX)));
    for value in ["", "+7", "-7", "7 ", "7,7", "0x7", "7.0", "1_0", "18446744073709551616", "\u{663}"] {
        check11(&[('L', value)], Err(400));
    }
    check11(&[('L', "7"), ('L', "7")], Err(400));
    check11(&[('L', "7"), ('L', "8")], Err(400));
    check11(&[('T', "chunked")], Ok(Framing::Chunked));
    check11(&[('T', "ChunkeD")], Ok(Framing::Chunked));
    check11(&[('T', "gzip")], Err(501));
    check11(&[('T', "xchunked")], Err(501));
    check11(&[('T', "identity")], Err(501));
    check11(&[('T', "gzip, chunked")], Err(501));
    check11(&[('T', "gzip"), ('T', "chunked")], Err(501));
    check11(&[('T', "chunked, gzip")], Err(400));
    check11(&[('T', "chunked,chunked")], Err(400));
    check11(&[('T', "chunked"), ('T', "chunked")], Err(400));
    check11(&[('T', "chunked"), ('T', "gzip")], Err(400));
    for value in ["", ",", "chunked,", ",chunked", "chunked;a=b", "\"chunked\"", "chunk\u{e9}d", "chunked chunked"] {
        check11(&[('T', value)], Err(400));
    }
    check11(&[('T', "chunked"), ('L', "7")], Err(400));
    check11(&[('L', "0"), ('T', "chunked")], Err(400));
    check(Version::Http10, &[('L', "7")], Ok(Framing::Length(7)));
    check(Version::Http10, &[('T', "chunked")], Err(400));
    check(Version::Http10, &[('T', "gzip")], Err(400));
}

/// Drops a body whole and in pieces of one byte.
fn drop_body(framing: Framing, budget: u64, bytes: &[u8]) -> Result<Progress, u16> {
    let mut dropper = Dropper::new(framing, budget).expect("a body");
    let whole = dropper.take(bytes).map_err(|error| error.status.code());
    let mut dropper = Dropper::new(framing, budget).expect("a body");
    let mut pieces = Ok(Progress::More);
    for (index, byte) in bytes.iter().enumerate() {
        pieces = dropper.take(&[*byte]).map_err(|error| error.status.code());
        match pieces {
            Ok(Progress::More) => (),
            Ok(Progress::Done(_)) => {
                pieces = Ok(Progress::Done(index + 1));
                break;
            }
            _ => break,
        }
    }
    assert_eq!(whole, pieces, "{:?}", String::from_utf8_lossy(bytes));
    whole
}

#[test]
fn a_body_of_known_length_ends_there() {
    let check = |length, budget, bytes: &str, expected| {
        assert_eq!(drop_body(Framing::Length(length), budget, bytes.as_bytes()), Ok(expected), "{length} {bytes}");
    };
    check(3, 10, "ab", Progress::More);
    check(3, 10, "abc", Progress::Done(3));
    check(3, 3, "abcGET /", Progress::Done(3));
    check(4, 3, "abcd", Progress::TooMuch);
    check(u64::MAX, u64::MAX, "abc", Progress::More);
    assert!(Dropper::new(Framing::None, 10).is_none());
}

#[test]
fn a_chunked_body_is_read_strictly() {
    let check = |body: &str, expected| {
        let bytes = [body.as_bytes(), b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(drop_body(Framing::Chunked, 1000, &bytes), expected, "{body:?}");
    };
    let good = |body: &str| check(body, Ok(Progress::Done(body.len())));
    let bad = |body: &str| check(body, Err(400));
    good("0\r\n\r\n");
    good("000\r\n\r\n");
    good("3\r\nabc\r\n0\r\n\r\n");
    good("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n");
    good("3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n");
    good("3 ;a\r\nabc\r\n0\t;x\r\n\r\n");
    good("3; a = b ;c = \"d;\\\"e\";f\r\nabc\r\n0\r\n\r\n");
    for extension in
        [";", ";=x", ";a b", ";a=", ";a=\"", ";a=\"b", ";a=b c", ";a=\"b\"c", ";;a", ";a;", ";\u{ff}", ";a ", "; "]
    {
        bad(&format!("3{extension}\r\nabc\r\n0\r\n\r\n"));
    }
    good("2\r\n\r\n\r\n0\r\n\r\n");
    good("0\r\nContent-Length: 5\r\nempty:\r\nA: \u{e9}\t\r\n\r\n");
    bad("");
    bad("\r\n");
    bad("g\r\n");
    bad("-1\r\n");
    bad("+1\r\n");
    bad("0x1\r\na\r\n");
    bad("1 \r\na\r\n0\r\n\r\n");
    bad(" 1\r\na\r\n0\r\n\r\n");
    bad("1\na\r\n0\r\n\r\n");
    bad("1\ra\r\n0\r\n\r\n");
    bad("1;a\nb\r\n0\r\n\r\n");
    bad("1;a\rb\r\n0\r\n\r\n");
    bad("1;a\0\r\na\r\n0\r\n\r\n");
    bad("1_0\r\n");
    bad("10000000000000000\r\n");
    bad("00000000000000000000000000000001fffffffffffffffff\r\n");
    bad("1\r\nab\r\n");
    bad("1\r\na\n0\r\n\r\n");
    bad("2\r\na\r\n0\r\n\r\n");
    bad("0\r\n\n");
    bad("0\r\n\rX");
    bad("0\r\nX\r\n\r\n");
    bad("0\r\nX : y\r\n\r\n");
    bad("0\r\n: y\r\n\r\n");
    bad("0\r\n y\r\n\r\n");
    bad("0\r\nX: y\n\r\n");
    bad("0\r\nX: y\rz\r\n\r\n");
    bad("0\r\nX: \0\r\n\r\n");
    bad(&format!("1;{}\r\n", "a".repeat(CHUNK_LINE_BYTES_MAX)));
}

#[test]
fn a_chunked_body_is_dropped_within_a_limit_that_counts_its_framing() {
    let check = |body: &str, budget, expected| {
        assert_eq!(drop_body(Framing::Chunked, budget, body.as_bytes()), Ok(expected), "{body:?}");
    };
    check("0\r\n\r\n", 5, Progress::Done(5));
    check("0\r\n\r\n", 4, Progress::TooMuch);
    check(&"1\r\na\r\n".repeat(100), 599, Progress::TooMuch);
    check("3e8\r\nabc", 1005, Progress::More);
    check("3e8\r\nabc", 1004, Progress::TooMuch);
    check("ffffffffffffffff\r\n", 1000, Progress::TooMuch);
    check("0\r\nA: b\r\nA: b\r\nA: b\r\n", 12, Progress::TooMuch);
}
