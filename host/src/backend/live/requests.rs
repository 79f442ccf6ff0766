//! The requests of a guest that are pending, and the answers that wait for it.

use hashbrown::HashMap;

use super::answers::Answers;
use crate::backend::timers::TimerKey;
use crate::contract::{Error, Reply};

/// The requests of a guest that are pending, and the answers that wait for it.
#[derive(Default)]
pub struct Requests {
    /// The pending requests, by id. A request that was answered at once was never among them.
    pending: HashMap<u64, Pending>,
    /// The next batch.
    pub answers: Answers,
}

/// The event that a pending request waits for, which `cancel` has to end.
pub enum Pending {
    /// Clients of the listener of this serial number.
    Listen(u64),
    /// Bytes from the connection of this handle.
    Read(u64),
    /// The client of the connection of this handle, which takes bytes.
    Write(u64),
    /// A timer.
    Sleep(TimerKey),
    /// Changes that the system's watch of this number reports.
    Watch(i32),
    /// The digest of this serial number.
    Digest(u64),
    /// The call of this number, which a thread makes.
    Disk(u64),
    /// Signals.
    Signals,
}

impl Requests {
    /// Makes a request pending.
    pub fn wait(&mut self, id: u64, what: Pending) {
        let before = self.pending.insert(id, what);
        assert!(before.is_none(), "request {id} is pending already");
    }

    /// Gives a pending request its final answer.
    pub fn finish(&mut self, id: u64, reply: Reply) {
        self.go_on(id);
        self.answers.push(id, reply);
    }

    /// Removes a request whose event has come. The caller answers the request, or makes it wait
    /// for something else.
    pub fn go_on(&mut self, id: u64) {
        assert!(self.pending.remove(&id).is_some(), "request {id} has its final answer already");
    }

    /// Removes a request that is to be cancelled. Returns none when the request has its final
    /// answer, or was never sent.
    pub fn cancel(&mut self, id: u64) -> Option<Pending> {
        self.pending.remove(&id)
    }

    /// Answers a request that is not pending, or no longer pending.
    pub fn answer(&mut self, id: u64, result: Result<Reply, Error>) {
        self.answers.push(id, result.unwrap_or_else(Reply::Failed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_pending_until_it_has_its_final_answer() {
        let mut requests = Requests::default();
        requests.wait(1, Pending::Signals);
        requests.go_on(1);
        requests.wait(1, Pending::Read(7));
        requests.finish(1, Reply::Done);
        assert!(requests.cancel(1).is_none(), "it is over");
        requests.wait(1, Pending::Signals);
        assert!(requests.cancel(1).is_some(), "the id is free again");
        assert_eq!(requests.answers.take().len(), 1);
    }

    #[test]
    #[should_panic(expected = "request 1 has its final answer already")]
    fn a_second_final_answer_is_a_bug_of_the_host() {
        let mut requests = Requests::default();
        requests.wait(1, Pending::Signals);
        requests.finish(1, Reply::Done);
        requests.finish(1, Reply::Done);
    }

    #[test]
    #[should_panic(expected = "request 1 is pending already")]
    fn a_request_that_waits_twice_is_a_bug_of_the_host() {
        let mut requests = Requests::default();
        requests.wait(1, Pending::Signals);
        requests.wait(1, Pending::Read(7));
    }
}
