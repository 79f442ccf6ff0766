//! The world itself, with scripted clients and a tree of files. The sentences of the contract are
//! shown in `tests/sentences`, on this world and on all others.

use pluto_contract::{Answer, Error, Handle, Id, Listen, Open, Part, Range, Read, Reply, Request, Submission, Write};

use crate::{ClientId, NodeKind, Port, Scripted, Tree, World};

const START: u64 = 1_000;
const PORT: Port = Port { asked: 80, given: 80 };

type Simulated = World<Scripted, Tree>;

fn world() -> Simulated {
    let mut world = World::new(START, Scripted::default(), Tree::new(START));
    world.ports().push(PORT);
    world.clients_mut().set_first_port(PORT);
    world
}

fn send(world: &mut Simulated, id: Id, request: Request) {
    world.submit(&Submission { id, request });
}

fn batch(world: &mut Simulated) -> Vec<(Id, Reply)> {
    world.settle();
    world.take_answers().into_iter().map(|Answer { id, reply }| (id, reply)).collect()
}

fn listen(connections_max: u32) -> Request {
    Request::Listen(Listen { port: 80, connections_max })
}

fn read(connection: Handle) -> Request {
    Request::Read(Read { connection, bytes_max: 99 })
}

fn write(connection: Handle, parts: Vec<Part>) -> Request {
    Request::Write(Write { connection, parts, ends: false })
}

/// Listens as id 1, and accepts one client.
fn accept(world: &mut Simulated) -> (ClientId, Handle) {
    let client = world.clients_mut().connect(None);
    send(world, 1, listen(1));
    match &batch(world)[..] {
        [(1, Reply::Listening(80)), (1, Reply::Accepted(accepted))] => (client, accepted.connection),
        other => panic!("no client, but {other:?}"),
    }
}

#[test]
fn clients_wait_in_the_backlog_until_there_is_room() {
    let mut world = world();
    let (first, connection) = accept(&mut world);
    let second = world.clients_mut().connect(None);
    assert_eq!(batch(&mut world), []);
    assert_eq!((world.clients().is_accepted(first), world.clients().is_accepted(second)), (true, false));
    send(&mut world, 2, Request::Close(connection));
    assert!(matches!(batch(&mut world)[..], [(2, Reply::Done), (1, Reply::Accepted(_))]));
    assert!(world.clients().is_closed(first) && world.clients().is_accepted(second));
}

#[test]
fn what_a_client_sent_before_it_was_reset_can_be_read() {
    let mut world = world();
    let (client, connection) = accept(&mut world);
    world.clients_mut().send(client, b"last words");
    world.clients_mut().reset(client);
    send(&mut world, 2, read(connection));
    assert_eq!(batch(&mut world), [(2, Reply::Data(b"last words".to_vec()))]);
    send(&mut world, 2, read(connection));
    send(&mut world, 3, write(connection, vec![Part::Bytes(b"x".to_vec())]));
    send(&mut world, 4, Request::Shutdown(connection));
    let gone = || Reply::Failed(Error::Disconnected);
    assert_eq!(batch(&mut world), [(2, gone()), (3, gone()), (4, gone())]);
}

#[test]
fn a_pending_read_is_answered_when_the_client_moves() {
    let mut world = world();
    let (client, connection) = accept(&mut world);
    send(&mut world, 2, read(connection));
    assert_eq!((batch(&mut world), world.next_event()), (vec![], None));
    world.clients_mut().end(client);
    assert_eq!(batch(&mut world), [(2, Reply::Data(Vec::new()))]);
}

#[test]
fn a_write_waits_for_a_client_that_takes_little() {
    let mut world = world();
    let (client, connection) = accept(&mut world);
    world.change_files(|files, now| files.put(b"file", NodeKind::File(b"0123456789".to_vec()), now));
    send(&mut world, 2, Request::Open(Open { path: b"file".to_vec(), follow_symlinks: false }));
    let Some((2, Reply::Opened(opened))) = batch(&mut world).pop() else { panic!("not opened") };
    world.clients_mut().take(client, 4);
    let range = Range { handle: opened.file, offset: 2, length: 5 };
    send(&mut world, 3, write(connection, vec![Part::Bytes(b"ab".to_vec()), Part::File(range)]));
    // What was written is what the file held then.
    world.change_files(|files, now| files.overwrite(b"file", b"changed".to_vec(), now));
    assert_eq!(batch(&mut world), []);
    assert_eq!(world.clients().received(client), b"ab23");
    world.clients_mut().take(client, 99);
    assert_eq!(batch(&mut world), [(3, Reply::Written(7))]);
    assert_eq!(world.clients().received(client), b"ab23456");
}

#[test]
fn nothing_behind_the_end_of_a_file_is_written() {
    let mut world = world();
    let (client, connection) = accept(&mut world);
    world.change_files(|files, now| files.put(b"file", NodeKind::File(b"short".to_vec()), now));
    send(&mut world, 2, Request::Open(Open { path: b"file".to_vec(), follow_symlinks: false }));
    let Some((2, Reply::Opened(opened))) = batch(&mut world).pop() else { panic!("not opened") };
    let range = Range { handle: opened.file, offset: 0, length: 9 };
    send(&mut world, 3, write(connection, vec![Part::File(range), Part::Bytes(b"tail".to_vec())]));
    assert_eq!(batch(&mut world), [(3, Reply::Failed(Error::Truncated))]);
    assert_eq!(world.clients().received(client), b"short");
}

#[test]
fn time_passes_from_event_to_event_and_never_goes_back() {
    let mut world = world();
    send(&mut world, 1, Request::Sleep(20));
    send(&mut world, 2, Request::Sleep(10));
    assert_eq!((batch(&mut world), world.next_event()), (vec![], Some(START + 10)));
    world.pass_to(START + 10);
    assert_eq!((batch(&mut world), world.next_event()), (vec![(2, Reply::Elapsed)], Some(START + 20)));
    world.pass_to(START);
    assert_eq!(world.now(), START + 10);
}

#[test]
fn a_removed_directory_ends_the_watches_of_everything_beneath_it() {
    let mut world = world();
    world.change_files(|files, now| files.put(b"a/b/file", NodeKind::File(Vec::new()), now));
    for (id, path) in [(1, &b"a/b"[..]), (2, b"a/b/file"), (3, b"a")] {
        send(&mut world, id, Request::Watch(path.to_vec()));
    }
    assert_eq!(batch(&mut world), []);
    world.change_files(|files, _| files.remove(b"a/b"));
    let gone = || Reply::Failed(Error::NotFound);
    assert_eq!(
        batch(&mut world),
        [(1, Reply::Changed(Vec::new())), (3, Reply::Changed(b"b".to_vec())), (1, gone()), (2, gone())]
    );
}
