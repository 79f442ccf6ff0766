//! Sentences of ports, connections and writes.

use pluto_contract::*;

use super::case::{CANCELLED, Case, FOREVER, a_client, a_deaf_client, a_file, a_large_write, nothing};
use super::worlds::{Event, Plan, bytes, failed, range, read, write};

/// Their cases.
pub const CASES: &[Case] = &[
    Case {
        sentences: &[
            "Accept connections on a port.",
            "Answered `listening` once, then `accepted` for each connection.",
            "The port on which the host now listens.",
            "Also the number that `listening` has told for it.",
            "Any other is answered `failed(not-permitted)`.",
            "The port is taken.",
            "The guest was not granted this: another port, a path out of the root, a guest without a root.",
        ],
        plan: || Plan { events: vec![Event::Connects, Event::Connects], ..nothing() },
        script: |run| {
            let port = run.port();
            let listen = run.listen(10);
            assert_eq!(run.ask(Request::Listen(Listen { port, connections_max: 1 })), failed(Error::AddressInUse));
            let other = Request::Listen(Listen { port: port ^ 1, connections_max: 1 });
            assert_eq!(run.ask(other), failed(Error::NotPermitted));
            let mut connections = Vec::new();
            for _ in 0..2 {
                run.happen();
                connections.push(run.accept(listen));
            }
            assert_ne!(connections[0], connections[1]);
            run.nothing_for(listen);
        },
    },
    Case {
        sentences: &[
            "Of the whole server: while so many of its connections are open, the host accepts no more, and the others wait \
             in the backlog.",
        ],
        plan: || Plan { events: vec![Event::Connects; 3], ..nothing() },
        script: |run| {
            let listen = run.listen(1);
            (0..3).for_each(|_| run.happen());
            for _ in 0..2 {
                let connection = run.accept(listen);
                run.nothing_for(listen);
                assert_eq!(run.ask(Request::Close(connection)), Reply::Done);
            }
            run.accept(listen);
            run.nothing_for(listen);
        },
    },
    Case {
        sentences: &["A cancelled write may have sent a part; a cancelled `listen` stops listening."],
        plan: || Plan { events: vec![Event::Connects, Event::Sends(0, b"hello")], ..nothing() },
        script: |run| {
            let listen = run.listen(1);
            assert_eq!(run.ask(Request::Cancel(listen)), Reply::Done);
            assert_eq!(run.answer(listen), CANCELLED);
            let connection = run.meet();
            run.happen();
            assert_eq!(run.ask(read(connection, 9)), Reply::Data(b"hello".to_vec()));
        },
    },
    Case {
        sentences: &[
            "Take bytes that a client sent.",
            "Answered `data`; empty when the client has ended its direction.",
            "At most so many bytes.",
            "0 is answered `failed(invalid)`; more than `read_bytes_max` is taken as that.",
            "The request makes no sense: the field's documentation says what does.",
        ],
        plan: || {
            const MANY: &[u8] = &[b'x'; 2 * pluto_contract::limits::READ_BYTES_MAX];
            let sends = [Event::Sends(0, b"hello"), Event::Sends(0, MANY), Event::Ends(0)];
            Plan { events: [Event::Connects].into_iter().chain(sends).collect(), ..nothing() }
        },
        script: |run| {
            let connection = run.meet();
            assert_eq!(run.ask(read(connection, 0)), failed(Error::Invalid));
            run.happen();
            assert_eq!(run.ask(read(connection, 3)), Reply::Data(b"hel".to_vec()));
            assert_eq!(run.ask(read(connection, 9)), Reply::Data(b"lo".to_vec()));
            run.happen();
            run.happen();
            let mut all = 0;
            loop {
                match run.ask(read(connection, u32::MAX)) {
                    Reply::Data(bytes) if bytes.is_empty() => break,
                    Reply::Data(bytes) => {
                        assert!(bytes.len() <= pluto_contract::limits::READ_BYTES_MAX, "{} at once", bytes.len());
                        all += bytes.len();
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(all, 2 * pluto_contract::limits::READ_BYTES_MAX);
            assert_eq!(run.ask(write(connection, bytes("still"))), Reply::Written(5), "our direction is open");
        },
    },
    Case {
        sentences: &[
            "One read of a connection can be pending; another is answered `failed(busy)`.",
            "A cancelled read takes nothing: the next one gets what has come.",
            "The same connection has one of this kind pending.",
        ],
        plan: || Plan { events: vec![Event::Connects, Event::Sends(0, b"hello")], ..nothing() },
        script: |run| {
            let connection = run.meet();
            let first = run.send(read(connection, 9));
            assert_eq!(run.ask(read(connection, 9)), failed(Error::Busy));
            run.nothing_for(first);
            assert_eq!(run.ask(Request::Cancel(first)), Reply::Done);
            assert_eq!(run.answer(first), CANCELLED);
            run.happen();
            assert_eq!(run.ask(read(connection, 9)), Reply::Data(b"hello".to_vec()));
        },
    },
    Case {
        sentences: &[
            "One write of a connection can be pending; another is answered `failed(busy)`.",
            "While a write is pending: `failed(busy)`.",
        ],
        plan: a_deaf_client,
        script: |run| {
            let connection = run.meet();
            let first = a_large_write(run, connection);
            run.nothing_for(first);
            assert_eq!(run.ask(write(connection, bytes("x"))), failed(Error::Busy));
            assert_eq!(run.ask(Request::Shutdown(connection)), failed(Error::Busy));
            assert_eq!(run.ask(Request::Cancel(first)), Reply::Done);
            assert_eq!(run.answer(first), CANCELLED);
        },
    },
    Case {
        sentences: &[
            "Give a handle back.",
            "Answered `done`.",
            "What is pending on a connection is answered `failed(cancelled)`; a write that is sending from a file or buffer \
             keeps that alive until it is done.",
        ],
        plan: a_deaf_client,
        script: |run| {
            let connection = run.meet();
            let pending = [run.send(read(connection, 9)), a_large_write(run, connection)];
            pending.iter().for_each(|id| run.nothing_for(*id));
            assert_eq!(run.ask(Request::Close(connection)), Reply::Done);
            assert_eq!(pending.map(|id| run.answer(id)), [CANCELLED, CANCELLED]);
            assert_eq!(run.ask(Request::Close(connection)), failed(Error::BadHandle));
        },
    },
    Case {
        sentences: &[
            "Send bytes to a client.",
            "Answered `written` when the system has taken all of them.",
            "How many bytes were sent: all that were asked for.",
            "Sent in this order, without a gap.",
            "Bytes of the guest.",
            "Bytes of a buffer that the host holds.",
            "Bytes of an open file.",
        ],
        plan: a_file,
        script: |run| {
            let connection = run.meet();
            let file = run.open("file");
            let buffer = run.load(file, 10);
            let parts = vec![
                "<".into(),
                Part::File(range(file, 2, 3)),
                "".into(),
                Part::Buffer(range(buffer, 9, 1)),
                Part::File(range(file, 0, 0)),
                "|".into(),
                Part::Buffer(range(buffer, 0, 4)),
            ];
            assert_eq!(run.ask(write(connection, parts)), Reply::Written(10));
            run.client_reads(0, b"<2349|0123");
        },
    },
    Case {
        sentences: &["End our direction of a connection, so that the client reads an end of stream."],
        plan: || Plan { events: vec![Event::Connects, Event::Sends(0, b"later")], ..nothing() },
        script: |run| {
            let connection = run.meet();
            assert_eq!(run.ask(write(connection, bytes("bye"))), Reply::Written(3));
            assert_eq!(run.ask(Request::Shutdown(connection)), Reply::Done);
            run.client_reads(0, b"bye");
            run.client_reads_the_end(0);
            assert_eq!(run.ask(write(connection, bytes("x"))), failed(Error::Disconnected));
            run.happen();
            assert_eq!(run.ask(read(connection, 9)), Reply::Data(b"later".to_vec()), "it can still send");
        },
    },
    Case {
        sentences: &[
            "Whether our direction ends behind them, as with `shutdown`: cheaper, for the client is told with the last bytes.",
            "It does not end when the write fails.",
        ],
        plan: a_file,
        script: |run| {
            let connection = run.meet();
            let file = run.open("file");
            let last = |parts| Request::Write(Write { connection, parts, ends: true });
            let too_long = vec![Part::File(range(file, 8, 9))];
            assert_eq!(run.ask(last(too_long)), failed(Error::Truncated));
            assert_eq!(run.ask(last(bytes("bye"))), Reply::Written(3));
            run.client_reads(0, b"89bye");
            run.client_reads_the_end(0);
            assert_eq!(run.ask(write(connection, bytes("x"))), failed(Error::Disconnected));
        },
    },
    Case {
        sentences: &["The client is gone: reset, or no longer reading."],
        plan: || Plan { events: vec![Event::Connects, Event::IsReset(0)], ..nothing() },
        script: |run| {
            let connection = run.meet();
            let pending = run.send(read(connection, 9));
            run.nothing_for(pending);
            run.happen();
            assert_eq!(run.answer(pending), failed(Error::Disconnected));
            assert_eq!(run.ask(write(connection, bytes("x"))), failed(Error::Disconnected));
            assert_eq!(run.ask(Request::Close(connection)), Reply::Done);
        },
    },
    Case {
        sentences: &[
            "At most `write_parts_max` parts, with at most `write_bytes_max` of the guest's own bytes; else \
             `failed(too-large)`.",
            "Over a limit for one request.",
        ],
        plan: a_client,
        script: |run| {
            let connection = run.meet();
            let most: Vec<Part> = vec!["x".into(); pluto_contract::limits::WRITE_PARTS_MAX];
            assert_eq!(run.ask(write(connection, [&most[..], &bytes("x")].concat())), failed(Error::TooLarge));
            let large = vec![Part::Bytes(vec![b'y'; pluto_contract::limits::WRITE_BYTES_MAX]), "y".into()];
            assert_eq!(run.ask(write(connection, large)), failed(Error::TooLarge));
            assert_eq!(
                run.ask(write(connection, most)),
                Reply::Written(pluto_contract::limits::WRITE_PARTS_MAX as u64)
            );
            run.client_reads(0, &[b'x'; pluto_contract::limits::WRITE_PARTS_MAX]);
        },
    },
    Case {
        sentences: &[
            "One that ends beyond the end of a buffer is answered `failed(invalid)`.",
            "When a file ends before its range does, `write` has sent what there was and is answered `failed(truncated)`.",
            "The file ended before its range did.",
        ],
        plan: a_file,
        script: |run| {
            let connection = run.meet();
            let file = run.open("file");
            let buffer = run.load(file, 10);
            for beyond in [range(buffer, 0, 11), range(buffer, 10, 1), range(buffer, FOREVER, 2)] {
                assert_eq!(run.ask(write(connection, vec![Part::Buffer(beyond)])), failed(Error::Invalid));
            }
            let no_range = vec![Part::File(range(file, FOREVER, 2))];
            assert_eq!(run.ask(write(connection, no_range)), failed(Error::Invalid));
            let parts = vec!["<".into(), Part::File(range(file, 7, 9)), "never".into()];
            assert_eq!(run.ask(write(connection, parts)), failed(Error::Truncated));
            run.client_reads(0, b"<789");
            assert_eq!(run.ask(Request::Shutdown(connection)), Reply::Done);
            run.client_reads_the_end(0);
        },
    },
];
