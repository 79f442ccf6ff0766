//! A world for tests: it gives a list of answers, and collects the requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use pluto_contract::stop::StopReason;
use pluto_contract::world::{Batch, World};
use pluto_contract::{Level, Submission};

/// Gives the batches of a list, whatever it is asked for, and writes down what it is asked for.
pub struct Script {
    start: u64,
    batches: VecDeque<Batch>,
    transcript: Rc<RefCell<Transcript>>,
    /// Whether the next request is the first since an answer.
    is_new_turn: bool,
}

/// What a guest did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The requests of each turn in which there were any.
    pub sent: Vec<Vec<Submission>>,
    /// The log.
    pub log: Vec<(Level, String)>,
}

impl Script {
    /// A script that begins at `start` (nanoseconds since the Unix epoch), and the transcript that
    /// it writes.
    pub fn new(start: u64, batches: impl IntoIterator<Item = Batch>) -> (Self, Rc<RefCell<Transcript>>) {
        let transcript = Rc::default();
        (
            Self {
                start,
                batches: batches.into_iter().collect(),
                transcript: Rc::clone(&transcript),
                is_new_turn: true,
            },
            transcript,
        )
    }
}

impl World for Script {
    fn start(&mut self) -> u64 {
        self.start
    }

    fn submit(&mut self, submission: Submission) {
        let sent = &mut self.transcript.borrow_mut().sent;
        match sent.last_mut() {
            Some(turn) if !self.is_new_turn => turn.push(submission),
            _ => sent.push(vec![submission]),
        }
        self.is_new_turn = false;
    }

    fn wait(&mut self) -> Result<Batch, StopReason> {
        self.is_new_turn = true;
        self.batches.pop_front().ok_or(StopReason::AnswersEnded)
    }

    fn log(&mut self, level: Level, message: &str) {
        self.transcript.borrow_mut().log.push((level, message.to_owned()));
    }
}
