//! Validators: what tells two states of a representation apart (RFC 9110 §8.8).

use super::syntax;

/// An entity tag, with its quotes, and `W/` before them when it is weak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag(Box<[u8]>);

/// The validators of a representation. Neither is there when nothing can be promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// RFC 9110 §8.8.3.
    pub tag: Option<EntityTag>,
    /// RFC 9110 §8.8.2.
    pub modified: Option<Modified>,
}

/// When a representation was last changed, as far as its file's times can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modified {
    /// As `Last-Modified` says it: seconds since the Unix epoch.
    pub second: u64,
    /// The second in which the system last saw a change of the file. A file that is restored or
    /// copied can have an older time than the one before it; this it cannot have.
    pub changed: u64,
}

/// Tue, 6 Aug 1991, when the first website was announced. A file with an older time was not made
/// then: tools that are to make the same archive each time give all files one time, such as 1970
/// (Nix, `OSTree`), 1980 (zip), 1984 (Yarn) and 1985 (npm). Such a time says nothing of a change.
const OLDEST_SECOND: u64 = 681_436_800;

/// Fri, 1 Jan 2010, which Bazel gives to all files.
const BAZEL_SECOND: u64 = 1_262_304_000;

impl Modified {
    /// From what a file says of itself at this time; all in nanoseconds since the Unix epoch.
    /// Nothing when the file's time cannot be that of a change. RFC 9110 §8.8.2.1: a time that is
    /// still to come is not sent.
    pub fn new(modified: i64, changed: i64, now: u64) -> Option<Modified> {
        let second = |nanoseconds: i64| u64::try_from(nanoseconds).ok().map(|time| time / 1_000_000_000);
        let modified = second(modified)?;
        let is_plausible = (OLDEST_SECOND..=now / 1_000_000_000).contains(&modified) && modified != BAZEL_SECOND;
        is_plausible.then(|| Modified { second: modified, changed: second(changed).unwrap_or(0).max(modified) })
    }

    /// Whether nothing has changed since this date, in seconds since the Unix epoch (RFC 9110
    /// §13.1.3, §13.1.4). Besides the date that the server sends itself that is one behind the
    /// last change that the system saw.
    pub fn is_unmodified_since(self, date: i64) -> bool {
        self.is(date) || i64::try_from(self.changed).is_ok_and(|changed| changed < date)
    }

    /// Whether this is exactly its date.
    pub fn is(self, date: i64) -> bool {
        i64::try_from(self.second) == Ok(date)
    }
}

impl EntityTag {
    /// A strong one: byte for byte the same (RFC 9110 §8.8.1). The opaque part is one of the
    /// server's own.
    pub fn strong(opaque: &str) -> EntityTag {
        EntityTag(format!("\"{opaque}\"").into_bytes().into())
    }

    /// A weak one.
    pub fn weak(opaque: &str) -> EntityTag {
        EntityTag(format!("W/\"{opaque}\"").into_bytes().into())
    }

    /// As the field `ETag` has it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// RFC 9110 §8.8.3.2: both strong, and the same.
    pub fn matches_strongly(&self, other: &[u8]) -> bool {
        !is_weak(&self.0) && *self.0 == *other
    }

    /// RFC 9110 §8.8.3.2: the same but for `W/`.
    pub fn matches_weakly(&self, other: &[u8]) -> bool {
        opaque(&self.0) == opaque(other)
    }
}

fn is_weak(tag: &[u8]) -> bool {
    tag.starts_with(b"W/")
}

/// The tag without the mark of weakness, which is case-sensitive.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The entity tags of a list, up to the first thing that is none. A comma may stand within a tag.
pub fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        // RFC 9110 §5.6.1.2: empty members are ignored.
        while let [b',' | b' ' | b'\t', behind @ ..] = rest {
            rest = behind;
        }
        let length = tag_length(rest)?;
        let (tag, behind) = rest.split_at(length);
        rest = syntax::trim(behind);
        // What follows a tag is the end or a comma.
        if !matches!(rest, [] | [b',', ..]) {
            rest = b"";
            return None;
        }
        Some(tag)
    })
}

/// How long the tag is with which these bytes begin (RFC 9110 §8.8.3: `etagc` is all visible ASCII
/// but the quotation mark, and anything above ASCII).
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let quoted = opaque(bytes).strip_prefix(b"\"")?;
    let length = quoted.iter().position(|byte| !matches!(byte, b'!' | b'#'..=b'~' | 0x80..))?;
    (quoted[length] == b'"').then_some(bytes.len() - quoted.len() + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_tag_by_tag() {
        let check = |list: &str, expected: &[&str]| {
            let found: Vec<String> = tags(list.as_bytes()).map(|tag| String::from_utf8_lossy(tag).into()).collect();
            assert_eq!(found, expected, "{list:?}");
        };
        check("", &[]);
        check("\"a\"", &["\"a\""]);
        check("\"\"", &["\"\""]);
        check("W/\"a\", \"b\"", &["W/\"a\"", "\"b\""]);
        check(" ,, \"a\"\t,\"b,c\" ,", &["\"a\"", "\"b,c\""]);
        check("\"a\" , \"\\\"", &["\"a\"", "\"\\\""]);
        check("\"\u{e9}\"", &["\"\u{e9}\""]);
        check("a", &[]);
        check("\"a", &[]);
        check("\"a\", b, \"c\"", &["\"a\""]);
        check("\"a b\"", &[]);
        check("\"a\" \"b\"", &[]);
        check("\"a\"b", &[]);
        check("w/\"a\"", &[]);
        check("W/ \"a\"", &[]);
        check("*", &[]);
    }

    #[test]
    fn a_time_that_is_none_of_a_change_is_not_trusted() {
        const SECOND: i64 = 1_000_000_000;
        let now = 1_700_000_000;
        let check = |modified: i64, changed: i64, expected: Option<(u64, u64)>| {
            let found = Modified::new(modified, changed, now * SECOND.unsigned_abs());
            assert_eq!(found.map(|it| (it.second, it.changed)), expected, "{modified} {changed}");
        };
        let today = 1_699_999_999 * SECOND;
        check(today, today, Some((1_699_999_999, 1_699_999_999)));
        check(today + 999_999_999, today, Some((1_699_999_999, 1_699_999_999)));
        check(784_111_777 * SECOND, today, Some((784_111_777, 1_699_999_999)));
        check(today, 0, Some((1_699_999_999, 1_699_999_999)));
        check(1_700_000_000 * SECOND, today, Some((1_700_000_000, 1_700_000_000)));
        // 1970, 1980, 1984, 1985 and 2010, as tools set them; before 1970, and behind 2262 as the
        // host tells it.
        for second in [0, 1, 315_532_800, 315_619_200, 456_789_000, 499_162_500, 1_262_304_000, -1, -86_400] {
            check(second * SECOND, today, None);
        }
        check(i64::MAX, today, None);
        check(i64::MIN, i64::MIN, None);
        // Still to come.
        check(1_700_000_001 * SECOND, today, None);
    }

    #[test]
    fn a_rollback_to_an_older_time_is_a_change() {
        let rolled_back = Modified { second: 1_000, changed: 2_000 };
        for (date, expected) in
            [(1_000, true), (999, false), (1_500, false), (2_000, false), (2_001, true), (-1, false)]
        {
            assert_eq!(rolled_back.is_unmodified_since(date), expected, "{date}");
        }
    }

    /// The table of RFC 9110 §8.8.3.2.
    #[test]
    fn tags_are_compared_strongly_and_weakly() {
        let check = |one: EntityTag, other: &str, strong: bool, weak: bool| {
            assert_eq!(one.matches_strongly(other.as_bytes()), strong, "{one:?} {other}");
            assert_eq!(one.matches_weakly(other.as_bytes()), weak, "{one:?} {other}");
        };
        check(EntityTag::weak("1"), "W/\"1\"", false, true);
        check(EntityTag::weak("1"), "W/\"2\"", false, false);
        check(EntityTag::weak("1"), "\"1\"", false, true);
        check(EntityTag::strong("1"), "W/\"1\"", false, true);
        check(EntityTag::strong("1"), "\"1\"", true, true);
    }
}
