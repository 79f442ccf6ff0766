//! Checks that the contract of a released version never changes. A changed contract needs a new
//! version, with a copy in `wit/released/`.

use std::fs;
use std::path::Path;

/// The contract.
const CONTRACT: &str = "wit/system.wit";

/// The folder with the contract of each released version, without its documentation.
const RELEASED: &str = "wit/released";

/// The text with which the contract begins, before its version.
const PACKAGE: &str = "package pluto:system@";

/// Compares the contract with the copy that was released under its version.
pub(crate) fn check(root: &Path) -> Vec<String> {
    let contract = fs::read_to_string(root.join(CONTRACT)).unwrap_or_default();
    let Some(version) = version(&contract) else {
        return vec![format!("{CONTRACT}:1: no version: a line `{PACKAGE}1.2.3;` is expected")];
    };
    let copy = format!("{RELEASED}/{version}.wit");
    let released = fs::read_to_string(root.join(&copy)).ok();
    judge(&contract, version, &copy, released.as_deref()).into_iter().collect()
}

fn version(contract: &str) -> Option<&str> {
    contract.lines().find_map(|line| line.strip_prefix(PACKAGE)?.strip_suffix(';'))
}

fn judge(contract: &str, version: &str, copy: &str, released: Option<&str>) -> Option<String> {
    let copied = format!("`grep -v '^ *//' {CONTRACT} > {RELEASED}/VERSION.wit`");
    let Some(released) = released else {
        return Some(format!(
            "{CONTRACT}:1: {copy} is missing: copy what version {version} is, with {copied}, and add the version to \
             host/contract/src/versions.rs"
        ));
    };
    let (here, there) = (tokens(contract), tokens(released));
    let differs = here.iter().zip(&there).take_while(|(here, there)| here.1 == there.1).count();
    if differs == here.len() && differs == there.len() {
        return None;
    }
    let line = here.get(differs).or(here.last()).map_or(1, |token| token.0);
    Some(format!(
        "{CONTRACT}:{line}: the contract has changed and is still version {version}: every guest and trace of {version} \
         counts on {copy}. Give the package another version in line 1 (the first number that is not 0, for a change \
         that existing guests do not bear), copy it with {copied}, and add it to host/contract/src/versions.rs"
    ))
}

/// Returns the words and punctuation of a WIT document, each with its line. White space, comments
/// and a trailing comma of a list are left out.
fn tokens(wit: &str) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    let (mut line, mut depth, mut joins) = (1, 0, false);
    let mut letters = wit.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        let continues = joins;
        joins = false;
        match (letter, next) {
            ('\n', _) => line += 1,
            ('/', Some('*')) => {
                letters.next();
                depth += 1;
            }
            ('*', Some('/')) if depth > 0 => {
                letters.next();
                depth -= 1;
            }
            _ if depth > 0 => {}
            ('/', Some('/')) => while letters.next_if(|letter| *letter != '\n').is_some() {},
            _ if letter.is_whitespace() => {}
            _ => {
                joins = is_word(letter);
                if matches!(letter, '}' | ')') && tokens.last().is_some_and(|(_, last)| last == ",") {
                    tokens.pop();
                }
                match tokens.last_mut() {
                    Some((_, word)) if continues && joins => word.push(letter),
                    _ => tokens.push((line, letter.to_string())),
                }
            }
        }
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | '%' | '.')
}

#[cfg(test)]
mod tests {
    use super::judge;

    const WIT: &str = "package a:b@0.1.0;\n/// What it is.\nenum kind {\n  one, // a\n  two,\n}\n";

    fn breach(contract: &str) -> Option<String> {
        judge(contract, "0.1.0", "wit/released/0.1.0.wit", Some(WIT))
    }

    #[test]
    fn comments_and_white_space_are_no_change() {
        for same in [
            WIT,
            "package a:b@0.1.0; enum kind { one, two }",
            "/* a /* b */ c */ package a:b@0.1.0;\r\n\r\nenum kind{one,two,}",
            &WIT.replace("What it is", "Something else, with `one, three`"),
        ] {
            assert_eq!(breach(same), None, "{same}");
        }
    }

    #[test]
    fn a_change_without_another_version_is_told_with_its_line() {
        for (from, to, line) in
            [("two", "three", 5), ("  two,\n", "", 5), ("one,", "two,", 4), ("enum", "flags", 3), ("two,", "t wo,", 5)]
        {
            let breach = breach(&WIT.replacen(from, to, 1)).expect("it has changed");
            assert!(breach.starts_with(&format!("wit/system.wit:{line}: ")), "{from} as {to}: {breach}");
        }
    }

    #[test]
    fn a_version_needs_a_copy() {
        let breach = judge(WIT, "0.2.0", "wit/released/0.2.0.wit", None).expect("there is none");
        assert!(breach.contains("wit/released/0.2.0.wit is missing"), "{breach}");
    }
}
