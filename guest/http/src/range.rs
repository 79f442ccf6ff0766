//! Ranges of bytes: which parts of a representation a client wants (RFC 9110 §14).

use super::syntax;
use crate::limits::RANGES_MAX;
use std::ops::Range;

/// What `Range` asks for, in the order of the request. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<Spec>);

/// One of them (RFC 9110 §14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// From this byte on.
    From(u64),
    /// From the first to the last byte, both included.
    Between(u64, u64),
    /// So many bytes at the end.
    Last(u64),
}

/// What comes of ranges for a representation of a certain length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it, as if there had been no `Range`.
    Whole,
    /// One part.
    Part(Range<u64>),
    /// Several parts, none of which overlap.
    Parts(Vec<Range<u64>>),
    /// None of the ranges is there (RFC 9110 §15.5.17).
    Unsatisfiable,
}

impl Ranges {
    /// Reads the value of `Range`. Nothing when it is not in bytes or is malformed (RFC 9110
    /// §14.2: an unknown unit is ignored, and an invalid set may be); or when it asks for more
    /// than `RANGES_MAX` parts, as nobody does who wants to have them (RFC 9110 §17.15).
    pub fn parse(value: &[u8]) -> Option<Ranges> {
        let equals = value.iter().position(|&byte| byte == b'=')?;
        // RFC 9110 §14.1: units are case-insensitive.
        if !value[..equals].eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        let mut specs = Vec::new();
        for member in value[equals + 1..].split(|&byte| byte == b',') {
            let member = syntax::trim(member);
            // RFC 9110 §5.6.1.2: empty members of a list are ignored.
            if member.is_empty() {
                continue;
            }
            if specs.len() == RANGES_MAX {
                return None;
            }
            specs.push(Spec::parse(member)?);
        }
        if specs.is_empty() { None } else { Some(Ranges(specs)) }
    }

    /// What they come to for a representation of this length, in bytes. The parts stand in the
    /// order of the request, unless some overlap: then these are one, so that all of them together
    /// are never longer than the whole (RFC 9110 §15.3.7.2).
    pub fn select(&self, length: u64) -> Selection {
        // Some clients put a range from 0 on every request. Of nothing, all of it is no part: no
        // `Content-Range` could say what was sent.
        if length == 0 {
            return Selection::Whole;
        }
        let mut parts: Vec<Range<u64>> = self.0.iter().filter_map(|spec| spec.resolve(length)).collect();
        if overlap(&parts) {
            parts = united(parts);
        }
        match <[_; 1]>::try_from(parts) {
            Ok([part]) => Selection::Part(part),
            Err(parts) if parts.is_empty() => Selection::Unsatisfiable,
            Err(parts) => Selection::Parts(parts),
        }
    }
}

impl Spec {
    fn parse(member: &[u8]) -> Option<Spec> {
        let dash = member.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (&member[..dash], &member[dash + 1..]);
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Spec::Last(number(last)?)),
            (false, true) => Some(Spec::From(number(first)?)),
            (false, false) => {
                let (first, last) = (number(first)?, number(last)?);
                // RFC 9110 §14.1.1: one that ends before it begins is invalid.
                (first <= last).then_some(Spec::Between(first, last))
            }
        }
    }

    /// The bytes of it that a representation of this length, which is not 0, has.
    fn resolve(self, length: u64) -> Option<Range<u64>> {
        let (start, end) = match self {
            Spec::From(first) => (first, length),
            Spec::Between(first, last) => (first, last.saturating_add(1).min(length)),
            Spec::Last(count) => (length.saturating_sub(count), length),
        };
        (start < end).then_some(start..end)
    }
}

/// Digits as a number. One that is too large is the largest: it is beyond any end.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = digits.iter().map(|digit| u64::from(digit - b'0'));
    Some(digits.fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(digit)))
}

/// Whether two of them share a byte.
fn overlap(parts: &[Range<u64>]) -> bool {
    let shares = |a: &Range<u64>, b: &Range<u64>| a.start < b.end && b.start < a.end;
    parts.iter().enumerate().any(|(index, part)| parts[..index].iter().any(|other| shares(part, other)))
}

/// The same bytes in ascending order, each once.
fn united(mut parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    parts.sort_unstable_by_key(|part| part.start);
    let mut united: Vec<Range<u64>> = Vec::new();
    for part in parts {
        match united.last_mut() {
            Some(last) if part.start < last.end => last.end = last.end.max(part.end),
            _ => united.push(part),
        }
    }
    united
}

#[cfg(test)]
mod tests;
