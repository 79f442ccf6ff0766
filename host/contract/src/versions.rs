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

/// Decodes 64 hexadecimal digits into 32 bytes. Panics on anything else: where the digits are a
/// constant, that ends the build.
pub const fn digest(hex: &str) -> [u8; 32] {
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
