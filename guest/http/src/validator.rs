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
    /// When it was last changed, as `Last-Modified` says it: seconds since the Unix epoch. RFC
    /// 9110 §8.8.2.
    pub modified: Option<u64>,
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
