//! What the operator wants of a running guest.

use crate::contract::{Error, Reply, Request, Signal};
use crate::request::{Answers, AskMany, Sealed, answers};

/// Asks to be told what the operator wants.
///
/// A guest that asks can be paused as well: the executor sees to that at the next quiet point, and
/// the guest never notices.
pub fn signals() -> Signals {
    Signals { answers: answers(SignalsRequest) }
}

/// The operator's wishes. Dropping it ends them.
#[derive(Debug)]
pub struct Signals {
    answers: Answers<SignalsRequest>,
}

impl Signals {
    /// Waits for the next wish: `Stop` or `Reload`, never `Pause`; or for the news that lines of
    /// the log were lost. After an error there are no more, and every further call gives the same
    /// error.
    pub async fn next(&mut self) -> Result<Signal, Error> {
        self.answers.next_or_final().await
    }
}

/// The request of [`signals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalsRequest;

impl Sealed for SignalsRequest {}

impl AskMany for SignalsRequest {
    type Answer = Signal;

    fn request(self) -> Request {
        Request::Signals
    }

    fn answer(reply: Reply) -> Option<Result<Signal, Error>> {
        match reply {
            Reply::Signal(signal) => Some(Ok(signal)),
            Reply::Failed(error) => Some(Err(error)),
            _ => None,
        }
    }
}
