//! Classes of bytes: one table, looked up for each byte of a head that is not looked at together
//! with seven others.

/// `tchar` of RFC 9110 §5.6.2: what a token (method, field name, coding) is made of.
pub const TOKEN: u8 = 1;
/// What a request target is made of: visible ASCII. RFC 3986 allows fewer, but browsers send `|`
/// and `{` as they are; a fragment (`#`) is the client's own and never sent (RFC 9112 §3.2).
pub const TARGET: u8 = 2;
/// What a field value is made of (RFC 9110 §5.5): visible ASCII, space, tab, and bytes above 0x7f,
/// whose meaning is nobody's business here.
pub const VALUE: u8 = 4;
/// What needs no escape in the path of a URI (RFC 3986 §3.3): `pchar` without `pct-encoded`.
pub const PATH: u8 = 8;
/// `unreserved` and `sub-delims` of RFC 3986 §2: what a registered name is made of, besides
/// escapes.
pub const NAME: u8 = 16;
/// `TARGET` without question mark, slash, backslash and percent sign: bytes of a file's name that
/// stand in a path as they are.
pub const NAME_IN_PATH: u8 = 32;

static CLASSES: [u8; 256] = classes();

/// Whether a byte is in a class.
#[inline]
pub fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// How many bytes at the start are of a class. Eight are looked at in one turn of the loop, for
/// each turn of a loop costs a look at the engine's clock besides.
#[inline]
pub fn prefix(bytes: &[u8], class: u8) -> usize {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (before, chunk) in chunks.iter().enumerate() {
        for (index, &byte) in chunk.iter().enumerate() {
            if !is(byte, class) {
                return 8 * before + index;
            }
        }
    }
    let rest = rest.iter().position(|&byte| !is(byte, class)).unwrap_or(rest.len());
    8 * chunks.len() + rest
}

/// How many bytes at the start are of the class `VALUE`, eight looked at together where that
/// decides. Values are most of a head, and hold next to no tabs.
pub fn value_prefix(bytes: &[u8]) -> usize {
    let certain = prefix_of_words(bytes, |word| (below(word, 0x20) | equal(word, 0x7f)) & HIGH == 0);
    certain + prefix(&bytes[certain..], VALUE)
}

/// The same for the class `TARGET`.
pub fn target_prefix(bytes: &[u8]) -> usize {
    let others = |word| below(word, 0x21) | equal(word, 0x7f) | equal(word, b'#') | word;
    let certain = prefix_of_words(bytes, |word| others(word) & HIGH == 0);
    certain + prefix(&bytes[certain..], TARGET)
}

/// Where a byte is first, eight looked at together.
pub fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    let (words, rest) = bytes.as_chunks();
    for (before, word) in words.iter().enumerate() {
        // Above the first, others may seem to be it.
        let equals = equal(u64::from_le_bytes(*word), byte) & HIGH;
        if equals != 0 {
            return Some(8 * before + equals.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&other| other == byte)?;
    Some(8 * words.len() + at)
}

/// The bytes of the words at the start for which this holds.
fn prefix_of_words(bytes: &[u8], holds: impl Fn(u64) -> bool) -> usize {
    let (words, _) = bytes.as_chunks();
    8 * words.iter().take_while(|word| holds(u64::from_le_bytes(**word))).count()
}

/// One in each of eight bytes.
const EACH: u64 = u64::MAX / 0xff;

/// The highest bit of each.
const HIGH: u64 = EACH * 0x80;

/// Of each byte, the highest bit: whether it is below a bound of at most 0x80. The lowest that is
/// set is right; above it others may be set, for a subtraction borrows. The other bits mean
/// nothing.
fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(EACH * u64::from(bound)) & !word
}

/// The same: whether it is equal to another.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (EACH * u64::from(byte)), 1)
}

/// Whether a string is a token: at least one byte, all of them `tchar`.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is(byte, TOKEN))
}

/// The value of a hexadecimal digit of either case.
pub fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Whether a byte is optional white space (RFC 9110 §5.6.3).
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without optional white space (RFC 9110 §5.6.3: spaces and tabs only) on both sides.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        let visible = byte.is_ascii_graphic();
        let unreserved = byte.is_ascii_alphanumeric() || contains(b"-._~", byte);
        if byte.is_ascii_alphanumeric() || contains(b"!#$%&'*+-.^_`|~", byte) {
            table[index] |= TOKEN;
        }
        if visible && byte != b'#' {
            table[index] |= TARGET;
            if !contains(b"?/\\%", byte) {
                table[index] |= NAME_IN_PATH;
            }
        }
        if visible || byte == b' ' || byte == b'\t' || byte >= 0x80 {
            table[index] |= VALUE;
        }
        if unreserved || contains(b"!$&'()*+,;=", byte) {
            table[index] |= NAME | PATH;
        }
        if contains(b":@", byte) {
            table[index] |= PATH;
        }
        index += 1;
    }
    table
}

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_the_grammar_says() {
        let check = |class: u8, expected: &str| {
            let found: String = (0..0x80u8).filter(|&byte| is(byte, class)).map(char::from).collect();
            assert_eq!(found, expected);
        };
        let letters = "abcdefghijklmnopqrstuvwxyz";
        let (digits, capitals) = ("0123456789", letters.to_uppercase());
        check(TOKEN, &format!("!#$%&'*+-.{digits}{capitals}^_`{letters}|~"));
        check(TARGET, &format!("!\"$%&'()*+,-./{digits}:;<=>?@{capitals}[\\]^_`{letters}{{|}}~"));
        check(VALUE, &format!("\t !\"#$%&'()*+,-./{digits}:;<=>?@{capitals}[\\]^_`{letters}{{|}}~"));
        check(NAME, &format!("!$&'()*+,-.{digits};={capitals}_{letters}~"));
        check(PATH, &format!("!$&'()*+,-.{digits}:;=@{capitals}_{letters}~"));
        for byte in 0x80..=0xff {
            assert!(is(byte, VALUE) && !is(byte, TOKEN | TARGET | NAME | PATH));
        }
    }

    /// Each byte at each place, between neighbours that a borrow could come from or go to.
    #[test]
    fn eight_bytes_are_passed_over_when_the_table_would() {
        for byte in 0..=0xff {
            for (place, neighbour) in
                (0..8).flat_map(|place| [b' ', b'!', b'"', b'$', b'~', 0x80, 0xff].map(|near| (place, near)))
            {
                let mut bytes = [neighbour; 17];
                bytes[8 + place] = byte;
                assert_eq!(
                    value_prefix(&bytes),
                    prefix(&bytes, VALUE),
                    "{byte:#x} at {place}, {neighbour:#x} around it"
                );
                assert_eq!(
                    target_prefix(&bytes),
                    prefix(&bytes, TARGET),
                    "{byte:#x} at {place}, {neighbour:#x} around it"
                );
            }
        }
    }

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for length in 0..40 {
            for around in [b'a', 0x09, 0x0b, 0x8a, 0xff, 0x00] {
                let mut bytes = vec![around; length];
                assert_eq!(position(&bytes, b'\n'), None);
                for at in (0..length).rev() {
                    bytes[at] = b'\n';
                    assert_eq!(position(&bytes, b'\n'), Some(at), "{around:#x} {length}");
                }
            }
        }
    }

    #[test]
    fn trimming_takes_spaces_and_tabs_only() {
        let check = |from: &str, to: &str| assert_eq!(trim(from.as_bytes()), to.as_bytes());
        check("", "");
        check(" \t ", "");
        check("\ta b\t ", "a b");
        check("\u{a0}a\n", "\u{a0}a\n");
    }
}
