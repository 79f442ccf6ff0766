//! The rules of the contract, in a world that is a scene.

use std::cell::RefCell;
use std::rc::Rc;

use super::{NANOS, Seen, Sim};
use crate::behaviour::Behaviour;
use crate::limits;
use crate::scene::{Change, Client, Scene, Segment, Wait};
use pluto_contract::stop::{Exit, StopReason};
use pluto_contract::world::World as _;
use pluto_contract::{
    Entry, Error, IpAddress, Kind, Listen, Metadata, Open, Part, Range, Read, Reply, Request, Signal, SocketAddress,
    Submission, Write,
};

const START: u64 = 1_000 * NANOS;

/// A scene that ended well after ten seconds.
fn scene() -> Scene {
    let mut scene = Scene::new(vec!["80".to_owned()], 1 << 20, START);
    (scene.end, scene.ended) = (START + 10 * NANOS, Some(Exit::Code(0)));
    scene
}

/// A client that comes after so many seconds, and sends each text so many seconds after the start.
fn client(connected: u64, sent: &[(u64, &str)]) -> Client {
    let mut client =
        Client::new(START + connected * NANOS, 80, SocketAddress { address: IpAddress::Ipv4((10, 0, 0, 1)), port: 5 });
    for (seconds, text) in sent {
        client.bytes.extend(text.as_bytes());
        client.segments.push(Segment { time: START + seconds * NANOS, end: client.bytes.len() });
    }
    client
}

struct World {
    sim: Sim,
    seen: Rc<RefCell<Seen>>,
}

impl World {
    fn of(scene: Scene) -> Self {
        let (sim, seen) = Sim::new(Rc::new(scene), Rc::default());
        Self { sim, seen }
    }

    fn send(&mut self, id: u64, request: Request) {
        self.sim.submit(Submission { id, request });
    }

    /// The next batch: seconds since the start, and its answers.
    fn batch(&mut self) -> (u64, Vec<(u64, Reply)>) {
        let batch = self.sim.wait().expect("a batch");
        ((batch.time - START) / NANOS, batch.answers.into_iter().map(|answer| (answer.id, answer.reply)).collect())
    }

    /// The answer to a request that is answered at once, and alone.
    fn ask(&mut self, request: Request) -> Reply {
        let before = self.sim.world.now();
        self.send(999, request);
        let (_, mut answers) = self.batch();
        assert_eq!((answers.len(), self.sim.world.now()), (1, before), "{answers:?}");
        answers.remove(0).1
    }

    /// The run ends; what was seen.
    fn end(self) -> Behaviour {
        let Self { sim, seen } = self;
        drop(sim);
        Rc::into_inner(seen).expect("nobody else looks").into_inner().into_behaviour(&Exit::Code(0)).0
    }

    /// Listens as id 1, and accepts the first client.
    fn accept(&mut self) -> u64 {
        self.send(1, listen(80, 10));
        assert_eq!(self.batch(), (0, vec![(1, Reply::Listening(80))]));
        match &self.batch().1[..] {
            [(1, Reply::Accepted(accepted))] => accepted.connection,
            other => panic!("no client, but {other:?}"),
        }
    }
}

fn listen(port: u16, connections_max: u32) -> Request {
    Request::Listen(Listen { port, connections_max })
}

fn read(connection: u64, bytes_max: u32) -> Request {
    Request::Read(Read { connection, bytes_max })
}

fn write(connection: u64, parts: Vec<Part>) -> Request {
    Request::Write(Write { connection, parts, ends: false })
}

fn bytes(text: &str) -> Vec<Part> {
    vec![Part::Bytes(text.into())]
}

fn data(text: &str) -> Reply {
    Reply::Data(text.into())
}

fn failed(error: Error) -> Reply {
    Reply::Failed(error)
}

fn open(path: &str) -> Request {
    Request::Open(Open { path: path.into(), follow_symlinks: false })
}

fn metadata(size: u64) -> Metadata {
    Metadata { kind: Kind::Regular, size, modified: 1, changed: 2, inode: 3 }
}

#[test]
fn clients_come_when_they_came_and_no_more_than_are_wanted() {
    let mut scene = scene();
    scene.clients = vec![client(1, &[]), client(1, &[]), client(2, &[])];
    let mut world = World::of(scene);
    assert_eq!(world.ask(listen(81, 9)), failed(Error::NotPermitted));
    world.send(1, listen(80, 2));
    assert_eq!(world.batch(), (0, vec![(1, Reply::Listening(80))]));
    assert_eq!(world.ask(listen(80, 9)), failed(Error::AddressInUse));
    let (second, first) = world.batch();
    assert_eq!((second, first.len()), (1, 2), "both at once");
    let connections: Vec<u64> = first
        .iter()
        .map(|(id, reply)| match reply {
            Reply::Accepted(accepted) if *id == 1 => accepted.connection,
            other => panic!("{other:?}"),
        })
        .collect();
    world.send(2, Request::Sleep(4 * NANOS));
    assert_eq!(world.batch(), (5, vec![(2, Reply::Elapsed)]), "the third waits");
    world.send(3, Request::Close(connections[0]));
    let (_, answers) = world.batch();
    assert!(matches!(answers[..], [(3, Reply::Done), (1, Reply::Accepted(_))]), "{answers:?}");
    world.send(4, Request::Cancel(1));
    assert_eq!(world.batch().1, [(1, failed(Error::Cancelled)), (4, Reply::Done)]);
    assert_eq!(world.ask(listen(0, 1)), failed(Error::NotPermitted));
}

#[test]
fn what_a_client_sent_is_read_piece_by_piece_and_never_lost() {
    let mut scene = scene();
    let mut it = client(1, &[(1, "hello"), (3, "!")]);
    (it.ended, it.gone) = (Some(START + 4 * NANOS), None);
    scene.clients = vec![it];
    let mut world = World::of(scene);
    let connection = world.accept();
    assert_eq!(world.ask(read(connection, 0)), failed(Error::Invalid));
    assert_eq!(world.ask(read(connection, 3)), data("hel"));
    assert_eq!(world.ask(read(connection, 99)), data("lo"));
    world.send(7, read(connection, 99));
    assert_eq!(world.ask(read(connection, 99)), failed(Error::Busy));
    world.send(8, Request::Cancel(7));
    assert_eq!(world.batch(), (1, vec![(7, failed(Error::Cancelled)), (8, Reply::Done)]));
    world.send(9, read(connection, 99));
    assert_eq!(world.batch(), (3, vec![(9, data("!"))]));
    world.send(9, read(connection, 99));
    assert_eq!(world.batch(), (4, vec![(9, data(""))]));
    assert_eq!(world.ask(read(connection, 99)), data(""), "again and again");
    assert_eq!(world.end().clients.len(), 1);
}

#[test]
fn a_last_write_ends_our_direction_once_it_is_written() {
    let last = |connection| Request::Write(Write { connection, parts: bytes("bye"), ends: true });
    let mut scene = scene();
    let mut slow = client(2, &[]);
    slow.waits = vec![Wait { from: START, to: None, error: None }];
    scene.clients = vec![client(1, &[]), slow];
    let mut world = World::of(scene);
    let quick = world.accept();
    assert_eq!(world.ask(last(quick)), Reply::Written(3));
    assert_eq!(world.ask(write(quick, bytes("x"))), failed(Error::Disconnected));
    let slow = match &world.batch().1[..] {
        [(1, Reply::Accepted(accepted))] => accepted.connection,
        other => panic!("no client, but {other:?}"),
    };
    world.send(7, last(slow));
    world.send(8, Request::Sleep(NANOS));
    assert_eq!(world.batch(), (3, vec![(8, Reply::Elapsed)]), "the client does not take it");
    world.send(9, Request::Close(slow));
    assert_eq!(world.batch().1, [(7, failed(Error::Cancelled)), (9, Reply::Done)]);
    let ends = world.end().clients.into_iter().map(|client| client.closed.map(|closed| (closed.time - START) / NANOS));
    assert_eq!(ends.collect::<Vec<_>>(), [Some(1), Some(3)], "by the write, and by closing");
}

#[test]
fn writes_take_as_long_as_they_did() {
    let mut scene = scene();
    let mut it = client(1, &[]);
    let wait =
        |from, to: Option<u64>| Wait { from: START + from * NANOS, to: to.map(|to| START + to * NANOS), error: None };
    it.waits = vec![wait(2, Some(4)), wait(6, None)];
    it.gone = Some(START + 9 * NANOS);
    scene.clients = vec![it];
    let mut world = World::of(scene);
    let connection = world.accept();
    assert_eq!(world.ask(write(connection, bytes("abc"))), Reply::Written(3));
    let sleep = |world: &mut World| {
        world.send(5, Request::Sleep(NANOS));
        world.batch()
    };
    sleep(&mut world);
    world.send(6, write(connection, bytes("slow")));
    assert_eq!(world.ask(write(connection, bytes("x"))), failed(Error::Busy));
    assert_eq!(world.ask(Request::Shutdown(connection)), failed(Error::Busy));
    assert_eq!(world.batch(), (4, vec![(6, Reply::Written(4))]));
    sleep(&mut world);
    sleep(&mut world);
    world.send(7, write(connection, bytes("never")));
    world.send(8, Request::Cancel(7));
    assert_eq!(world.batch(), (6, vec![(7, failed(Error::Cancelled)), (8, Reply::Done)]));
    world.send(7, write(connection, bytes("never")));
    world.send(8, read(connection, 9));
    assert_eq!(world.batch(), (9, vec![(7, failed(Error::Disconnected)), (8, failed(Error::Disconnected))]));
    assert_eq!(world.ask(write(connection, bytes("x"))), failed(Error::Disconnected));
    assert_eq!(world.ask(Request::Shutdown(connection)), failed(Error::Disconnected));
    assert_eq!(world.ask(Request::Close(connection)), Reply::Done);
    for request in
        [write(connection, bytes("x")), read(connection, 1), Request::Shutdown(connection), Request::Close(connection)]
    {
        assert_eq!(world.ask(request), failed(Error::BadHandle));
    }
}

#[test]
fn closing_ends_what_is_pending() {
    let mut scene = scene();
    let mut it = client(1, &[]);
    it.waits = vec![Wait { from: START, to: Some(START + 5 * NANOS), error: None }];
    scene.clients = vec![it];
    let mut world = World::of(scene);
    let connection = world.accept();
    world.send(2, read(connection, 9));
    world.send(3, write(connection, bytes("x")));
    world.send(4, Request::Close(connection));
    let cancelled = || failed(Error::Cancelled);
    assert_eq!(world.batch(), (1, vec![(2, cancelled()), (3, cancelled()), (4, Reply::Done)]));
    world.send(5, Request::Sleep(8 * NANOS));
    assert_eq!(world.batch(), (9, vec![(5, Reply::Elapsed)]), "nothing comes of what was ended");
}

#[test]
fn files_are_what_they_were() {
    let mut scene = scene();
    scene.clients = vec![client(1, &[])];
    scene.files.opened(START, b"a", false, Ok(metadata(10)));
    scene.files.opened(START, b"dir", false, Err(Error::IsDirectory));
    scene.files.opened(START + 5 * NANOS, b"a", false, Ok(metadata(20)));
    scene.files.content(START, b"a", 0, Ok(b"0123"));
    scene.files.listed(START, b"dir", Ok(&[]));
    scene.files.changed(START + 4 * NANOS, b"a");
    scene.changes = vec![Change { time: START + 4 * NANOS, path: b"a".to_vec(), gone: false }];
    let mut world = World::of(scene);
    let connection = world.accept();
    let opened = |reply: Reply| match reply {
        Reply::Opened(opened) => (opened.file, opened.metadata.size),
        other => panic!("{other:?}"),
    };
    let (file, size) = opened(world.ask(open("a")));
    assert_eq!(size, 10);
    assert_eq!(world.ask(open("dir")), failed(Error::IsDirectory));
    assert_eq!(world.ask(Request::List(b"dir".to_vec())), Reply::Listed(vec![]));
    assert_eq!(world.ask(open("other")), failed(Error::NotFound));
    assert_eq!(world.ask(open("nul\0")), failed(Error::Invalid));
    let range = |handle, offset, length| Range { handle, offset, length };
    assert_eq!(world.ask(Request::ReadFile(range(file, 1, 2))), data("12"));
    assert_eq!(world.ask(Request::ReadFile(range(file, 10, 2))), data(""), "the end");
    assert_eq!(world.ask(Request::ReadFile(range(file, 2, 3))), failed(Error::Io), "nobody has read it");
    let Reply::Loaded(loaded) = world.ask(Request::Load(range(file, 4, 99))) else { panic!("not loaded") };
    assert_eq!(loaded.length, 6);
    let parts = vec![Part::File(range(file, 0, 10)), Part::Buffer(range(loaded.buffer, 0, 6))];
    assert_eq!(world.ask(write(connection, parts)), Reply::Written(16));
    let beyond = vec![Part::Buffer(range(loaded.buffer, 1, 6))];
    assert_eq!(world.ask(write(connection, beyond)), failed(Error::Invalid));
    assert_eq!(world.ask(write(connection, vec![Part::File(range(file, 1, 10))])), failed(Error::Truncated));
    assert_eq!(world.ask(write(connection, vec![Part::File(range(connection, 0, 1))])), failed(Error::BadHandle));
    world.send(2, Request::Watch(b"a".to_vec()));
    world.send(3, Request::Watch(b"".to_vec()));
    assert_eq!(world.ask(Request::Watch(b"never".to_vec())), failed(Error::NotFound));
    let told = vec![(2, Reply::Changed(vec![])), (3, Reply::Changed(b"a".to_vec()))];
    assert_eq!(world.batch(), (4, told), "the file, and the root that it is in");
    assert_eq!(opened(world.ask(open("a"))).1, 20, "after the change");
    let unknown = &world.seen.borrow().unknown;
    assert_eq!((unknown.paths.len(), unknown.contents.len(), unknown.more), (2, 1, 0));
}

#[test]
fn a_guest_that_does_not_stop_is_ended() {
    let mut world = World::of(scene());
    world.send(1, Request::Signals);
    assert_eq!(world.batch(), (10 + limits::SCENE_GRACE_SECONDS, vec![(1, Reply::Signal(Signal::Stop))]));
    world.send(2, Request::Sleep(8 * NANOS));
    assert_eq!(world.batch().1, [(2, Reply::Elapsed)]);
    world.send(2, Request::Sleep(8 * NANOS));
    assert_eq!(world.sim.wait().err(), Some(StopReason::StopTooSlow));
    let mut deaf = World::of(scene());
    deaf.send(1, Request::Sleep(100 * NANOS));
    assert_eq!(deaf.sim.wait().err(), Some(StopReason::Asked));
}

#[test]
fn a_world_that_broke_off_goes_no_further() {
    let mut scene = scene();
    scene.ended = None;
    let mut world = World::of(scene);
    world.send(1, Request::Sleep(10 * NANOS));
    assert_eq!(world.batch().0, 10);
    world.send(1, Request::Sleep(1));
    assert_eq!(world.sim.wait().err(), Some(StopReason::AnswersEnded));
}

#[test]
fn a_guest_in_a_scene_is_the_only_shard() {
    let mut world = World::of(scene());
    assert_eq!(world.ask(Request::Gather), Reply::Gathered(vec![Vec::new()]));
    assert_eq!(world.ask(Request::Post(b"left".to_vec())), Reply::Done);
    assert_eq!(world.ask(Request::Post(vec![0; pluto_contract::limits::POST_BYTES_MAX + 1])), failed(Error::TooLarge));
    assert_eq!(world.ask(Request::Gather), Reply::Gathered(vec![b"left".to_vec()]));
}

/// A guest can ask for the same list, content or post again and again within one turn.
#[test]
fn what_waits_for_a_guest_in_a_scene_is_counted() {
    let mut scene = scene();
    let facts = metadata(1);
    let entries: Vec<Entry> =
        (0..10_000_u32).map(|n| Entry { name: n.to_le_bytes().to_vec(), metadata: facts }).collect();
    scene.files.listed(START, b"dir", Ok(&entries));
    let mut world = World::of(scene);
    let post = vec![7; pluto_contract::limits::POST_BYTES_MAX];
    assert_eq!(world.ask(Request::Post(post)), Reply::Done);
    for request in [Request::List(b"dir".to_vec()), Request::Gather] {
        (0..6_000).for_each(|id| world.send(id, request.clone()));
        let answers = world.batch().1;
        let failed = answers.iter().filter(|(_, reply)| *reply == failed(Error::Exhausted)).count();
        let given = answers.len() - failed;
        let bytes = if request == Request::Gather { 16 << 10 } else { 10_000 * (4 + size_of::<Entry>()) };
        assert!(
            given > 0 && given * bytes <= pluto_contract::limits::ANSWER_BYTES_QUEUED_MAX,
            "{given} of {request:?}"
        );
        assert_eq!(answers.len(), 6_000);
    }
}
