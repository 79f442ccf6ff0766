//! The world of guests' own tests.

use pluto_contract::Submission;
use pluto_contract::world::Batch;
use pluto_sdk::testing::{ClientId, World};

use super::worlds::{Event, Plan, Subject};

const PORT: u16 = 8_000;

pub struct SdkWorld {
    world: World,
    clients: Vec<ClientId>,
    /// How much of what each client has received was looked at.
    read: Vec<usize>,
    deaf: Vec<usize>,
}

impl SdkWorld {
    pub fn new(plan: &Plan) -> Self {
        let mut world = World::new();
        world.grant_first(PORT);
        plan.folders.iter().for_each(|folder| world.directory(folder));
        plan.files.iter().for_each(|(path, content)| world.file(path, content.clone()));
        Self { world, clients: Vec::new(), read: Vec::new(), deaf: plan.deaf.clone() }
    }
}

impl Subject for SdkWorld {
    fn port(&self) -> u16 {
        PORT
    }

    fn submit(&mut self, submission: Submission) {
        self.world.submit(&submission);
    }

    fn wait(&mut self) -> Batch {
        loop {
            let answers = self.world.answers();
            if !answers.is_empty() {
                return Batch { time: self.world.now(), answers };
            }
            let due = self.world.next_due().expect("nothing will be answered");
            self.world.pass(std::time::Duration::from_nanos(due - self.world.now()));
        }
    }

    fn happen(&mut self, _: usize, event: &Event) -> Option<u64> {
        match event {
            Event::Connects => {
                let client = self.world.connect();
                if self.deaf.contains(&self.clients.len()) {
                    self.world.client_takes(client, 0);
                }
                self.clients.push(client);
                self.read.push(0);
            }
            Event::Sends(client, bytes) => self.world.client_sends(self.clients[*client], bytes),
            Event::Ends(client) => self.world.client_ends(self.clients[*client]),
            Event::IsReset(client) => self.world.client_resets(self.clients[*client]),
            Event::Changes(path) => self.world.overwrite(path, "changed"),
            Event::Removes(path) => self.world.remove(path),
        }
        None
    }

    fn client_reads(&mut self, client: usize, bytes: &[u8]) {
        let received = &self.world.received(self.clients[client])[self.read[client]..];
        assert!(received.starts_with(bytes), "client {client} is sent something else");
        self.read[client] += bytes.len();
    }

    fn client_reads_the_end(&mut self, client: usize) {
        let id = self.clients[client];
        assert_eq!(self.world.received(id).len(), self.read[client], "client {client} is sent more");
        assert!(self.world.is_ended(id), "client {client} is sent no end");
    }
}
