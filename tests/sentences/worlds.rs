//! What a sentence needs from a world, and the plan of what happens in the world.

use std::collections::HashMap;

use pluto_contract::world::Batch;
use pluto_contract::*;

/// What is there when a script begins, and what happens in it, event by event.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Regular files beneath the root, and their contents.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Folders beneath the root.
    pub folders: Vec<&'static str>,
    /// What happens, each when the script says so.
    pub events: Vec<Event>,
    /// Clients that take nothing, by the order in which they connect.
    pub deaf: Vec<usize>,
}

/// Something that a client or another program does. A client is known by its place among those
/// that connect.
#[derive(Clone, Debug)]
pub enum Event {
    Connects,
    Sends(usize, &'static [u8]),
    Ends(usize),
    IsReset(usize),
    Changes(&'static str),
    Removes(&'static str),
}

/// A world, as the suite asks it.
pub trait Subject {
    /// The port that the guest is granted.
    fn port(&self) -> u16;

    /// Takes a request.
    fn submit(&mut self, submission: Submission);

    /// The next batch.
    fn wait(&mut self) -> Batch;

    /// Makes the event of this number happen. A world in which it happens at a time tells that
    /// time, which the script then waits for.
    fn happen(&mut self, number: usize, event: &Event) -> Option<u64>;

    /// Makes a change in the folder `.settle`, where the world tells of changes in the order in
    /// which they happened. False for a world that knows everything at once.
    fn stir(&mut self) -> bool {
        false
    }

    /// Checks that this is what a client is sent next.
    fn client_reads(&mut self, client: usize, bytes: &[u8]);

    /// Checks that our direction has ended for a client, behind what it has read.
    fn client_reads_the_end(&mut self, client: usize);

    /// Checks what could not be checked before the end.
    fn finish(&mut self) {}
}

/// A script under way.
pub struct Run<'a> {
    world: &'a mut dyn Subject,
    plan: Plan,
    /// Events that have happened.
    happened: usize,
    /// The last id.
    id: u64,
    /// All requests, and whether each has its final answer.
    requests: HashMap<u64, (Request, bool)>,
    /// Answers that have come and were not looked at.
    answers: Vec<Answer>,
    /// Of the last batch.
    pub time: u64,
}

impl<'a> Run<'a> {
    pub fn new(world: &'a mut dyn Subject, plan: Plan) -> Self {
        Self { world, plan, happened: 0, id: 0, requests: HashMap::new(), answers: Vec::new(), time: 0 }
    }

    pub fn port(&self) -> u16 {
        self.world.port()
    }

    /// Sends a request; its id.
    pub fn send(&mut self, request: Request) -> u64 {
        self.id += 1;
        self.requests.insert(self.id, (request.clone(), false));
        self.world.submit(Submission { id: self.id, request });
        self.id
    }

    /// Takes the next batch. Each answer must fit its request, and none may come behind the final
    /// one.
    fn receive(&mut self) {
        let batch = self.world.wait();
        assert!(batch.time >= self.time, "time goes back");
        self.time = batch.time;
        for answer in &batch.answers {
            let (request, is_over) = self.requests.get_mut(&answer.id).expect("an id that was sent");
            let expected = Expected::answers_to(request);
            assert!(expected.fits(&answer.reply), "{request:?} is answered {:?}", answer.reply);
            assert!(!*is_over, "{request:?} has a second final answer: {:?}", answer.reply);
            *is_over = expected.arity().is_final(&answer.reply);
        }
        self.answers.extend(batch.answers);
    }

    /// The next answer to a request.
    pub fn answer(&mut self, id: u64) -> Reply {
        loop {
            if let Some(index) = self.answers.iter().position(|answer| answer.id == id) {
                return self.answers.remove(index).reply;
            }
            self.receive();
        }
    }

    pub fn ask(&mut self, request: Request) -> Reply {
        let id = self.send(request);
        self.answer(id)
    }

    /// Checks that a request has no answer that was not looked at, when the world has told of
    /// everything until now.
    pub fn nothing_for(&mut self, id: u64) {
        // What the world does then may have something follow at once.
        for _ in 0..3 {
            self.settle();
        }
        let found = self.answers.iter().find(|answer| answer.id == id);
        assert!(found.is_none(), "{:?} is answered {found:?}", self.requests[&id].0);
    }

    fn settle(&mut self) {
        if !self.world.stir() {
            self.ask(Request::Sleep(0));
            return;
        }
        let watch = self.send(Request::Watch(b".settle".to_vec()));
        while !self.answers.iter().any(|answer| answer.id == watch) {
            self.world.stir();
            self.ask(Request::Sleep(1_000_000));
        }
        assert_eq!(self.ask(Request::Cancel(watch)), Reply::Done);
        while self.answer(watch) != failed(Error::Cancelled) {}
    }

    /// Makes the next event of the plan happen.
    pub fn happen(&mut self) {
        let event = self.plan.events[self.happened].clone();
        if let Some(time) = self.world.happen(self.happened, &event) {
            self.ask(Request::Sleep(0));
            assert!(time > self.time, "it has happened already");
            self.ask(Request::Sleep(time - self.time));
        }
        self.happened += 1;
    }

    pub fn listen(&mut self, connections_max: u32) -> u64 {
        let port = self.port();
        let id = self.send(Request::Listen(Listen { port, connections_max, shared: true }));
        assert_eq!(self.answer(id), Reply::Listening(port));
        id
    }

    pub fn accept(&mut self, listen: u64) -> u64 {
        match self.answer(listen) {
            Reply::Accepted(accepted) => accepted.connection,
            other => panic!("no client, but {other:?}"),
        }
    }

    /// The connection of the first client, whose connecting is the next event.
    pub fn meet(&mut self) -> u64 {
        let listen = self.listen(10);
        self.happen();
        self.accept(listen)
    }

    pub fn open(&mut self, path: &str) -> u64 {
        match self.ask(open(path)) {
            Reply::Opened(opened) => opened.file,
            other => panic!("{path}: {other:?}"),
        }
    }

    pub fn load(&mut self, file: u64, length: u64) -> u64 {
        match self.ask(Request::Load(range(file, 0, length))) {
            Reply::Loaded(loaded) => loaded.buffer,
            other => panic!("not loaded, but {other:?}"),
        }
    }

    pub fn client_reads(&mut self, client: usize, bytes: &[u8]) {
        self.world.client_reads(client, bytes);
    }

    pub fn client_reads_the_end(&mut self, client: usize) {
        self.world.client_reads_the_end(client);
    }
}

pub fn failed(error: Error) -> Reply {
    Reply::Failed(error)
}

pub fn range(handle: u64, offset: u64, length: u64) -> Range {
    Range { handle, offset, length }
}

pub fn open(path: impl AsRef<[u8]>) -> Request {
    Request::Open(Open { path: path.as_ref().to_vec(), follow_symlinks: true })
}

pub fn read(connection: u64, bytes_max: u32) -> Request {
    Request::Read(Read { connection, bytes_max })
}

pub fn write(connection: u64, parts: Vec<Part>) -> Request {
    Request::Write(Write { connection, parts, ends: false })
}

pub fn bytes(text: &str) -> Vec<Part> {
    vec![text.into()]
}
