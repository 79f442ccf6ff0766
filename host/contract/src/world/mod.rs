//! What every world keeps of a guest: its pending requests, the answers that wait for it, and what
//! its handles name.

mod answers;
mod objects;
mod requests;

pub use self::answers::Answers;
pub use self::objects::{Object, Objects};
pub use self::requests::Requests;
