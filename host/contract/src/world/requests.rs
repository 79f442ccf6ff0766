//! The requests of a guest that are pending, and the answers that wait for it.

use hashbrown::HashMap;

use super::answers::Answers;
use crate::types::{Error, Id, Reply};

/// The pending requests of a guest, each with the event that it waits for, and the answers
/// that wait for the guest.
pub struct Requests<P> {
    /// The pending requests, by id. A request that was answered at once was never among them.
    pending: HashMap<Id, P>,
    /// The next batch.
    pub answers: Answers,
}

impl<P> Default for Requests<P> {
    fn default() -> Self {
        Self { pending: HashMap::new(), answers: Answers::default() }
    }
}

impl<P> Requests<P> {
    /// Makes a request pending.
    pub fn wait(&mut self, id: Id, what: P) {
        let before = self.pending.insert(id, what);
        assert!(before.is_none(), "request {id} is pending already");
    }

    /// Gives a pending request its final answer.
    pub fn finish(&mut self, id: Id, reply: Reply) {
        self.go_on(id);
        self.answers.push(id, reply);
    }

    /// Removes a request whose event has come. The caller answers the request, or makes it wait
    /// for something else.
    pub fn go_on(&mut self, id: Id) {
        assert!(self.pending.remove(&id).is_some(), "request {id} has its final answer already");
    }

    /// Removes a request that is to be cancelled. Returns none when the request has its final
    /// answer, or was never sent.
    pub fn cancel(&mut self, id: Id) -> Option<P> {
        self.pending.remove(&id)
    }

    /// Returns whether a request is pending.
    pub fn is_pending(&self, id: Id) -> bool {
        self.pending.contains_key(&id)
    }

    /// Answers a request that is not pending, or no longer pending.
    pub fn answer(&mut self, id: Id, result: Result<Reply, Error>) {
        self.answers.push(id, result.unwrap_or_else(Reply::Failed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_pending_until_it_has_its_final_answer() {
        let mut requests = Requests::default();
        requests.wait(1, "signals");
        requests.go_on(1);
        requests.wait(1, "read");
        requests.finish(1, Reply::Done);
        assert!(requests.cancel(1).is_none(), "it is over");
        requests.wait(1, "signals");
        assert!(requests.cancel(1).is_some(), "the id is free again");
        assert_eq!(requests.answers.take().len(), 1);
    }

    #[test]
    #[should_panic(expected = "request 1 has its final answer already")]
    fn a_second_final_answer_is_a_bug_of_the_host() {
        let mut requests = Requests::default();
        requests.wait(1, "signals");
        requests.finish(1, Reply::Done);
        requests.finish(1, Reply::Done);
    }

    #[test]
    #[should_panic(expected = "request 1 is pending already")]
    fn a_request_that_waits_twice_is_a_bug_of_the_host() {
        let mut requests = Requests::default();
        requests.wait(1, "signals");
        requests.wait(1, "read");
    }
}
