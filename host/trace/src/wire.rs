//! Encodes numbers and strings as bytes, and decodes them. Decoding bears any input.

use std::fmt;

/// The reason why bytes are not a valid trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end too early.
    Short,
    /// A number is too large for what it means.
    Number,
    /// A string is not UTF-8.
    Text,
    /// There is no such case.
    Case,
    /// The guest cannot be unpacked, or is larger than one may be.
    Guest,
    /// Bytes are left at the end.
    Rest,
    /// A record is in a place where it cannot be.
    Place,
    /// A list has more elements than one can have, or a block or a text is longer than one of its
    /// kind can be.
    Long,
    /// The answers of one turn take more memory than the limits of a host allow.
    Held,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it ends in the midst of a record",
            Self::Number => "a number is too large",
            Self::Text => "a string is no UTF-8",
            Self::Case => "a record is of no known kind",
            Self::Guest => "the guest cannot be unpacked",
            Self::Rest => "something follows that does not belong there",
            Self::Place => "a record stands where none of its kind can",
            Self::Long => "a block, a list or a text is longer than one of its kind can be",
            Self::Held => "the lists of one turn take more memory than a host lets them",
        })
    }
}

impl std::error::Error for Malformed {}

/// Adds a number in LEB128: seven bits a byte, the lowest first. The highest bit says that more
/// bytes follow.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Adds a number as its two halves. Ids and handles are often two small numbers in one: a slot,
/// and the count of its uses.
pub fn put_halves(out: &mut Vec<u8>, number: u64) {
    put_number(out, number & u64::from(u32::MAX));
    put_number(out, number >> 32);
}

/// Adds a signed number in zigzag form, so that small ones stay short.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, (number << 1 ^ number >> 63) as u64);
}

/// Adds bytes, behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Decodes what the functions above have encoded.
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns whether everything is read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the number of bytes that are left. A list has no more elements than this.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Reads one byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.bytes.split_first().ok_or(Malformed::Short)?;
        self.bytes = rest;
        Ok(*first)
    }

    /// Reads what `put_number` wrote.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed::Number)
    }

    /// Reads a number of a smaller type.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.number()?).map_err(|_| Malformed::Number)
    }

    /// Reads what `put_halves` wrote.
    pub fn halves(&mut self) -> Result<u64, Malformed> {
        let (low, high): (u32, u32) = (self.small()?, self.small()?);
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    /// Reads what `put_signed` wrote.
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Reads `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Malformed::Short)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Reads what `put_bytes` wrote.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Malformed::Short)?)
    }

    /// Reads what `put_bytes` wrote, as text.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Text)
    }

    /// Reads the length of a list of at most `most` elements, each of which takes at least
    /// `bytes_min` bytes. So room for all elements at once is a small multiple of the bytes that
    /// are there.
    pub fn length(&mut self, bytes_min: usize, most: usize) -> Result<usize, Malformed> {
        let length: usize = self.small()?;
        if length > most {
            return Err(Malformed::Long);
        }
        if length > self.len() / bytes_min { Err(Malformed::Short) } else { Ok(length) }
    }

    /// Reads text of at most `bytes_max` bytes.
    pub fn short_text(&mut self, bytes_max: usize) -> Result<&'a str, Malformed> {
        let text = self.text()?;
        if text.len() > bytes_max { Err(Malformed::Long) } else { Ok(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for shift in 0..64 {
            for number in [1_u64 << shift, (1 << shift) - 1, !(1 << shift), u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put_number(&mut bytes, number);
                put_halves(&mut bytes, number);
                put_signed(&mut bytes, number as i64);
                let mut reader = Reader::new(&bytes);
                assert_eq!(reader.number(), Ok(number));
                assert_eq!(reader.halves(), Ok(number));
                assert_eq!(reader.signed(), Ok(number as i64));
                assert!(reader.is_empty());
            }
        }
    }

    #[test]
    fn any_bytes_are_borne() {
        for bytes in [&[][..], &[0x80], &[0xff; 10], &[0xff; 11], &[5, 1, 2], &[0xff, 0xff, 0xff, 0xff, 0x7f, 1]] {
            let read = |read: fn(&mut Reader<'_>) -> bool| read(&mut Reader::new(bytes));
            read(|reader| reader.number().is_ok());
            assert!(!read(|reader| reader.bytes().is_ok()), "{bytes:?}");
            assert!(!read(|reader| reader.length(1, usize::MAX).is_ok()), "{bytes:?}");
        }
    }
}
