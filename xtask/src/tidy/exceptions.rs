//! Lists of exceptions that can only shrink: breaches of a rule that are older than the rule.
//!
//! A line is `FILE COUNT`. If a file has more breaches than the count, some are new. If it has
//! fewer, the count must be lowered, so that nobody can add a breach where another was fixed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::workspace::{Result, root, say};

/// The number of breaches of each file.
pub(crate) type Counts = BTreeMap<String, usize>;

/// A list of exceptions, which is kept in a file.
pub(crate) struct List {
    /// The path of the file, relative to the workspace's folder.
    pub(crate) path: &'static str,
    /// The name of the breaches, in the plural.
    pub(crate) what: &'static str,
    /// The advice about a breach.
    pub(crate) mend: &'static str,
}

impl List {
    /// Reports the files whose number of breaches differs from the list.
    pub(crate) fn breaches(&self, found: &Counts) -> Result<Vec<String>> {
        let known = parse(self.path, &fs::read_to_string(self.file()).unwrap_or_default())?;
        Ok(self.compare(&known, found))
    }

    fn compare(&self, known: &Counts, found: &Counts) -> Vec<String> {
        let Self { path, what, mend } = self;
        let files: BTreeSet<&String> = known.keys().chain(found.keys()).collect();
        let count = |counts: &Counts, file: &str| counts.get(file).copied().unwrap_or(0);
        let breach = |file: &String| {
            let (known, found) = (count(known, file), count(found, file));
            match found.cmp(&known) {
                Ordering::Equal => None,
                Ordering::Greater => Some(format!("{file}:1: {found} {what}, where {path} has {known}: {mend}")),
                Ordering::Less => Some(format!(
                    "{path}: {file} has {found} {what} and no longer {known}: lower the entry by `cargo xtask tidy --count`"
                )),
            }
        };
        files.into_iter().filter_map(breach).collect()
    }

    /// Lowers the entries to the numbers that were found. An entry never grows. Only a missing
    /// list is written with all numbers.
    pub(crate) fn lower(&self, found: &Counts) -> Result<()> {
        let kept = match fs::read_to_string(self.file()) {
            Ok(text) => lowered(&parse(self.path, &text)?, found),
            Err(_) => found.clone(),
        };
        fs::write(self.file(), self.text(&kept)).map_err(|error| format!("cannot write {}: {error}", self.path))?;
        say(&format!("{}: {} {} in {} files", self.path, kept.values().sum::<usize>(), self.what, kept.len()));
        Ok(())
    }

    fn text(&self, counts: &Counts) -> String {
        let mut text = format!(
            "# Older than the rule: {}. A line is FILE COUNT.\n\
             # The list can only shrink: `cargo xtask tidy --count` lowers it.\n\
             # Where the list is in conflict, delete it first; then all of it is written anew.\n",
            self.what
        );
        for (file, count) in counts {
            let _ = writeln!(text, "{file} {count}");
        }
        text
    }

    fn file(&self) -> PathBuf {
        root().join(self.path)
    }
}

fn lowered(known: &Counts, found: &Counts) -> Counts {
    let kept = known.iter().filter_map(|(file, &known)| Some((file.clone(), known.min(*found.get(file)?))));
    kept.filter(|(_, count)| *count > 0).collect()
}

fn parse(path: &str, text: &str) -> Result<Counts> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (file, count) = line.rsplit_once(' ')?;
        Some((file.to_owned(), count.parse().ok()?))
    };
    let entries = lines.map(|(number, line): (usize, &str)| {
        entry(line).ok_or_else(|| {
            format!(
                "{path}:{number}: expected FILE COUNT, found {line:?}: delete the list, then `cargo xtask tidy --count`"
            )
        })
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::{Counts, List, lowered, parse};

    const LIST: List = List { path: "list.txt", what: "mistakes", mend: "mend them" };

    fn counts(text: &str) -> Counts {
        parse("list.txt", text).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn more_and_fewer_are_told_apart() {
        let check = |known: &str, found: &str, expected: &[&str]| {
            let breaches = LIST.compare(&counts(known), &counts(found));
            assert_eq!(breaches.len(), expected.len(), "{breaches:?}");
            assert!(breaches.iter().zip(expected).all(|(breach, part)| breach.contains(part)), "{breaches:?}");
        };
        check("# a comment\na.rs 2\n", "a.rs 2", &[]);
        check("a.rs 2", "a.rs 3", &["a.rs:1: 3 mistakes, where list.txt has 2: mend them"]);
        check("a.rs 2", "a.rs 1", &["a.rs has 1 mistakes and no longer 2: lower the entry"]);
        check("a.rs 2", "b.rs 1", &["a.rs has 0", "b.rs:1: 1 mistakes, where list.txt has 0"]);
    }

    #[test]
    fn a_list_only_shrinks() {
        assert_eq!(lowered(&counts("a 2\nb 2\nc 2"), &counts("a 1\nb 3\nd 1")), counts("a 1\nb 2"));
    }

    #[test]
    fn a_list_can_be_read_again() {
        let some = counts("a b.rs 2\nc.rs 10");
        assert_eq!(counts(&LIST.text(&some)), some);
        assert!(parse("list.txt", "<<<<<<< HEAD").is_err_and(|why| why.contains("list.txt:1: expected FILE COUNT")));
    }
}
