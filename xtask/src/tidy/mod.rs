//! `cargo xtask tidy`: the house rules as a test. It checks what no compiler checks and no reader
//! should have to.

mod circles;
mod columns;
mod crates;
mod exceptions;
mod names;
mod paths;
mod source;

use std::fs;
use std::path::Path;

use crate::contract;
use crate::metadata;
use crate::workspace::{Result, output, root, say};
use exceptions::{Counts, List};
use paths::MAP;

/// The most lines of a file. A longer file does not fit in one reader's head, and should be
/// several modules.
const FILE_LINES_MAX: usize = 600;

/// The extensions of files to which [`FILE_LINES_MAX`] applies: people write and read these files.
const READ_BY_PEOPLE: [&str; 3] = ["rs", "wit", "md"];

/// The most bytes of a file. A larger file is a build product or a recording, and git would keep
/// each version of it for ever.
const FILE_BYTES_MAX: u64 = 512 * 1024;

/// Words that mark unfinished code or comments. They are written in two parts, so that this file
/// does not contain them.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// Too long lines of prose that are older than the rule about their width.
const LONG_LINES: List = List {
    path: "xtask/long-lines.txt",
    what: "lines of prose that do not end before column 100",
    mend: "break the lines of Markdown and of comments",
};

/// A file that git tracks or would track, with its text. The text is empty if the file is not
/// text.
struct Tracked {
    name: String,
    bytes: Vec<u8>,
    text: String,
}

/// Checks every rule and reports every breach, each with its place.
pub(crate) fn tidy() -> Result<()> {
    let files = files()?;
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let mut breaches = names::stale(&names);
    for Tracked { name, bytes, text } in &files {
        breaches.extend(check_size(name, bytes));
        breaches.extend(paths::broken(name, text, &names));
        if name.ends_with(".rs") {
            breaches.extend(check_marks(name, text));
            breaches.extend(names::misplaced(name, text));
        }
    }
    breaches.extend(contract::check(&root()));
    breaches.extend(LONG_LINES.breaches(&long_lines(&files))?);
    breaches.extend(circles(&files));
    breaches.extend(check_map(&files, &names)?);
    if breaches.is_empty() {
        say(&format!("{} files are tidy", files.len()));
        return Ok(());
    }
    Err(format!("the house rules are broken in {} places:\n{}", breaches.len(), breaches.join("\n")))
}

/// Lowers the list of exceptions to the breaches that remain.
pub(crate) fn count() -> Result<()> {
    LONG_LINES.lower(&long_lines(&files()?))
}

/// Draws the picture of the crates into the map.
pub(crate) fn draw() -> Result<()> {
    let path = root().join(MAP);
    let map = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let drawn = crates::with_picture(&map, &crates::picture(&metadata::members()?))?;
    fs::write(&path, drawn).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Checks the map, and the metadata in the manifests.
fn check_map(files: &[Tracked], names: &[String]) -> Result<Vec<String>> {
    let members = metadata::members()?;
    let mut breaches = crates::unsaid(&members);
    let Some(map) = files.iter().find(|file| file.name == MAP).map(|file| &file.text) else {
        breaches.push(format!("{MAP}:1: the map of the rooms is missing"));
        return Ok(breaches);
    };
    breaches.extend(paths::unmapped(map, names));
    match crates::with_picture(map, &crates::picture(&members)) {
        Ok(drawn) if drawn == *map => {}
        Ok(_) => breaches.push(format!("{MAP}:1: the picture of the crates is out of date: `cargo xtask graph`")),
        Err(why) => breaches.push(format!("{MAP}:1: {why}")),
    }
    Ok(breaches)
}

fn long_lines(files: &[Tracked]) -> Counts {
    let counts = files.iter().map(|file| (file.name.clone(), columns::long_lines(&file.name, &file.text)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn circles(files: &[Tracked]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.name.ends_with(".rs"));
    let rust: Vec<(String, String)> = rust.map(|file| (file.name.clone(), file.text.clone())).collect();
    let breach = |file: &String| {
        format!("{file}:1: it is in a circle of modules: move what both of two files need into a module of its own")
    };
    circles::circles(&rust).keys().map(breach).collect()
}

/// Returns the files that git tracks or would track, without those that have just been deleted.
fn files() -> Result<Vec<Tracked>> {
    let list = output("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .ok_or("tidy asks git which files there are, and `git ls-files` failed: run it in a clone of the repository")?;
    let mut names: Vec<&str> = list.split('\0').filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    // git lists a file with a merge conflict once for each side.
    names.dedup();
    let root = root();
    let file = |name: &str| {
        // The target of a link is checked at its own path.
        if root.join(name).is_symlink() {
            return None;
        }
        let bytes = fs::read(root.join(name)).ok()?;
        let text = std::str::from_utf8(&bytes).unwrap_or_default().to_owned();
        Some(Tracked { name: name.to_owned(), bytes, text })
    };
    Ok(names.into_iter().filter_map(file).collect())
}

fn check_size(file: &str, bytes: &[u8]) -> Vec<String> {
    let mut breaches = Vec::new();
    if bytes.len() as u64 > FILE_BYTES_MAX {
        breaches.push(format!(
            "{file}:1: {} bytes, more than {FILE_BYTES_MAX}: what is built or recorded does not belong in git",
            bytes.len()
        ));
    }
    let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    let read =
        Path::new(file).extension().and_then(|end| end.to_str()).is_some_and(|end| READ_BY_PEOPLE.contains(&end));
    if read && lines > FILE_LINES_MAX {
        breaches.push(format!(
            "{file}:{FILE_LINES_MAX}: {lines} lines, more than {FILE_LINES_MAX}: it is more than one room, so divide it"
        ));
    }
    breaches
}

fn check_marks(file: &str, text: &str) -> Vec<String> {
    let marked = (1..)
        .zip(text.lines())
        .flat_map(|(number, line)| MARKS.iter().filter(|mark| line.contains(**mark)).map(move |mark| (number, mark)));
    marked
        .map(|(number, mark)| format!("{file}:{number}: {mark}: do it now, or write it down where it is read"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{FILE_LINES_MAX, check_marks, check_size};

    #[test]
    fn long_files_and_marks_are_found() {
        let long = "\n".repeat(FILE_LINES_MAX + 1);
        assert_eq!(check_size("a.rs", long.as_bytes()).len(), 1);
        assert_eq!(check_size("Cargo.lock", long.as_bytes()).len(), 0);
        assert_eq!(check_size("a.wasm", &vec![0; 600 * 1024]).len(), 1);
        assert_eq!(check_marks("a.rs", concat!("a\n// FIX", "ME")).len(), 1);
    }
}
