//! Which sites there are: one, or one for each host, in the folder beneath the root that the host
//! names.

use super::Policy;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The file that is read when the operator names none; it need not be there.
pub const FILE: &str = ".pluto.toml";

/// The folder of every host that has none of its own.
pub const DEFAULT: &str = "default";

/// A folder that is a site: the root, or that of a host.
#[derive(Clone, Debug, Default)]
pub struct VirtualHost {
    /// Its path, with a slash at its end unless it is the root.
    pub folder: Vec<u8>,
    /// What its configuration says; nothing when it has none.
    pub policy: Option<Rc<Policy>>,
}

/// The sites that are served.
#[derive(Clone, Debug)]
pub enum VirtualHosts {
    /// The root is one.
    One(VirtualHost),
    /// Each folder of the root is that of a host.
    Hosts(BTreeMap<String, VirtualHost>),
}

impl VirtualHosts {
    /// The site of a host; nothing when there is none for it.
    pub fn find(&self, host: Option<&[u8]>) -> Option<&VirtualHost> {
        match self {
            VirtualHosts::One(site) => Some(site),
            VirtualHosts::Hosts(sites) => {
                let named = host.and_then(folder).and_then(|host| sites.get(&host));
                named.or_else(|| sites.get(DEFAULT))
            }
        }
    }

    /// What the site says to which a file belongs, and the file's path in that site.
    pub fn of_file<'a>(&self, path: &'a [u8]) -> (Option<&Policy>, &'a [u8]) {
        match self {
            VirtualHosts::One(site) => (site.policy.as_deref(), path),
            VirtualHosts::Hosts(sites) => {
                let slash = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
                let (host, own_path) = path.split_at(slash);
                let site = std::str::from_utf8(host).ok().and_then(|host| sites.get(host));
                (site.and_then(|site| site.policy.as_deref()), own_path.strip_prefix(b"/").unwrap_or(own_path))
            }
        }
    }

    /// What there is, in a few words.
    pub fn summary(&self) -> String {
        match self {
            VirtualHosts::One(VirtualHost { policy: None, .. }) => format!("there is no {FILE}, which is fine"),
            VirtualHosts::One(VirtualHost { policy: Some(policy), .. }) => policy.summary(),
            VirtualHosts::Hosts(sites) => {
                let own = sites.values().filter(|site| site.policy.is_some()).count();
                format!("{} hosts, {own} of them with a configuration", sites.len())
            }
        }
    }
}

/// The name of a host as a folder has it: in lower case, without a dot at its end. Nothing when it
/// is none that a folder can have: an address in brackets, and whatever could be a path or a
/// hidden name.
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
