//! The answers that wait for `receive`.

use crate::contract::{Answer, Reply};

/// A batch in the making.
#[derive(Default)]
pub struct Answers {
    queue: Vec<Answer>,
    /// Of contents, lists and names.
    bytes: usize,
}

impl Answers {
    /// Adds an answer.
    pub fn push(&mut self, id: u64, reply: Reply) {
        self.bytes += match &reply {
            Reply::Data(bytes) | Reply::Changed(bytes) => bytes.len(),
            Reply::Listed(entries) => entries.iter().map(|entry| entry.name.len() + size_of_val(entry)).sum(),
            Reply::Gathered(posts) => posts.iter().map(|post| post.len() + size_of_val(post)).sum(),
            _ => 0,
        };
        self.queue.push(Answer { id, reply });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many bytes of contents, lists and names they hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes them all.
    pub fn take(&mut self) -> Vec<Answer> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }
}
