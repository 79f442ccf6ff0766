//! The request target and the path in it: decoded once, then split, then normalised (RFC 3986
//! §5.2.4, §6.2.2).
//!
//! A target is parsed once, when its head is read. Every decision about a request, and the file
//! that is served, rest on the [`PathAndQuery`] that comes of it: nothing looks at the raw target
//! later.

use super::authority;
use super::status::HttpError;
use super::syntax::{self, NAME_IN_PATH, PATH};
use std::ops::Range;

/// A target, taken apart. The ranges are of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A resource of this server (RFC 9112 §3.2.1, §3.2.2). An empty path stands for `/`.
    Resource {
        /// The path, still escaped.
        path: Range<usize>,
        /// What follows a `?`, without it.
        query: Option<Range<usize>>,
        /// The authority of an absolute target, which wins over `Host`.
        authority: Option<Range<usize>>,
    },
    /// `*`: the server itself (§3.2.4).
    Server,
}

impl Target {
    /// Takes a target apart. That of a request which was refused may hold any bytes but a space;
    /// no file is asked for by it.
    pub fn parse(target: &[u8]) -> Result<Target, HttpError> {
        match target {
            [b'/', ..] => Ok(Target::resource(target, 0, None)),
            b"*" => Ok(Target::Server),
            _ => Target::absolute(target),
        }
    }

    /// RFC 9112 §3.2.2: a server must accept the absolute form, though only proxies are sent it.
    fn absolute(target: &[u8]) -> Result<Target, HttpError> {
        const FORM: HttpError = HttpError::bad("A request target is a path, an http address or an asterisk.");
        let scheme = ["http://", "https://"].into_iter().find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        });
        let start = scheme.ok_or(FORM)?.len();
        let rest = &target[start..];
        let end = start + rest.iter().position(|&byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        if !authority::is_valid(&target[start..end]) {
            return Err(HttpError::bad("The host in the request target is not valid."));
        }
        Ok(Target::resource(target, end, Some(start..end)))
    }

    fn resource(target: &[u8], start: usize, authority: Option<Range<usize>>) -> Target {
        let question = syntax::position(&target[start..], b'?').map(|at| start + at);
        let query = question.map(|at| at + 1..target.len());
        Target::Resource { path: start..question.unwrap_or(target.len()), query, authority }
    }
}

/// A path of this server with the query behind it: what a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAndQuery {
    /// The path.
    pub path: Path,
    /// What follows the `?`, as it came.
    pub query: Option<Vec<u8>>,
}

impl PathAndQuery {
    /// Where a request for a directory without its slash is sent: as [`PathAndQuery::location_of`]
    /// has it. Nothing when it has the slash, so that a redirect always leads on.
    pub fn directory_location(&self) -> Option<String> {
        if self.path.is_directory() {
            return None;
        }
        Some(self.location_of(&Path::new([&self.path.bytes, &b"/"[..]].concat())))
    }

    /// Where a request is sent whose resource has another path on this site: an address relative
    /// to that of the request, escaped, with its query. A proxy may have taken a prefix from the
    /// address, which only the client knows (RFC 9110 §10.2.2).
    pub fn location_of(&self, other: &Path) -> String {
        self.with_query(self.path.reference_to(other))
    }

    /// An address, with the query of the request, escaped.
    pub fn with_query(&self, mut location: String) -> String {
        if let Some(query) = &self.query {
            location.push('?');
            query.iter().for_each(|&byte| push_query_byte(&mut location, byte));
        }
        location
    }
}

/// RFC 3986 §3.4: a query is `pchar`, `/` and `?`. Other visible ASCII is sent by some clients all
/// the same, and goes out escaped; what is escaped already stays so.
fn push_query_byte(location: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte) {
        location.push(char::from(byte));
    } else {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        location.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]);
    }
}

/// A path beneath the root, normalised: no empty name, no `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The names, each but the last followed by `/`; also the last when the path is that of a
    /// directory. Bytes as they are: a name need not be UTF-8.
    bytes: Vec<u8>,
    /// What [`Path::is_hidden`] says. It could be found in the bytes again, but each request asks,
    /// and mostly it is known from parsing them.
    is_hidden: bool,
}

impl Path {
    /// Decodes, splits and normalises. `Ok(None)`: a path that no file can have.
    pub fn parse(escaped: &[u8]) -> Result<Option<Path>, HttpError> {
        // Room for the name of an index file.
        let mut bytes = Vec::with_capacity(escaped.len() + 16);
        if is_normal(escaped) {
            bytes.extend_from_slice(escaped.get(1..).unwrap_or_default());
            return Ok(Some(Path { bytes, is_hidden: false }));
        }
        let mut name = 0;
        let mut possible = true;
        let mut rest = escaped;
        while let [byte, tail @ ..] = rest {
            rest = tail;
            match byte {
                b'/' => name = end_name(&mut bytes, name, true)?,
                b'%' => {
                    let (decoded, tail) = decode(tail)?;
                    rest = tail;
                    // An escaped slash is a byte of a name, and no file's name has one.
                    possible &= !matches!(decoded, b'/' | b'\\');
                    bytes.push(if decoded == b'/' { b'\\' } else { decoded });
                }
                // Other systems take a backslash for a separator, so that no file is served whose
                // name has one, even when `..` takes the name back.
                b'\\' => {
                    possible = false;
                    bytes.push(b'\\');
                }
                _ => bytes.push(*byte),
            }
        }
        end_name(&mut bytes, name, false)?;
        Ok(possible.then(|| Path::new(bytes)))
    }

    /// That of a file whose names are these, separated by `/`; nothing when no request can ask for
    /// it.
    pub fn from_names(names: &[u8]) -> Option<Path> {
        (!names.contains(&b'\\')).then(|| Path::new(names.to_vec()))
    }

    fn new(bytes: Vec<u8>) -> Path {
        Path { is_hidden: is_hidden(&bytes), bytes }
    }

    /// The names, separated by `/`; with one at the end when the path is that of a directory,
    /// unless it is the root.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether it names a directory: the root, or a path that ends in `/`, `.` or `..`.
    pub fn is_directory(&self) -> bool {
        matches!(self.bytes.last(), None | Some(b'/'))
    }

    /// Whether a name in it begins with a dot, `.well-known` in the root aside (RFC 8615 §3).
    pub fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// Escapes it again, as a path on this host: it begins with exactly one `/`.
    pub fn escape(&self) -> String {
        let mut escaped = String::with_capacity(self.bytes.len() + 16);
        escaped.push('/');
        push_escaped(&mut escaped, &self.bytes);
        escaped
    }

    /// Another path relative to this one, escaped (RFC 3986 §4.2). It is never empty, and begins
    /// neither with a slash nor with what could be taken for a scheme.
    pub fn reference_to(&self, other: &Path) -> String {
        let folder_end = |bytes: &[u8]| bytes.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let folder = &self.bytes[..folder_end(&self.bytes)];
        let same = folder.iter().zip(&other.bytes).take_while(|(own, other)| own == other).count();
        let (_, up) = folder.split_at(folder_end(&folder[..same]));
        let down = &other.bytes[folder_end(&folder[..same])..];
        let mut reference = "../".repeat(up.iter().filter(|&&byte| byte == b'/').count());
        let first = down.split(|&byte| byte == b'/').next().unwrap_or_default();
        if reference.is_empty() && (first.is_empty() || first.contains(&b':')) {
            reference.push_str("./");
        }
        push_escaped(&mut reference, down);
        reference
    }
}

/// Names, separated by slashes, as a path has them.
fn push_escaped(escaped: &mut String, names: &[u8]) {
    for &byte in names {
        if byte == b'/' || syntax::is(byte, PATH) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            for digit in [byte >> 4, byte & 15] {
                escaped.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
}

/// Whether a path is written as it is normalised: names behind a slash each, without an escape or
/// a backslash, none of them empty, and none that begins with a dot.
fn is_normal(mut path: &[u8]) -> bool {
    while let [b'/', rest @ ..] = path {
        if let [b'/' | b'.', ..] = rest {
            return false;
        }
        path = &rest[syntax::prefix(rest, NAME_IN_PATH)..];
    }
    path.is_empty()
}

/// See [`Path::is_hidden`].
fn is_hidden(path: &[u8]) -> bool {
    let names = match path.strip_prefix(b".well-known") {
        Some(below @ ([] | [b'/', ..])) => below,
        _ => path,
    };
    names.split(|&byte| byte == b'/').any(|name| name.starts_with(b"."))
}

/// The byte of an escape, whose `%` is gone, and what follows it. RFC 3986 §2.1: two hexadecimal
/// digits.
fn decode(rest: &[u8]) -> Result<(u8, &[u8]), HttpError> {
    const BROKEN: HttpError = HttpError::bad("In a path, a percent sign is followed by two hexadecimal digits.");
    let [high, low, tail @ ..] = rest else { return Err(BROKEN) };
    match (syntax::hex_digit(*high), syntax::hex_digit(*low)) {
        (Some(0), Some(0)) => Err(HttpError::bad("A path does not contain a NUL.")),
        (Some(high), Some(low)) => Ok((high << 4 | low, tail)),
        _ => Err(BROKEN),
    }
}

/// Ends the name that began at `name`, at a slash or at the end: keeps it, or does what `.` and
/// `..` say (RFC 3986 §5.2.4). Where the next name begins.
fn end_name(bytes: &mut Vec<u8>, name: usize, slash: bool) -> Result<usize, HttpError> {
    match &bytes[name..] {
        b"" | b"." => bytes.truncate(name),
        b".." => {
            let Some(above) = name.checked_sub(1) else {
                return Err(HttpError::bad("The path leads out of the site."));
            };
            let parent = bytes[..above].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            bytes.truncate(parent);
        }
        _ if slash => bytes.push(b'/'),
        _ => (),
    }
    Ok(bytes.len())
}

#[cfg(test)]
mod tests;
