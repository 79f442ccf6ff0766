//! Virtual hosts: which folder beneath the root a request's host names.

/// The folder of every host that has none of its own.
pub const DEFAULT: &str = "default";

/// The name of a host as a folder has it: in lower case, without a dot at its end. Nothing when it is none that a folder
/// can have: an address in brackets, and whatever could be a path or a hidden name.
pub fn folder(host: &[u8]) -> Option<String> {
    let host = host.strip_suffix(b".").unwrap_or(host);
    // RFC 1123 §2.1 and §2.5, with the underscore that is in use.
    let is_label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let valid = host.len() <= 253 && host.split(|&byte| byte == b'.').all(is_label);
    let name = std::str::from_utf8(host).ok().filter(|_| valid)?;
    Some(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::folder;

    #[test]
    fn a_host_is_a_folder_or_none() {
        let check =
            |host: &str, expected: Option<&str>| assert_eq!(folder(host.as_bytes()).as_deref(), expected, "{host}");
        check("example.org", Some("example.org"));
        check("EXAMPLE.Org.", Some("example.org"));
        check("127.0.0.1", Some("127.0.0.1"));
        check("a_b-c", Some("a_b-c"));
        for host in ["", ".", "..", "a..b", ".git", "a/b", "a\\b", "%2e%2e", "[::1]", "a b", "\u{e9}.example", "a.."] {
            check(host, None);
        }
        check(&"a".repeat(64), None);
        check(&"a.".repeat(128), None);
    }
}
