//! The released versions of the contract.
//!
//! `wit/released/VERSION.wit` is the contract of each version without its documentation. A version
//! is added here and there when the contract changes; nothing that was released is changed
//! afterwards. `cargo xtask tidy` holds `wit/system.wit` against the copy of its version, and
//! `tests/compat.rs` holds the copies against this table.

/// A version of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The version of the package `pluto:system`.
    pub number: &'static str,
    /// The identity of the version's world: see `Shape::identity`.
    pub identity: [u8; 32],
}

/// The contract that this host speaks.
pub const SPOKEN: Version = RELEASED[RELEASED.len() - 1];

/// All released versions, the oldest first.
pub const RELEASED: [Version; 1] =
    [Version { number: "0.2.0", identity: digest("f257db0ba8fe8ff977b0ef823454212876e005913387b10a74266971e347262e") }];

/// Decodes 64 hexadecimal digits into 32 bytes.
pub(crate) const fn digest(hex: &str) -> [u8; 32] {
    let hex = hex.as_bytes();
    assert!(hex.len() == 64);
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = nibble(hex[2 * at]) << 4 | nibble(hex[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("a lowercase hexadecimal digit is expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::INTERFACE;
    use crate::contract::shape::Shape;
    use crate::trace::hex::hex;

    #[test]
    fn the_spoken_version_is_that_of_the_contract() {
        let source = include_str!("../../../wit/system.wit");
        let found = Shape::of_document(source).expect("sound").identity();
        assert_eq!(
            hex(&found),
            hex(&SPOKEN.identity),
            "wit/system.wit has changed: give its package another version, put a copy without documentation into \
             wit/released/, and add both to the table"
        );
        assert!(source.starts_with(&format!("package pluto:system@{};\n", SPOKEN.number)));
        assert_eq!(INTERFACE, format!("pluto:system/io@{}", SPOKEN.number));
    }
}
