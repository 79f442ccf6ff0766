//! Streams of pieces: what a client was sent, however it was cut into writes.

use std::time::Duration;

use crate::behaviour::{Key, Piece, Store};
use crate::limits;

/// How long an HTTP date is, in the one form that servers send (IMF-fixdate, RFC 9110 section
/// 5.6.7).
pub const DATE_BYTES: usize = 29;

/// A stretch of a stream: as long as it can be, so that equal streams have equal chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The guest's own bytes.
    Bytes(Vec<u8>),
    /// A range of a file.
    File {
        /// The path by which it was opened.
        path: Key,
        /// In bytes from the start.
        offset: u64,
        /// In bytes.
        length: u64,
    },
}

/// The chunks of pieces. `content` tells what is known of a range of a file, for a guest may have
/// sent it as its own bytes.
///
/// None when they have more than `STREAM_BYTES_COMPARED_MAX`: a store has equal bytes once, and a
/// stream again and again.
pub fn chunks(
    store: &Store,
    pieces: impl IntoIterator<Item = Piece>,
    content: impl Fn(Key, u64, u64) -> Option<Vec<u8>>,
) -> Option<Vec<Chunk>> {
    let (mut chunks, mut bytes_in_all): (Vec<Chunk>, usize) = (Vec::new(), 0);
    for piece in pieces {
        if bytes_in_all > limits::STREAM_BYTES_COMPARED_MAX {
            return None;
        }
        let chunk = match piece {
            Piece::Bytes(key) => Chunk::Bytes(store.get(key).to_vec()),
            Piece::File { path, offset, length } => match content(path, offset, length) {
                Some(bytes) => Chunk::Bytes(bytes),
                None => Chunk::File { path, offset, length },
            },
        };
        bytes_in_all += if let Chunk::Bytes(bytes) = &chunk { bytes.len() } else { 0 };
        match (chunks.last_mut(), chunk) {
            (Some(Chunk::Bytes(bytes)), Chunk::Bytes(more)) => bytes.extend(more),
            (Some(Chunk::File { path, offset, length }), Chunk::File { path: next, offset: begin, length: more })
                if *path == next && offset.checked_add(*length) == Some(begin) =>
            {
                *length = length.saturating_add(more);
            }
            (_, chunk) => chunks.push(chunk),
        }
    }
    Some(chunks)
}

/// Whether two streams are equal; of two cut ones, as far as the shorter one goes.
pub fn same(a: &[Chunk], b: &[Chunk], cut: bool, tolerance: Duration) -> bool {
    if !cut {
        return a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_chunk(a, b, tolerance));
    }
    let shorter = a.len().min(b.len());
    a.iter()
        .zip(b)
        .enumerate()
        .all(|(index, (a, b))| same_chunk(a, b, tolerance) || (index + 1 == shorter && same_beginning(a, b, tolerance)))
}

fn same_chunk(a: &Chunk, b: &Chunk, tolerance: Duration) -> bool {
    match (a, b) {
        (Chunk::Bytes(a), Chunk::Bytes(b)) => same_bytes(a, b, tolerance),
        _ => a == b,
    }
}

fn same_beginning(a: &Chunk, b: &Chunk, tolerance: Duration) -> bool {
    match (a, b) {
        (Chunk::Bytes(a), Chunk::Bytes(b)) => {
            let length = a.len().min(b.len());
            same_bytes(&a[..length], &b[..length], tolerance)
        }
        (Chunk::File { path: a, offset: start, .. }, Chunk::File { path: b, offset: begin, .. }) => {
            a == b && start == begin
        }
        _ => false,
    }
}

/// Whether bytes are equal, but for dates at the same place that lie no further apart than the
/// tolerance.
pub fn same_bytes(a: &[u8], b: &[u8], tolerance: Duration) -> bool {
    if a == b {
        return true;
    }
    if a.len() != b.len() || tolerance.is_zero() {
        return false;
    }
    let mut at = 0;
    while let Some(next) = a[at..].iter().zip(&b[at..]).position(|(a, b)| a != b) {
        let first = (at + next).saturating_sub(DATE_BYTES - 1);
        let date = (first..=at + next).find(|&start| {
            let range = start..start + DATE_BYTES;
            match (a.get(range.clone()).and_then(date), b.get(range).and_then(date)) {
                (Some(a), Some(b)) => a.duration_since(b).unwrap_or_else(|back| back.duration()) <= tolerance,
                _ => false,
            }
        });
        let Some(start) = date else { return false };
        at = start + DATE_BYTES;
    }
    true
}

/// The date that these bytes are.
pub fn date(bytes: &[u8]) -> Option<std::time::SystemTime> {
    if bytes.len() != DATE_BYTES || bytes[3..5] != *b", " || !bytes.ends_with(b" GMT") {
        return None;
    }
    httpdate::parse_http_date(std::str::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, expected: bool) {
        assert_eq!(same_bytes(a.as_bytes(), b.as_bytes(), Duration::from_secs(2)), expected, "{a} | {b}");
    }

    #[test]
    fn dates_that_are_near_are_equal_and_nothing_else_is() {
        let with = |date: &str| format!("Date: {date}\r\nServer: x\r\n");
        let first = with("Sun, 06 Nov 1994 08:49:59 GMT");
        check(&first, &first, true);
        check(&first, &with("Sun, 06 Nov 1994 08:50:01 GMT"), true);
        check(&with("Sun, 06 Nov 1994 23:59:59 GMT"), &with("Mon, 07 Nov 1994 00:00:00 GMT"), true);
        check(&first, &with("Sun, 06 Nov 1994 08:50:02 GMT"), false);
        check(&first, &with("Sun, 06 Nov 1994 08:49:59 UTC"), false);
        check(&first, &first.replace("Server: x", "Server: y"), false);
        check("a1", "a2", false);
        assert!(!same_bytes(b"1", b"2", Duration::ZERO));
    }

    #[test]
    fn equal_streams_are_equal_however_they_were_cut() {
        let mut store = Store::default();
        let bytes = |store: &mut Store, text: &str| Piece::Bytes(store.key(text.as_bytes()));
        let [one, two, whole, path] = ["ab", "c", "abc", "p"].map(|text| bytes(&mut store, text));
        let Piece::Bytes(path) = path else { unreachable!("it is bytes") };
        let file = |offset, length| Piece::File { path, offset, length };
        let of = |pieces: &[Piece]| chunks(&store, pieces.iter().copied(), |_, _, _| None).expect("they are short");
        let known = |pieces: &[Piece]| {
            chunks(&store, pieces.iter().copied(), |_, offset, length| Some(vec![b'a' + offset as u8; length as usize]))
                .expect("they are short")
        };
        assert_eq!(of(&[one, two, file(0, 5), file(5, 5)]), of(&[whole, file(0, 10)]));
        assert_ne!(of(&[file(0, 5), file(6, 5)]), of(&[file(0, 10)]));
        assert_eq!(known(&[one, file(2, 1)]), of(&[whole]));
        let same = |a: &[Piece], b: &[Piece], cut| same(&of(a), &of(b), cut, Duration::ZERO);
        assert!(same(&[one], &[whole, file(0, 5)], true) && same(&[whole, file(0, 2)], &[whole, file(0, 5)], true));
        assert!(!same(&[one], &[whole], false) && !same(&[one, file(0, 5)], &[whole, file(0, 5)], true));
        assert!(same(&[], &[whole], true) && !same(&[], &[whole], false));
    }

    /// A store has equal bytes once, so that a few of them can be a stream without end.
    #[test]
    fn a_stream_that_is_too_long_is_not_put_together() {
        let mut store = Store::default();
        let piece = Piece::Bytes(store.key(&[b'x'; 1 << 20]));
        let chunks = |times: usize| chunks(&store, std::iter::repeat_n(piece, times), |_, _, _| None);
        assert_eq!(chunks(64).map(|chunks| chunks.len()), Some(1));
        assert_eq!(chunks(1 << 30), None);
    }
}
