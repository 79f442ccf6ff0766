//! What a client can make the server hold. Bytes are counted as they are allocated: a crowd of
//! clients is brought into the same state, by hand, so that nothing but the server's own memory is
//! counted.

use crate::hand;
use crate::support::get;
use pluto::limits::{CONNECTIONS_DEFAULT, CONNECTIONS_MAX, PIPELINE_MAX};
use pluto_http::limits::HEAD_BYTES_DEFAULT;
use pluto_sdk::testing::contract::{Accepted, IpAddress, Loaded, Opened, SocketAddress};
use pluto_sdk::testing::{Answer, Guest, Reply, Request, Submission};
use pluto_sdk::{Error, Kind, Metadata};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;

/// What the default connections may hold together: the host gives a guest 1 GiB, of which a
/// quarter is left for what the allocator cannot use.
const BYTES_MAX: usize = 3 << 28;

/// The same for as many connections as an operator can ask for, who gives the guest all that it
/// can have.
const MOST_BYTES_MAX: usize = 3 << 30;

/// What an idle client may hold. In the sandbox, where pointers are half as wide, that makes about
/// 1 KB with what the allocator adds; the rest of 2 KiB is for the host.
const IDLE_BYTES_MAX: usize = 1_900;

/// So many clients are brought into a state: enough that what the server holds once hardly counts.
const CROWD: usize = 64;

/// A file that never fits into one write.
const LARGE_BYTES: u64 = 64 << 20;

/// When a file was changed, so that its times say what it holds.
const LONG_AGO: i64 = -10_000_000_000;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Bytes that this thread has allocated and not given back.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    HELD.set(HELD.get().wrapping_add(more).wrapping_sub(less));
}

#[allow(unsafe_code, reason = "an allocator: it hands each call on as it came, to the system's")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A server and many clients that all do the same, and never read a response unless told so.
struct Crowd {
    guest: Guest,
    time: u64,
    listen: u64,
    /// Pending reads, with the bytes that each asks for, by connection.
    reads: HashMap<u64, (u64, u32)>,
    writes: HashMap<u64, u64>,
    opens: Vec<u64>,
}

impl Crowd {
    fn new() -> Crowd {
        let (guest, turn) = hand::start();
        let mut crowd =
            Crowd { guest, time: 0, listen: 0, reads: HashMap::new(), writes: HashMap::new(), opens: Vec::new() };
        crowd.note(turn.requests);
        crowd.answer(crowd.listen, Reply::Listening(8000));
        crowd
    }

    fn note(&mut self, requests: Vec<Submission>) {
        for Submission { id, request } in requests {
            match request {
                Request::Listen(_) => self.listen = id,
                Request::Read(read) => drop(self.reads.insert(read.connection, (id, read.bytes_max))),
                Request::Write(write) => drop(self.writes.insert(write.connection, id)),
                Request::Open(_) => self.opens.push(id),
                Request::Digest(_) => self.answer(id, Reply::Failed(Error::TooLarge)),
                // The server tries to digest it itself; what that takes is taken once.
                Request::ReadFile(_) => self.answer(id, Reply::Failed(Error::Invalid)),
                Request::Load(_) => {
                    self.answer(id, Reply::Loaded(Loaded { buffer: 1 << 40 | id, length: LARGE_BYTES }));
                }
                _ => (),
            }
        }
    }

    fn answer(&mut self, id: u64, reply: Reply) {
        self.time += 1;
        let turn = self.guest.turn(self.time, vec![Answer { id, reply }]);
        self.note(turn.requests);
    }

    fn connect(&mut self, connection: u64) {
        let peer = SocketAddress { address: IpAddress::Ipv4((192, 0, 2, 7)), port: 40_000 };
        self.answer(self.listen, Reply::Accepted(Accepted { connection, peer }));
    }

    /// The client sends, as much at a time as the server asks for; at the end the server may not
    /// want all of it.
    fn send(&mut self, connection: u64, mut bytes: &[u8]) {
        while !bytes.is_empty()
            && let Some((id, bytes_max)) = self.reads.remove(&connection)
        {
            let (now, later) = bytes.split_at(bytes.len().min(bytes_max as usize));
            self.answer(id, Reply::Data(now.to_vec()));
            bytes = later;
        }
    }

    /// Opens succeed: the file is large.
    fn open(&mut self) {
        for id in std::mem::take(&mut self.opens) {
            let metadata =
                Metadata { kind: Kind::Regular, size: LARGE_BYTES, modified: 0, changed: LONG_AGO, inode: 1 };
            self.answer(id, Reply::Opened(Opened { file: 1 << 41 | id, metadata }));
        }
    }

    /// The client sends so many requests, and takes what it is answered.
    fn serve(&mut self, connection: u64, bytes: impl AsRef<[u8]>, requests: usize) {
        self.send(connection, bytes.as_ref());
        // Each has its lookup and its writes; a large file takes several.
        for _ in 0..100 * requests {
            self.open();
            self.take(connection);
        }
        assert!(self.reads.contains_key(&connection) && self.writes.is_empty(), "the client is idle");
    }

    /// The client takes what was written.
    fn take(&mut self, connection: u64) {
        while let Some(id) = self.writes.remove(&connection) {
            self.answer(id, Reply::Written(1));
        }
    }
}

/// Brings a crowd into a state, and checks that the server can bear as many as it accepts.
#[track_caller]
fn check(state: &str, into: impl Fn(&mut Crowd, u64)) {
    let each = measure(state, into);
    assert!(each * CONNECTIONS_DEFAULT as usize <= BYTES_MAX, "{state}: {each} bytes for each client");
    assert!(each * CONNECTIONS_MAX as usize <= MOST_BYTES_MAX, "{state}: {each} bytes for each client");
}

/// Brings a crowd into a state in which it has nothing to wait for, and checks that hardly
/// anything is held for it.
#[track_caller]
fn check_idle(state: &str, into: impl Fn(&mut Crowd, u64)) {
    let each = measure(state, into);
    assert!(each <= IDLE_BYTES_MAX, "{state}: {each} bytes for each client");
}

/// Brings a crowd into a state; returns how many bytes are held for each client.
#[track_caller]
fn measure(state: &str, into: impl Fn(&mut Crowd, u64)) -> usize {
    let mut crowd = Crowd::new();
    // What grows once, such as a table, does so before.
    (1..=CROWD as u64).for_each(|connection| crowd.connect(connection));
    let before = HELD.get();
    for connection in 1..=CROWD as u64 {
        crowd.connect(1_000 + connection);
        into(&mut crowd, 1_000 + connection);
    }
    let each = HELD.get().saturating_sub(before) / CROWD;
    eprintln!("{each:>8} bytes: {state}");
    assert!(each > 100, "{state}: something is held");
    each
}

/// A request whose method makes its head as long as a head can be; the limit is part of it.
fn longest(fields: &str) -> String {
    let rest = format!(" / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    "M".repeat(HEAD_BYTES_DEFAULT - rest.len()) + &rest
}

/// A request of 8 KiB for a file.
fn long(path: &str) -> String {
    get(&format!("{path}?{}", "q".repeat(8_100 - path.len())))
}

/// The longest head without its last bytes, then those with all that a read can bring behind them.
fn send_longest(crowd: &mut Crowd, client: u64, head: &str, behind: &str) {
    let (most, last) = head.split_at(HEAD_BYTES_DEFAULT - 1);
    crowd.send(client, most.as_bytes());
    crowd.send(client, (last.to_owned() + behind).as_bytes());
}

#[test]
fn an_idle_client_costs_little_whatever_it_has_done_before() {
    // A browser's, and longer than what a request keeps as its line.
    let browser =
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}Cookie: {}\r\n\r\n", "Accept: */*\r\n".repeat(15), "c".repeat(1_500));
    check_idle("connected", |_, _| ());
    check_idle("idle, behind a request for what is kept", |crowd, client| crowd.serve(client, get("/a"), 1));
    check_idle("idle, behind two requests of a browser", |crowd, client| {
        (0..2).for_each(|_| crowd.serve(client, &browser, 1));
    });
    check_idle("idle, behind pipelined requests, each with its write", |crowd, client| {
        crowd.serve(client, get("/a").repeat(16), 16);
    });
    check_idle("idle, behind pipelined requests with one write", |crowd, client| {
        crowd.serve(client, get("/a").replace("GET", "HEAD").repeat(16), 16);
    });
    check_idle("idle, behind a body in pieces", |crowd, client| {
        crowd.send(client, b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
        crowd.serve(client, b"cd", 1);
    });
}

/// As many as an operator can ask for; a descriptor for each is more than most machines give a
/// test of the whole system.
#[test]
fn as_many_idle_clients_as_there_can_be_are_held_and_one_among_them_is_served() {
    let mut crowd = Crowd::new();
    let before = HELD.get();
    for client in 1..=CONNECTIONS_MAX {
        crowd.connect(client);
        crowd.serve(client, get("/a"), 1);
    }
    let each = (HELD.get() - before) / CONNECTIONS_MAX as usize;
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes for each client");
    assert_eq!(crowd.reads.len(), CONNECTIONS_MAX as usize, "all of them are connected, and waited for");
    crowd.serve(CONNECTIONS_MAX / 2, get("/a").repeat(16), 16);
}

#[test]
fn what_all_clients_can_hold_together_is_less_than_the_server_has() {
    let head = longest("");
    let unfinished = &head[..HEAD_BYTES_DEFAULT - 1];
    check("connected", |_, _| ());
    check("in the middle of a head", |crowd, client| crowd.send(client, unfinished.as_bytes()));
    check("in the middle of a head that comes in pieces", |crowd, client| {
        unfinished.as_bytes().chunks(100).for_each(|piece| crowd.send(client, piece));
    });
    check("idle, with empty lines behind many requests", |crowd, client| {
        send_longest(crowd, client, &head, &(get("/a").repeat(300) + "\r\n"));
        for _ in 0..300 {
            crowd.open();
            crowd.take(client);
        }
    });
    check("in the middle of a body, behind a long request line", |crowd, client| {
        send_longest(crowd, client, &longest("Content-Length: 60000\r\n"), &"x".repeat(16_000));
    });
    check("not reading a large file, with a long request line and the next head", |crowd, client| {
        send_longest(crowd, client, &head, &long("/large"));
        crowd.take(client);
        crowd.open();
        crowd.send(client, unfinished.as_bytes());
    });
    check("not reading, with long requests before and behind", |crowd, client| {
        send_longest(crowd, client, &head, &(long("/large") + &head));
        crowd.send(client, head.as_bytes());
    });
    check("not reading, with as many long requests as are answered together", |crowd, client| {
        let requests = get(&format!("/large?{}", "q".repeat(1_900))).repeat(PIPELINE_MAX) + &head;
        crowd.send(client, b"G");
        crowd.send(client, &requests.as_bytes()[1..]);
        crowd.open();
        crowd.send(client, head.as_bytes());
    });
    check("waiting for files with long request lines", |crowd, client| {
        crowd.send(client, b"G");
        crowd.send(client, &(long("/a").repeat(4) + unfinished).as_bytes()[1..]);
    });
    check("waiting for files with long paths, asked for again", |crowd, client| {
        let path = format!("/{client}{}", "p".repeat(4_000));
        crowd.send(client, b"G");
        crowd.send(client, &(get(&path).repeat(4) + unfinished).as_bytes()[1..]);
    });
}
