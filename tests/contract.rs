//! The live world does what wit/system.wit says, sentence by sentence, on both drivers.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use pluto_contract::stop::StopReason;
use pluto_contract::world::World as _;
use pluto_contract::*;
use pluto_live::console::{Console, Format, Verbosity};
use pluto_live::{Board, DriverChoice, Grant, Live, Port, Root};
use tempfile::TempDir;

/// Handles that these worlds have.
const HANDLES: usize = 4_000;

/// A live world, asked without a guest.
pub struct World {
    live: Live,
    address: SocketAddr,
    folder: TempDir,
    next: u64,
    /// Answers that have come and were not looked at.
    answers: Vec<Answer>,
}

pub fn on_each_driver(test: impl Fn(&mut World)) {
    for driver in [DriverChoice::IoUring, DriverChoice::OldIoUring, DriverChoice::Poll] {
        test(&mut World::new(driver));
    }
}

impl World {
    fn new(driver: DriverChoice) -> Self {
        Self::with_ports(driver, vec![Port::bind("127.0.0.1:0".parse().expect("an address")).expect("a port")])
    }

    fn with_ports(driver: DriverChoice, ports: Vec<Port>) -> Self {
        Self::of_shard(driver, ports, Board::alone())
    }

    /// The world of one of several shards.
    pub fn of_shard(driver: DriverChoice, ports: Vec<Port>, board: Board) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir_all(folder.path().join("root/.settle")).expect("a folder");
        fs::write(folder.path().join("root/file"), "0123456789").expect("a file");
        let address = ports[0].address();
        let grant = Grant {
            ports,
            handles_max: HANDLES,
            root: Some(Root::open(&folder.path().join("root")).expect("a root")),
            signals: None,
            board,
            console: Console::new(Format::Off, Verbosity::Error),
            on_listening: Box::new(|_, _| ()),
        };
        let live = Live::new(driver, grant).expect("a queue");
        Self { live, address, folder, next: 0, answers: Vec::new() }
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("root").join(name)
    }

    /// Sends a request; its id.
    pub fn send(&mut self, request: Request) -> u64 {
        self.next += 1;
        self.live.submit(Submission { id: self.next, request });
        self.next
    }

    /// The next answer to a request.
    pub fn answer(&mut self, id: u64) -> Reply {
        loop {
            if let Some(index) = self.answers.iter().position(|answer| answer.id == id) {
                return self.answers.remove(index).reply;
            }
            self.answers.extend(self.live.wait().expect("the world goes on").answers);
        }
    }

    /// Why this world ends the guest, when it receives next.
    pub fn ends(&mut self) -> Option<StopReason> {
        self.live.wait().err()
    }

    pub fn ask(&mut self, request: Request) -> Reply {
        let id = self.send(request);
        self.answer(id)
    }

    /// Whether an answer to that request has come already.
    pub fn has_come(&self, id: u64) -> bool {
        self.answers.iter().any(|answer| answer.id == id)
    }

    /// Whether an answer to that request has come when the world has nothing more to tell of what
    /// has happened until now.
    pub fn has_answer(&mut self, id: u64) -> bool {
        // What the world does then may have something follow at once, which it hears of next time.
        (0..3).for_each(|_| self.settle());
        self.has_come(id)
    }

    /// Makes something happen and waits until the world tells of it. The system tells what has
    /// happened in its order, so that the world then knows of everything before.
    fn settle(&mut self) {
        let place = self.path(".settle");
        let watch = self.send(Request::Watch(b".settle".to_vec()));
        // Again and again, for a thread may have to look the folder up before it is watched.
        while !self.has_come(watch) {
            fs::write(place.join("now"), "").expect("a file");
            self.ask(Request::Sleep(1_000_000));
        }
        assert!(matches!(self.answer(watch), Reply::Changed(_)));
        assert_eq!(self.ask(Request::Cancel(watch)), Reply::Done);
        while self.answer(watch) != failed(Error::Cancelled) {}
    }

    pub fn listen(&mut self, connections_max: u32) -> u64 {
        let id = self.send(Request::Listen(Listen { port: self.address.port(), connections_max }));
        assert_eq!(self.answer(id), Reply::Listening(self.address.port()));
        id
    }

    pub fn accept(&mut self, listen: u64) -> u64 {
        match self.answer(listen) {
            Reply::Accepted(accepted) => accepted.connection,
            other => panic!("{other:?}"),
        }
    }

    /// A client, and its connection.
    pub fn meet(&mut self) -> (TcpStream, u64) {
        let listen = self.listen(10);
        let client = self.connect();
        (client, self.accept(listen))
    }

    pub fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).expect("it listens");
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        client
    }

    pub fn open(&mut self, path: &str) -> u64 {
        match self.ask(Request::Open(Open { path: path.into(), follow_symlinks: true })) {
            Reply::Opened(opened) => opened.file,
            other => panic!("{path}: {other:?}"),
        }
    }

    pub fn load(&mut self, file: u64, length: u64) -> u64 {
        match self.ask(Request::Load(Range { handle: file, offset: 0, length })) {
            Reply::Loaded(loaded) => loaded.buffer,
            other => panic!("{other:?}"),
        }
    }

    pub fn read(&mut self, connection: u64, bytes_max: u32) -> u64 {
        self.send(Request::Read(pluto_contract::Read { connection, bytes_max }))
    }

    pub fn write(&mut self, connection: u64, parts: Vec<Part>) -> u64 {
        self.send(Request::Write(pluto_contract::Write { connection, parts, ends: false }))
    }
}

pub fn range(handle: u64, offset: u64, length: u64) -> Range {
    Range { handle, offset, length }
}

/// Each granted port is known by its number; 0 is each of those in turn that the system has
/// chosen.
#[test]
fn further_ports_are_listened_on_when_they_were_granted() {
    let bind = || Port::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    for driver in [DriverChoice::IoUring, DriverChoice::Poll] {
        let ports = [bind(), bind(), bind()];
        let numbers = [0, 1, 2].map(|index: usize| ports[index].address().port());
        let mut world = World::with_ports(driver, ports.into());
        let mut listen = |port| world.ask(Request::Listen(Listen { port, connections_max: 1 }));
        assert_eq!(listen(numbers[1]), Reply::Listening(numbers[1]));
        assert_eq!(listen(0), Reply::Listening(numbers[0]));
        assert_eq!(listen(0), Reply::Listening(numbers[2]));
        assert_eq!(listen(0), failed(Error::AddressInUse));
        assert_eq!(listen(numbers[2]), failed(Error::AddressInUse));
        let other = (1..u16::MAX).find(|port| !numbers.contains(port)).expect("there are more ports");
        assert_eq!(listen(other), failed(Error::NotPermitted));
        numbers.iter().for_each(|port| drop(TcpStream::connect(("127.0.0.1", *port)).expect("it listens")));
    }
}

pub fn failed(error: Error) -> Reply {
    Reply::Failed(error)
}

#[test]
fn closing_answers_what_is_pending_and_ends_the_connection_at_once() {
    on_each_driver(|world| {
        let (mut client, connection) = world.meet();
        let read = world.read(connection, 100);
        assert!(!world.has_answer(read));
        assert_eq!(world.ask(Request::Close(connection)), Reply::Done);
        assert_eq!(world.answer(read), failed(Error::Cancelled));
        assert_eq!(client.read(&mut [0; 1]).expect("an end"), 0);
        assert_eq!(world.ask(Request::Close(connection)), failed(Error::BadHandle));
        assert_eq!(world.ask(Request::Shutdown(connection)), failed(Error::BadHandle));
    });
}

#[test]
fn cancel_ends_each_kind_of_request_once() {
    on_each_driver(|world| {
        let listen = world.listen(10);
        let mut client = world.connect();
        let connection = world.accept(listen);
        let read = world.read(connection, 100);
        let sleep = world.send(Request::Sleep(u64::MAX));
        let watch = world.send(Request::Watch(Vec::new()));
        let signals = world.send(Request::Signals);
        for id in [read, sleep, watch, signals, listen] {
            assert_eq!(world.ask(Request::Cancel(id)), Reply::Done);
            assert_eq!(world.answer(id), failed(Error::Cancelled));
            assert_eq!(world.ask(Request::Cancel(id)), Reply::Done, "it need not be pending any more");
            assert!(!world.has_answer(id), "a second final answer");
        }
        assert!(TcpStream::connect(world.address).is_err(), "it still listens");
        client.write_all(b"after the cancel").expect("the connection lives");
        let read = world.read(connection, 100);
        assert_eq!(world.answer(read), Reply::Data(b"after the cancel".to_vec()));
        world.listen(10);
        world.connect();
    });
}

/// A queue that is full must not lose a cancellation: the connection would stay open with nobody
/// to close it, and a read that was cancelled would swallow what is sent later.
#[test]
fn thousands_of_requests_are_cancelled_in_one_turn() {
    on_each_driver(|world| {
        let listen = world.listen(10_000);
        let count = pluto_live::limits::QUEUE_ENTRIES as usize * 2 + 100;
        let mut clients = Vec::new();
        let mut connections = Vec::new();
        for _ in 0..count {
            clients.push(world.connect());
            connections.push(world.accept(listen));
        }
        let reads: Vec<u64> = connections.iter().map(|connection| world.read(*connection, 10)).collect();
        assert!(!world.has_answer(reads[0]));
        let cancels: Vec<u64> = reads.iter().map(|read| world.send(Request::Cancel(*read))).collect();
        cancels.iter().for_each(|cancel| assert_eq!(world.answer(*cancel), Reply::Done));
        clients.iter_mut().for_each(|client| client.write_all(b"mine").expect("it is open"));
        for connection in &connections {
            let read = world.read(*connection, 10);
            assert_eq!(world.answer(read), Reply::Data(b"mine".to_vec()));
        }
        let reads: Vec<u64> = connections.iter().map(|connection| world.read(*connection, 10)).collect();
        assert!(!world.has_answer(reads[0]));
        let closes: Vec<u64> = connections.iter().map(|connection| world.send(Request::Close(*connection))).collect();
        closes.iter().for_each(|close| assert_eq!(world.answer(*close), Reply::Done));
        clients.iter_mut().for_each(|client| assert_eq!(client.read(&mut [0; 1]).expect("an end"), 0));
    });
}

#[test]
fn no_more_connections_are_accepted_than_the_guest_allows() {
    on_each_driver(|world| {
        let listen = world.listen(2);
        let clients: Vec<TcpStream> = (0..4).map(|_| world.connect()).collect();
        let first = world.accept(listen);
        let _second = world.accept(listen);
        assert!(!world.has_answer(listen), "a third one");
        world.ask(Request::Close(first));
        world.accept(listen);
        assert!(!world.has_answer(listen), "a fourth one");
        drop(clients);
    });
}

/// Clients have three quarters of the handles and files have one, and neither can keep the other
/// out: who comes is let in, and who is let in is served. Buffers take no room from either.
#[test]
fn clients_and_files_each_have_a_share_of_the_handles() {
    on_each_driver(|world| {
        let files_max = HANDLES / pluto_contract::limits::HANDLES_FOR_FILES_SHARE;
        let files: Vec<u64> = (0..files_max).map(|_| world.open("file")).collect();
        for _ in 0..HANDLES {
            world.load(files[0], 0);
        }
        let open = Request::Open(Open { path: b"file".to_vec(), follow_symlinks: false });
        assert_eq!(world.ask(open.clone()), failed(Error::Exhausted));
        let listen = world.listen(u32::MAX);
        let most = HANDLES - files_max;
        let clients: Vec<TcpStream> = (0..most + 10).map(|_| world.connect()).collect();
        let first = world.accept(listen);
        for _ in 1..most {
            world.accept(listen);
        }
        assert!(!world.has_answer(listen), "more than {most} clients");
        world.ask(Request::Close(files[0]));
        assert!(!world.has_answer(listen), "the share of files is theirs");
        world.open("file");
        world.ask(Request::Close(first));
        assert_eq!(world.ask(open), failed(Error::Exhausted), "and that of clients theirs");
        world.accept(listen);
        drop(clients);
    });
}

/// A buffer counts as long as a write sends from it, closed or not.
#[test]
fn buffers_that_are_being_sent_count_until_they_are_sent() {
    on_each_driver(|world| {
        fs::File::create(world.path("large")).and_then(|file| file.set_len(16 << 20)).expect("a file");
        let file = world.open("large");
        let listen = world.listen(10);
        let client = world.connect();
        let connection = world.accept(listen);
        let most = pluto_contract::limits::BUFFERS_BYTES_MAX / pluto_contract::limits::BUFFER_BYTES_MAX - 1;
        let buffers: Vec<u64> = (0..most).map(|_| world.load(file, pluto_contract::limits::BUFFER_BYTES_MAX)).collect();
        let parts = buffers
            .iter()
            .map(|buffer| Part::Buffer(range(*buffer, 0, pluto_contract::limits::BUFFER_BYTES_MAX)))
            .collect();
        let write = world.write(connection, parts);
        buffers.iter().for_each(|buffer| assert_eq!(world.ask(Request::Close(*buffer)), Reply::Done));
        assert!(!world.has_answer(write), "nobody reads");
        world.load(file, pluto_contract::limits::BUFFER_BYTES_MAX - 4_096);
        assert_eq!(
            world.ask(Request::Load(range(file, 0, pluto_contract::limits::BUFFER_BYTES_MAX))),
            failed(Error::Exhausted)
        );
        world.ask(Request::Close(connection));
        world.load(file, pluto_contract::limits::BUFFER_BYTES_MAX);
        drop(client);
    });
}

#[test]
fn a_watch_tells_of_changes_and_ends_when_its_place_is_empty() {
    on_each_driver(|world| {
        fs::create_dir(world.path("sub")).expect("a folder");
        let watch = world.send(Request::Watch(b"sub".to_vec()));
        let file = world.send(Request::Watch(b"file".to_vec()));
        assert!(!world.has_answer(watch));
        fs::write(world.path("sub/new"), "x").expect("a file");
        assert_eq!(world.answer(watch), Reply::Changed(b"new".to_vec()));
        fs::write(world.path("file"), "other").expect("a file");
        assert_eq!(world.answer(file), Reply::Changed(Vec::new()));
        // Moved out of the root: what happens there is none of the guest's business.
        let outside = world.folder.path().join("outside");
        fs::rename(world.path("sub"), &outside).expect("it moves");
        fs::write(outside.join("secret-name"), "x").expect("a file");
        let mut seen = Vec::new();
        let last = loop {
            match world.answer(watch) {
                Reply::Changed(name) => seen.push(name),
                last => break last,
            }
        };
        assert_eq!(last, failed(Error::NotFound));
        assert!(!seen.contains(&b"secret-name".to_vec()), "{seen:?}");
        fs::remove_file(world.path("file")).expect("it is there");
        while let Reply::Changed(_) = world.answer(file) {}
        assert_eq!(world.ask(Request::Watch(b"none".to_vec())), failed(Error::NotFound));
    });
}

/// The system keeps so many changes (`max_queued_events`) for those who do not ask, and then drops
/// them, with a word. Whoever watches then has to look at everything.
#[test]
fn more_changes_than_the_system_keeps_are_told_as_any_change_to_all_who_watch() {
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("Linux says it");
    let most: usize = most.trim().parse().expect("a number");
    if most > 1 << 18 {
        return eprintln!("NOT TESTED: this system keeps {most} changes, which take too long to make");
    }
    on_each_driver(|world| {
        fs::create_dir(world.path("sub")).expect("a folder");
        fs::create_dir(world.path("quiet")).expect("a folder");
        let busy = world.send(Request::Watch(b"sub".to_vec()));
        let quiet = world.send(Request::Watch(b"quiet".to_vec()));
        // Equal changes behind each other are one.
        let (first, second) = (world.path("sub/first"), world.path("sub/second"));
        for _ in 0..most / 4 + 1 {
            for path in [&first, &second] {
                fs::write(path, "").expect("a file");
            }
        }
        let mut changes = 0;
        loop {
            match world.answer(busy) {
                Reply::Changed(name) if name.is_empty() => break,
                Reply::Changed(_) => changes += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(changes > 0 && changes <= most, "{changes} of {most}");
        assert_eq!(world.answer(quiet), Reply::Changed(Vec::new()));
        // It goes on.
        fs::write(world.path("quiet/new"), "").expect("a file");
        assert_eq!(world.answer(quiet), Reply::Changed(b"new".to_vec()));
    });
}

#[test]
fn a_file_or_directory_has_so_many_watches_and_no_more() {
    on_each_driver(|world| {
        for _ in 0..pluto_contract::limits::WATCHES_OF_ONE_MAX {
            world.send(Request::Watch(b"file".to_vec()));
        }
        assert_eq!(world.ask(Request::Watch(b"file".to_vec())), failed(Error::Exhausted));
        for _ in 0..pluto_contract::limits::SIGNAL_REQUESTS_MAX {
            world.send(Request::Signals);
        }
        assert_eq!(world.ask(Request::Signals), failed(Error::Exhausted));
    });
}

#[test]
fn directories_are_listed_in_the_order_of_their_names_with_what_they_are() {
    on_each_driver(|world| {
        fs::create_dir_all(world.path("listed/b-folder")).expect("folders");
        std::os::unix::fs::symlink("d-file", world.path("listed/c-link")).expect("a link");
        for name in ["listed/d-file", "listed/a"] {
            fs::write(world.path(name), "").expect("a file");
        }
        let Reply::Listed(entries) = world.ask(Request::List(b"listed".to_vec())) else { panic!("no list") };
        let names: Vec<(&[u8], Kind)> = entries.iter().map(|it| (it.name.as_slice(), it.metadata.kind)).collect();
        let expected: [(&[u8], Kind); 4] = [
            (b"a", Kind::Regular),
            (b"b-folder", Kind::Directory),
            (b"c-link", Kind::Symlink),
            (b"d-file", Kind::Regular),
        ];
        assert_eq!(names, expected);
        assert_eq!(world.ask(Request::List(b"file".to_vec())), failed(Error::NotDirectory));
    });
}

#[test]
fn files_are_opened_as_the_contract_says() {
    on_each_driver(|world| {
        fs::create_dir(world.path("folder")).expect("a folder");
        std::os::unix::fs::symlink("file", world.path("link")).expect("a link");
        std::os::unix::fs::symlink("loop", world.path("loop")).expect("a link");
        let mut open =
            |path: &[u8], follow_symlinks| world.ask(Request::Open(Open { path: path.to_vec(), follow_symlinks }));
        assert!(matches!(open(b"link", true), Reply::Opened(_)));
        assert_eq!(open(b"link", false), failed(Error::Symlink));
        assert_eq!(open(b"loop", true), failed(Error::Symlink));
        assert_eq!(open(b"folder", true), failed(Error::IsDirectory));
        assert_eq!(open(b"file/x", true), failed(Error::NotDirectory));
        assert_eq!(open(&[b'x'; 300], true), failed(Error::NotFound));
        assert_eq!(open(&[b'x'; pluto_contract::limits::PATH_BYTES_MAX + 1], true), failed(Error::Invalid));
        assert_eq!(open(b"\xff\xfe", true), failed(Error::NotFound));
        let file = world.open("file");
        assert_eq!(world.ask(Request::ReadFile(range(file, 8, 100))), Reply::Data(b"89".to_vec()));
        assert_eq!(world.ask(Request::ReadFile(range(file, 100, 1))), Reply::Data(Vec::new()));
        let too_large = range(file, 0, pluto_contract::limits::BUFFER_BYTES_MAX + 1);
        assert_eq!(world.ask(Request::Load(too_large)), failed(Error::TooLarge));
    });
}

#[test]
fn sleeps_end_in_their_order_and_never_early() {
    on_each_driver(|world| {
        // Sleeps count from the time of the last batch.
        let begin = world.live.start();
        let sleeps: Vec<u64> = [30, 10, 20].map(|millis| world.send(Request::Sleep(millis * 1_000_000))).to_vec();
        let mut order = Vec::new();
        while order.len() < 3 {
            let batch = world.live.wait().expect("it goes on");
            for answer in batch.answers {
                order.push(answer.id);
                let millis = [30, 10, 20][sleeps.iter().position(|id| *id == answer.id).expect("a sleep")];
                assert!(batch.time >= begin + millis * 1_000_000, "{millis} ms end early");
            }
        }
        assert_eq!(order, [sleeps[1], sleeps[2], sleeps[0]]);
    });
}

/// Without a root nothing can be read.
#[test]
fn without_a_root_there_are_no_files() {
    let grant = Grant {
        ports: Vec::new(),
        handles_max: HANDLES,
        root: None,
        signals: None,
        board: Board::alone(),
        console: Console::new(Format::Off, Verbosity::Error),
        on_listening: Box::new(|_, _| ()),
    };
    let mut live = Live::new(DriverChoice::Auto, grant).expect("a queue");
    let requests = [
        Request::Open(Open { path: b"etc/passwd".to_vec(), follow_symlinks: true }),
        Request::List(Vec::new()),
        Request::Watch(Vec::new()),
        Request::Listen(Listen { port: 80, connections_max: 1 }),
    ];
    for (id, request) in (1..).zip(requests) {
        live.submit(Submission { id, request });
        let batch = live.wait().expect("it goes on");
        assert_eq!(batch.answers, [Answer { id, reply: failed(Error::NotPermitted) }]);
    }
    assert!(Path::new("/etc/passwd").exists(), "there was something to be read");
}
