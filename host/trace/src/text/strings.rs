//! Writes bytes in quotes, and reads them.

use std::fmt::{self, Write};

/// Bytes of one string in a line; longer ones are broken.
const LINE_BYTES: usize = 100;

/// Bytes as one string. Characters that a reader could not see, or could mistake for others, are
/// escaped. The string is written piece by piece, because it can have four times as many bytes.
pub(super) struct Quoted<'a>(pub(super) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| put_char(f, c))?;
            put_bytes(f, chunk.invalid())?;
        }
        f.write_char('"')
    }
}

/// Bytes behind a word: a string in the same line, or several in lines of their own, broken behind
/// line ends.
pub(super) struct Following<'a>(pub(super) &'a [u8]);

impl fmt::Display for Following<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces = self.0.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(LINE_BYTES));
        match (pieces.next(), pieces.next()) {
            (None, _) => f.write_str(" \"\""),
            (Some(only), None) => write!(f, " {}", Quoted(only)),
            (Some(first), Some(second)) => {
                [first, second].into_iter().chain(pieces).try_for_each(|piece| write!(f, "\n    {}", Quoted(piece)))
            }
        }
    }
}

fn put_char(text: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '"' => text.write_str("\\\""),
        '\\' => text.write_str("\\\\"),
        '\n' => text.write_str("\\n"),
        '\r' => text.write_str("\\r"),
        '\t' => text.write_str("\\t"),
        '\'' => text.write_char(c),
        // Of one character: it can be seen.
        _ if c.escape_debug().len() == 1 => text.write_char(c),
        _ => put_bytes(text, c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn put_bytes(text: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(text, "\\x{byte:02x}"))
}

/// Returns the length of the string, with its quotes, at the front of a text that begins with a
/// quote.
pub(super) fn span(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Reads the bytes of a string with its quotes. An error says what is expected.
pub(super) fn unquoted(word: &str) -> Result<Vec<u8>, &'static str> {
    let inside = word.strip_prefix('"').ok_or("a string in quotes")?;
    let mut bytes = Vec::new();
    let mut rest = inside.bytes();
    loop {
        match rest.next().ok_or("a quote at the end of the string")? {
            b'"' => return Ok(bytes),
            b'\\' => bytes.push(escape(&mut rest)?),
            byte => bytes.push(byte),
        }
    }
}

fn escape(rest: &mut impl Iterator<Item = u8>) -> Result<u8, &'static str> {
    match rest.next() {
        Some(b'n') => Ok(b'\n'),
        Some(b'r') => Ok(b'\r'),
        Some(b't') => Ok(b'\t'),
        Some(same @ (b'"' | b'\'' | b'\\')) => Ok(same),
        Some(b'x') => {
            let mut digit = || char::from(rest.next()?).to_digit(16).map(|digit| digit as u8);
            digit().zip(digit()).map(|(high, low)| high << 4 | low).ok_or("two hexadecimal digits after \\x")
        }
        _ => Err("one of \\n \\r \\t \\\" \\\\ \\xNN after a backslash"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).chain("caf\u{e9} \u{202e}\u{200b}'\"\\x".bytes()).collect();
        for length in 0..all.len() {
            let (text, rest) = (Quoted(&all[length..]).to_string(), " \"more\"");
            assert_eq!(unquoted(&text), Ok(all[length..].to_vec()), "{text}");
            assert_eq!(span(&format!("{text}{rest}")), text.len(), "{text}");
            assert!(!text.contains(|c: char| c.is_control()), "{text}");
        }
    }

    #[test]
    fn what_can_be_read_is_left_as_it_is() {
        assert_eq!(Quoted("it's \u{e9}\r\n".as_bytes()).to_string(), "\"it's \u{e9}\\r\\n\"");
        assert_eq!(Quoted(b"\xff\0\xe2\x80\xae").to_string(), "\"\\xff\\x00\\xe2\\x80\\xae\"");
        assert_eq!(Following(b"a\nb").to_string(), "\n    \"a\\n\"\n    \"b\"");
        assert_eq!(Following(b"a\n").to_string(), " \"a\\n\"");
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for word in ["", "a", "\"", "\"a", "\"\\\"", "\"\\q\"", "\"\\x\"", "\"\\x1\"", "\"\\xg0\""] {
            assert!(unquoted(word).is_err(), "{word}");
        }
    }
}
