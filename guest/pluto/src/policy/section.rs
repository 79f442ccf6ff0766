//! A table of a TOML document, read key by key: every problem is kept with its place, and no key
//! is passed over.

use crate::limits::PROBLEMS_MAX;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Keys of the whole site. Behind the first table TOML takes them for that table's, which the
/// indentation hides.
const OF_THE_SITE: [&str; 7] = [
    "clean-urls",
    "index",
    "directory-listing",
    "page-fallback",
    "immutable-names",
    "security-headers",
    "hsts-max-age",
];

/// What is wrong with a file, each with its place: an offset in bytes.
#[derive(Debug)]
pub struct Problems<'t> {
    /// What the operator calls the file.
    file: &'t str,
    text: &'t str,
    found: RefCell<Vec<(usize, String)>>,
}

impl<'t> Problems<'t> {
    /// None yet, of the file with this name and text.
    pub fn new(file: &'t str, text: &'t str) -> Problems<'t> {
        Problems { file, text, found: RefCell::default() }
    }

    /// Adds a problem.
    pub fn add(&self, at: usize, what: impl Into<String>) {
        self.found.borrow_mut().push((at, what.into()));
    }

    /// The value, or nothing and the problem with it.
    pub fn check<T>(&self, at: &Range<usize>, result: Result<T, String>) -> Option<T> {
        result.map_err(|what| self.add(at.start, what)).ok()
    }

    /// A place as the operator is told it: `FILE:LINE:COLUMN`.
    pub fn place(&self, at: usize) -> String {
        let (line, column) = place(self.text, at);
        format!("{}:{line}:{column}", self.file)
    }

    /// One line for each problem, in the order of their places: the place and what was expected.
    pub fn lines(&self) -> Vec<String> {
        let mut problems = self.found.take();
        problems.sort_unstable();
        problems.dedup();
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        let told = problems.into_iter().take(PROBLEMS_MAX);
        let mut lines: Vec<String> = told.map(|(at, what)| format!("{}: {what}", self.place(at))).collect();
        if more > 0 {
            lines.push(format!("{}: and {more} more", self.file));
        }
        lines
    }
}

/// Line and column of an offset, both from 1, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// A table.
pub struct Section<'a> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    problems: &'a Problems<'a>,
    /// The keys that were asked for: all that there may be.
    known: Vec<&'static str>,
}

/// A value with its place.
pub type Found<T> = (T, Range<usize>);

impl<'a> Section<'a> {
    /// The whole document.
    pub fn new(table: &'a Spanned<DeTable<'a>>, problems: &'a Problems<'a>) -> Section<'a> {
        Section { table: table.get_ref(), span: table.span(), problems, known: Vec::new() }
    }

    /// Where it begins.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether there is a value of any type.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A string that need not be there.
    pub fn string(&mut self, key: &'static str) -> Option<Found<&'a str>> {
        self.typed(key, "a string in quotation marks", DeValue::as_str)
    }

    /// A string that must be there.
    pub fn required(&mut self, key: &'static str, example: &str) -> Option<Found<&'a str>> {
        if !self.has(key) {
            self.known.push(key);
            self.problems.add(self.span.start, format!("expected {key} = {example} in this table"));
            return None;
        }
        self.string(key)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", DeValue::as_bool).map(|(value, _)| value)
    }

    /// A whole number in a range.
    pub fn integer(&mut self, key: &'static str, range: &RangeInclusive<u64>) -> Option<Found<u64>> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.typed(key, &expected, |value| {
            let integer = value.as_integer()?;
            u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|number| range.contains(number))
        })
    }

    /// Strings, in brackets, each with its place.
    pub fn strings(&mut self, key: &'static str) -> Option<Found<Vec<Found<&'a str>>>> {
        self.typed(key, "strings in brackets, as in [\"a\", \"b\"]", |value| {
            value.as_array()?.iter().map(|item| Some((item.get_ref().as_str()?, item.span()))).collect()
        })
    }

    /// A table beneath it.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let (table, span) = self.typed(key, "a table", DeValue::as_table)?;
        Some(Section { table, span, problems: self.problems, known: Vec::new() })
    }

    /// Tables, each under `[[key]]`; at most so many.
    pub fn sections(&mut self, key: &'static str, max: usize) -> Vec<Section<'a>> {
        let expected = format!("tables, each under [[{key}]]");
        let found = self.typed(key, &expected, |value| {
            let tables = value.as_array()?.iter().map(|item| Some((item.get_ref().as_table()?, item.span())));
            tables.collect::<Option<Vec<_>>>()
        });
        let (mut tables, span) = found.unwrap_or_default();
        if tables.len() > max {
            self.problems.add(span.start, format!("expected at most {max} of {key}, found {}", tables.len()));
            tables.truncate(max);
        }
        let problems = self.problems;
        tables.into_iter().map(|(table, span)| Section { table, span, problems, known: Vec::new() }).collect()
    }

    /// All keys, whatever they are called, with the strings that they have.
    pub fn entries(self) -> Vec<(Found<&'a str>, Found<&'a str>)> {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let found = value.get_ref().as_str();
            let name: &'a Cow<'a, str> = key.get_ref();
            let (name, at): (&'a str, _) = (name, key.span());
            if OF_THE_SITE.contains(&name) {
                self.problems.add(at.start, format!("expected {name} above the first [table]"));
                return None;
            }
            if found.is_none() {
                let what = format!("{name} to be a string in quotation marks");
                self.problems.add(value.span().start, expected(&what, value.get_ref()));
            }
            Some(((name, at), (found?, value.span())))
        };
        self.table.iter().filter_map(entry).collect()
    }

    /// Every key was asked for; what is left is a mistake.
    pub fn finish(self) {
        for key in self.table.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let (known, hint) = (self.known.join(", "), hint(key.get_ref()));
            self.problems.add(key.span().start, format!("expected one of {known}; found {:?}{hint}", key.get_ref()));
        }
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Found<T>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        let found = read(value.get_ref());
        if found.is_none() {
            self.problems.add(value.span().start, expected(&format!("{key} to be {what}"), value.get_ref()));
        }
        Some((found?, value.span()))
    }
}

/// What to do with a key that stands in a table and is none of it.
fn hint(key: &str) -> &'static str {
    if OF_THE_SITE.contains(&key) { "; that belongs above the first [table]" } else { "" }
}

fn expected(what: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Array(_) => "an array".to_owned(),
        other => format!("a {}", other.type_str()),
    };
    format!("expected {what}, found {found}")
}
