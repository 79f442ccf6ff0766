//! Finds circles between the modules of a crate: files that need each other, directly or not.
//!
//! A file needs another file when it names one of that file's items by a path (`crate::`,
//! `self::`, `super::`, or a submodule). A name that the other file only imports is followed to
//! its definition. A file that re-exports a name (`pub use`) does not need it. Code that is
//! compiled only for tests does not count.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::exceptions::Counts;
use super::source::{code_of, is_word, without_tests};

/// The module of a file: the words of its path in the crate.
type Module = Vec<String>;

/// The parts of a file's code that this check needs.
struct Source {
    file: String,
    /// The imports of the module: each name with the path for which it stands.
    imports: HashMap<String, Module>,
    /// All paths in the code, including imports, except those of `pub use`.
    paths: Vec<Module>,
}

/// Returns the files that are in a circle, each counted once.
pub(crate) fn circles(files: &[(String, String)]) -> Counts {
    let roots: BTreeSet<&str> = files.iter().filter_map(|(file, _)| root(file)).collect();
    let of_root = |root: &&str| {
        let deepest = |file: &str| roots.iter().rfind(|root| file.starts_with(**root)).copied();
        let own: Vec<&(String, String)> = files.iter().filter(|(file, _)| deepest(file) == Some(*root)).collect();
        of_crate(root, &own)
    };
    roots.iter().flat_map(of_root).collect()
}

/// Returns the folder of a crate's modules: `src/`, or the folder of a `main.rs` or `lib.rs`
/// elsewhere.
fn root(file: &str) -> Option<&str> {
    let after = |end: &str| file.find(end).map(|at| &file[..at + end.len()]);
    let is_root = |name: &str| matches!(name, "main.rs" | "lib.rs");
    after("/src/").or_else(|| {
        file.rsplit_once('/').filter(|(_, name)| is_root(name)).and_then(|(folder, _)| file.get(..=folder.len()))
    })
}

fn of_crate(src: &str, files: &[&(String, String)]) -> Counts {
    let mut sources: BTreeMap<Module, Source> = BTreeMap::new();
    let is_library = files.iter().any(|(file, _)| file.strip_prefix(src) == Some("lib.rs"));
    for (file, text) in files {
        let Some(module) = file.strip_prefix(src).and_then(|path| path.strip_suffix(".rs")) else { continue };
        let mut module: Module = module.split('/').map(str::to_owned).collect();
        match module.last().map(String::as_str) {
            // A program beside a library has another root.
            Some("main") if is_library => continue,
            Some("tests") => continue,
            Some("mod" | "lib" | "main") => drop(module.pop()),
            _ => {}
        }
        sources.insert(module, read(file, text));
    }
    let needs: BTreeMap<&Module, BTreeSet<&Module>> = sources
        .iter()
        .map(|(module, source)| {
            let needed = source.paths.iter().filter_map(|path| resolve(module, path, &sources, 0));
            (module, needed.filter(|needed| *needed != module).collect())
        })
        .collect();
    let in_circle = needs.keys().filter(|module| reached(module, &needs).contains(*module));
    in_circle.map(|module| (sources[*module].file.clone(), 1)).collect()
}

/// Returns all modules that a module needs, directly or not. They include the module itself if it
/// is in a circle.
fn reached<'a>(module: &'a Module, needs: &BTreeMap<&'a Module, BTreeSet<&'a Module>>) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&Module> = vec![module];
    while let Some(module) = open.pop() {
        open.extend(needs[module].iter().copied().filter(|needed| reached.insert(*needed)));
    }
    reached
}

/// Returns the module that defines the item of a path; none if the item is in another crate.
fn resolve<'a>(
    from: &Module,
    path: &[String],
    sources: &'a BTreeMap<Module, Source>,
    depth: usize,
) -> Option<&'a Module> {
    // Imports that lead in a circle do not compile. The bound ends the search if there are any.
    const DEPTH_MAX: usize = 8;
    let mut at = from.clone();
    let mut words = path.iter().peekable();
    match words.peek()?.as_str() {
        "crate" => at.clear(),
        "self" | "super" => {}
        first => {
            at.push(first.to_owned());
            if !sources.contains_key(&at) {
                return None;
            }
            at.pop();
        }
    }
    for word in words {
        match word.as_str() {
            "crate" | "self" => continue,
            "super" => drop(at.pop()),
            word => {
                at.push(word.to_owned());
                if sources.contains_key(&at) {
                    continue;
                }
                at.pop();
                let import = sources.get(&at).and_then(|source| source.imports.get(word));
                let followed = import.filter(|_| depth < DEPTH_MAX && at != *from);
                return followed
                    .and_then(|path| resolve(&at, path, sources, depth + 1))
                    .or_else(|| sources.get_key_value(&at).map(|(module, _)| module));
            }
        }
    }
    sources.get_key_value(&at).map(|(module, _)| module)
}

fn read(file: &str, text: &str) -> Source {
    let code = without_tests(&code_of(text));
    let mut source = Source { file: file.to_owned(), imports: HashMap::new(), paths: Vec::new() };
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        let begins = at == 0 || !is_word(code.as_bytes()[at - 1]) && code.as_bytes()[at - 1] != b':';
        if begins && rest.starts_with("use ") {
            let length = rest.find(';').unwrap_or(rest.len());
            let needed = source.paths.len();
            import(&rest["use ".len()..length], &[], &mut source);
            if is_public(&code[..at]) {
                source.paths.truncate(needed);
            }
            at += length;
        } else if begins && rest.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_') {
            let length = rest.bytes().take_while(|&byte| is_word(byte) || byte == b':').count();
            let words: Vec<&str> = rest[..length].split("::").collect();
            if words.len() > 1 && words.iter().all(|word| !word.contains(':')) {
                source.paths.push(words.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect());
            }
            at += length.max(1);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    source
}

/// Returns whether the item that follows this code is visible outside of its module.
fn is_public(before: &str) -> bool {
    let item = before.rsplit([';', '{', '}']).next().unwrap_or_default();
    item.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "pub")
}

/// Records the imports of a `use` tree. `before` is the path that leads to the tree.
fn import(tree: &str, before: &[String], source: &mut Source) {
    let tree = tree.trim();
    if let Some((prefix, group)) = tree.split_once('{') {
        let words = prefix.trim().split("::").filter(|word| !word.is_empty()).map(|word| word.trim().to_owned());
        let path: Module = before.iter().cloned().chain(words).collect();
        let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
        return members(group).into_iter().for_each(|member| import(member, &path, source));
    }
    let (path, name) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let words = path.split("::").map(|word| word.trim().to_owned()).filter(|word| !word.is_empty() && word != "*");
    let mut path: Module = before.iter().cloned().chain(words).collect();
    if path.len() > 1 && path.last().is_some_and(|word| word == "self") {
        path.pop();
    }
    if let Some(name) = name.map(str::to_owned).or_else(|| path.last().cloned()) {
        source.imports.insert(name, path.clone());
    }
    source.paths.push(path);
}

/// Splits a group at its commas.
fn members(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let is_end = |letter: char| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0 && letter == ','
    };
    group.split(is_end).filter(|member| !member.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::circles;

    /// Checks which files of a crate are in a circle.
    fn check(files: &[(&str, &str)], expected: &[(&str, usize)]) {
        let files: Vec<(String, String)> =
            files.iter().map(|(file, text)| (format!("a/src/{file}"), (*text).to_owned())).collect();
        let found: Vec<(String, usize)> = circles(&files).into_iter().collect();
        let expected: Vec<(String, usize)> =
            expected.iter().map(|(file, count)| (format!("a/src/{file}"), *count)).collect();
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn two_files_that_need_each_other_are_a_circle() {
        let both = [("b.rs", 1), ("c.rs", 1)];
        check(&[("lib.rs", "mod b; mod c;"), ("b.rs", "use crate::c::C;"), ("c.rs", "use crate::b::B;")], &both);
        check(&[("b.rs", "use crate::{c::C, d};"), ("c.rs", "fn c() -> super::b::B {}")], &both);
        check(&[("b.rs", "use crate::c::C;"), ("c.rs", "// crate::b\nconst C: &str = \"crate::b\";")], &[]);
        check(&[("b.rs", "use crate::c::C;"), ("c.rs", "#[cfg(test)]\nmod tests { use crate::b::B; }")], &[]);
        check(
            &[("b.rs", "use crate::c;"), ("c.rs", "use crate::d;"), ("d.rs", "use crate::b::{self};")],
            &[("b.rs", 1), ("c.rs", 1), ("d.rs", 1)],
        );
    }

    #[test]
    fn a_module_and_its_parent_can_be_a_circle() {
        let check = |parent: &str, child: &str, expected: &[(&str, usize)]| {
            check(&[("lib.rs", "mod b;"), ("b/mod.rs", parent), ("b/c.rs", child)], expected);
        };
        check("mod c; use c::C; struct B;", "use super::B;", &[("b/c.rs", 1), ("b/mod.rs", 1)]);
        check("mod c; fn b() { c::c() }", "use crate::b::B;", &[("b/c.rs", 1), ("b/mod.rs", 1)]);
        check("mod c; struct B;", "use super::B;", &[]);
        check("mod c; use c::C;", "use std::fs;", &[]);
    }

    #[test]
    fn an_imported_name_is_followed_to_its_home() {
        check(
            &[
                ("lib.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
                ("b.rs", "struct B;"),
                ("c.rs", "use crate::B;"),
            ],
            &[],
        );
        check(&[("lib.rs", "mod b; pub(crate) use b::B; struct A;"), ("b.rs", "use super::A;")], &[]);
        check(
            &[
                ("lib.rs", "mod b;"),
                ("b/mod.rs", "mod c; mod d; pub use d::D as E;"),
                ("b/c.rs", "use super::E;"),
                ("b/d.rs", ""),
            ],
            &[],
        );
    }

    #[test]
    fn tests_and_programs_elsewhere_are_crates_too() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = [
            file("tests/main.rs", "mod b; mod c;"),
            file("tests/b.rs", "use crate::c::C;"),
            file("tests/c.rs", "use crate::b::B;"),
            file("tests/proxy/lib.rs", "mod d;"),
            file("tests/proxy/d.rs", "use crate::e;"),
        ];
        assert_eq!(circles(&files).into_keys().collect::<Vec<_>>(), ["tests/b.rs", "tests/c.rs"]);
    }

    #[test]
    fn other_crates_are_no_modules() {
        check(&[("b.rs", "use std::c::C; use c::C;"), ("c.rs", "use crate::b;")], &[]);
        check(&[("main.rs", "use a::b;"), ("lib.rs", "mod b;"), ("b.rs", "")], &[]);
    }
}
