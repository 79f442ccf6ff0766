//! Redirects: from a glob to an address, in which `$1` to `$9` stand for what the glob's wildcards
//! matched.

use super::address::clean;
use super::glob::{Captures, Glob};
use crate::limits::{LOCATION_BYTES_MAX, REDIRECTS_FOLLOWED_MAX};
use pluto_http::authority;
use pluto_http::status::Status;
use pluto_http::target::Path;
use std::ops::Range;

/// A rule.
#[derive(Clone, Debug)]
pub struct Redirect {
    source: Glob,
    destination: Template,
    status: Status,
}

impl Redirect {
    /// From the paths that a glob matches to the address that a template gives. The error says
    /// what was expected.
    pub fn new(source: Glob, destination: &str, status: Status) -> Result<Redirect, String> {
        Ok(Redirect { destination: Template::new(destination, source.captures())?, source, status })
    }
}

impl Redirect {
    /// Whether it leads the paths that it is about to themselves, so that it never applies: as
    /// far as examples show that. One for whose wildcards nothing stands is an edge, and shows
    /// nothing.
    pub fn leads_to_itself(&self) -> bool {
        let stays = |path: &Vec<u8>| {
            let captures = self.source.find(path)?;
            let is_edge = !captures.is_empty() && captures.iter().all(Range::is_empty);
            let to = self.destination.path(path, &captures)?;
            (!is_edge).then(|| path.strip_prefix(b"/") == Some(to.bytes()))
        };
        let mut shown = self.source.examples().into_iter().filter_map(|path| stays(&path)).peekable();
        self.destination.origin.is_empty() && shown.peek().is_some() && shown.all(|stays| stays)
    }
}

/// The status of a redirect, from its number (RFC 9110 §15.4).
pub fn status(kind: i64) -> Option<Status> {
    [Status::MovedPermanently, Status::Found, Status::TemporaryRedirect, Status::PermanentRedirect]
        .into_iter()
        .find(|status| i64::from(status.code()) == kind)
}

/// Where the first rule that matches sends a request for a path, which begins with a slash: status
/// and location, which is escaped as one. A rule that leads to the path itself does not apply.
pub fn find(rules: &[Redirect], path: &[u8], query: Option<&[u8]>) -> Option<(Status, String)> {
    rules.iter().find_map(|rule| {
        let captures = rule.source.find(path)?;
        Some((rule.status, rule.destination.expand(path, &captures, query)?))
    })
}

/// The addresses that a rule leads to one after the other, when they never come to an end; where
/// pages have clean addresses, with the names of index files, also those that pages lead to. For
/// its wildcards stands one letter: what is found is a circle, but not every circle is found.
pub fn circle(rules: &[Redirect], start: &Redirect, pages: Option<&[Vec<u8>]>) -> Option<Vec<String>> {
    const SAMPLE: &[u8] = b"x";
    let captures: Captures = (0..start.source.captures()).map(|_| 0..SAMPLE.len()).collect();
    let mut way = vec![start.destination.expand(SAMPLE, &captures, None)?];
    while way.len() <= REDIRECTS_FOLLOWED_MAX {
        let here = way.last()?.split(['?', '#']).next()?;
        let path = Path::parse(here.strip_prefix('/')?.as_bytes()).ok()??;
        let by_rule = find(rules, &[b"/", path.bytes()].concat(), None).map(|(_, next)| next);
        way.push(by_rule.or_else(|| pages.and_then(|index| clean(path.bytes(), index)).map(|path| path.escape()))?);
    }
    Some(way)
}

/// An address with places for captures.
#[derive(Clone, Debug)]
struct Template {
    /// `https://example.org`, for another host than this one.
    origin: String,
    path: Vec<Piece>,
    query: Option<Vec<Piece>>,
    /// With its `#`.
    fragment: String,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Capture(usize),
}

impl Template {
    fn new(text: &str, captures: usize) -> Result<Template, String> {
        const FORM: &str = "expected a path on this host, as in /new/$1, or an address with http:// or https://";
        if text.contains(|c: char| c.is_control() || c == '\\') {
            return Err(format!("{FORM}, without control characters or backslashes; found {text:?}"));
        }
        let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme));
        let (origin, rest) = match scheme {
            Some(scheme) => {
                let end = text[scheme.len()..].find(['/', '?', '#']).map_or(text.len(), |end| scheme.len() + end);
                if !authority::is_valid(&text.as_bytes()[scheme.len()..end]) || text[..end].contains('$') {
                    return Err(format!("{FORM} and a host as it is; found {text:?}"));
                }
                text.split_at(end)
            }
            None if text.starts_with('/') && !text.starts_with("//") => ("", text),
            None => return Err(format!("{FORM}; found {text:?}")),
        };
        let (rest, fragment) = rest.find('#').map_or((rest, ""), |at| rest.split_at(at));
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let template = Template {
            origin: origin.to_owned(),
            path: pieces(path, captures)?,
            query: query.map(|query| pieces(query, captures)).transpose()?,
            fragment: escaped(fragment),
        };
        // Captures hold no `..`: what leads out of the root does so for every path.
        let nothing = vec![0..0; captures];
        match template.path(b"", &nothing) {
            Some(_) => Ok(template),
            None => Err(format!("expected a path that stays on the site and is escaped as one, found {text:?}")),
        }
    }

    /// The address for a match of a path; nothing when it is that path again, or too long.
    fn expand(&self, path: &[u8], captures: &Captures, query: Option<&[u8]>) -> Option<String> {
        let to = self.path(path, captures)?;
        if self.origin.is_empty() && path.strip_prefix(b"/") == Some(to.bytes()) {
            return None;
        }
        let mut location = format!("{}{}", self.origin, to.escape());
        let mut before_query = '?';
        if let Some(own) = &self.query {
            location.push(before_query);
            own.iter().for_each(|piece| match piece {
                Piece::Text(text) => location.push_str(&escaped(text)),
                Piece::Capture(capture) => push_capture(&mut location, &path[captures[*capture].clone()]),
            });
            before_query = '&';
        }
        if let Some(query) = query {
            location.push(before_query);
            query.iter().for_each(|&byte| push(&mut location, byte, QUERY));
        }
        location.push_str(&self.fragment);
        (location.len() <= LOCATION_BYTES_MAX).then_some(location)
    }

    /// The path, through the same normalisation as that of a request.
    fn path(&self, path: &[u8], captures: &Captures) -> Option<Path> {
        let mut text = String::new();
        for piece in &self.path {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Capture(capture) => push_capture(&mut text, &path[captures[*capture].clone()]),
            }
        }
        Path::parse(text.as_bytes()).ok().flatten()
    }
}

/// Text and captures, taken apart; a dollar sign is written `$$`.
fn pieces(mut text: &str, captures: usize) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    while let Some((before, behind)) = text.split_once('$') {
        pieces.push(Piece::Text(before.to_owned()));
        let digit = behind.chars().next();
        pieces.push(match digit.and_then(|digit| digit.to_digit(10)) {
            Some(number) if (1..=captures).contains(&(number as usize)) => Piece::Capture(number as usize - 1),
            _ if digit == Some('$') => Piece::Text("$".to_owned()),
            _ => {
                let known = if captures == 0 { "none".to_owned() } else { format!("$1 to ${captures}") };
                return Err(format!("expected a capture of the source ({known}) or $$, found \"${behind}\""));
            }
        });
        text = &behind[1..];
    }
    pieces.push(Piece::Text(text.to_owned()));
    Ok(pieces)
}

/// What stands as it is in a query or fragment (RFC 3986 §3.4), and what is escaped already.
const QUERY: &[u8] = b"-._~!$&'()*+,;=:@/?%#";

/// What stands as it is where a capture goes: nothing that means something in a path or query, but
/// the slash.
const CAPTURE: &[u8] = b"-._~/";

fn push_capture(out: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|&byte| push(out, byte, CAPTURE));
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.bytes().for_each(|byte| push(&mut out, byte, QUERY));
    out
}

fn push(out: &mut String, byte: u8, clean: &[u8]) {
    if byte.is_ascii_alphanumeric() || clean.contains(&byte) {
        out.push(char::from(byte));
    } else {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        out.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(source: &str, destination: &str) -> Result<Redirect, String> {
        Redirect::new(Glob::new(source).expect(source), destination, Status::Found)
    }

    #[test]
    fn a_redirect_takes_its_captures_and_keeps_the_query() {
        let check = |source: &str, destination: &str, path: &[u8], query: Option<&str>, expected: Option<&str>| {
            let rules = [rule(source, destination).expect(destination)];
            let found = find(&rules, path, query.map(str::as_bytes));
            assert_eq!(found.as_ref().map(|(_, location)| location.as_str()), expected, "{source} {destination}");
            if let Some((_, location)) = found {
                assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location}");
                assert!(!location.starts_with("//"), "{location}");
            }
        };
        check("/a", "/b", b"/a", None, Some("/b"));
        check("/a", "/b", b"/b", None, None);
        check("/a", "/b", b"/a", Some("x=1&y"), Some("/b?x=1&y"));
        check("/a", "/b", b"/a", Some(""), Some("/b?"));
        check("/a", "/b?z", b"/a", Some("x=1"), Some("/b?z&x=1"));
        check("/a", "/b#part", b"/a", Some("x"), Some("/b?x#part"));
        check("/old/**", "/new/$1", b"/old", None, Some("/new/"));
        check("/old/**", "/new/$1", b"/old/a/b.html", None, Some("/new/a/b.html"));
        check("/*/*.htm", "/$2/$1", b"/a/b.htm", None, Some("/b/a"));
        check("/p/*", "/q?id=$1&cost=$$5", b"/p/a&b=c d", None, Some("/q?id=a%26b%3Dc%20d&cost=$5"));
        check("/**", "https://example.org/x/$1", b"/a/", Some("q"), Some("https://example.org/x/a/?q"));
        check("/a", "https://example.org", b"/a", None, Some("https://example.org/"));
        check("/a", "/caf\u{e9} x", b"/a", None, Some("/caf%C3%A9%20x"));
        // What a client can put into a path stays one path on this host.
        check("/old/**", "/$1", b"/old//evil.example", None, Some("/evil.example"));
        check("/x*", "/$1", b"/x\r\nSet-Cookie: a", None, Some("/%0D%0ASet-Cookie:%20a"));
        check("/x*", "/$1", b"/x%2e%2e", None, Some("/%252e%252e"));
        check("/a", "/b", b"/a", Some("x\"<\r\n>"), Some("/b?x%22%3C%0D%0A%3E"));
        check("/x*", "/$1", b"/x?y#z", None, Some("/%3Fy%23z"));
        check("/x*", "/$1", b"/x\xff", None, Some("/%FF"));
        // Nobody is sent to where he is.
        check("/a/**", "/a/$1/", b"/a/b/", None, None);
        check("/a/**", "/a/$1/", b"/a/b", None, Some("/a/b/"));
        check("/**", "/$1?x", b"/a", None, None);
        check("/x*", &format!("/{}/$1", "y".repeat(LOCATION_BYTES_MAX - 3)), b"/xab", None, None);
    }

    #[test]
    fn what_is_no_destination_is_refused() {
        let check = |destination: &str, expected: &str| {
            let error = rule("/a/*/*", destination).expect_err(destination);
            assert!(error.contains(expected), "{destination}: {error}");
        };
        check("", "expected a path on this host");
        check("b", "expected a path on this host");
        check("//evil.example/", "expected a path on this host");
        check("/\\evil.example/", "backslashes");
        check("/a\r\nb", "control characters");
        check("javascript:alert(1)", "expected a path");
        check("https://", "a host as it is");
        check("https://$1/", "a host as it is");
        check("https://user@a/", "a host as it is");
        check("/$3", "($1 to $2)");
        check("/$", "or $$, found \"$\"");
        check("/$0", "($1 to $2)");
        check("/$1/../../a", "stays on the site");
        check("/../a", "stays on the site");
        check("/%zz", "escaped as one");
        check("/%2f", "escaped as one");
        assert!(rule("/a", "/$1").expect_err("no captures").contains("(none)"));
    }

    #[test]
    fn a_redirect_to_itself_is_found() {
        let check = |source: &str, destination: &str, expected: bool| {
            assert_eq!(
                rule(source, destination).expect(destination).leads_to_itself(),
                expected,
                "{source} {destination}"
            );
        };
        check("/a", "/a", true);
        check("/a", "/a?x=1", true);
        check("/a", "/./a#part", true);
        check("/a", "/a/", false);
        check("/a", "/b", false);
        check("/a", "https://example.org/a", false);
        check("/**", "/$1", true);
        check("/a/**", "/a/$1", true);
        check("/a/**", "/a/index.html", false);
        check("/a/*.html", "/a/$1.html", true);
        check("/a/*", "/a/", false);
        check("/{a,b}", "/a", false);
        check("/{a,b}", "/b", false);
        check("/{a,b}", "/$1", true);
        check("/[ab]", "/a", false);
        check("/?", "/x", false);
        check("/**/x.html", "/$1/x.html", true);
    }

    #[test]
    fn circles_are_found() {
        let check = |rules: &[(&str, &str)], found: bool| {
            let compiled: Vec<_> = rules.iter().map(|(from, to)| rule(from, to).expect(to)).collect();
            assert_eq!(compiled.iter().any(|start| circle(&compiled, start, None).is_some()), found, "{rules:?}");
        };
        check(&[("/a", "/b")], false);
        check(&[("/a", "/b"), ("/b", "/a")], true);
        check(&[("/a", "/b"), ("/b", "/c"), ("/c", "/d")], false);
        check(&[("/a", "/b?x#y"), ("/b", "/a?x")], true);
        check(&[("/a/**", "/a/b/$1")], true);
        check(&[("/a/*", "/a/b/$1")], false);
        check(&[("/a", "/a")], false);
        check(&[("/**", "https://example.org/$1")], false);
    }
}
