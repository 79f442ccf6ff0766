//! What paths mean, and that none leaves the root.

use super::*;

#[test]
fn a_target_is_taken_apart() {
    let check = |target: &str, expected: Option<[Option<&str>; 3]>| {
        let found = match Target::parse(target.as_bytes()) {
            Ok(Target::Resource { path, query, authority }) => {
                Some([Some(&target[path]), query.map(|range| &target[range]), authority.map(|range| &target[range])])
            }
            Ok(Target::Server) => Some([None; 3]),
            Err(_) => None,
        };
        assert_eq!(found, expected, "{target}");
    };
    check("/", Some([Some("/"), None, None]));
    check("/a/b?c?d/../e", Some([Some("/a/b"), Some("c?d/../e"), None]));
    check("/a?", Some([Some("/a"), Some(""), None]));
    check("//a/b", Some([Some("//a/b"), None, None]));
    check("*", Some([None; 3]));
    check("http://a/b?c", Some([Some("/b"), Some("c"), Some("a")]));
    check("HTTPS://a:1", Some([Some(""), None, Some("a:1")]));
    check("http://a?b", Some([Some(""), Some("b"), Some("a")]));
    check("http:///b", None);
    check("http://", None);
    check("http://user@a/", None);
    check("http:/a", None);
    check("ftp://a/", None);
    check("a", None);
    check("a:80", None);
    check("?a", None);
    check("**", None);
    check("", None);
}

#[test]
fn a_path_is_decoded_once_then_split_then_normalised() {
    // What the path is, escaped again; `404` for one that no file can have, `400` for one that is
    // refused.
    let check = |escaped: &str, expected: &str| {
        let found = match Path::parse(escaped.as_bytes()) {
            Ok(Some(path)) => path.escape(),
            Ok(None) => "404".to_owned(),
            Err(error) => error.status.code().to_string(),
        };
        assert_eq!(found, expected, "{escaped}");
    };
    check("", "/");
    check("/", "/");
    check("/a", "/a");
    check("/a/", "/a/");
    check("/a//b///c", "/a/b/c");
    check("///", "/");
    check("//a", "/a");
    check("/./a/././b/.", "/a/b/");
    check("/a/..", "/");
    check("/a/b/../c/..", "/a/");
    check("/a/../b", "/b");
    check("/...", "/...");
    check("/..a/a..", "/..a/a..");
    check("/..", "400");
    check("/../a", "400");
    check("/a/../../b", "400");
    check("/a/..//../b", "400");
    check("/%2e%2E/a", "400");
    check("/.%2e", "400");
    check("/%2e/a", "/a");
    check("/%61%2Fb", "404");
    check("/%2f", "404");
    check("/%2f../..", "404");
    check("/a%2fb/../..", "400");
    check("/%5c..%5ca", "404");
    check("/a\\..\\b", "404");
    check("/a%5c/../b", "404");
    check("/a\\/../b", "404");
    check("/a%2f/../b", "404");
    check("/%2f/%zz", "400");
    check("/%252f", "/%252f");
    check("/%252e%252e/", "/%252e%252e/");
    check("/%25%32%65", "/%252e");
    check("/%00", "400");
    check("/a%00.html", "400");
    check("/%", "400");
    check("/%4", "400");
    check("/%4g", "400");
    check("/a%", "400");
    check("/%ff%c3", "/%FF%C3");
    check("/%0d%0aA:%20b", "/%0D%0AA:%20b");
    check("/a+b c&\"<>|", "/a+b%20c&%22%3C%3E%7C");
    check("/%3Fa%23b%25", "/%3Fa%23b%25");
}

#[test]
fn hidden_names_are_known_wherever_they_stand() {
    let check = |escaped: &str, hidden: bool| {
        let path = Path::parse(escaped.as_bytes()).expect("a good path").expect("a possible path");
        assert_eq!(path.is_hidden(), hidden, "{escaped}");
    };
    check("/", false);
    check("/a.b/c.", false);
    check("/.git", true);
    check("/%2egit/config", true);
    check("/a/.env", true);
    check("/a/.env/", true);
    check("/...", true);
    check("/.git/../a", false);
    check("/.well-known/a", false);
    check("/.well-known", false);
    check("/.well-known/.a", true);
    check("/.well-known2/a", true);
    check("/a/.well-known/b", true);
}

/// Every path of up to five of these names, against the rule written as a stack of names.
#[test]
fn normalisation_is_idempotent_and_never_leaves_the_root() {
    const NAMES: [&str; 8] = ["", ".", "..", "%2e", "%2E.", "a", "b%2e", "%20"];
    let mut checked = 0;
    for length in 1..=5u32 {
        for mut number in 0..NAMES.len().pow(length) {
            let mut names = Vec::new();
            for _ in 0..length {
                names.push(NAMES[number % NAMES.len()]);
                number /= NAMES.len();
            }
            let escaped = format!("/{}", names.join("/"));
            let expected = by_stack(&names);
            match Path::parse(escaped.as_bytes()) {
                Err(_) => assert_eq!(expected, None, "{escaped}"),
                Ok(None) => panic!("{escaped} is a possible path"),
                Ok(Some(path)) => {
                    assert_eq!(Some(path.bytes()), expected.as_deref().map(str::as_bytes), "{escaped}");
                    let again = path.escape();
                    assert_eq!(Path::parse(again.as_bytes()), Ok(Some(path)), "{escaped} is {again}");
                    assert!(again.starts_with('/') && !again.contains("//"), "{escaped} is {again}");
                }
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 8 + 64 + 512 + 4096 + 32768);
}

fn by_stack(names: &[&str]) -> Option<String> {
    let mut stack = Vec::new();
    let mut directory = false;
    for name in names {
        let name = name.to_lowercase().replace("%2e", ".").replace("%20", " ");
        directory = matches!(name.as_str(), "" | "." | "..");
        match name.as_str() {
            "" | "." => (),
            ".." => drop(stack.pop()?),
            _ => stack.push(name),
        }
    }
    let slash = if directory && !stack.is_empty() { "/" } else { "" };
    Some(stack.join("/") + slash)
}

#[test]
fn a_path_is_told_relative_to_another() {
    let path = |names: &str| Path::from_names(names.as_bytes()).expect(names);
    for (from, to, expected) in [
        ("dd", "dd/", "dd/"),
        ("a/dd", "a/dd/", "dd/"),
        ("a/page.html", "a/page", "page"),
        ("a/index.html", "a/", "./"),
        ("index.html", "", "./"),
        ("a/page/", "a/page", "../page"),
        ("a/b/c/", "a/", "../../"),
        ("a/b/c", "x/y", "../../x/y"),
        ("ab/c", "abc/d", "../abc/d"),
        ("ab/", "ab", "../ab"),
        ("a:b", "a:b/", "./a:b/"),
        ("x/a:b", "x/a:b/", "./a:b/"),
        ("x/a:b/", "x/a:b", "../a:b"),
        ("a b?", "a b?/", "a%20b%3F/"),
        ("%2e", "%2e/", "%252e/"),
        ("a/..b", "a/..b/", "..b/"),
        ("a\r\nX: y", "a\r\nX: y/", "./a%0D%0AX:%20y/"),
        ("http:/evil.example", "http:/evil.example/", "evil.example/"),
    ] {
        assert_eq!(path(from).reference_to(&path(to)), expected, "{from} to {to}");
    }
}
