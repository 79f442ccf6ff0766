//! What heads are taken and refused, at which byte, and at what cost.

use super::*;

/// Scans a head whole and in pieces of one byte; gives what was found, or the error and the byte
/// that brought it.
fn scan(head: &[u8]) -> Result<Option<usize>, (HttpError, usize)> {
    let (mut whole, mut pieces) = (Scanner::default(), Scanner::default());
    let at_once = whole.scan(head);
    for end in 1..=head.len() {
        match pieces.scan(&head[..end]) {
            Ok(false) => (),
            Ok(true) => {
                assert_eq!(at_once, Ok(true));
                assert_eq!(whole.length(), end, "the end does not depend on the pieces");
                return Ok(Some(end));
            }
            Err(error) => {
                assert_eq!(at_once, Err(error), "an error does not depend on the pieces");
                return Err((error, end));
            }
        }
    }
    assert_eq!(at_once, Ok(false));
    Ok(None)
}

#[test]
fn a_head_is_taken_apart() {
    let check = |head: &str, line: [&str; 2], version: Version, fields: &[(&str, &[u8])]| {
        let mut scanner = Scanner::default();
        let bytes = [head.as_bytes(), b"next"].concat();
        assert_eq!(scan(&bytes), Ok(Some(head.len())), "{head}");
        assert_eq!(scanner.scan(&bytes), Ok(true), "{head}");
        let found = scanner.head(&bytes);
        assert_eq!([found.method(), found.target()], line.map(str::as_bytes), "{head}");
        assert_eq!(found.version(), version, "{head}");
        let expected: Vec<_> = fields.iter().map(|&(name, value)| (name.as_bytes(), value)).collect();
        assert_eq!(found.fields().collect::<Vec<_>>(), expected, "{head}");
        assert!(head.trim_start().as_bytes().starts_with(found.line()), "{head}");
    };
    check("GET / HTTP/1.1\r\n\r\n", ["GET", "/"], Version::Http11, &[]);
    check("get /%zz|{}\\ HTTP/1.0\r\n\r\n", ["get", "/%zz|{}\\"], Version::Http10, &[]);
    check("G HTTP HTTP/1.9\r\n\r\n", ["G", "HTTP"], Version::Http11, &[]);
    check("\r\n\r\nGET / HTTP/1.1\r\nA:b\r\n\r\n", ["GET", "/"], Version::Http11, &[("A", b"b")]);
    check(
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nx-Y: \t b c\t \r\nempty:\r\nblank: \t\r\nnoise:\u{e9}\tz\r\nA:b:c\r\n\r\n",
        ["OPTIONS", "*"],
        Version::Http11,
        &[("Host", b"a"), ("x-Y", b"b c"), ("empty", b""), ("blank", b""), ("noise", b"\xc3\xa9\tz"), ("A", b"b:c")],
    );
}

#[test]
fn what_cannot_be_right_is_refused_at_the_byte() {
    // The head up to the byte that must be refused, and the status.
    let check = |head: &[u8], status: Status| {
        let bytes = [head, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let found = scan(&bytes).map_err(|(error, end)| (error.status, end));
        assert_eq!(found, Err((status, head.len())), "{:?}", String::from_utf8_lossy(head));
    };
    let bad = |head: &[u8]| check(head, Status::BadRequest);
    // Line ends.
    bad(b"\n");
    bad(b"\rG");
    bad(b"\r\n\n");
    bad(b"\r\n\r\n\r\n\r\n\r");
    bad(b"GET / HTTP/1.1\n");
    bad(b"GET / HTTP/1.1\rH");
    bad(b"GET / HTTP/1.1\r\n\n");
    bad(b"GET / HTTP/1.1\r\n\rH");
    bad(b"GET / HTTP/1.1\r\nA: b\n");
    bad(b"GET / HTTP/1.1\r\nA: b\rc");
    bad(b"GET / HTTP/1.1\r\nA: b\r\r");
    // The request line.
    bad(b" ");
    bad(b"\t");
    bad(b"GET\t");
    bad(b"GET\r");
    bad(b"GET  ");
    bad(b"G\xc3");
    bad(b"GET / \t");
    bad(b"GET /  ");
    bad(b"GET /\r");
    bad(b"GET /\n");
    bad(b"GET /a\x00");
    bad(b"GET /a\x7f");
    bad(b"GET /a\xc3");
    bad(b"GET /a#");
    bad(b"GET /a\t");
    // The version.
    bad(b"GET / h");
    bad(b"GET / HTTP ");
    bad(b"GET / HTTP/x");
    bad(b"GET / HTTP/1,");
    bad(b"GET / HTTP/1.x");
    bad(b"GET / HTTP/1.10");
    bad(b"GET / HTTP/1.1 ");
    bad(b"GET / HTTP/11");
    check(b"GET / HTTP/2.0", Status::VersionNotSupported);
    check(b"GET / HTTP/0.9", Status::VersionNotSupported);
    check(b"PRI * HTTP/2.0", Status::VersionNotSupported);
    // Fields.
    bad(b"GET / HTTP/1.1\r\n ");
    bad(b"GET / HTTP/1.1\r\n:");
    bad(b"GET / HTTP/1.1\r\nA: b\r\n ");
    bad(b"GET / HTTP/1.1\r\nA: b\r\n\t");
    bad(b"GET / HTTP/1.1\r\nA ");
    bad(b"GET / HTTP/1.1\r\nA\t");
    bad(b"GET / HTTP/1.1\r\nA\r");
    bad(b"GET / HTTP/1.1\r\nA\n");
    bad(b"GET / HTTP/1.1\r\nA\xc3");
    bad(b"GET / HTTP/1.1\r\nA(");
    bad(b"GET / HTTP/1.1\r\nA: \x00");
    bad(b"GET / HTTP/1.1\r\nA: b\x1b");
    bad(b"GET / HTTP/1.1\r\nA: b\x7f");
    // No HTTP at all.
    bad(b"\x16");
    bad(b"\x00");
    bad(b"SSH-2.0-OpenSSH_9.2\r");
    bad(b"{");
}

#[test]
fn limits_hold_to_the_byte() {
    let check = |head: &[u8], expected: Result<Option<usize>, (Status, usize)>| {
        assert_eq!(scan(head).map_err(|(error, end)| (error.status, end)), expected);
    };
    let head = |target: usize, fields: usize, value: usize| {
        let field = format!("A: {}\r\n", "v".repeat(value)).repeat(fields);
        format!("GET {} HTTP/1.1\r\n{field}\r\n", "/".repeat(target)).into_bytes()
    };
    let line = "GET / HTTP/1.1\r\n".len();
    check(&head(TARGET_BYTES_DEFAULT, 0, 0), Ok(Some(line - 1 + TARGET_BYTES_DEFAULT + 2)));
    check(&head(TARGET_BYTES_DEFAULT + 1, 0, 0), Err((Status::UriTooLong, 4 + TARGET_BYTES_DEFAULT + 1)));
    check(&head(1, FIELDS_DEFAULT, 0), Ok(Some(line + FIELDS_DEFAULT * 5 + 2)));
    check(&head(1, FIELDS_DEFAULT + 1, 0), Err((Status::HeadTooLarge, line + FIELDS_DEFAULT * 5 + 1)));
    let room = HEAD_BYTES_DEFAULT - head(1, 1, 0).len();
    check(&head(1, 1, room), Ok(Some(HEAD_BYTES_DEFAULT)));
    check(&head(1, 1, room + 1), Err((Status::HeadTooLarge, HEAD_BYTES_DEFAULT)));
    check(&head(1, 1, 10 * HEAD_BYTES_DEFAULT), Err((Status::HeadTooLarge, HEAD_BYTES_DEFAULT)));
    let method = |length: usize| [&b"M".repeat(length)[..], b" / HTTP/1.1\r\n\r\n"].concat();
    check(&method(10_000), Ok(Some(10_000 + 15)));
    check(&method(2 * HEAD_BYTES_DEFAULT), Err((Status::NotImplemented, HEAD_BYTES_DEFAULT)));
}

#[test]
fn the_largest_head_in_pieces_of_one_byte_costs_one_look_at_each() {
    let value = "v".repeat(HEAD_BYTES_DEFAULT - "GET / HTTP/1.1\r\nA: \r\n\r\n".len());
    let head = format!("GET / HTTP/1.1\r\nA: {value}\r\n\r\n").into_bytes();
    let mut scanner = Scanner::default();
    for end in 1..head.len() {
        assert_eq!(scanner.scan(&head[..end]), Ok(false));
    }
    assert_eq!(scanner.scan(&head), Ok(true));
    assert_eq!((scanner.looked_at, scanner.length()), (head.len(), head.len()));
}

#[test]
fn a_scanner_is_used_again_without_a_trace_of_the_last_head() {
    let mut scanner = Scanner::default();
    assert_eq!(scanner.scan(b"\r\nGET /a HTTP/1.0\r\nA: b\r\n\r\n"), Ok(true));
    scanner.reset();
    assert!(!scanner.has_begun());
    let next = b"PUT / HTTP/1.1\r\n\r\n";
    assert_eq!(scanner.scan(next), Ok(true));
    let head = scanner.head(next);
    assert_eq!((head.method(), head.version(), head.fields().count()), (&b"PUT"[..], Version::Http11, 0));
}

/// A head in pieces is never read the usual way.
#[test]
fn a_head_in_one_piece_is_read_as_one_in_many() {
    let found = |scanner: &Scanner, bytes: &[u8]| {
        let head = scanner.head(bytes);
        let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
        let fields: Vec<_> = head.fields().map(owned).collect();
        let line = (scanner.line(), head.line().to_vec(), scanner.length());
        (head.method().to_vec(), head.target().to_vec(), head.version(), line, fields)
    };
    let limits = Limits { bytes: 90, target_bytes: 20, fields: 3 };
    let pieces: &[&[u8]] = &[
        b"GET",
        b"POST",
        b" ",
        b"/",
        b"/a?b",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"Host",
        b":",
        b": ",
        b"a",
        b"Name: value\r\n",
        b"X:\r\n",
        b"Y: \t a b\xff\t \r\n",
        b"\x00",
        b"\x7f",
        b"\t",
        b"0123456789abcdef",
    ];
    let mut rng = fastrand::Rng::with_seed(7);
    let mut complete = 0;
    for _ in 0..200_000 {
        let mut bytes = Vec::new();
        if rng.bool() {
            bytes.extend_from_slice(b"GET /index.html HTTP/1.1\r\n");
        }
        for _ in 0..rng.usize(1..9) {
            bytes.extend_from_slice(pieces[rng.usize(..pieces.len())]);
        }
        let (mut whole, mut cut) = (Scanner::new(limits), Scanner::new(limits));
        let at_once = whole.scan(&bytes);
        let in_pieces = (1..=bytes.len()).map(|end| cut.scan(&bytes[..end])).find(|scanned| *scanned != Ok(false));
        assert_eq!(at_once, in_pieces.unwrap_or(Ok(false)), "{}", bytes.escape_ascii());
        if at_once == Ok(true) {
            complete += 1;
            assert_eq!(found(&whole, &bytes), found(&cut, &bytes), "{}", bytes.escape_ascii());
        }
    }
    assert!(complete > 10_000, "{complete} complete heads say little");
}
