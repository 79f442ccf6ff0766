//! The world: every kind of request, and the time.

use pluto_contract::limits::{self, room};
use pluto_contract::world::Object;
use pluto_contract::{Answer, Error, Handle, Id, Reply, Request, Signal, Submission, checks};

use crate::clients::{Clients, Port};
use crate::files::Files;
use crate::folder::Folder;
use crate::network::Network;
use crate::reactor::{Event, Pending, Reactor};

/// A world on virtual time.
///
/// Whoever drives it hands over requests with [`submit`](World::submit), lets everything happen
/// that happens at the present time with [`settle`](World::settle), and takes the batch with
/// [`take_answers`](World::take_answers). When there is none,
/// [`next_event`](World::next_event) says how far the time can pass.
pub struct World<C, F: Files> {
    reactor: Reactor<F::File>,
    network: Network<C>,
    folder: Folder<F>,
    signal_requests: Vec<Id>,
    /// What each shard has left. The guest is the first.
    posts: Vec<Vec<u8>>,
}

impl<C: Clients, F: Files> World<C, F> {
    /// Returns a world that begins at `now`: nanoseconds since the Unix epoch.
    pub fn new(now: u64, clients: C, files: F) -> Self {
        Self {
            reactor: Reactor::new(now),
            network: Network::new(clients),
            folder: Folder::new(files),
            signal_requests: Vec::new(),
            posts: vec![Vec::new()],
        }
    }

    /// The ports that the guest is granted, in their order. The first is the one of its first
    /// argument.
    pub fn ports(&mut self) -> &mut Vec<Port> {
        &mut self.network.ports
    }

    /// What each shard has left with `post`. The guest is the first; others can be added.
    pub fn posts(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.posts
    }

    /// The clients.
    pub fn clients(&self) -> &C {
        &self.network.clients
    }

    /// The clients, to be moved.
    pub fn clients_mut(&mut self) -> &mut C {
        &mut self.network.clients
    }

    /// The files.
    pub fn files(&self) -> &F {
        &self.folder.files
    }

    /// Changes files at the present time, and tells those who watch them.
    pub fn change_files(&mut self, change: impl FnOnce(&mut F, u64)) {
        change(&mut self.folder.files, self.reactor.now);
        self.tell_changes();
    }

    fn tell_changes(&mut self) {
        while let Some(change) = self.folder.files.change(self.reactor.now) {
            self.folder.changed(&mut self.reactor, &change);
        }
    }

    // ---- The time.

    /// Returns the present time: nanoseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.reactor.now
    }

    /// Returns when something happens next without anybody's doing, if that is known.
    pub fn next_event(&self) -> Option<u64> {
        self.reactor.timers.due().into_iter().chain(self.folder.files.next_change()).min()
    }

    /// Lets the time pass. It never goes back.
    pub fn pass_to(&mut self, time: u64) {
        self.reactor.now = self.reactor.now.max(time);
    }

    /// Lets everything happen that happens at the present time.
    pub fn settle(&mut self) {
        self.tell_changes();
        loop {
            if let Some(client) = self.network.clients.moved() {
                self.network.moved(&mut self.reactor, client);
            } else if let Some(event) = self.reactor.timers.next_due(self.reactor.now) {
                self.happen(&event);
            } else {
                return;
            }
        }
    }

    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Accept(serial) => self.network.accept(&mut self.reactor, serial),
            Event::Read(handle) => self.network.read_again(&mut self.reactor, handle),
            Event::Write(handle) => self.network.write_on(&mut self.reactor, handle),
            Event::Sleep(id) => self.reactor.requests.finish(id, Reply::Elapsed),
        }
    }

    // ---- Answers.

    /// Returns whether answers wait for the guest.
    pub fn has_answers(&self) -> bool {
        !self.reactor.requests.answers.is_empty()
    }

    /// Takes the answers that wait for the guest: one batch.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        self.reactor.requests.answers.take()
    }

    /// Returns whether a request has no final answer yet.
    pub fn is_pending(&self, id: Id) -> bool {
        self.reactor.requests.is_pending(id)
    }

    /// Returns how many files and buffers the guest holds.
    pub fn files_and_buffers(&self) -> usize {
        self.reactor.objects.files_and_buffers()
    }

    /// Tells the guest what the operator wants. Returns whether the guest has asked to be told.
    pub fn signal(&mut self, signal: Signal) -> bool {
        for id in &self.signal_requests {
            self.reactor.requests.answers.push(*id, Reply::Signal(signal));
        }
        !self.signal_requests.is_empty()
    }

    // ---- Requests.

    /// Takes a request. Panics when another request of its id is pending: a host ends a guest for
    /// that.
    pub fn submit(&mut self, submission: &Submission) {
        let id = submission.id;
        assert!(!self.is_pending(id), "the guest has sent id {id:#x} again while it was pending");
        match self.take(id, &submission.request) {
            Ok(None) => {}
            Ok(Some(reply)) => self.reactor.requests.answers.push(id, reply),
            Err(error) => self.reactor.requests.answers.push(id, Reply::Failed(error)),
        }
    }

    /// Takes a request. Returns its answer if it is answered at once; a `listen` is pending all
    /// the same.
    fn take(&mut self, id: Id, request: &Request) -> Result<Option<Reply>, Error> {
        let Self { reactor, network, folder, .. } = self;
        match request {
            Request::Listen(listen) => network.listen(reactor, id, *listen).map(Some),
            Request::Read(read) => network.read(reactor, id, read).map(|()| None),
            Request::Write(write) => network.write(reactor, &mut folder.files, id, write).map(|()| None),
            Request::Shutdown(handle) => network.shutdown(reactor, *handle).map(Some),
            Request::Close(handle) => self.close(*handle).map(Some),
            Request::Open(open) => folder.open(reactor, open).map(Some),
            Request::ReadFile(range) => folder.read_file(reactor, range).map(Some),
            Request::Load(range) => folder.load(reactor, range).map(Some),
            Request::Digest(handle) => folder.digest(reactor, *handle).map(Some),
            Request::List(path) => folder.list(reactor, path).map(Some),
            Request::Watch(path) => folder.watch(reactor, id, path).map(|()| None),
            Request::Sleep(nanoseconds) => {
                let key = reactor.timers.add(reactor.now.saturating_add(*nanoseconds), Event::Sleep(id));
                reactor.requests.wait(id, Pending::Sleep(key));
                Ok(None)
            }
            Request::Signals => self.subscribe(id).map(|()| None),
            Request::Cancel(target) => Ok(Some(self.cancel(*target))),
            Request::Post(bytes) => self.post(bytes).map(Some),
            Request::Gather => self.gather().map(Some),
        }
    }

    fn close(&mut self, handle: Handle) -> Result<Reply, Error> {
        if let Object::Connection(connection) = self.reactor.objects.remove(handle)? {
            self.network.close(&mut self.reactor, &connection);
        }
        Ok(Reply::Done)
    }

    fn subscribe(&mut self, id: Id) -> Result<(), Error> {
        room(self.signal_requests.len(), limits::SIGNAL_REQUESTS_MAX)?;
        self.signal_requests.push(id);
        self.reactor.requests.wait(id, Pending::Signals);
        Ok(())
    }

    fn cancel(&mut self, target: Id) -> Reply {
        let Some(pending) = self.reactor.requests.cancel(target) else { return Reply::Done };
        match pending {
            Pending::Listen => self.network.end_listen(target),
            Pending::Read(handle) => Network::<C>::end_read(&mut self.reactor, handle),
            Pending::Write(handle) => Network::<C>::end_write(&mut self.reactor, handle),
            Pending::Sleep(key) => self.reactor.timers.remove(key),
            Pending::Watch => self.folder.end_watch(target),
            Pending::Signals => self.signal_requests.retain(|id| *id != target),
        }
        self.reactor.requests.answers.push(target, Reply::Failed(Error::Cancelled));
        Reply::Done
    }

    fn post(&mut self, bytes: &[u8]) -> Result<Reply, Error> {
        checks::post(bytes)?;
        self.posts[0] = bytes.to_vec();
        Ok(Reply::Done)
    }

    fn gather(&mut self) -> Result<Reply, Error> {
        let bytes = self.posts.iter().map(|post| post.len() + size_of_val(post)).sum();
        self.reactor.requests.answers.has_room(bytes)?;
        Ok(Reply::Gathered(self.posts.clone()))
    }
}
