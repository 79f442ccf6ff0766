//! What the shards of a server leave for each other.
//!
//! A server may run as several instances of a guest, its shards, each with clients and memory of
//! its own. A guest needs to know this only if it reports something about all of them, such as
//! counters.

use crate::contract::{Error, Reply, Request};
use crate::request::{Ask, Pending, Sealed, ask};

/// Leaves bytes for the shards of this server, in place of what this one has left before. Fails
/// with `too-large` over `post_bytes_max`.
pub fn post(bytes: impl Into<Vec<u8>>) -> Pending<Post> {
    ask(Post { bytes: bytes.into() })
}

/// Takes what each shard has left last, in their order, this one among them; empty for one that
/// has left nothing.
pub fn gather() -> Pending<Gather> {
    ask(Gather)
}

/// The request of [`post`]; answered with nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// For all shards.
    pub bytes: Vec<u8>,
}

/// The request of [`gather`]; answered with the bytes of each shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather;

impl Sealed for Post {}
impl Sealed for Gather {}

impl Ask for Post {
    type Answer = ();

    fn request(self) -> Request {
        Request::Post(self.bytes)
    }

    fn answer(reply: Reply) -> Option<Result<(), Error>> {
        match reply {
            Reply::Done => Some(Ok(())),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}

impl Ask for Gather {
    type Answer = Vec<Vec<u8>>;

    fn request(self) -> Request {
        Request::Gather
    }

    fn answer(reply: Reply) -> Option<Result<Vec<Vec<u8>>, Error>> {
        match reply {
            Reply::Gathered(posts) => Some(Ok(posts)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}
