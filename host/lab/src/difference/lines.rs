//! Compares two streams line by line. All changes of a kind are described in the same words.

use std::fmt::Write as _;
use std::time::Duration;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::stream::{Chunk, DATE_BYTES, date, same_bytes};
use crate::behaviour::Store;
use crate::limits;

/// A difference between two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What all changes of this kind have in common.
    pub kind: String,
    /// The first side's line, if it has one.
    pub first: Option<String>,
    /// The second's.
    pub second: Option<String>,
}

/// What to call the two sides.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// The side that is expected.
    pub first: &'a str,
    /// The side that is held against it.
    pub second: &'a str,
}

/// A line of a stream: text up to its end of line, or a range of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Line {
    Text(Vec<u8>),
    File { path: Vec<u8>, offset: u64, length: u64 },
}

/// What has changed from one stream to another; they are known to differ.
pub fn changes(store: &Store, streams: [&[Chunk]; 2], sides: Sides<'_>, tolerance: Duration) -> Vec<Change> {
    let [first, mut second] = streams.map(|stream| lines(store, stream));
    if first.is_empty() || second.is_empty() {
        return vec![nothing(first.first(), second.first(), sides)];
    }
    near_dates(&first, &mut second, tolerance);
    let mut changes = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &first, &second) {
        if let DiffOp::Equal { .. } = op {
            continue;
        }
        replaced(&first[op.old_range()], &second[op.new_range()], sides, &mut changes);
    }
    if changes.is_empty() {
        let kind = format!("other bytes after the first {} lines", limits::DIFFERENCE_LINES_MAX);
        changes.push(Change { kind, first: None, second: None });
    }
    changes
}

fn lines(store: &Store, chunks: &[Chunk]) -> Vec<Line> {
    let mut lines = Vec::new();
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => {
                let room = limits::DIFFERENCE_LINES_MAX.saturating_sub(lines.len());
                let more = bytes.split_inclusive(|byte| *byte == b'\n').take(room);
                lines.extend(more.map(|line| Line::Text(line.to_vec())));
            }
            Chunk::File { path, offset, length } => {
                lines.push(Line::File { path: store.get(*path).to_vec(), offset: *offset, length: *length });
            }
        }
        if lines.len() >= limits::DIFFERENCE_LINES_MAX {
            break;
        }
    }
    lines.truncate(limits::DIFFERENCE_LINES_MAX);
    lines
}

/// A line of the second stream that differs from one of the first by a near date alone becomes
/// that.
fn near_dates(first: &[Line], second: &mut [Line], tolerance: Duration) {
    for line in second {
        let Line::Text(text) = line else { continue };
        if !has_date(text) {
            continue;
        }
        let near = first.iter().find(|it| matches!(it, Line::Text(it) if same_bytes(it, text, tolerance)));
        if let Some(near) = near {
            *line = near.clone();
        }
    }
}

fn has_date(text: &[u8]) -> bool {
    text.windows(DATE_BYTES).any(|window| date(window).is_some())
}

fn nothing(first: Option<&Line>, second: Option<&Line>, sides: Sides<'_>) -> Change {
    let (silent, other) = if first.is_none() { (sides.first, second) } else { (sides.second, first) };
    let sent = other.map_or(String::new(), Line::kind);
    let kind = format!("nothing sent by {silent}, where the other sends {sent}");
    Change { kind, first: first.map(Line::shown), second: second.map(Line::shown) }
}

/// Lines in the place of others: those of the same name belong together, then those in the same
/// order.
fn replaced(first: &[Line], second: &[Line], sides: Sides<'_>, changes: &mut Vec<Change>) {
    let mut left: Vec<&Line> = second.iter().collect();
    let mut alone = Vec::new();
    for line in first {
        match left.iter().position(|other| line.is_about(other)) {
            Some(index) => changes.push(changed(line, left.remove(index))),
            None => alone.push(line),
        }
    }
    let only = |line: &Line, side: &str| format!("only {side} sends {}", line.name_or_kind());
    let (mut named, unnamed): (Vec<&Line>, Vec<&Line>) = alone.into_iter().partition(|line| line.stands_alone());
    let (mut others, left): (Vec<&Line>, Vec<&Line>) = left.into_iter().partition(|line| line.stands_alone());
    let pairs = unnamed.len().min(left.len());
    changes.extend(unnamed.iter().zip(&left).map(|(a, b)| changed(a, b)));
    named.extend(&unnamed[pairs..]);
    others.extend(&left[pairs..]);
    for line in named {
        changes.push(Change { kind: only(line, sides.first), first: Some(line.shown()), second: None });
    }
    for line in others {
        changes.push(Change { kind: only(line, sides.second), first: None, second: Some(line.shown()) });
    }
}

fn changed(a: &Line, b: &Line) -> Change {
    let kind = match (a, b) {
        (Line::File { path, .. }, Line::File { path: other, .. }) if path == other => "another range of a file".into(),
        (Line::File { .. }, Line::File { .. }) => "another file".into(),
        _ => match a.name() {
            Some(name) if b.name() == Some(name) => format!("another `{}`", String::from_utf8_lossy(name)),
            _ if a.is_text() && b.is_text() => format!("{} is {}", a.kind(), b.kind()),
            _ => "other bytes".into(),
        },
    };
    Change { kind, first: Some(a.shown()), second: Some(b.shown()) }
}

impl Line {
    /// A field's name: a token before a colon (RFC 9110 section 5.6.2).
    fn name(&self) -> Option<&[u8]> {
        let Self::Text(text) = self else { return None };
        let name = &text[..text.iter().take(limits::DIFFERENCE_NAME_BYTES_MAX + 1).position(|byte| *byte == b':')?];
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        (!name.is_empty() && name.iter().all(is_token)).then_some(name)
    }

    fn is_about(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { .. }, Self::File { .. }) => true,
            _ => self.name().is_some_and(|name| other.name() == Some(name)),
        }
    }

    /// Whether it can be shown as it is.
    fn is_text(&self) -> bool {
        match self {
            Self::Text(text) => std::str::from_utf8(text)
                .is_ok_and(|text| !text.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'))),
            Self::File { .. } => true,
        }
    }

    /// Whether it cannot have become a line of another name.
    fn stands_alone(&self) -> bool {
        matches!(self, Self::File { .. }) || self.name().is_some()
    }

    fn name_or_kind(&self) -> String {
        self.name().map_or_else(|| self.kind(), |name| format!("`{}`", String::from_utf8_lossy(name)))
    }

    /// The line without what differs from one answer of a kind to the next.
    fn kind(&self) -> String {
        match self {
            Self::File { .. } => "a file".into(),
            Self::Text(_) if !self.is_text() => "bytes that are no text".into(),
            Self::Text(text) => format!("`{}`", general(String::from_utf8_lossy(text).trim_end())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => shown(text, limits::DIFFERENCE_LINE_CHARS_MAX),
            Self::File { path, offset, length } => {
                let end = u128::from(*offset) + u128::from(*length);
                format!("<{} {offset}..{end}>", shown(path, limits::DIFFERENCE_LINE_CHARS_MAX))
            }
        }
    }
}

/// Digits, dates and what is quoted stand for any of their kind. In a status line digits are what
/// matters.
fn general(line: &str) -> String {
    let is_status = line.starts_with("HTTP/");
    let mut out = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if out.chars().count() >= limits::DIFFERENCE_KIND_CHARS_MAX {
            out.push_str("...");
            break;
        }
        let quoted = if c == '"' { rest[1..].find('"') } else { None };
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if rest.as_bytes().get(..DATE_BYTES).and_then(date).is_some() {
            out.push_str("<date>");
            rest = &rest[DATE_BYTES..];
        } else if let Some(length) = quoted {
            out.push_str("\"...\"");
            rest = &rest[length + 2..];
        } else if digits > 0 && !is_status {
            out.push('#');
            rest = &rest[digits..];
        } else {
            let _ = write!(out, "{}", c.escape_debug());
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Bytes as text that moves no cursor, without the end of the line.
pub fn shown(bytes: &[u8], chars_max: usize) -> String {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\'' => out.push(c),
                c => out.extend(c.escape_debug()),
            }
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
        if out.len() > 4 * chars_max {
            break;
        }
    }
    match out.char_indices().nth(chars_max) {
        Some((cut, _)) => format!("{}...", &out[..cut]),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDES: Sides<'_> = Sides { first: "A", second: "B" };

    fn kinds(first: &str, second: &str) -> Vec<String> {
        let chunk = |text: &str| if text.is_empty() { vec![] } else { vec![Chunk::Bytes(text.into())] };
        let (first, second) = (chunk(first), chunk(second));
        let changes = changes(&Store::default(), [&first, &second], SIDES, Duration::from_secs(2));
        changes.into_iter().map(|change| change.kind).collect()
    }

    #[test]
    fn a_kind_is_the_same_for_all_its_changes() {
        for (first, second, expected) in [
            ("a\r\nETag: \"1\"\r\n\r\n", "a\r\nETag: \"2\"\r\n\r\n", &["another `ETag`"][..]),
            ("a\r\n\r\n", "a\r\nX-Y: 77\r\n\r\n", &["only B sends `X-Y`"]),
            ("a\r\nX-Y: 77\r\n\r\n", "a\r\n\r\n", &["only A sends `X-Y`"]),
            ("HTTP/1.1 200 OK\r\n", "HTTP/1.1 404 Not Found\r\n", &["`HTTP/1.1 200 OK` is `HTTP/1.1 404 Not Found`"]),
            ("<p>1 \"a\" 22\n", "<p>1 \"b\" 3 4\n", &["`<p># \"...\" #` is `<p># \"...\" # #`"]),
            ("", "hello 5\n", &["nothing sent by A, where the other sends `hello #`"]),
            ("A: 1\nB: 2\n", "B: 3\nA: 4\n", &["another `A`", "another `B`"]),
            ("x\x01y\n", "x\x02y\n", &["other bytes"]),
            ("Date: Sun, 06 Nov 1994 08:49:37 GMT\na\n", "Date: Sun, 06 Nov 1994 08:49:38 GMT\nb\n", &["`a` is `b`"]),
        ] {
            assert_eq!(kinds(first, second), expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn files_are_lines_of_their_own() {
        let mut store = Store::default();
        let (a, b) = (store.key(b"a.html"), store.key(b"b.html"));
        let file = |path, length| [Chunk::File { path, offset: 0, length }];
        let of = |first: &[Chunk], second: &[Chunk]| changes(&store, [first, second], SIDES, Duration::ZERO).remove(0);
        let change = of(&file(a, 5), &file(b, 5));
        let shown = (change.first.as_deref(), change.second.as_deref());
        assert_eq!((change.kind.as_str(), shown), ("another file", (Some("<a.html 0..5>"), Some("<b.html 0..5>"))));
        assert_eq!(of(&file(a, 5), &file(a, 6)).kind, "another range of a file");
        assert_eq!(of(&file(a, 5), &[Chunk::Bytes(b"x".into())]).kind, "only A sends a file");
    }

    #[test]
    fn what_is_shown_moves_no_cursor() {
        assert_eq!(shown(b"GET /\x1b[2J \xff\r\n", 100), "GET /\\u{1b}[2J \\xff");
        assert_eq!(shown(&[b'a'; 500], 10), "aaaaaaaaaa...");
    }
}
