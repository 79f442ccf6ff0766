//! Who a request comes from when proxies pass it on: `X-Forwarded-For`, and `Forwarded` (RFC
//! 7239).
//!
//! Each proxy adds the address of its own client behind those that are there. So the addresses are
//! read from the last one back, and only as long as the one who has added an address is trusted:
//! what stands before is what a stranger says of itself.

use super::head::Head;
use super::syntax;
use crate::limits::FORWARDED_BYTES_MAX;
use std::net::{IpAddr, SocketAddr};

/// The fields of a request that say who it comes from, as they came: of each its last bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedFields {
    /// The lines of `X-Forwarded-For`, with a line feed between them.
    x_forwarded_for: Vec<u8>,
    /// The lines of `Forwarded`, likewise.
    forwarded: Vec<u8>,
}

impl ForwardedFields {
    /// Those of a head, of which some fields may not have come.
    pub fn read(head: Head<'_>) -> ForwardedFields {
        let mut fields = ForwardedFields::default();
        for (name, value) in head.fields() {
            match name.len() {
                15 if name.eq_ignore_ascii_case(b"x-forwarded-for") => add_line(&mut fields.x_forwarded_for, value),
                9 if name.eq_ignore_ascii_case(b"forwarded") => add_line(&mut fields.forwarded, value),
                _ => (),
            }
        }
        fields
    }

    /// What they hold, in bytes.
    pub fn weight(&self) -> usize {
        self.x_forwarded_for.len() + self.forwarded.len()
    }

    /// The client that this peer passes a request on for; the peer itself when it is none of those
    /// that are trusted, or says nothing. Where both fields are there and differ, a proxy knows
    /// only one of them and has passed on what a stranger said in the other: then it is the peer,
    /// too.
    pub fn client(&self, peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
        let by_list = (!self.x_forwarded_for.is_empty())
            .then(|| walk(peer, &is_trusted, lines(&self.x_forwarded_for).flat_map(addresses_of_list)));
        let by_elements = (!self.forwarded.is_empty())
            .then(|| walk(peer, &is_trusted, lines(&self.forwarded).flat_map(addresses_of_elements)));
        match (by_list, by_elements) {
            (Some(one), Some(other)) if one != other => peer,
            (one, other) => one.or(other).unwrap_or(peer),
        }
    }
}

/// A further line, of which no more is kept than the last bytes: those at the front are the
/// oldest.
fn add_line(lines: &mut Vec<u8>, value: &[u8]) {
    if !lines.is_empty() {
        lines.push(b'\n');
    }
    lines.extend_from_slice(value);
    if let Some(over) = lines.len().checked_sub(FORWARDED_BYTES_MAX) {
        // An address that is cut is none.
        let end = lines[over..].iter().position(|byte| matches!(byte, b',' | b'\n')).unwrap_or(lines.len() - over);
        lines.drain(..(over + end + 1).min(lines.len()));
    }
}

/// The lines of a field, the last first.
fn lines(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines.rsplit(|&byte| byte == b'\n')
}

/// From one who passes a request on to the one it comes from, as long as each is trusted. Nothing
/// stands for what is no address.
fn walk(peer: IpAddr, is_trusted: impl Fn(IpAddr) -> bool, from: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let mut client = peer;
    for address in from {
        match address {
            Some(address) if is_trusted(client) => client = address,
            _ => break,
        }
    }
    client
}

/// The addresses of a line of `X-Forwarded-For`, the last first.
fn addresses_of_list(line: &[u8]) -> Vec<Option<IpAddr>> {
    line.rsplit(|&byte| byte == b',').map(|item| address(syntax::trim(item))).collect()
}

/// The addresses of a line of `Forwarded`, the last first (RFC 7239 §4). A comma or semicolon may
/// stand within quotation marks.
fn addresses_of_elements(line: &[u8]) -> Vec<Option<IpAddr>> {
    let mut elements: Vec<_> = split(line, b',').iter().map(|element| address_of_element(element)).collect();
    elements.reverse();
    elements
}

/// RFC 7239 §5.2: `for`, once.
fn address_of_element(element: &[u8]) -> Option<IpAddr> {
    let pairs = split(element, b';');
    let mut nodes = pairs.iter().filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (syntax::trim(&pair[..equals]), syntax::trim(&pair[equals + 1..]));
        name.eq_ignore_ascii_case(b"for").then_some(value)
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    match node {
        [b'"', quoted @ .., b'"'] => address(quoted),
        token => address(token),
    }
}

/// The pieces between separators that stand outside of quotation marks.
fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut pieces, mut start, mut in_quotes, mut escaped) = (Vec::new(), 0, false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_quotes => escaped = true,
            b'"' => in_quotes = !in_quotes,
            _ if byte == separator && !in_quotes => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => (),
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]:80`. Nothing for `unknown`, and for what a proxy made up to hide its client
/// (RFC 7239 §6).
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Scanner;

    const PROXY: &str = "10.0.0.1";

    /// The client of a request with these lines, each ended by a semicolon here written as `|`,
    /// from a peer; the addresses that begin with `10.` are trusted.
    #[track_caller]
    fn check(peer: &str, lines: &str, expected: &str) {
        let text = format!("GET / HTTP/1.1\r\n{}\r\n", lines.replace('|', "\r\n"));
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(text.as_bytes()), Ok(true), "{lines}");
        let fields = ForwardedFields::read(scanner.head(text.as_bytes()));
        let is_trusted = |address: IpAddr| address.to_string().starts_with("10.");
        let found = fields.client(peer.parse().expect(peer), is_trusted);
        assert_eq!(found.to_string(), expected, "{lines}");
    }

    #[test]
    fn a_trusted_proxy_names_its_client() {
        check(PROXY, "", PROXY);
        check(PROXY, "X-Forwarded-For: 192.0.2.1|", "192.0.2.1");
        check(PROXY, "x-forwarded-for:192.0.2.1:4711 |", "192.0.2.1");
        check(PROXY, "X-Forwarded-For: 2001:db8::1|", "2001:db8::1");
        check(PROXY, "X-Forwarded-For: [2001:db8::1]:80|", "2001:db8::1");
        check(PROXY, "X-Forwarded-For: ::ffff:192.0.2.1|", "192.0.2.1");
        check(PROXY, "Forwarded: for=192.0.2.1|", "192.0.2.1");
        check(PROXY, "Forwarded: proto=https;For=\"[2001:db8::1]:4711\";by=10.0.0.1|", "2001:db8::1");
        check(PROXY, "Forwarded: by=\"a,b;for=1.1.1.1\";for=192.0.2.1|", "192.0.2.1");
        check(PROXY, "X-Forwarded-For: 192.0.2.1|Forwarded: for=192.0.2.1|", "192.0.2.1");
    }

    #[test]
    fn a_chain_is_followed_from_its_end_as_long_as_it_is_trusted() {
        check(PROXY, "X-Forwarded-For: 192.0.2.9, 192.0.2.1, 10.0.0.2|", "192.0.2.1");
        check(PROXY, "X-Forwarded-For: 192.0.2.9|X-Forwarded-For: 192.0.2.1|X-Forwarded-For: 10.0.0.2|", "192.0.2.1");
        check(PROXY, "Forwarded: for=192.0.2.9, for=192.0.2.1,for=10.0.0.2|", "192.0.2.1");
        check(PROXY, "Forwarded: for=192.0.2.9|Forwarded: for=192.0.2.1, for=10.0.0.2|", "192.0.2.1");
        check(PROXY, "X-Forwarded-For: 10.0.0.3, 10.0.0.2|", "10.0.0.3");
    }

    #[test]
    fn what_a_stranger_says_of_itself_is_not_believed() {
        check("192.0.2.7", "X-Forwarded-For: 10.0.0.1|", "192.0.2.7");
        check("192.0.2.7", "Forwarded: for=10.0.0.1|", "192.0.2.7");
        check(PROXY, "X-Forwarded-For: 1.1.1.1, 192.0.2.1|", "192.0.2.1");
        // A proxy that knows one field passes the other on.
        check(PROXY, "X-Forwarded-For: 192.0.2.1|Forwarded: for=1.1.1.1|", PROXY);
        // Quotation marks that are not closed swallow nothing but what stands in their own line.
        check(PROXY, "Forwarded: for=\"1.1.1.1|Forwarded: for=192.0.2.1|", "192.0.2.1");
        check(PROXY, "Forwarded: for=\"1.1.1.1, for=192.0.2.1|", PROXY);
    }

    #[test]
    fn what_is_no_address_ends_the_chain() {
        for none in ["unknown", "_hidden", "", "a.example", "192.0.2", "192.0.2.1:x", "\"192.0.2.1\"x", "-"] {
            check(PROXY, &format!("X-Forwarded-For: 192.0.2.1, {none}|"), PROXY);
            check(PROXY, &format!("Forwarded: for=192.0.2.1, for={none}|"), PROXY);
        }
        check(PROXY, "X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2|", "10.0.0.2");
        check(PROXY, "Forwarded: for=192.0.2.1;for=192.0.2.2|", PROXY);
        check(PROXY, "Forwarded: proto=http|", PROXY);
    }

    #[test]
    fn of_a_long_chain_the_end_counts() {
        let long = "1.1.1.1, ".repeat(1_000);
        check(PROXY, &format!("X-Forwarded-For: {long}192.0.2.1|"), "192.0.2.1");
        check(PROXY, &format!("X-Forwarded-For: {long}|X-Forwarded-For: 192.0.2.1|"), "192.0.2.1");
        check(PROXY, &format!("X-Forwarded-For: {}192.0.2.1|", "1".repeat(5_000)), PROXY);
        let mut lines = Vec::new();
        for _ in 0..100 {
            add_line(&mut lines, "1.1.1.1, ".repeat(20).as_bytes());
            assert!(lines.len() <= FORWARDED_BYTES_MAX);
        }
    }
}
