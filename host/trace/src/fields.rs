//! Encodes the fields that the headers of all formats have in common.

use super::header::{Contract, Header};
use super::wire::{Malformed, Reader, put_bytes, put_number};
use crate::limits;

pub(super) fn read_digest(reader: &mut Reader<'_>) -> Result<[u8; 32], Malformed> {
    reader.take(32)?.try_into().map_err(|_| Malformed::Short)
}

/// Reads a name or a number of a version.
pub(super) fn read_words(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    reader.short_text(limits::TRACE_WORDS_BYTES_MAX).map(str::to_owned)
}

/// Adds the end of a header: the run's engine, memory, limits, arguments and start.
pub(super) fn put_run(out: &mut Vec<u8>, header: &Header) {
    put_bytes(out, header.engine.as_bytes());
    put_number(out, header.memory_max);
    for list in [&header.limits, &header.arguments] {
        put_number(out, list.len() as u64);
        list.iter().for_each(|text| put_bytes(out, text.as_bytes()));
    }
    put_number(out, header.start);
}

/// Reads the end of a header. Returns the header, with the given first fields.
pub(super) fn read_run(
    reader: &mut Reader<'_>,
    guest_sha256: [u8; 32],
    contract: Contract,
    host: String,
) -> Result<Header, Malformed> {
    let list = |reader: &mut Reader<'_>, most: usize, bytes_max: usize| {
        let length = reader.length(1, most)?;
        (0..length).map(|_| reader.short_text(bytes_max).map(str::to_owned)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Header {
        guest_sha256,
        contract,
        host,
        engine: read_words(reader)?,
        memory_max: reader.number()?,
        limits: list(reader, limits::TRACE_LIMITS_MAX, limits::TRACE_WORDS_BYTES_MAX)?,
        arguments: list(reader, limits::TRACE_ARGUMENTS_MAX, usize::MAX)?,
        start: reader.number()?,
    })
}
