//! Key frames: the state of a guest at a pause, which a recorder copies and a replayer compares.

use crate::KeyFrame;
use crate::image::{Image, Mismatch};
use pluto_contract::stop::{Exit, StopReason};
use pluto_contract::world::{Batch, World};
use pluto_contract::{Arity, Level, Submission};

/// Takes key frames of a guest, or compares the guest with key frames that were taken before.
pub trait KeyFrames {
    /// Returns the key frame at which the run begins, or none when it begins at its beginning.
    /// Called once, before the guest's `run`. With a key frame, the effects of the guest's
    /// instantiation are forgotten.
    fn resume(&mut self) -> Option<KeyFrame>;

    /// Returns what to do with the state of the guest, which has paused. An error ends the guest.
    fn paused(&mut self) -> Result<AtPause, StopReason>;

    /// Takes the image that `paused` asked for, with the pending requests in no order. An error
    /// says why there is no image and never will be one.
    fn captured(&mut self, captured: Result<(Image, Vec<(u64, Arity)>), String>);

    /// Takes the result of comparing the guest with the image that `paused` gave, or of restoring
    /// the image that `resume` gave. An error ends the guest.
    fn compared(&mut self, result: Result<(), Mismatch>) -> Result<(), StopReason>;

    /// Takes note that the run has ended. Nothing else is called afterwards.
    fn ended(&mut self, exit: &Exit);
}

/// What to do with the state of a guest that has paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtPause {
    /// Nothing.
    GoOn,
    /// Make an image of the state.
    Capture,
    /// Compare the state with this packed image.
    Compare(Vec<u8>),
}

/// A world that a guest can run in: it also knows what to do at a pause.
pub trait PausableWorld: World + KeyFrames {}

impl<W: World + KeyFrames> PausableWorld for W {}

/// A world without key frames.
pub struct WithoutKeyFrames<W>(pub W);

impl<W: World> World for WithoutKeyFrames<W> {
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

impl<W> KeyFrames for WithoutKeyFrames<W> {
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
