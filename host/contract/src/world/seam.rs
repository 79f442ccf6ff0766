//! The interface of a world: it takes a guest's requests and gives answers.

use crate::stop::StopReason;
use crate::{Answer, Level, Submission};

/// A world: it takes requests and gives answers. Nothing above this trait can tell which one it
/// is.
///
/// A world may misbehave: it may answer twice, late, or with ids that nobody has sent. Guests must
/// bear that, and tests rely on it.
pub trait World {
    /// Returns the time at which the run begins: nanoseconds since the Unix epoch. Called once,
    /// before everything else.
    fn start(&mut self) -> u64;

    /// Takes a request. The requests of one `send` come one after the other, in their order.
    fn submit(&mut self, submission: Submission);

    /// Waits until there is at least one answer. An error ends the guest.
    fn wait(&mut self) -> Result<Batch, StopReason>;

    /// Writes a line to the log. The line is already within its limit.
    fn log(&mut self, level: Level, message: &str);
}

/// The answers that one `receive` returns, and their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The time of the batch: nanoseconds since the Unix epoch, never before the last one.
    pub time: u64,
    /// The answers, in the order in which the guest gets them.
    pub answers: Vec<Answer>,
}
