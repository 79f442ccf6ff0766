//! Several parts of a representation in one response (RFC 9110 §14.6).

use super::media::Media;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

/// The content of a response of several parts. The parts' bytes are sent by reference; this writes
/// what is between them.
#[derive(Clone, Debug)]
pub struct Multipart {
    parts: Vec<Range<u64>>,
    media: Media,
    /// Of the whole representation.
    length: u64,
    boundary: [u8; BOUNDARY_BYTES],
}

/// 128 bits in hexadecimal digits.
const BOUNDARY_BYTES: usize = 32;

impl Multipart {
    /// These parts of a representation, sent at this time in nanoseconds since the Unix epoch.
    ///
    /// The boundary is made of the time, which nobody who writes a file knows: the chance that it
    /// stands in a content of a terabyte is below 2^-88. A reader who goes by the lengths in
    /// `Content-Range` does not depend on it.
    pub fn new(parts: Vec<Range<u64>>, media: Media, length: u64, now: u64) -> Multipart {
        let mut boundary = [0; BOUNDARY_BYTES];
        for (salt, half) in (0_u8..).zip(boundary.chunks_exact_mut(BOUNDARY_BYTES / 2)) {
            // SipHash without a key: the same in each run, as a run depends on its answers alone.
            let mut hasher = DefaultHasher::new();
            (salt, now, length, &parts).hash(&mut hasher);
            half.copy_from_slice(format!("{:016x}", hasher.finish()).as_bytes());
        }
        Multipart { parts, media, length, boundary }
    }

    /// How many parts there are.
    pub fn count(&self) -> usize {
        self.parts.len()
    }

    /// A part of the representation.
    pub fn part(&self, index: usize) -> Range<u64> {
        self.parts[index].clone()
    }

    /// The value of `Content-Type` for all of it.
    pub fn content_type(&self) -> Vec<u8> {
        [b"multipart/byteranges; boundary=", &self.boundary[..]].concat()
    }

    /// What stands before a part: RFC 9110 §14.6, RFC 2046 §5.1.1.
    pub fn write_part_head(&self, index: usize, out: &mut Vec<u8>) {
        let [essence, charset] = self.media.content_type();
        // The line end before the boundary belongs to it; before the first there is none.
        let before: &[u8] = if index == 0 { b"--" } else { b"\r\n--" };
        for piece in [before, &self.boundary, b"\r\nContent-Type: ", essence.as_bytes(), charset.as_bytes(), b"\r\n"] {
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(b"Content-Range: ");
        write_content_range(&self.parts[index], self.length, out);
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// What stands behind the last part.
    pub fn write_end(&self, out: &mut Vec<u8>) {
        for piece in [b"\r\n--", &self.boundary[..], b"--\r\n"] {
            out.extend_from_slice(piece);
        }
    }

    /// How long all of it is, in bytes.
    pub fn content_length(&self) -> u64 {
        let mut own = Vec::new();
        (0..self.count()).for_each(|index| self.write_part_head(index, &mut own));
        self.write_end(&mut own);
        own.len() as u64 + self.parts.iter().map(|part| part.end - part.start).sum::<u64>()
    }
}

/// The value of `Content-Range` for a part (RFC 9110 §14.4), which is not empty.
pub fn write_content_range(part: &Range<u64>, length: u64, out: &mut Vec<u8>) {
    for (before, number) in [(&b"bytes "[..], part.start), (b"-", part.end - 1), (b"/", length)] {
        out.extend_from_slice(before);
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_between_boundaries() {
        let multipart = Multipart::new(vec![0..1, 8..10], Media::of(b"a.txt"), 10, 1);
        let mut out = Vec::new();
        for index in 0..multipart.count() {
            multipart.write_part_head(index, &mut out);
            out.extend_from_slice(
                &b"0123456789"[multipart.part(index).start as usize..multipart.part(index).end as usize],
            );
        }
        multipart.write_end(&mut out);
        assert_eq!(multipart.content_length(), out.len() as u64);
        let boundary = String::from_utf8_lossy(&multipart.boundary).into_owned();
        assert_eq!(multipart.content_type(), format!("multipart/byteranges; boundary={boundary}").as_bytes());
        let expected = format!(
            "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn boundaries_differ_from_each_other() {
        let boundary = |now| Multipart::new(vec![0..1, 2..3], Media::of(b"a"), 10, now).boundary;
        assert_ne!(boundary(1), boundary(2));
        assert!(boundary(1)[..16] != boundary(1)[16..]);
    }
}
