//! The authority of a request: the value of `Host`, or what stands in an absolute target (RFC 9110
//! §4.2, §7.2).

use super::syntax::{self, NAME};

/// Whether the bytes are a host with an optional port: what an `http` URI can name. An empty host
/// is none (RFC 9110 §4.2.1), and user information has no place here (§4.2.4).
pub fn is_valid(authority: &[u8]) -> bool {
    match authority {
        [b'[', rest @ ..] => match rest.iter().position(|&byte| byte == b']') {
            Some(end) => is_ip_literal(&rest[..end]) && is_port_suffix(&rest[end + 1..]),
            None => false,
        },
        _ => {
            let end = registered_name(authority);
            end > 0 && is_port_suffix(&authority[end..])
        }
    }
}

/// How many bytes at the start are a registered name (RFC 3986 §3.2.2); IPv4 addresses are of this
/// form too.
fn registered_name(authority: &[u8]) -> usize {
    let mut end = 0;
    loop {
        end += syntax::prefix(&authority[end..], NAME);
        match &authority[end..] {
            [b'%', high, low, ..] if syntax::hex_digit(*high).is_some() && syntax::hex_digit(*low).is_some() => {
                end += 3;
            }
            _ => return end,
        }
    }
}

/// RFC 3986 §3.2.2: an IPv6 address, or an address of a version to come (`v1.x`).
fn is_ip_literal(literal: &[u8]) -> bool {
    match literal {
        [b'v' | b'V', future @ ..] => {
            let version = future.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let address = &future[version..];
            version > 0
                && address.len() > 1
                && address[0] == b'.'
                && address[1..].iter().all(|&byte| byte == b':' || syntax::is(byte, NAME))
        }
        _ => std::str::from_utf8(literal).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok()),
    }
}

/// Nothing, or a colon and a port, which RFC 3986 §3.2.3 allows to be empty.
fn is_port_suffix(suffix: &[u8]) -> bool {
    match suffix {
        [] => true,
        [b':', port @ ..] => {
            let number = port.iter().try_fold(0u32, |number, byte| {
                byte.is_ascii_digit().then(|| (number * 10 + u32::from(byte - b'0')).min(1 << 20))
            });
            number.is_some_and(|number| number <= u32::from(u16::MAX))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let check = |authority: &str, valid: bool| assert_eq!(is_valid(authority.as_bytes()), valid, "{authority:?}");
        check("a", true);
        check("localhost:8000", true);
        check("example.org:", true);
        check("example.org:65535", true);
        check("127.0.0.1:0", true);
        check("[::1]", true);
        check("[2001:db8::1.2.3.4]:80", true);
        check("[v1f.a:b]", true);
        check("ex%20ample", true);
        check("a_b~c!$&'()*+,;=", true);
        check("", false);
        check(":80", false);
        check("a:b", false);
        check("a:80:80", false);
        check("a:+80", false);
        check("a:65536", false);
        check("a:99999999999999999999999999", false);
        check("user@a", false);
        check("a b", false);
        check("a/b", false);
        check("a?b", false);
        check("a\\b", false);
        check("a%2", false);
        check("a%zz", false);
        check("a,b", true);
        check("\u{e9}", false);
        check("[]", false);
        check("[::1", false);
        check("[::1]80", false);
        check("[fe80::1%25eth0]", false);
        check("[v.a]", false);
        check("[v1.]", false);
        check("::1", false);
    }
}
