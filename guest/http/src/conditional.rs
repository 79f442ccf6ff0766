//! Conditional requests: whether the client has the representation already, or must not get
//! another one than it had (RFC 9110 §13).

use super::date;
use super::method::Method;
use super::range::Ranges;
use super::status::{HttpError, Status};
use super::syntax;
use super::validator::{Validators, tags};
use crate::limits::CONDITION_BYTES_MAX;

/// The fields of a request that make it conditional or ask for a part, as far as they are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    /// Seconds since the Unix epoch.
    if_modified_since: Option<i64>,
    if_unmodified_since: Option<i64>,
    if_range: Option<IfRange>,
    range: Option<Ranges>,
}

/// The entity tags of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: any representation.
    Any,
    /// A list, as it came.
    List(Vec<u8>),
}

/// What a part must be a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IfRange {
    Tag(Vec<u8>),
    /// Seconds since the Unix epoch.
    Date(i64),
    /// What no representation has: a value that is neither, or several.
    Nothing,
}

/// What the preconditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is answered as if there were none, and with these ranges.
    Perform(Option<&'a Ranges>),
    /// The client has it: 304 (RFC 9110 §15.4.5).
    NotModified,
    /// 412 (RFC 9110 §15.5.13).
    Failed,
}

/// Whether a field of this name is one that [`Conditions`] reads.
pub fn is_condition(name: &[u8]) -> bool {
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    match name.len() {
        5 => is(b"range"),
        8 => is(b"if-match") || is(b"if-range"),
        13 => is(b"if-none-match"),
        17 => is(b"if-modified-since"),
        19 => is(b"if-unmodified-since"),
        _ => false,
    }
}

impl Conditions {
    /// Those of a request with these fields. The error is that there is more in them than the
    /// server remembers of a request (RFC 9110 §5.4).
    pub fn read<'a>(
        method: Method,
        fields: &(impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone),
    ) -> Result<Conditions, HttpError> {
        let lines = |name: &'static [u8]| {
            fields.clone().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let date = |name| only(lines(name)).and_then(date::parse);
        let conditions = Conditions {
            if_match: Tags::read(lines(b"if-match")),
            if_none_match: Tags::read(lines(b"if-none-match")),
            // RFC 9110 §13.1.3, §13.1.4: a value that is no date is ignored.
            if_modified_since: date(b"if-modified-since"),
            if_unmodified_since: date(b"if-unmodified-since"),
            if_range: IfRange::read(lines(b"if-range")),
            // RFC 9110 §14.2: with any other method it is ignored.
            range: only(lines(b"range")).filter(|_| method == Method::Get).and_then(Ranges::parse),
        };
        if conditions.held_bytes() > CONDITION_BYTES_MAX {
            return Err(HttpError::soft(Status::HeadTooLarge, "A condition has fewer and shorter entity tags."));
        }
        Ok(conditions)
    }

    /// RFC 9110 §13.2.2, for GET and HEAD of a representation that has these validators; `now` is
    /// the second in which the response is made.
    pub fn evaluate(&self, validators: &Validators, now: u64) -> Verdict<'_> {
        // Without a date that can be trusted there is nothing that could have been before or after
        // (RFC 9110 §13.1.3, §13.1.4).
        let unmodified_since = |date| validators.modified.map(|modified| modified.is_unmodified_since(date));
        // Steps 1 and 2.
        let holds = match (&self.if_match, self.if_unmodified_since) {
            (Some(Tags::Any), _) => true,
            // RFC 9110 §13.1.1: strong comparison.
            (Some(Tags::List(list)), _) => {
                validators.tag.as_ref().is_some_and(|tag| tags(list).any(|other| tag.matches_strongly(other)))
            }
            (None, Some(date)) => unmodified_since(date) != Some(false),
            (None, None) => true,
        };
        if !holds {
            return Verdict::Failed;
        }
        // Steps 3 and 4.
        let has_it = match (&self.if_none_match, self.if_modified_since) {
            (Some(Tags::Any), _) => true,
            // RFC 9110 §13.1.2: weak comparison.
            (Some(Tags::List(list)), _) => {
                validators.tag.as_ref().is_some_and(|tag| tags(list).any(|other| tag.matches_weakly(other)))
            }
            (None, Some(date)) => unmodified_since(date) == Some(true),
            (None, None) => false,
        };
        if has_it {
            return Verdict::NotModified;
        }
        // Step 5: without a match the range is ignored.
        let is_part_of_it = self.if_range.as_ref().is_none_or(|if_range| if_range.matches(validators, now));
        Verdict::Perform(self.range.as_ref().filter(|_| is_part_of_it))
    }

    /// What of the head is kept until the request is answered, in bytes.
    fn held_bytes(&self) -> usize {
        let tags = [&self.if_match, &self.if_none_match].into_iter().flatten();
        let lists = tags.map(|tags| if let Tags::List(list) = tags { list.len() } else { 0 });
        let if_range = if let Some(IfRange::Tag(tag)) = &self.if_range { tag.len() } else { 0 };
        lists.sum::<usize>() + if_range
    }
}

impl Tags {
    /// The lines of a field whose value is a list are one list (RFC 9110 §5.3).
    fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Tags> {
        let list = lines.collect::<Vec<_>>();
        match list[..] {
            [] => None,
            [b"*"] => Some(Tags::Any),
            _ => Some(Tags::List(list.join(&b','))),
        }
    }
}

impl IfRange {
    fn read<'a>(lines: impl Iterator<Item = &'a [u8]> + Clone) -> Option<IfRange> {
        lines.clone().next()?;
        let Some(value) = only(lines) else { return Some(IfRange::Nothing) };
        Some(match date::parse(value) {
            Some(date) => IfRange::Date(date),
            None if tags(value).eq([value]) => IfRange::Tag(value.to_vec()),
            None => IfRange::Nothing,
        })
    }

    /// RFC 9110 §13.1.5: exactly the same, by a strong validator.
    fn matches(&self, validators: &Validators, now: u64) -> bool {
        match self {
            IfRange::Tag(tag) => validators.tag.as_ref().is_some_and(|own| own.matches_strongly(tag)),
            // RFC 9110 §8.8.2.2: a date is strong when the second that it names was over before
            // the representation was sent; this server knows when it sends it now, and that a
            // client must not send a date which was weak.
            IfRange::Date(date) => {
                let is_over = i64::try_from(now).is_ok_and(|now| *date < now);
                validators.modified.is_some_and(|modified| modified.is(*date)) && is_over
            }
            IfRange::Nothing => false,
        }
    }
}

/// The only line of a field. Of a field that has one value two lines say nothing (RFC 9110 §5.3).
fn only<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let first = lines.next()?;
    lines.next().is_none().then(|| syntax::trim(first))
}

#[cfg(test)]
mod tests;
