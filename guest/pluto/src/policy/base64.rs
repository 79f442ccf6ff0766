//! Base64 (RFC 4648 §4), of `Authorization` and of bcrypt's hashes. Every decoded byte is a secret that is compared
//! elsewhere, in constant time.

/// What the 64 digits are.
#[derive(Clone, Copy, Debug)]
pub enum Alphabet {
    /// RFC 4648 §4.
    Standard,
    /// That of bcrypt, which is older.
    Bcrypt,
}

impl Alphabet {
    fn digit(self, byte: u8) -> Option<u32> {
        let value = match (self, byte) {
            (Alphabet::Standard, b'A'..=b'Z') => byte - b'A',
            (Alphabet::Standard, b'a'..=b'z') => byte - b'a' + 26,
            (Alphabet::Standard, b'0'..=b'9') => byte - b'0' + 52,
            (Alphabet::Standard, b'+') => 62,
            (Alphabet::Standard, b'/') => 63,
            (Alphabet::Bcrypt, b'.') => 0,
            (Alphabet::Bcrypt, b'/') => 1,
            (Alphabet::Bcrypt, b'A'..=b'Z') => byte - b'A' + 2,
            (Alphabet::Bcrypt, b'a'..=b'z') => byte - b'a' + 28,
            (Alphabet::Bcrypt, b'0'..=b'9') => byte - b'0' + 54,
            _ => return None,
        };
        Some(value.into())
    }
}

/// Decodes digits without padding. Bits behind the last byte are ignored, as every implementation of bcrypt does.
pub fn decode(digits: &[u8], alphabet: Alphabet) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        if group.len() == 1 {
            return None;
        }
        let mut bits = 0;
        for &byte in group {
            bits = bits << 6 | alphabet.digit(byte)?;
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

/// Without the padding of the last group. RFC 4648 §3.2: it is there or the length is no multiple of four.
pub fn unpadded(digits: &[u8]) -> &[u8] {
    match digits {
        [rest @ .., b'=', b'='] if digits.len().is_multiple_of(4) => rest,
        [rest @ .., b'='] if digits.len().is_multiple_of(4) => rest,
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648 §10.
    #[test]
    fn digits_are_decoded() {
        let check = |digits: &str, expected: Option<&[u8]>| {
            let found = decode(unpadded(digits.as_bytes()), Alphabet::Standard);
            assert_eq!(found.as_deref(), expected, "{digits}");
        };
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm8", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYmFy", Some(b"foobar"));
        check("+/+/", Some(b"\xfb\xff\xbf"));
        for wrong in ["Z", "Zm9vY", "Zg=", "Zg===", "Z===", "Zm 9", "Zm9v\n", "=", "-_-_"] {
            check(wrong, None);
        }
    }
}
