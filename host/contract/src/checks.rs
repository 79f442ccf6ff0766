//! What the contract says of the parts of a request: paths, ranges, parts of a write, ports.

use crate::limits;
use crate::types::{Error, Listing, Part, Range, Read};

/// Checks a path before anybody looks for it. Where it leads is for the world to say.
pub fn path(path: &[u8]) -> Result<(), Error> {
    if path.len() > limits::PATH_BYTES_MAX || path.contains(&0) { Err(Error::Invalid) } else { Ok(()) }
}

/// Checks what a shard leaves for the others.
pub fn post(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > limits::POST_BYTES_MAX { Err(Error::TooLarge) } else { Ok(()) }
}

/// Checks the size of a file that is to be digested, in bytes.
pub fn digest(size: u64) -> Result<(), Error> {
    if size > limits::DIGEST_BYTES_MAX { Err(Error::TooLarge) } else { Ok(()) }
}

/// Chooses the port that a guest gets when it asks for one. `ports` are those that it was granted:
/// the number by which each was granted, and the number that it has. 0 may be several ports: then
/// it is the first on which the guest does not listen. Returns the place of the port in `ports`.
pub fn port(
    wanted: u16,
    ports: impl Iterator<Item = (u16, u16)> + Clone,
    is_taken: impl Fn(u16) -> bool,
) -> Result<usize, Error> {
    let mut granted = ports.enumerate().filter(|(_, (asked, given))| wanted == *asked || wanted == *given).peekable();
    granted.peek().ok_or(Error::NotPermitted)?;
    let free = granted.find(|(_, (_, given))| !is_taken(*given));
    free.map(|(index, _)| index).ok_or(Error::AddressInUse)
}

impl Read {
    /// Returns how many bytes the read takes at most. This is checked before it is looked at
    /// whether another read is pending.
    #[inline]
    pub fn limit(&self) -> Result<usize, Error> {
        match self.bytes_max {
            0 => Err(Error::Invalid),
            bytes => Ok((bytes as usize).min(limits::READ_BYTES_MAX)),
        }
    }
}

impl Listing {
    /// Asks for all entries of a directory, as far as one answer holds them.
    pub fn all(path: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into().into(), after: Box::default(), entries_max: u32::MAX }
    }

    /// Checks the request. Returns how many entries it takes at most.
    pub fn limit(&self) -> Result<usize, Error> {
        path(&self.path)?;
        match self.entries_max {
            0 => Err(Error::Invalid),
            entries => Ok((entries as usize).min(limits::LIST_ENTRIES_MAX)),
        }
    }
}

impl Range {
    /// Returns where a range of a file ends, in bytes from the start of the file.
    #[inline]
    pub fn end(&self) -> Result<u64, Error> {
        self.offset.checked_add(self.length).ok_or(Error::Invalid)
    }

    /// Returns the range as indices of a buffer of `size` bytes.
    #[inline]
    pub fn of_buffer(&self, size: usize) -> Result<std::ops::Range<usize>, Error> {
        let end = self.end()?;
        if end > size as u64 { Err(Error::Invalid) } else { Ok(self.offset as usize..end as usize) }
    }

    /// Returns how many bytes of a file of `size` bytes the range holds.
    pub fn of_file(&self, size: u64) -> u64 {
        self.length.min(size.saturating_sub(self.offset))
    }

    /// Returns the range that a `read-file` takes: no more than is read at a time.
    #[inline]
    pub fn to_read(&self) -> Self {
        Self { length: self.length.min(limits::FILE_READ_BYTES_MAX), ..*self }
    }

    /// Checks the range that a `load` takes.
    #[inline]
    pub fn to_load(&self) -> Result<(), Error> {
        if self.length > limits::BUFFER_BYTES_MAX { Err(Error::TooLarge) } else { Ok(()) }
    }
}

/// Checks the parts of a write, which a world takes in their order.
pub struct Parts {
    /// The guest's own bytes.
    own_bytes: usize,
}

impl Parts {
    /// Begins to check these parts.
    #[inline]
    pub fn new(parts: &[Part]) -> Result<Self, Error> {
        if parts.len() > limits::WRITE_PARTS_MAX { Err(Error::TooLarge) } else { Ok(Self { own_bytes: 0 }) }
    }

    /// Counts bytes of the guest.
    #[inline]
    pub fn own(&mut self, bytes: &[u8]) {
        self.own_bytes += bytes.len();
    }

    /// Ends the check, when all parts were taken.
    #[inline]
    pub fn finish(self) -> Result<(), Error> {
        if self.own_bytes > limits::WRITE_BYTES_MAX { Err(Error::TooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_granted_by_its_number_and_0_is_each_of_those_that_the_system_chose() {
        let ports = [(0, 41_000), (80, 80), (0, 41_001)];
        let chosen = |wanted, taken: &[u16]| port(wanted, ports.iter().copied(), |port| taken.contains(&port));
        assert_eq!(chosen(80, &[]), Ok(1));
        assert_eq!(chosen(80, &[80]), Err(Error::AddressInUse));
        assert_eq!(chosen(81, &[]), Err(Error::NotPermitted));
        assert_eq!(chosen(0, &[]), Ok(0));
        assert_eq!(chosen(0, &[41_000]), Ok(2));
        assert_eq!(chosen(0, &[41_000, 41_001]), Err(Error::AddressInUse));
        assert_eq!(chosen(41_001, &[]), Ok(2));
    }

    #[test]
    fn ranges_end_within_buffers_and_are_cut_at_the_end_of_files() {
        let range = |offset, length| Range { handle: 1, offset, length };
        assert_eq!(range(2, 3).of_buffer(5), Ok(2..5));
        assert_eq!(range(5, 0).of_buffer(5), Ok(5..5));
        assert_eq!(range(2, 4).of_buffer(5), Err(Error::Invalid));
        assert_eq!(range(u64::MAX, 2).of_buffer(5), Err(Error::Invalid));
        assert_eq!(range(u64::MAX, 2).end(), Err(Error::Invalid));
        assert_eq!((range(2, 9).of_file(5), range(9, 9).of_file(5)), (3, 0));
        assert_eq!(range(0, u64::MAX).to_read().length, limits::FILE_READ_BYTES_MAX);
        assert_eq!(range(0, limits::BUFFER_BYTES_MAX + 1).to_load(), Err(Error::TooLarge));
    }
}
