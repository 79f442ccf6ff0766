//! What a recorder and a replayer want of a guest besides its requests: its state, at a pause.

use crate::contract::{Arity, Level, Submission};
use crate::image::{Image, Mismatch};
use crate::stop::{Exit, StopReason};
use crate::trace::KeyFrame;
use crate::world::{Batch, World};

/// Takes checkpoints of a guest, or compares it with those that were taken.
pub trait Checkpoints {
    /// The checkpoint at which the run begins, when that is not its beginning. Called once, before
    /// the guest's `run`; what the guest did as it was instantiated is then forgotten.
    fn resume(&mut self) -> Option<KeyFrame>;

    /// The guest has paused: what is wanted of its state. An error ends the guest.
    fn paused(&mut self) -> Result<AtPause, StopReason>;

    /// The image that `paused` wanted, with the requests that are pending, in no order; or why
    /// there is none, and never will be.
    fn captured(&mut self, captured: Result<(Image, Vec<(u64, Arity)>), String>);

    /// The result of comparing the guest with the image that `paused` gave, or of putting the
    /// image of `resume` in place. An error ends the guest.
    fn compared(&mut self, result: Result<(), Mismatch>) -> Result<(), StopReason>;

    /// The run has ended. Nothing is asked of this world any more.
    fn ended(&mut self, how: &Exit);
}

/// What is wanted of the state of a guest that has paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtPause {
    /// Nothing.
    GoOn,
    /// An image of it.
    Capture,
    /// To know whether it is this packed image.
    Compare(Vec<u8>),
}

/// A world that a guest can be put into: it knows what to do at a pause.
pub trait CheckpointedWorld: World + Checkpoints {}

impl<W: World + Checkpoints> CheckpointedWorld for W {}

/// A world that wants no checkpoints.
pub struct WithoutCheckpoints<W>(pub W);

impl<W: World> World for WithoutCheckpoints<W> {
    fn start(&mut self) -> u64 {
        self.0.start()
    }

    fn submit(&mut self, submission: Submission) {
        self.0.submit(submission);
    }

    fn wait(&mut self) -> Result<Batch, StopReason> {
        self.0.wait()
    }

    fn log(&mut self, level: Level, message: &str) {
        self.0.log(level, message);
    }
}

impl<W> Checkpoints for WithoutCheckpoints<W> {
    fn resume(&mut self) -> Option<KeyFrame> {
        None
    }

    fn paused(&mut self) -> Result<AtPause, StopReason> {
        Ok(AtPause::GoOn)
    }

    fn captured(&mut self, _: Result<(Image, Vec<(u64, Arity)>), String>) {}

    fn compared(&mut self, result: Result<(), Mismatch>) -> Result<(), StopReason> {
        assert!(result.is_ok(), "a world that has given no image is told that it is another one");
        Ok(())
    }

    fn ended(&mut self, _: &Exit) {}
}
