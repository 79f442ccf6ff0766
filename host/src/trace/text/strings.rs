//! Bytes in quotes, and back.

use std::fmt::Write as _;

/// Bytes of one string in a line; longer ones are broken.
const LINE_BYTES: usize = 100;

/// Bytes as one string. What a reader could not see, or not tell from something else, is escaped.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| put_char(&mut text, c));
        put_bytes(&mut text, chunk.invalid());
    }
    text.push('"');
    text
}

/// Bytes as what follows a word: a string in the same line, or several in lines of their own, broken behind line ends.
pub(super) fn following(bytes: &[u8]) -> String {
    let mut pieces = bytes.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(LINE_BYTES));
    match (pieces.next(), pieces.next()) {
        (None, _) => " \"\"".to_owned(),
        (Some(only), None) => format!(" {}", quoted(only)),
        (Some(first), Some(second)) => {
            [first, second].into_iter().chain(pieces).map(|piece| format!("\n    {}", quoted(piece))).collect()
        }
    }
}

fn put_char(text: &mut String, c: char) {
    match c {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\'' => text.push(c),
        // Of one character: it can be seen.
        _ if c.escape_debug().len() == 1 => text.push(c),
        _ => put_bytes(text, c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn put_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// What stands in front of a text that begins with a quote: the string with its quotes, as far as it goes.
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

/// The bytes of a string with its quotes. An error says what is expected.
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
            let (text, rest) = (quoted(&all[length..]), " \"more\"");
            assert_eq!(unquoted(&text), Ok(all[length..].to_vec()), "{text}");
            assert_eq!(span(&format!("{text}{rest}")), text.len(), "{text}");
            assert!(!text.contains(|c: char| c.is_control()), "{text}");
        }
    }

    #[test]
    fn what_can_be_read_is_left_as_it_is() {
        assert_eq!(quoted("it's \u{e9}\r\n".as_bytes()), "\"it's \u{e9}\\r\\n\"");
        assert_eq!(quoted(b"\xff\0\xe2\x80\xae"), "\"\\xff\\x00\\xe2\\x80\\xae\"");
        assert_eq!(following(b"a\nb"), "\n    \"a\\n\"\n    \"b\"");
        assert_eq!(following(b"a\n"), " \"a\\n\"");
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for word in ["", "a", "\"", "\"a", "\"\\\"", "\"\\q\"", "\"\\x\"", "\"\\x1\"", "\"\\xg0\""] {
            assert!(unquoted(word).is_err(), "{word}");
        }
    }
}
