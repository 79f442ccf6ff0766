//! Format 6 of a trace, which this host writes.
//!
//! The header names the contract by its version and its identity, and the host that recorded the
//! run.

use super::fields::{put_run, read_digest, read_run, read_words};
use super::header::{Contract, Header};
use super::wire::{Malformed, Reader, put_bytes};
use pluto_contract::versions::SPOKEN;

/// The number of the format. Anything that changes in `codec`, `records`, `sum`, `binary` or here
/// makes a new format, and what reads this one stays.
pub(super) const NUMBER: u16 = 6;

/// Returns why this host cannot repeat a run of this contract, and which host can.
pub(super) fn differs(version: &str, identity: &[u8; 32], host: &str) -> Option<String> {
    let here = SPOKEN.number;
    let other = if version == here { "another " } else { "" };
    (*identity != SPOKEN.identity).then(|| {
        format!(
            "it was recorded by {host} with {other}pluto:system {version}, and this pluto-host speaks {here}: replay it \
             with {host}"
        )
    })
}

/// Adds a header's encoding.
pub(super) fn put_header(out: &mut Vec<u8>, header: &Header, version: &str, identity: &[u8; 32]) {
    out.extend(header.guest_sha256);
    out.extend(identity);
    put_bytes(out, version.as_bytes());
    put_bytes(out, header.host.as_bytes());
    put_run(out, header);
}

/// Reads a header.
pub(super) fn read_header(reader: &mut Reader<'_>) -> Result<Header, Malformed> {
    let (guest, identity) = (read_digest(reader)?, read_digest(reader)?);
    let (version, host) = (read_words(reader)?, read_words(reader)?);
    read_run(reader, guest, Contract::Named { version, identity }, host)
}
