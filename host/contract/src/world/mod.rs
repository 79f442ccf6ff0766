//! What every world keeps of a guest: its pending requests, the answers that wait for it, what its
//! handles name, and what is to happen later.

mod answers;
mod objects;
mod requests;
mod seam;
mod timers;

pub use self::answers::Answers;
pub use self::objects::{Object, Objects};
pub use self::requests::Requests;
pub use self::seam::{Batch, World};
pub use self::timers::{TimerKey, Timers};
