//! The world of a scene: the plan becomes what a recorded run would have seen.

use std::cell::RefCell;
use std::rc::Rc;

use pluto_contract::stop::Exit;
use pluto_contract::world::{Batch, World as _};
use pluto_contract::{Digested, Entry, Error, IpAddress, Kind, Listing, Metadata, SocketAddress, Submission};
use pluto_lab::behaviour::{Piece, Store};
use pluto_lab::scene::{Change, Client, Scene, Segment, Wait};
use pluto_lab::sim::{Seen, Sim};

use super::worlds::{Event, Plan, Subject};

const PORT: u16 = 80;
const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000 * SECOND;

pub struct SimulatedWorld {
    /// None once the run has ended.
    sim: Option<Sim>,
    seen: Option<Rc<RefCell<Seen>>>,
    store: Rc<RefCell<Store>>,
    plan: Plan,
    /// What each client is to have been sent, and whether the end behind it.
    expected: Vec<(Vec<u8>, bool)>,
}

impl SimulatedWorld {
    pub fn new(plan: &Plan) -> Self {
        let store = Rc::<RefCell<Store>>::default();
        let (mut sim, seen) = Sim::new(Rc::new(scene(plan)), store.clone());
        sim.start();
        Self { sim: Some(sim), seen: Some(seen), store, plan: plan.clone(), expected: Vec::new() }
    }

    fn sim(&mut self) -> &mut Sim {
        self.sim.as_mut().expect("the run goes on")
    }

    fn expected(&mut self, client: usize) -> &mut (Vec<u8>, bool) {
        self.expected.resize(self.expected.len().max(client + 1), Default::default());
        &mut self.expected[client]
    }

    /// The bytes of a piece of what a client was sent.
    fn bytes(&self, piece: &Piece) -> Vec<u8> {
        let store = self.store.borrow();
        match piece {
            Piece::Bytes(key) => store.get(*key).to_vec(),
            Piece::File { path, offset, length } => {
                let path = store.get(*path);
                let file = self.plan.files.iter().find(|(name, _)| name.as_bytes() == &path[..]);
                let (_, content) = file.expect("a file of the plan");
                let start = content.len().min(*offset as usize);
                content[start..content.len().min(start + *length as usize)].to_vec()
            }
        }
    }
}

/// When the event of a number happens.
fn time(number: usize) -> u64 {
    START + (number as u64 + 1) * SECOND
}

fn scene(plan: &Plan) -> Scene {
    let mut scene = Scene::new(vec![PORT.to_string()], 1 << 20, START);
    (scene.end, scene.ended) = (START + 1_000 * SECOND, Some(Exit::Code(0)));
    for (number, event) in plan.events.iter().enumerate() {
        happens(&mut scene, time(number), event);
    }
    for client in &plan.deaf {
        scene.clients[*client].waits = vec![Wait { from: START, to: None, error: None }];
    }
    for (path, content) in &plan.files {
        let (path, metadata) = (path.as_bytes(), regular(content));
        scene.files.opened(START, path, true, Ok(metadata));
        scene.files.content(START, path, 0, Ok(content));
        scene.files.digested(START, path, Ok(Digested::new(xxhash_rust::xxh3::xxh3_128(content), &metadata)));
        scene.files.watched(START, path, None);
        scene.files.listed(START, &Listing::all(path), Err(Error::NotDirectory));
    }
    for folder in plan.folders.iter().chain([&""]) {
        let path = folder.as_bytes();
        scene.files.opened(START, path, true, Err(Error::IsDirectory));
        scene.files.watched(START, path, None);
        scene.files.listed(START, &Listing::all(path), Ok(&entries(plan, folder)));
    }
    scene
}

fn happens(scene: &mut Scene, time: u64, event: &Event) {
    match event {
        Event::Connects => {
            let peer = SocketAddress { address: IpAddress::Ipv4((10, 0, 0, 1)), port: 5 };
            scene.clients.push(Client::new(time, PORT, peer));
        }
        Event::Sends(client, bytes) => {
            let client = &mut scene.clients[*client];
            client.bytes.extend(*bytes);
            client.segments.push(Segment { time, end: client.bytes.len() });
        }
        Event::Ends(client) => scene.clients[*client].ended = Some(time),
        Event::IsReset(client) => scene.clients[*client].gone = Some(time),
        Event::Changes(path) | Event::Removes(path) => {
            let gone = matches!(event, Event::Removes(_));
            scene.changes.push(Change { time, path: path.as_bytes().to_vec(), gone });
        }
    }
}

fn regular(content: &[u8]) -> Metadata {
    Metadata { kind: Kind::Regular, size: content.len() as u64, modified: 1, changed: 2, inode: 3 }
}

/// The entries of a folder, as a live world lists them.
fn entries(plan: &Plan, folder: &str) -> Vec<Entry> {
    let name = |path: &str| match path.rsplit_once('/') {
        Some((parent, name)) => (parent == folder).then(|| name.as_bytes().to_vec()),
        None => folder.is_empty().then(|| path.as_bytes().to_vec()),
    };
    let files = plan.files.iter().map(|(path, content)| (path, regular(content)));
    let folders = plan.folders.iter().map(|path| (path, Metadata { kind: Kind::Directory, ..regular(&[]) }));
    let all = files.chain(folders).filter_map(|(path, metadata)| Some(Entry { name: name(path)?, metadata }));
    let mut all: Vec<Entry> = all.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Subject for SimulatedWorld {
    fn port(&self) -> u16 {
        PORT
    }

    fn submit(&mut self, submission: Submission) {
        self.sim().submit(submission);
    }

    fn wait(&mut self) -> Batch {
        self.sim().wait().expect("the world goes on")
    }

    fn happen(&mut self, number: usize, _: &Event) -> Option<u64> {
        Some(time(number))
    }

    fn client_reads(&mut self, client: usize, bytes: &[u8]) {
        self.expected(client).0.extend(bytes);
    }

    fn client_reads_the_end(&mut self, client: usize) {
        self.expected(client).1 = true;
    }

    /// What clients have seen is known when the run has ended. A write that fails is told as it
    /// was asked for, so that nothing can be said of what is behind it.
    fn finish(&mut self) {
        drop(self.sim.take());
        let seen = self.seen.take().and_then(Rc::into_inner).expect("nobody else looks");
        let (behaviour, _) = seen.into_inner().into_behaviour(&Exit::Code(0));
        for (number, (bytes, ends)) in self.expected.iter().enumerate() {
            let client = &behaviour.clients[number];
            let pieces = client.outputs().iter().flat_map(|output| client.pieces(output));
            let sent: Vec<u8> = pieces.flat_map(|piece| self.bytes(piece)).collect();
            assert!(sent.starts_with(bytes), "client {number} is sent something else");
            assert!(!ends || client.closed.is_some(), "client {number} is sent no end");
        }
    }
}
