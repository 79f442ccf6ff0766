//! Checks paths in the documentation: ARCHITECTURE.md must name every folder with Rust files, and
//! every path in a document must exist.

use std::collections::BTreeSet;

/// The map of the project.
pub(crate) const MAP: &str = "ARCHITECTURE.md";

/// Folders with records. A record describes the state on its date, and is not edited when a file
/// moves.
const RECORDS: [&str; 2] = ["docs/decisions/", "docs/measurements/"];

/// The folder of build products, which does not exist in a fresh clone.
const BUILT: &str = "target";

/// The extensions by which a text is recognised as a path, whatever its first folder is.
const ENDS: [&str; 4] = [".rs", ".wit", ".md", ".wat"];

/// Reports folders with Rust files that the map does not name by their full path.
///
/// A crate's folder stands for its `src/` and its `tests/`. A folder that contains only `tests.rs`
/// belongs to the module beside it.
pub(crate) fn unmapped(map: &str, files: &[String]) -> Vec<String> {
    let named: BTreeSet<&str> = code_spans(map).map(|(_, span)| span.trim_end_matches('/')).collect();
    let rust = files.iter().filter_map(|file| file.rsplit_once('/')).filter(|(_, name)| name.ends_with(".rs"));
    let rooms: BTreeSet<&str> = rust.filter(|(_, name)| *name != "tests.rs").map(|(folder, _)| room(folder)).collect();
    let missing = rooms.into_iter().filter(|room| !named.contains(room));
    missing
        .map(|room| format!("{MAP}:1: `{room}/` has Rust files and is not on the map: name the folder by its path"))
        .collect()
}

/// Returns the folder that the map must name for a folder with Rust files.
fn room(folder: &str) -> &str {
    // Each example is a small guest, so the map names only the folder of all examples.
    if folder.starts_with("examples/") {
        return "examples";
    }
    // `tests/` beneath a crate's folder belongs to that crate. The top-level `tests/` is a crate.
    let folder = folder.find("/tests").map_or(folder, |at| &folder[..at]);
    folder.strip_suffix("/src").unwrap_or(folder)
}

/// Reports paths that a document names but that do not exist. A path may leave out its first
/// folders.
pub(crate) fn broken(document: &str, text: &str, files: &[String]) -> Vec<String> {
    if !document.ends_with(".md") || RECORDS.iter().any(|folder| document.starts_with(folder)) {
        return Vec::new();
    }
    let spans = code_spans(text).filter(|(_, span)| is_path(span, files) && !exists(span, files));
    let links = links(text).filter(|(_, target)| !link_exists(document, target, files));
    spans
        .map(|(line, path)| format!("{document}:{line}: `{path}` is not there"))
        .chain(links.map(|(line, target)| format!("{document}:{line}: the link to {target} leads nowhere")))
        .collect()
}

/// Returns whether a text in backticks is the path of a file or folder of the repository: it
/// begins with one of its folders, or ends like one of its files.
fn is_path(span: &str, files: &[String]) -> bool {
    let is_plain = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    let Some((first, rest)) = span.split_once('/').filter(|(first, _)| is_plain && !first.is_empty()) else {
        return false;
    };
    if first == BUILT {
        return false;
    }
    let is_ours = || files.iter().any(|file| file.split_once('/').is_some_and(|(folder, _)| folder == first));
    !rest.is_empty() && is_ours() || ENDS.iter().any(|end| rest.ends_with(end))
}

/// Returns whether the path of any file or folder ends with this path.
fn exists(path: &str, files: &[String]) -> bool {
    let path = path.trim_end_matches('/');
    files.iter().any(|file| {
        file.match_indices(path).any(|(at, _)| {
            let begins = at == 0 || file.as_bytes()[at - 1] == b'/';
            begins && matches!(file.as_bytes().get(at + path.len()), None | Some(b'/'))
        })
    })
}

/// Returns whether the target of a link exists, or is outside of the repository.
fn link_exists(document: &str, target: &str, files: &[String]) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains(':') {
        return true;
    }
    let mut place: Vec<&str> = document.split('/').collect();
    place.pop();
    for part in path.split('/').filter(|part| !matches!(*part, "." | "")) {
        if part == ".." {
            place.pop();
        } else {
            place.push(part);
        }
    }
    let whole = place.join("/");
    files.iter().any(|file| file.strip_prefix(&whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Returns the texts between backticks, each with its line, without those in fenced blocks.
fn code_spans(markdown: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(markdown).flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |span| (number, span)))
}

/// Returns the targets of links, each with its line, without those in fenced blocks.
fn links(markdown: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(markdown).flat_map(|(number, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        targets.map(move |target| (number, target))
    })
}

/// Returns the lines outside of fenced blocks, with their numbers.
fn lines(markdown: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(markdown.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

#[cfg(test)]
mod tests {
    use super::{broken, unmapped};

    fn files(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_folder_is_named_by_its_path() {
        let check = |map: &str, names: &str, missing: usize| {
            assert_eq!(unmapped(map, &files(names)).len(), missing, "{map} {names}");
        };
        check("`host/`", "host/src/lib.rs host/src/guest.rs host/tests/all.rs host/README.md", 0);
        check("`host/`", "host/src/live/mod.rs", 1);
        check("`host/` and its live", "host/src/live/mod.rs", 1);
        check("`host/src/live/`", "host/src/live/mod.rs host/src/live/tests.rs", 0);
        check("`host/src/live`", "host/src/live/driver/mod.rs", 1);
        check("`live/`", "host/src/live/mod.rs", 1);
        check("```\n`host/src/live/`\n```", "host/src/live/mod.rs", 1);
        check("`host/`", "host/src/lib.rs host/src/date/tests.rs", 0);
        check("`tests/`", "tests/main.rs tests/support/mod.rs", 1);
        check("`examples/`", "examples/clock/src/lib.rs examples/clock/tests/clock.rs", 0);
    }

    #[test]
    fn a_path_that_is_named_is_there() {
        let ours = files("host/src/live/mod.rs host/src/cli.rs docs/speed.md html/index.html xtask/Cargo.toml");
        let check = |text: &str, expected: usize| {
            let found = broken("docs/guide/a.md", text, &ours);
            assert_eq!(found.len(), expected, "{text}: {found:?}");
        };
        check("`host/src/cli.rs` `host/src/live/` `live/mod.rs` `html/` `xtask/Cargo.toml`", 0);
        check("`host/src/gone.rs` `host/gone/` `live/gone.rs`", 3);
        check("`/index.html` `text/html` `target/release/x` `target/judge/grid.md` `ROOT/a/` `host/{a,b}` `cli.rs`", 0);
        check("```\n`host/gone/`\n```", 0);
        check("[a](../speed.md#top) [b](#here) [c](https://example.org) [d](../../html/)", 0);
        check("[a](speed.md) and\n[b](../gone.md \"title\")", 2);
        assert_eq!(broken("docs/decisions/0001-a.md", "`host/gone/`", &ours).len(), 0);
        assert_eq!(broken("a.rs", "`host/gone/`", &ours).len(), 0);
    }
}
