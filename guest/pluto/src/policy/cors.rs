//! Cross-origin requests (the Fetch standard, "CORS protocol"): who may read this site's files
//! from another site.

use super::glob::Glob;
use pluto_http::authority;
use pluto_http::syntax::{self, is_token};

/// What is allowed to pages of other sites.
#[derive(Clone, Debug)]
pub struct Cors {
    /// The paths that it is about.
    pub source: Glob,
    /// Who may read.
    pub origins: Origins,
    /// The lines that answer a preflight, behind those of every answer.
    preflight: String,
    /// The lines that every answer to an allowed origin has, behind its
    /// `Access-Control-Allow-Origin`.
    actual: String,
}

/// Whose pages may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Everybody's.
    All,
    /// Those of these sites.
    Some(Vec<String>),
}

/// What a configuration says of it; each already checked.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The methods that a page may use.
    pub methods: Vec<String>,
    /// The request fields that it may set.
    pub headers: Vec<String>,
    /// The response fields that it may read.
    pub expose: Vec<String>,
    /// How long a browser may remember the answer to a preflight, in seconds.
    pub max_age: u64,
    /// Whether its user's credentials are sent along.
    pub credentials: bool,
}

impl Origins {
    /// From a list of origins that were [checked](check_origin), or an asterisk alone.
    pub fn new(origins: &[&str]) -> Origins {
        match origins {
            ["*"] => Origins::All,
            origins => Origins::Some(origins.iter().map(|&origin| origin.to_owned()).collect()),
        }
    }
}

/// Whether this is an origin. The error says what was expected.
pub fn check_origin(origin: &str) -> Result<(), String> {
    match origin {
        "*" => Err("expected \"*\" alone, or origins without it".to_owned()),
        origin if is_origin(origin) => Ok(()),
        _ => Err(format!("expected an origin as in \"https://example.org\" (no slash behind it), found {origin:?}")),
    }
}

/// Whether this is the name of a method or field that can be allowed, to who has credentials too
/// when those are sent along. The error says what was expected.
pub fn check_allowed(name: &str, credentials: bool) -> Result<(), String> {
    match name {
        // The Fetch standard, "HTTP extensions": with credentials an asterisk allows nothing.
        "*" if credentials => Err("expected names: with allow-credentials, \"*\" is none of all".to_owned()),
        name if is_token(name.as_bytes()) => Ok(()),
        _ => Err(format!("expected the name of a method or field, found {name:?}")),
    }
}

/// RFC 6454 §6.2: a scheme, a host in lower case and perhaps a port; what a browser sends, byte
/// for byte.
fn is_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    rest.is_some_and(|host| {
        authority::is_valid(host.as_bytes()) && !host.ends_with(':') && host.to_ascii_lowercase() == host
    })
}

impl Cors {
    /// Compiles what is allowed. The error says what was expected.
    pub fn new(source: Glob, origins: Origins, grant: &Grant) -> Result<Cors, String> {
        // The Fetch standard, "HTTP extensions": with credentials an asterisk allows nothing, and
        // naming whoever asks would open the site to everybody.
        if grant.credentials && origins == Origins::All {
            return Err("expected a list of origins: with allow-credentials, \"*\" is not allowed".to_owned());
        }
        let list = |name: &str, values: &[String]| match values {
            [] => String::new(),
            _ => format!("{name}: {}\r\n", values.join(", ")),
        };
        let credentials = if grant.credentials { "Access-Control-Allow-Credentials: true\r\n" } else { "" };
        let actual = format!("{credentials}{}", list("Access-Control-Expose-Headers", &grant.expose));
        let preflight = format!(
            "{credentials}{}{}Access-Control-Max-Age: {}\r\n",
            list("Access-Control-Allow-Methods", &grant.methods),
            list("Access-Control-Allow-Headers", &grant.headers),
            grant.max_age,
        );
        Ok(Cors { source, origins, preflight, actual })
    }

    /// Writes the field lines of an answer to a request from this origin; to a preflight, when it
    /// is one.
    pub fn write(&self, origin: Option<&[u8]>, preflight: bool, out: &mut Vec<u8>) {
        let lines = if preflight { &self.preflight } else { &self.actual };
        let allowed = match (&self.origins, origin) {
            // The same for everybody, so that a cache may give it to anybody.
            (Origins::All, _) => Some(&b"*"[..]),
            (Origins::Some(origins), Some(origin)) => {
                origins.iter().map(String::as_bytes).find(|allowed| *allowed == syntax::trim(origin))
            }
            (Origins::Some(_), None) => None,
        };
        if let Some(allowed) = allowed {
            for piece in [b"Access-Control-Allow-Origin: ", allowed, b"\r\n", lines.as_bytes()] {
                out.extend_from_slice(piece);
            }
        }
        if self.origins != Origins::All {
            // Also when there was none or another one: a cache must not give that answer to those
            // who are allowed.
            out.extend_from_slice(b"Vary: Origin\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], credentials: bool) -> Result<Cors, String> {
        let grant = Grant {
            methods: vec!["GET".to_owned(), "HEAD".to_owned()],
            headers: vec!["Range".to_owned()],
            expose: vec!["ETag".to_owned()],
            max_age: 600,
            credentials,
        };
        Cors::new(Glob::new("/**").expect("a glob"), Origins::new(origins), &grant)
    }

    #[test]
    fn allowed_origins_are_answered_and_no_others() {
        let check = |origins: &[&str], origin: Option<&str>, preflight: bool, expected: &str| {
            let mut out = Vec::new();
            cors(origins, false).expect("a rule").write(origin.map(str::as_bytes), preflight, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{origins:?} {origin:?}");
        };
        let all = "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: ETag\r\n";
        check(&["*"], None, false, all);
        check(&["*"], Some("https://a.example"), false, all);
        check(
            &["*"],
            Some("https://a.example"),
            true,
            "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, HEAD\r\n\
             Access-Control-Allow-Headers: Range\r\nAccess-Control-Max-Age: 600\r\n",
        );
        let some = ["https://a.example", "http://localhost:3000"];
        check(
            &some,
            Some("http://localhost:3000"),
            false,
            "Access-Control-Allow-Origin: http://localhost:3000\r\nAccess-Control-Expose-Headers: ETag\r\nVary: Origin\r\n",
        );
        for other in [None, Some("null"), Some("https://b.example"), Some("https://a.example.evil"), Some("")] {
            check(&some, other, false, "Vary: Origin\r\n");
            check(&some, other, true, "Vary: Origin\r\n");
        }
    }

    #[test]
    fn credentials_are_for_named_origins() {
        let mut out = Vec::new();
        cors(&["https://a.example"], true).expect("a rule").write(Some(b"https://a.example"), false, &mut out);
        assert!(String::from_utf8_lossy(&out).contains("Access-Control-Allow-Credentials: true\r\n"));
        assert!(cors(&["*"], true).expect_err("no").contains("a list of origins"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for origin in
            ["example.org", "https://a.example/", "https://A.example", "ftp://a", "https://", "null", "*", "https://a:"]
        {
            assert!(check_origin(origin).is_err(), "{origin}");
        }
        for origin in ["https://a.example", "http://localhost:3000"] {
            assert_eq!(check_origin(origin), Ok(()));
        }
    }
}
