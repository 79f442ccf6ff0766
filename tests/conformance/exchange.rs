//! A conversation with a server, and a reader of responses that accepts no deviation.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::case::{Answer, Then};

/// A request that tells whether a connection is still good: its response is the last on the
/// connection.
const PROBE: &[u8] = b"GET /probe.txt HTTP/1.1\r\nHost: probe.example\r\nConnection: close\r\n\r\n";

/// What the probe is answered.
const PROBE_CONTENT: &[u8] = b"probe";

/// A response, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names and values, in order.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub content: Vec<u8>,
}

impl Response {
    /// The value of the only field of this name.
    pub fn field(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (found, None) => Ok(found.map(|(_, value)| value.as_str())),
            _ => Err(format!("{name} is there twice: {:?}", self.fields)),
        }
    }

    /// The values of all fields of this name, as one list (RFC 9110 §5.3).
    pub fn list(&self, name: &str) -> Option<String> {
        let named = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Whether it says that the connection ends.
    fn closes(&self) -> bool {
        matches!(self.field("Connection"), Ok(Some(value)) if value.eq_ignore_ascii_case("close"))
    }
}

/// Sends the bytes, and a probe when that is wanted, and takes the responses, of which there must
/// be as many as expected. The error says what is wrong.
pub fn converse(
    mut stream: TcpStream,
    sent: &[u8],
    probe: bool,
    expected: &[Answer],
    then: Then,
) -> Result<Vec<Response>, String> {
    // The server may close while something is still on its way.
    let _ = stream.write_all(sent).and_then(|()| if probe { stream.write_all(PROBE) } else { Ok(()) });
    let _ = stream.shutdown(Shutdown::Write);
    let mut received = Vec::new();
    stream.read_to_end(&mut received).map_err(|error| format!("{error}, behind {}", received.escape_ascii()))?;
    let mut responses = read_all(&received, expected)?;
    let probed = probe && responses.last().is_some_and(|last| last.content == PROBE_CONTENT && last.closes())
        // Unless the probe's file was what the case asked for.
        && responses.len() > expected.len();
    let found: Vec<u16> = responses.iter().map(|response| response.status).collect();
    if probed {
        responses.pop();
    }
    let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    if statuses != expected.iter().map(|answer| answer.status).collect::<Vec<u16>>() {
        return Err(format!("the statuses are {found:?}"));
    }
    match then {
        Then::Kept if probe && !probed => Err("the connection was not kept".to_owned()),
        Then::Closed if probed => Err("the connection was kept".to_owned()),
        Then::Closed if !responses.last().is_some_and(Response::closes) => {
            Err("the connection ended, and no response said so".to_owned())
        }
        _ => Ok(responses),
    }
}

fn read_all(mut bytes: &[u8], expected: &[Answer]) -> Result<Vec<Response>, String> {
    let mut responses = Vec::new();
    while !bytes.is_empty() {
        let to_head = expected.get(responses.len()).is_some_and(|answer| answer.to_head);
        let (response, rest) = read(bytes, to_head).map_err(|why| format!("{why}: {}", shown(bytes)))?;
        responses.push(response);
        bytes = rest;
    }
    Ok(responses)
}

/// Reads a response at the start of the bytes, and checks what is true of every response of this
/// server. What is behind it.
pub fn read(bytes: &[u8], to_head: bool) -> Result<(Response, &[u8]), String> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("the head has no end")?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "the head is no text")?;
    let mut rest = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    // RFC 9112 §4.
    let line = lines.next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|line| line.split_once(' '));
    let (status, reason) = status.ok_or("the status line is wrong")?;
    let status = status.parse().ok().filter(|status| (200..600).contains(status)).ok_or("the status is wrong")?;
    if reason.is_empty() {
        return Err("the status has no reason".to_owned());
    }
    let fields = lines.map(field).collect::<Result<_, _>>()?;
    let mut response = Response { status, fields, content: Vec::new() };
    check_fields(&response)?;
    // RFC 9112 §6.3.
    let length = response.field("Content-Length")?.map(str::parse::<usize>).transpose().map_err(|e| e.to_string())?;
    let length = match length {
        _ if to_head || matches!(status, 204 | 304) => 0,
        Some(length) => length,
        None => return Err("the response has no length".to_owned()),
    };
    if rest.len() < length {
        return Err(format!("{} of {length} bytes of content came", rest.len()));
    }
    response.content = rest[..length].to_vec();
    rest = &rest[length..];
    Ok((response, rest))
}

fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(": ").ok_or_else(|| format!("{line:?} is no field"))?;
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_value = value.bytes().all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte)) && value.trim() == value;
    if is_token && is_value && !value.is_empty() {
        return Ok((name.to_owned(), value.to_owned()));
    }
    Err(format!("{line:?} is no clean field"))
}

/// What RFC 9110 wants of every response, and of some.
fn check_fields(response: &Response) -> Result<(), String> {
    let has = |name: &str| response.field(name).map(|value| value.is_some());
    let status = response.status;
    let must = |right: bool, what: &str| if right { Ok(()) } else { Err(format!("{what}: {:?}", response.fields)) };
    // §6.6.1, and httpdate reads what RFC 9110 §5.6.7 wants written.
    let date = response.field("Date")?.map(httpdate::parse_http_date);
    must(matches!(date, Some(Ok(_))), "every response is dated")?;
    must(!has("Transfer-Encoding")?, "no response is chunked")?;
    // §8.6, §15.3.5, §15.4.5.
    must(status != 204 || !has("Content-Length")?, "204 has no length")?;
    must(has("Location")? == matches!(status, 301 | 302 | 303 | 307 | 308), "Location is for redirects")?;
    must(has("Allow")? || status != 405, "405 says what is allowed")?;
    must(has("Content-Range")? || status != 416, "416 says how long the content is")?;
    must(has("WWW-Authenticate")? == (status == 401), "401 says how to authenticate")?;
    // The browser is to believe the type that it is told.
    must(matches!(status, 204 | 304) || has("Content-Type")?, "content has a type")?;
    must(!has("Content-Type")? || has("X-Content-Type-Options")?, "a type is to be believed")
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(600)].escape_ascii().to_string()
}
