//! Bytes of files and buffers, and what is written to a client.

use std::collections::VecDeque;
use std::rc::Rc;

/// The content of a part of a file, or of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The bytes.
    Bytes(Rc<[u8]>),
    /// Only how many bytes there are: a recording does not hold what the guest sent from a file.
    Unknown(u64),
}

/// What is left of a write, for the client that takes it.
#[derive(Debug)]
pub struct Output {
    /// When the guest wrote: nanoseconds since the Unix epoch.
    pub since: u64,
    parts: VecDeque<Part>,
    left: u64,
}

/// A range of a content.
#[derive(Debug)]
struct Part {
    content: Content,
    start: u64,
    end: u64,
}

impl Content {
    /// Returns the number of bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Unknown(length) => *length,
        }
    }
}

impl Output {
    /// Returns an output without a byte, written at this time.
    pub fn new(since: u64) -> Self {
        Self { since, parts: VecDeque::new(), left: 0 }
    }

    /// Adds a range of a content, which must lie within it.
    pub fn push(&mut self, content: Content, range: std::ops::Range<u64>) {
        assert!(range.start <= range.end && range.end <= content.length(), "a range within the content");
        self.left += range.end - range.start;
        if !range.is_empty() {
            self.parts.push_back(Part { content, start: range.start, end: range.end });
        }
    }

    /// Returns how many bytes are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes everything, whether its bytes are known or not.
    pub fn skip(&mut self) {
        self.parts.clear();
        self.left = 0;
    }

    /// Takes at most so many bytes, and appends them to `taken`.
    ///
    /// Panics when the bytes are not known: clients that look at bytes need files that have them.
    pub fn take(&mut self, bytes_max: u64, taken: &mut Vec<u8>) {
        let mut room = bytes_max.min(self.left);
        self.left -= room;
        while room > 0 {
            let part = self.parts.front_mut().expect("what is left lies in parts");
            let end = part.end.min(part.start + room);
            let Content::Bytes(bytes) = &part.content else { panic!("bytes that nobody knows") };
            taken.extend_from_slice(&bytes[part.start as usize..end as usize]);
            room -= end - part.start;
            part.start = end;
            if part.start == part.end {
                self.parts.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_taken_across_its_parts() {
        let mut output = Output::new(0);
        output.push(Content::Bytes(Rc::from(*b"-hello-")), 1..6);
        output.push(Content::Bytes(Rc::from(*b"")), 0..0);
        output.push(Content::Bytes(Rc::from(*b", world")), 0..7);
        let mut taken = Vec::new();
        output.take(7, &mut taken);
        assert_eq!((&taken[..], output.left()), (&b"hello, "[..], 5));
        output.take(99, &mut taken);
        assert_eq!((&taken[..], output.left()), (&b"hello, world"[..], 0));
    }

    #[test]
    #[should_panic(expected = "bytes that nobody knows")]
    fn bytes_that_are_not_known_are_not_made_up() {
        let mut output = Output::new(0);
        output.push(Content::Unknown(5), 0..5);
        output.take(1, &mut Vec::new());
    }
}
