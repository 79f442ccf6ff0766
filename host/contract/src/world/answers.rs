//! The answers that wait for `receive`.

use crate::limits;
use crate::types::{Answer, Entry, Error, Id, Reply};

/// The answers of the next batch.
#[derive(Default)]
pub struct Answers {
    /// The answers, in the order in which the guest gets them.
    queue: Vec<Answer>,
    /// Memory that the answers hold besides themselves, in bytes. The answers themselves are
    /// counted with their requests.
    bytes: usize,
}

impl Answers {
    /// Adds an answer.
    #[inline]
    pub fn push(&mut self, id: Id, reply: Reply) {
        self.bytes += held(&reply);
        self.queue.push(Answer { id, reply });
    }

    /// Returns whether no answer waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns the memory that the answers hold besides themselves, in bytes.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many more bytes the answers may hold.
    #[inline]
    pub fn room(&self) -> usize {
        limits::ANSWER_BYTES_QUEUED_MAX.saturating_sub(self.bytes)
    }

    /// Checks that there is room for an answer that holds this many bytes. The error is
    /// `Exhausted`.
    #[inline]
    pub fn has_room(&self, bytes: usize) -> Result<(), Error> {
        if bytes <= self.room() { Ok(()) } else { Err(Error::Exhausted) }
    }

    /// Returns the reply if there is room for it. The error is `Exhausted`.
    #[inline]
    pub fn has_room_for(&self, reply: Reply) -> Result<Reply, Error> {
        self.has_room(held(&reply)).map(|()| reply)
    }

    /// Takes all answers.
    #[inline]
    pub fn take(&mut self) -> Vec<Answer> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }
}

/// Returns the memory that a reply holds besides itself, in bytes: all that is allocated, used or
/// not.
fn held(reply: &Reply) -> usize {
    match reply {
        Reply::Data(bytes) | Reply::Changed(bytes) => bytes.capacity(),
        Reply::Listed(entries) => {
            let names: usize = entries.iter().map(|entry| entry.name.capacity()).sum();
            names + entries.capacity() * size_of::<Entry>()
        }
        Reply::Gathered(posts) => {
            let bytes: usize = posts.iter().map(Vec::capacity).sum();
            bytes + posts.capacity() * size_of::<Vec<u8>>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_what_they_hold() {
        let mut answers = Answers::default();
        let mut data = Vec::with_capacity(100_000);
        data.push(b'x');
        answers.push(1, Reply::Data(data));
        answers.push(2, Reply::Done);
        assert_eq!(answers.bytes(), 100_000);
        let room = limits::ANSWER_BYTES_QUEUED_MAX - answers.bytes();
        assert_eq!(answers.has_room(room), Ok(()));
        assert_eq!(answers.has_room(room + 1), Err(Error::Exhausted));
        assert_eq!((answers.take().len(), answers.bytes()), (2, 0));
    }
}
