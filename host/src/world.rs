//! The seam: what a guest's requests go into and its answers come out of.

use crate::contract::{Answer, Level, Submission};
use crate::stop::StopReason;

/// A world: it takes requests and gives answers. Nothing above this trait can tell which one it
/// is.
///
/// A world need not be right: it may answer twice, late, or ids that nobody has sent. Guests bear
/// that, and tests rely on it.
pub trait World {
    /// The time at which the run begins: nanoseconds since the Unix epoch. Called once, first.
    fn start(&mut self) -> u64;

    /// Takes a request. Those of one `send` come one after the other, in their order.
    fn submit(&mut self, submission: Submission);

    /// Waits until there is at least one answer. An error ends the guest.
    fn wait(&mut self) -> Result<Batch, StopReason>;

    /// A line for the log, already within its limit.
    fn log(&mut self, level: Level, message: &str);
}

/// What one `receive` brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The time of the batch: nanoseconds since the Unix epoch, never before the last one.
    pub time: u64,
    /// The answers, in the order in which the guest gets them.
    pub answers: Vec<Answer>,
}
