//! Response fields by glob: set, removed, and those of the security preset.

use super::glob::Glob;
use crate::limits::FIELD_VALUE_BYTES_MAX;
use pluto_http::status::Status;
use pluto_http::syntax::{self, VALUE};

/// A rule: what the responses at paths that a glob matches say otherwise.
#[derive(Clone, Debug)]
pub struct FieldRule {
    /// The paths.
    pub source: Glob,
    /// Whether it is about every response, and not only about those with a file.
    pub every_response: bool,
    /// Fields that are set, in place of what the server says itself.
    pub set: Vec<Field>,
    /// Names of fields that are left out.
    pub remove: Vec<String>,
}

/// A field: a name and a value that may stand in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: String,
    value: String,
}

/// Fields that say where a message ends, what becomes of the connection, or which bytes follow.
/// They are right or the next response is read as something else.
const OF_THE_MESSAGE: [&str; 13] = [
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Date",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "WWW-Authenticate",
];

/// Fields without which a response that has no file means nothing.
const OF_RESPONSES_WITHOUT_A_FILE: [&str; 3] = ["Allow", "Content-Type", "Location"];

/// Fields that follow from the file and the request, so that a fixed value would be wrong.
const OF_THE_FILE: [&str; 6] = ["Accept-Ranges", "Allow", "ETag", "Last-Modified", "Location", "Vary"];

impl Field {
    /// A field that a rule may set. The error says what was expected.
    pub fn new(name: &str, value: &str) -> Result<Field, String> {
        check_name(name)?;
        if let Some(own) = find(&OF_THE_FILE, name) {
            return Err(format!("expected a field that does not follow from the file; the server says {own} itself"));
        }
        if value.len() > FIELD_VALUE_BYTES_MAX {
            return Err(format!("expected a value of at most {FIELD_VALUE_BYTES_MAX} bytes, found {}", value.len()));
        }
        // RFC 9110 §5.5. What is not ASCII has no meaning that all clients agree on.
        if !value.bytes().all(|byte| byte.is_ascii() && syntax::is(byte, VALUE)) || value.trim() != value {
            return Err(format!("expected a value of visible ASCII with spaces only inside, found {value:?}"));
        }
        Ok(Field { name: name.to_owned(), value: value.to_owned() })
    }

    /// Its name and its value.
    pub fn parts(&self) -> (&str, &[u8]) {
        (&self.name, self.value.as_bytes())
    }

    /// Whether it tells shared caches not to keep the response (RFC 9111 §5.2.2.5, §5.2.2.7).
    fn keeps_private(&self) -> bool {
        let is_private =
            |directive: &str| ["private", "no-store"].iter().any(|name| name.eq_ignore_ascii_case(directive));
        self.name.eq_ignore_ascii_case("Cache-Control") && self.value.split(',').map(str::trim).any(is_private)
    }

    /// The line of it, with its end.
    fn write(&self, out: &mut Vec<u8>) {
        for piece in [self.name.as_str(), ": ", &self.value, "\r\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

/// Whether a rule may say anything of a field with that name. The error says what was expected.
pub fn check_name(name: &str) -> Result<(), String> {
    if !syntax::is_token(name.as_bytes()) {
        return Err(format!("expected the name of a field, found {name:?}"));
    }
    match find(&OF_THE_MESSAGE, name) {
        Some(own) => Err(format!("expected a field that says nothing of the message itself; {own} is the server's")),
        None => Ok(()),
    }
}

/// Whether a rule for every response may set or remove a field with that name. The error says what
/// was expected.
pub fn check_name_of_every_response(name: &str) -> Result<(), String> {
    match find(&OF_RESPONSES_WITHOUT_A_FILE, name) {
        Some(own) => Err(format!("expected a field that means the same in every response; {own} does not")),
        None => Ok(()),
    }
}

fn find(names: &[&'static str], name: &str) -> Option<&'static str> {
    names.iter().find(|other| other.eq_ignore_ascii_case(name)).copied()
}

/// What a site changes in the heads of the responses to one request.
#[derive(Debug)]
pub struct ResponseEdits {
    /// When it is answered with the file, or with a part of it.
    with_file: FieldEdits,
    /// When it is answered otherwise.
    otherwise: FieldEdits,
}

impl ResponseEdits {
    /// What the rules say of a file that has these paths.
    pub fn of_file(private: bool, rules: &[FieldRule], paths: &[&[u8]]) -> ResponseEdits {
        let of_every_response = ResponseEdits::without_file(rules, paths).otherwise;
        ResponseEdits { with_file: FieldEdits::collect(private, rules, paths), otherwise: of_every_response }
    }

    /// What they say of a response without a file, to a request for these paths.
    pub fn without_file(rules: &[FieldRule], paths: &[&[u8]]) -> ResponseEdits {
        let edits = FieldEdits::collect(false, rules.iter().filter(|rule| rule.every_response), paths);
        ResponseEdits { with_file: edits.clone(), otherwise: edits }
    }

    /// Those of a response with this status.
    pub fn of(&self, status: Status) -> &FieldEdits {
        // What an error says is the server's.
        if status.code() < 400 { &self.with_file } else { &self.otherwise }
    }

    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.with_file.is_empty() && self.otherwise.is_empty()
    }
}

/// What rules together change in a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldEdits {
    remove: Vec<String>,
    set: Vec<Field>,
}

impl FieldEdits {
    /// What the rules say of a file that has these paths. Later rules win over earlier ones. A
    /// file that only some may read is kept by no shared cache, whatever a rule for all scripts,
    /// say, has in mind.
    pub fn collect<'r>(private: bool, rules: impl IntoIterator<Item = &'r FieldRule>, paths: &[&[u8]]) -> FieldEdits {
        let mut edits = FieldEdits::default();
        for rule in rules.into_iter().filter(|rule| paths.iter().any(|path| rule.source.is_match(path))) {
            let named = |field: &Field, name: &String| field.name.eq_ignore_ascii_case(name);
            edits.set.retain(|field| !rule.remove.iter().any(|name| named(field, name)));
            edits.set.retain(|field| !rule.set.iter().any(|other| named(field, &other.name)));
            edits.remove.extend_from_slice(&rule.remove);
            edits.set.extend_from_slice(&rule.set);
        }
        if private && !edits.set.iter().any(Field::keeps_private) {
            edits.set.retain(|field| !field.name.eq_ignore_ascii_case("Cache-Control"));
            // The reader's own cache asks each time: who may read may change.
            edits.set.push(Field { name: "Cache-Control".to_owned(), value: "private, no-cache".to_owned() });
        }
        edits
    }

    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }

    /// Changes the head that begins there in a buffer; content may follow it.
    pub fn apply(&self, out: &mut Vec<u8>, start: usize) {
        if self.is_empty() {
            return;
        }
        let head = out.split_off(start);
        // Lines that stay are copied together: those from `kept` to `here` are still to come.
        let (mut kept, mut here, mut in_parts) = (0, 0, false);
        while let Some(line_feed) = syntax::position(&head[here..], b'\n') {
            let next = here + line_feed + 1;
            let line = &head[here..next];
            if line == b"\r\n" {
                break;
            }
            // The type of a response in parts says where its parts end.
            let is_of_parts = line.starts_with(PARTS);
            in_parts |= is_of_parts;
            if !is_of_parts && self.replaces(line) {
                out.extend_from_slice(&head[kept..here]);
                kept = next;
            }
            here = next;
        }
        out.extend_from_slice(&head[kept..here]);
        for field in &self.set {
            if !(in_parts && field.name.eq_ignore_ascii_case("Content-Type")) {
                field.write(out);
            }
        }
        out.extend_from_slice(&head[here..]);
    }

    /// Whether a line is left out, or another stands in its place.
    fn replaces(&self, line: &[u8]) -> bool {
        let set = self.set.iter().map(|field| &field.name);
        self.remove.iter().chain(set).any(|name| is_named(line, name))
    }
}

/// How the head of a response with several ranges says so.
const PARTS: &[u8] = b"Content-Type: multipart/";

fn is_named(line: &[u8], name: &str) -> bool {
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
}

/// The security preset: fields that browsers obey, with values that break no ordinary site. They
/// go with every response; `nosniff` does so without it.
pub fn security(hsts_seconds: Option<u64>) -> Vec<Field> {
    let mut fields: Vec<Field> =
        SECURITY.iter().map(|(name, value)| Field { name: (*name).to_owned(), value: (*value).to_owned() }).collect();
    // RFC 6797 §7.2: browsers ignore it over plain HTTP; it is for what speaks TLS in front of the
    // server. A browser that has seen it cannot be told otherwise soon, so that it is sent when it
    // is asked for and not before.
    fields.extend(
        hsts_seconds
            .map(|seconds| Field { name: "Strict-Transport-Security".to_owned(), value: format!("max-age={seconds}") }),
    );
    fields
}

const SECURITY: [(&str, &str); 5] = [
    // Other sites learn which site a visitor comes from, and not from which page. What browsers do
    // by themselves today.
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    // No other site shows this one in a frame, to have its visitors click on what they do not see;
    // said twice, for the older field is all that some browsers know.
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    // A page of another site that opened this one, or was opened by it, cannot reach into it.
    ("Cross-Origin-Opener-Policy", "same-origin"),
    // What a static site rarely asks for.
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_set_only_when_it_can_do_no_harm() {
        let check = |name: &str, value: &str, expected: Option<&str>| match (Field::new(name, value), expected) {
            (Ok(_), None) => (),
            (Err(error), Some(expected)) => assert!(error.contains(expected), "{name}: {error}"),
            (found, _) => panic!("{name}: {value:?}: {found:?}"),
        };
        check("X-Hello", "world, \"again\"", None);
        check("Cache-Control", "public, max-age=31536000, immutable", None);
        check("Content-Type", "text/plain; charset=utf-8", None);
        check("X-Empty", "", None);
        for name in OF_THE_MESSAGE {
            check(&name.to_lowercase(), "x", Some("says nothing of the message"));
        }
        for name in OF_THE_FILE {
            check(&name.to_uppercase(), "x", Some("follow from the file"));
        }
        check("", "x", Some("name of a field"));
        check("a b", "x", Some("name of a field"));
        check("a:", "x", Some("name of a field"));
        check("a\r\nb", "x", Some("name of a field"));
        check("a", "b\r\nc: d", Some("visible ASCII"));
        check("a", "b\0", Some("visible ASCII"));
        check("a", " b", Some("visible ASCII"));
        check("a", "\u{e9}", Some("visible ASCII"));
        check("a", &"b".repeat(FIELD_VALUE_BYTES_MAX + 1), Some("at most 4096 bytes"));
    }

    #[test]
    fn rules_are_applied_in_their_order() {
        let rule = |source: &str, set: &[(&str, &str)], remove: &[&str]| FieldRule {
            source: Glob::new(source).expect(source),
            every_response: false,
            set: set.iter().map(|(name, value)| Field::new(name, value).expect("a field")).collect(),
            remove: remove.iter().map(|&name| name.to_owned()).collect(),
        };
        let rules = [
            rule("**/*.js", &[("cache-control", "no-store"), ("A", "1")], &[]),
            rule("/x/**", &[("a", "2")], &["ETag", "X-Content-Type-Options"]),
            rule("/y", &[("Content-Type", "text/x")], &[]),
            rule("/z/**", &[("Cache-Control", "public, max-age=9, immutable")], &[]),
            rule("/z/own", &[("cache-control", "max-age=9, Private")], &[]),
            rule("/z/none", &[], &["Cache-Control"]),
        ];
        let check = |path: &str, head: &str, expected: &str| {
            let mut out = format!("before\r\n\r\nHTTP/1.1 200 OK\r\n{head}\r\nETag: 1\r\n").into_bytes();
            FieldEdits::collect(false, &rules, &[path.as_bytes(), b"/never"]).apply(&mut out, 10);
            let expected = format!("before\r\n\r\nHTTP/1.1 200 OK\r\n{expected}\r\nETag: 1\r\n");
            assert_eq!(String::from_utf8_lossy(&out), expected, "{path}");
        };
        let head = "Cache-Control: no-cache\r\nETag: \"1\"\r\nETagged: 1\r\n";
        assert!(FieldEdits::collect(false, &rules, &[b"/a.html"]).is_empty());
        check("/a.html", head, head);
        check("/a.js", head, "ETag: \"1\"\r\nETagged: 1\r\ncache-control: no-store\r\nA: 1\r\n");
        check("/x/a.js", head, "ETagged: 1\r\ncache-control: no-store\r\na: 2\r\n");
        check("/x/b", "", "a: 2\r\n");
        check("/y", "Content-Type: text/plain\r\n", "Content-Type: text/x\r\n");
        check("/y", "Content-Type: multipart/byteranges\r\n", "Content-Type: multipart/byteranges\r\n");
        let private = |path: &str, expected: &str| {
            let edits = FieldEdits::collect(true, &rules, &[path.as_bytes()]);
            let is_cache_control = |field: &&Field| field.name.eq_ignore_ascii_case("Cache-Control");
            let found: Vec<_> = edits.set.iter().filter(is_cache_control).map(|field| field.value.as_str()).collect();
            assert_eq!(found, [expected], "{path}");
        };
        private("/a.html", "private, no-cache");
        private("/a.js", "no-store");
        private("/z/a", "private, no-cache");
        private("/z/own", "max-age=9, Private");
        private("/z/none", "private, no-cache");
    }

    #[test]
    fn the_preset_is_made_of_fields_that_a_rule_could_set() {
        for field in security(Some(31_536_000)) {
            assert_eq!(Field::new(&field.name, &field.value), Ok(field.clone()));
        }
        assert_eq!(security(None).len() + 1, security(Some(1)).len());
    }
}
