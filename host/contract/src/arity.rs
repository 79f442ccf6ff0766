//! How often a request is answered.

use crate::types::Reply;

/// How often a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// The first answer is the final one.
    Once,
    /// Only `failed` is a final answer.
    Many,
}

impl Arity {
    /// Returns whether this is the final answer to a request.
    pub fn is_final(self, reply: &Reply) -> bool {
        match self {
            Self::Once => true,
            Self::Many => matches!(reply, Reply::Failed(_)),
        }
    }
}
