//! Just enough of Rust's grammar to find the names that a file uses.

use std::iter;

/// Returns the source with comments and the contents of literals blanked out. Line numbers stay
/// the same.
pub(crate) fn code_of(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    while code.len() < bytes.len() {
        let at = code.len();
        let in_word = at > 0 && is_word(bytes[at - 1]);
        match blank_length(&bytes[at..], in_word) {
            0 => code.push(bytes[at]),
            length => {
                let end = bytes.len().min(at + length);
                code.extend(bytes[at..end].iter().map(|&byte| if byte == b'\n' { byte } else { b' ' }));
            }
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Returns for each line whether it has a comment, or a part of one.
pub(crate) fn comment_lines(source: &str) -> Vec<bool> {
    let bytes = source.as_bytes();
    let mut has_comment = vec![false; source.lines().count()];
    let (mut at, mut line) = (0, 0);
    while at < bytes.len() {
        let in_word = at > 0 && is_word(bytes[at - 1]);
        let is_comment = matches!(bytes[at..], [b'/', b'/' | b'*', ..]);
        let end = bytes.len().min(at + blank_length(&bytes[at..], in_word).max(1));
        let lines = bytes[at..end].iter().filter(|&&byte| byte == b'\n').count();
        if is_comment {
            has_comment[line..=line + lines].fill(true);
        }
        (at, line) = (end, line + lines);
    }
    has_comment
}

/// Returns the code without modules and items behind `#[cfg(test)]`. Line numbers stay the same.
pub(crate) fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some((before, test)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let length = item_length(test);
        kept.extend(test[..length].chars().filter(|&letter| letter == '\n'));
        rest = &test[length..];
    }
    kept + rest
}

/// Returns the length of the item at the start of the code: up to its semicolon, or to the end of
/// its braces.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(letter, '}' | ';') {
            return at + 1;
        }
    }
    code.len()
}

/// Returns the length of the comment or literal at the start of `rest`, or 0 if there is none.
fn blank_length(rest: &[u8], in_word: bool) -> usize {
    match rest {
        [b'/', b'/', ..] => rest.iter().take_while(|&&byte| byte != b'\n').count(),
        [b'/', b'*', ..] => block_comment_length(rest),
        [b'"', ..] => string_length(rest),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string_length(&rest[1..]).map_or(0, |length| length + 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => {
            raw_string_length(&rest[2..]).map_or(0, |length| length + 2)
        }
        [b'\'', b'\\', _, tail @ ..] => 3 + until(tail, b"'"),
        [b'\'', ..] => character_length(rest),
        _ => 0,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Returns the length of a raw string after its `r`; none if it is a raw identifier.
fn raw_string_length(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|&&byte| byte == b'#').count();
    let body = rest[hashes..].strip_prefix(b"\"")?;
    let end: Vec<u8> = iter::once(b'"').chain(iter::repeat_n(b'#', hashes)).collect();
    Some(hashes + 1 + until(body, &end))
}

/// Returns the length of a character literal, or 0 if the quote begins a lifetime.
fn character_length(rest: &[u8]) -> usize {
    let end = |length: &usize| rest.get(length + 1) == Some(&b'\'') && (*length == 1 || !rest[1].is_ascii());
    (1..=4).find(end).map_or(0, |length| length + 2)
}

/// Returns the number of bytes up to and including `end`, or of all bytes if `end` is missing.
fn until(bytes: &[u8], end: &[u8]) -> usize {
    bytes.windows(end.len()).position(|window| window == end).map_or(bytes.len(), |at| at + end.len())
}

/// Returns the lines, from 1, on which code uses `name`: an identifier, a macro with its `!`, or a
/// path of two parts such as `std::fs`, which is also found in `use std::{fs, io}`.
pub(crate) fn lines_naming(code: &str, name: &str) -> Vec<usize> {
    let mut found: Vec<usize> = positions(code, name).collect();
    if let Some((first, second)) = name.split_once("::") {
        for open in positions(code, &format!("{first}::{{")) {
            let group = open + first.len() + 3;
            found.extend(heads(&code[group..]).filter(|(_, head)| *head == second).map(|(at, _)| group + at));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|at| 1 + code[..at].matches('\n').count()).collect()
}

fn positions<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(name).map(|(at, _)| at).filter(move |&at| {
        let after = code.as_bytes().get(at + name.len());
        let whole = !name.bytes().last().is_some_and(is_word) || !after.copied().is_some_and(is_word);
        whole && (at == 0 || !is_word(code.as_bytes()[at - 1]))
    })
}

/// Returns the first word of each member of a `use` group, and its position. `group` begins after
/// the group's brace.
fn heads(group: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut depth = 1;
    let mut begins = true;
    group.char_indices().filter_map(move |(at, letter)| {
        let head = depth == 1 && begins && !letter.is_whitespace();
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        begins = letter == ',' || begins && letter.is_whitespace();
        let word = group[at..].split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
        (head && !word.is_empty()).then_some((at, word))
    })
}

/// Returns whether a byte can be part of an identifier.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::{code_of, comment_lines, lines_naming, without_tests};

    #[test]
    fn lines_with_comments_are_found() {
        let check = |source: &str, expected: &[bool]| assert_eq!(comment_lines(source), expected, "{source}");
        check("a // b\nc\n/* d\ne */ f\ng", &[true, false, true, true, false]);
        check("\"// a\"\nr#\"/* b\"#\n'/'\n//", &[false, false, false, true]);
        check("", &[]);
    }

    #[test]
    fn tests_are_left_out() {
        let code = "use a;\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\nmod tests {\n fn d() { e() }\n}\nfn f() {}";
        assert_eq!(without_tests(code), "use a;\n\n\nfn c() {}\n\n\n\n\nfn f() {}");
    }

    #[test]
    fn only_code_is_left() {
        let check = |source: &str, code: &str| assert_eq!(code_of(source), code, "{source}");
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ \n */ d", "a              \n    d");
        check(r#"f("a\"b", x)"#, "f(      , x)");
        check("f(r#\"a\"b\"#, x)", "f(        , x)");
        check("f(br\"a\\\", x)", "f(      , x)");
        check("r#type + br", "r#type + br");
        check("f('\"', '\\'', 'é', &'a str, 'b: x)", "f(   ,     ,     , &'a str, 'b: x)");
    }

    #[test]
    fn names_are_found_whole_and_in_groups() {
        let check = |code: &str, name: &str, lines: &[usize]| assert_eq!(lines_naming(code, name), lines, "{code}");
        check("\nunsafe { }", "unsafe", &[2]);
        check("deny(unsafe_code)", "unsafe", &[]);
        check("let a = std::fs::read(b);", "std::fs", &[1]);
        check("use std::{\n    fmt,\n    fs::File,\n};", "std::fs", &[3]);
        check("use std::{io::{fs}, net};", "std::fs", &[]);
        check("use std::{io::{a, b}, net};\nnet", "std::net", &[1]);
        check("wasmtime::component::bindgen!({})", "bindgen!", &[1]);
        check("mybindgen!()", "bindgen!", &[]);
    }
}
