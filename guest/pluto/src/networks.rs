//! Networks of addresses: whose word about a client is believed.

use std::net::IpAddr;

/// Networks, and single addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Networks {
    /// From a list such as `127.0.0.1,10.0.0.0/8,::1`. Nothing when it is none.
    pub fn parse(list: &str) -> Option<Networks> {
        list.split(',').map(|item| Network::parse(item.trim())).collect::<Option<_>>().map(Networks)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them. An IPv4 address that is written as one of IPv6 is the
    /// same.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { u32::BITS } else { u128::BITS };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= most)?
            }
            Some(_) => return None,
        };
        Some(Network { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        // Those bits of two addresses that differ, the first one first.
        let (differ, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(own.to_bits() ^ other.to_bits()), u32::BITS),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits(), u128::BITS),
            _ => return false,
        };
        differ.checked_shr(width - self.bits).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_network_or_not() {
        let check = |list: &str, address: &str, expected: bool| {
            let networks = Networks::parse(list).expect(list);
            assert_eq!(networks.contains(address.parse().expect(address)), expected, "{list} {address}");
        };
        check("127.0.0.1", "127.0.0.1", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("127.0.0.1", "::ffff:127.0.0.1", true);
        check("127.0.0.1", "::1", false);
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.1.2.3/8", "10.255.0.1", true);
        check("192.168.0.0/17", "192.168.127.255", true);
        check("192.168.0.0/17", "192.168.128.0", false);
        check("0.0.0.0/0", "203.0.113.1", true);
        check("0.0.0.0/0", "::1", false);
        check("::/0", "2001:db8::1", true);
        check("fd00::/8, ::1", "fd12::1", true);
        check("fd00::/8, ::1", "::1", true);
        check("fd00::/8", "fe80::1", false);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for list in ["", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0", "10.0.0.1,", "a/8"]
        {
            assert_eq!(Networks::parse(list), None, "{list}");
        }
    }
}
