//! What a request says besides its target that a site's policy looks at. Read when there is such a
//! policy, and not otherwise.

use super::authority;
use super::head::Head;
use super::syntax;
use super::target::{PathAndQuery, Target};
use crate::limits::{AUTHORIZATION_BYTES_MAX, FACT_BYTES_MAX};

/// Fields of a request, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts {
    /// The host, without its port: that of an absolute target, else of `Host` (RFC 9112 §3.2.2).
    pub host: Option<Vec<u8>>,
    /// `Authorization`; nothing when it came twice or is too long to be what the server asks for.
    pub authorization: Option<Vec<u8>>,
    /// `Origin`.
    pub origin: Option<Vec<u8>>,
    /// A browser asks whether a page may send this request (the Fetch standard, "CORS-preflight
    /// request").
    pub preflight: bool,
    /// What a request is about that is not to be served a file: it is OPTIONS or POST, say, or was
    /// refused.
    pub unserved: Option<PathAndQuery>,
    /// What the client accepts.
    pub accept: Accept,
}

/// What `Accept` says of the two forms that a listing has (RFC 9110 §12.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// The weight of `text/html`, named as such, in thousandths.
    html: u16,
    /// The weight of `application/json`, named as such, in thousandths.
    json: u16,
    /// The highest weight of any type of JSON (RFC 6839 §3.1), in thousandths.
    any_json: u16,
}

impl Accept {
    /// Whether a page is asked for by its name, as browsers do when they go to an address.
    pub fn names_html(self) -> bool {
        self.html > 0
    }

    /// Whether JSON is named, and not behind a page.
    pub fn prefers_json(self) -> bool {
        self.json > self.html
    }

    /// Whether a type of JSON is named, and not behind a page: the client is a program.
    pub fn prefers_any_json(self) -> bool {
        self.any_json > self.html
    }

    fn read(&mut self, value: &[u8]) {
        for item in value.split(|&byte| byte == b',') {
            let mut pieces = item.split(|&byte| byte == b';').map(syntax::trim);
            let media = pieces.next().unwrap_or_default();
            let weight = pieces.find_map(weight).unwrap_or(1_000);
            if media.eq_ignore_ascii_case(b"text/html") {
                self.html = weight;
            } else if media.eq_ignore_ascii_case(b"application/json") {
                (self.json, self.any_json) = (weight, self.any_json.max(weight));
            } else if is_json(media) {
                self.any_json = self.any_json.max(weight);
            }
        }
    }
}

/// `application/vnd.api+json`, say.
fn is_json(media: &[u8]) -> bool {
    media.len().checked_sub(b"+json".len()).is_some_and(|at| media[at..].eq_ignore_ascii_case(b"+json"))
}

/// `q=0.5`, in thousandths (RFC 9110 §12.4.2). What is malformed weighs nothing.
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', value @ ..] = parameter else { return None };
    Some(match value {
        [b'1'] | [b'1', b'.', ..] => 1_000,
        [b'0', b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => {
            (0..3).fold(0, |sum, index| sum * 10 + digits.get(index).map_or(0, |digit| u16::from(digit - b'0')))
        }
        _ => 0,
    })
}

impl RequestFacts {
    /// Those of a complete head, whose target has these parts when it is a good one. What it is
    /// about is for the caller to add.
    pub fn read(head: Head<'_>, target: Option<&Target>) -> RequestFacts {
        let mut facts = RequestFacts::default();
        let mut authorizations = 0;
        for (name, value) in head.fields() {
            let short = || (value.len() <= FACT_BYTES_MAX).then(|| value.to_vec());
            match name.len() {
                4 if name.eq_ignore_ascii_case(b"host") => facts.host = host(value),
                6 if name.eq_ignore_ascii_case(b"accept") => facts.accept.read(value),
                6 if name.eq_ignore_ascii_case(b"origin") => facts.origin = short(),
                13 if name.eq_ignore_ascii_case(b"authorization") => {
                    authorizations += 1;
                    facts.authorization = (value.len() <= AUTHORIZATION_BYTES_MAX).then(|| value.to_vec());
                }
                29 if name.eq_ignore_ascii_case(b"access-control-request-method") => {
                    facts.preflight = head.method() == b"OPTIONS";
                }
                _ => (),
            }
        }
        if authorizations > 1 {
            facts.authorization = None;
        }
        if let Some(Target::Resource { authority: Some(authority), .. }) = target {
            facts.host = host(&head.target()[authority.clone()]);
        }
        facts
    }
}

/// A host without its port.
fn host(authority: &[u8]) -> Option<Vec<u8>> {
    if !authority::is_valid(authority) || authority.len() > FACT_BYTES_MAX {
        return None;
    }
    let end = match authority {
        [b'[', ..] => authority.iter().position(|&byte| byte == b']')? + 1,
        _ => authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len()),
    };
    Some(authority[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_weighed() {
        let check = |value: &str, html: bool, json: bool| {
            let mut accept = Accept::default();
            accept.read(value.as_bytes());
            assert_eq!((accept.names_html(), accept.prefers_json()), (html, json), "{value}");
        };
        check("", false, false);
        check("*/*", false, false);
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true, false);
        check("application/json", false, true);
        check("application/json, text/plain, */*", false, true);
        check("text/html, application/json", true, false);
        check("text/html;q=0.5, application/json;q=0.501", true, true);
        check("text/html ; charset=utf-8 ; q=0", false, false);
        check("TEXT/HTML", true, false);
        check("application/json;q=x", false, false);
        check("application/json;q=1.000", false, true);
        check("text/html;q=0.0001, ,;", false, false);
    }

    #[test]
    fn a_program_names_some_json() {
        let check = |value: &str, expected: bool| {
            let mut accept = Accept::default();
            accept.read(value.as_bytes());
            assert_eq!(accept.prefers_any_json(), expected, "{value}");
        };
        check("application/json", true);
        check("application/json, text/plain, */*", true);
        check("application/vnd.api+json", true);
        check("application/LD+JSON;q=0.5, text/html;q=0.4", true);
        check("application/problem+json;q=0", false);
        check("+json", true);
        check("*/*", false);
        check("", false);
        check("text/html, application/json", false);
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false);
    }

    #[test]
    fn a_host_loses_its_port() {
        let check = |authority: &str, expected: Option<&str>| {
            assert_eq!(host(authority.as_bytes()), expected.map(|host| host.as_bytes().to_vec()), "{authority}");
        };
        check("example.org", Some("example.org"));
        check("example.org:8000", Some("example.org"));
        check("[::1]:80", Some("[::1]"));
        check("a b", None);
        check(&"a".repeat(FACT_BYTES_MAX + 1), None);
    }
}
