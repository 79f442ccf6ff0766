//! What is behind the interface: the one seam, and the worlds on its other side.

pub mod live;
pub mod record;
pub mod replay;
pub mod script;
pub mod sim;
mod timers;

use crate::contract::{Answer, Level, Submission};
use crate::exchange::Arity;
use crate::image::{Image, Mismatch};
use crate::stop::Stop;
use crate::trace::{How, KeyFrame};

/// A world: it takes requests and gives answers. Nothing above this trait can tell which one it is.
///
/// A world need not be right: it may answer twice, late, or ids that nobody has sent. Guests bear that, and tests rely
/// on it.
pub trait Backend {
    /// The time at which the run begins: nanoseconds since the Unix epoch.
    fn start(&mut self) -> u64;

    /// Takes a request. Those of one `send` come one after the other, in their order.
    fn submit(&mut self, submission: Submission);

    /// Waits until there is at least one answer. An error ends the guest.
    fn wait(&mut self) -> Result<Batch, Stop>;

    /// A line for the log, already within its limit.
    fn log(&mut self, level: Level, message: &str);

    /// Where the run begins, when that is not its beginning. Asked once, before the guest is called; what it did as it was
    /// instantiated is then forgotten.
    fn resume(&mut self) -> Option<KeyFrame> {
        None
    }

    /// The guest has paused: what is wanted of its state. An error ends it.
    fn paused(&mut self) -> Result<AtPause, Stop> {
        Ok(AtPause::GoOn)
    }

    /// The image that `paused` wanted, with the requests that are pending, in no order; or why there is none, and never
    /// will be.
    fn captured(&mut self, _: Result<(Image, Vec<(u64, Arity)>), String>) {}

    /// What came of the image that `paused` gave to be compared, or `resume` to be put in place. An error ends the guest.
    fn compared(&mut self, _: Result<(), Mismatch>) -> Result<(), Stop> {
        Ok(())
    }

    /// The run has ended. Nothing is asked of this world any more.
    fn ended(&mut self, _: &How) {}
}

/// What a world wants of the state of a guest that has paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtPause {
    /// Nothing.
    GoOn,
    /// An image of it.
    Capture,
    /// To know whether it is this packed image.
    Compare(Vec<u8>),
}

/// What one `receive` brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The time of the batch: nanoseconds since the Unix epoch, never before the last one.
    pub time: u64,
    /// The answers, in the order in which the guest gets them.
    pub answers: Vec<Answer>,
}
