//! Format 5 of a trace, which hosts wrote from 2026-11-25 to 2026-12-01.
//!
//! Its header names the contract by the SHA-256 of `wit/system.wit`, comments included, and does
//! not name the host. Everything else is as in format 6. A trace of format 5 keeps its format when
//! it is converted to text and back.

use super::fields::{put_run, read_digest, read_run};
use super::header::{Contract, Header};
use super::hex::hex;
use super::wire::{Malformed, Reader};
use pluto_contract::versions::{SPOKEN, digest};

/// The number of the format.
pub(super) const NUMBER: u16 = 5;

/// The interface as guests of that time imported it. Its version was the same through several
/// contracts.
pub const INTERFACE: &str = "pluto:system/io@0.1.0";

/// A source text of the contract that a header can name.
struct Source {
    sha256: [u8; 32],
    /// The last commit whose host replays its traces; none when the text is the contract that
    /// became 0.2.0.
    commit: Option<&'static str>,
}

/// All texts of `wit/system.wit` while hosts wrote this format, the oldest first. In the first
/// four, `signal` could not yet say that lines of the log were lost.
const SOURCES: [Source; 6] = [
    earlier("14eb3f6a2727682ae0f7d743b575504c0baf16c74a7095aa9322df0553f76ad6", "b6560dc"),
    earlier("d915c5cf7364d74656db4f03f6f217f17b7aed8f17e266b5da19b49865127cbf", "f0bc9e0"),
    earlier("0572e47c1a9e6204c7f3f29c4657bab797994ac98b38220a38b31b3e8006a488", "9484843"),
    earlier("c429fa3577abff328d7e61e9f909a0d17e67462e50df9838b0b733d77266c5ab", "648c5d8"),
    last("f05f4aef47c190ccc72fef64f91b7529bebabcc11c42cb0df1a54c6b986649b2"),
    last("bc839dfb80d22dc392ac0f5672655e87d8bee6153ef883bfcb9d7863a96e0544"),
];

const fn earlier(sha256: &str, commit: &'static str) -> Source {
    Source { sha256: digest(sha256), commit: Some(commit) }
}

const fn last(sha256: &str) -> Source {
    Source { sha256: digest(sha256), commit: None }
}

/// Returns why this host cannot repeat a run whose header names this contract, and which host can.
pub(super) fn differs(sha256: &[u8; 32]) -> Option<String> {
    let spoken = SPOKEN.number;
    let replay = match SOURCES.iter().find(|source| source.sha256 == *sha256) {
        Some(Source { commit: None, .. }) => return None,
        Some(Source { commit: Some(commit), .. }) => format!(
            "an earlier pluto:system 0.1.0, and this pluto-host speaks {spoken}: replay it with a pluto-host built \
             from commit {commit}"
        ),
        None => format!(
            "a wit/system.wit that this pluto-host does not know (SHA-256 {}): replay it with the pluto-host that has \
             recorded it",
            hex(sha256)
        ),
    };
    Some(format!("it was recorded in format {NUMBER} with {replay}"))
}

/// Adds a header's encoding.
pub(super) fn put_header(out: &mut Vec<u8>, header: &Header, source_sha256: &[u8; 32]) {
    out.extend(header.guest_sha256);
    out.extend(source_sha256);
    put_run(out, header);
}

/// Reads a header.
pub(super) fn read_header(reader: &mut Reader<'_>) -> Result<Header, Malformed> {
    let (guest, contract) = (read_digest(reader)?, Contract::Source(read_digest(reader)?));
    read_run(reader, guest, contract, String::new())
}
