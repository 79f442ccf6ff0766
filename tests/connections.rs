//! Connections of the live world, on both drivers: what is written arrives, and what is sent is
//! read, in order and without a gap.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use pluto_contract::{Error, Part, Reply, Request};
use rustix::net::sockopt;

use crate::contract::{World, failed, on_each_driver, range};

/// On each driver, with a client that is new, and with one that has been read from: the first
/// receive of a connection takes one piece, a later one may go on before more is asked for.
fn with_a_client(test: impl Fn(&mut World, TcpStream, u64)) {
    for is_read_before in [false, true] {
        on_each_driver(|world| {
            let (mut client, connection) = world.meet();
            if is_read_before {
                let read = world.read(connection, 100);
                client.write_all(b"hello").expect("it takes that");
                assert_eq!(world.answer(read), Reply::Data(b"hello".to_vec()));
            }
            test(world, client, connection);
        });
    }
}

#[test]
fn the_parts_of_a_write_arrive_in_order_without_a_gap_also_empty_ones() {
    on_each_driver(|world| {
        let large: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        fs::write(world.path("large"), &large).expect("a file");
        let (small, big) = (world.open("file"), world.open("large"));
        let buffer = world.load(small, 10);
        let (mut client, connection) = world.meet();
        let mut parts = Vec::new();
        let mut expected = Vec::new();
        for n in 0..200_u64 {
            parts.extend([
                Part::Bytes(vec![b'a'; n as usize]),
                Part::File(range(small, n % 7, n % 3)),
                Part::Buffer(range(buffer, 2, n % 9)),
                Part::Bytes(Vec::new()),
            ]);
            expected.extend(vec![b'a'; n as usize]);
            expected.extend(&b"0123456789"[(n % 7) as usize..(n % 7 + n % 3) as usize]);
            expected.extend(&b"0123456789"[2..2 + (n % 9) as usize]);
        }
        parts.insert(0, Part::File(range(big, 5, 600_000)));
        parts.push(Part::File(range(big, 0, 32_769)));
        let mut all = large[5..600_005].to_vec();
        all.extend(&expected);
        all.extend(&large[..32_769]);
        let write = world.write(connection, parts);
        world.send(Request::Close(small));
        world.send(Request::Close(buffer));
        let mut received = vec![0; all.len()];
        let reading = std::thread::spawn(move || {
            client.read_exact(&mut received).expect("it arrives");
            received
        });
        assert_eq!(world.answer(write), Reply::Written(all.len() as u64), "its files and buffers may be closed");
        assert!(reading.join().expect("it reads") == all);
    });
}

#[test]
fn a_write_beyond_the_end_of_a_file_sends_what_there_is_and_is_truncated() {
    on_each_driver(|world| {
        fs::write(world.path("large"), vec![b'x'; 100_000]).expect("a file");
        let (small, big) = (world.open("file"), world.open("large"));
        let listen = world.listen(10);
        for (file, offset, length, arrives) in [(small, 0, 11, 10), (small, 10, 1, 0), (big, 0, 200_000, 100_000)] {
            let mut client = world.connect();
            let connection = world.accept(listen);
            let parts = vec![Part::File(range(file, offset, length)), Part::Bytes(b"never".to_vec())];
            let write = world.write(connection, parts);
            assert_eq!(world.answer(write), failed(Error::Truncated));
            assert_eq!(world.ask(Request::Close(connection)), Reply::Done);
            let mut received = Vec::new();
            // The queue gives up the socket.
            assert_eq!(world.ask(Request::Sleep(1)), Reply::Elapsed);
            client.read_to_end(&mut received).expect("an end");
            assert_eq!(received.len(), arrives);
        }
    });
}

#[test]
fn a_write_that_ends_the_direction_does_so_behind_its_last_byte_unless_it_fails() {
    on_each_driver(|world| {
        fs::write(world.path("large"), vec![b'x'; 3_000_000]).expect("a file");
        let (small, big) = (world.open("file"), world.open("large"));
        let listen = world.listen(10);
        let parts = |length| vec![Part::Bytes(b"head".to_vec()), Part::File(range(big, 0, length))];
        for (parts, length) in [(parts(3_000_000), 3_000_004), (parts(100), 104), (Vec::new(), 0)] {
            let mut client = world.connect();
            let connection = world.accept(listen);
            let last = pluto_contract::Write { connection, parts, ends: true };
            let write = world.send(Request::Write(last));
            let reading = std::thread::spawn(move || {
                let mut received = Vec::new();
                client.read_to_end(&mut received).expect("an end");
                (client, received)
            });
            assert_eq!(world.answer(write), Reply::Written(length));
            let (mut client, received) = reading.join().expect("it reads");
            assert_eq!(received.len() as u64, length);
            let after = world.write(connection, vec![Part::Bytes(b"x".to_vec())]);
            assert_eq!(world.answer(after), failed(Error::Disconnected));
            // The other direction goes on.
            client.write_all(b"hello").expect("it is taken");
            let read = world.read(connection, 100);
            assert_eq!(world.answer(read), Reply::Data(b"hello".to_vec()));
        }
        let mut client = world.connect();
        let connection = world.accept(listen);
        let last = pluto_contract::Write { connection, parts: vec![Part::File(range(small, 0, 11))], ends: true };
        assert_eq!(world.ask(Request::Write(last)), failed(Error::Truncated));
        let more = world.write(connection, vec![Part::Bytes(b"more".to_vec())]);
        assert_eq!(world.answer(more), Reply::Written(4), "it has not ended");
        let mut received = [0; 14];
        client.read_exact(&mut received).expect("all of it");
        assert_eq!(&received, b"0123456789more");
    });
}

/// Where our direction has ended before, only a receive still holds the socket.
#[test]
fn closing_gives_back_a_socket_from_which_something_is_still_received() {
    with_a_client(|world, mut client, connection| {
        let read = world.read(connection, 100);
        let last = pluto_contract::Write { connection, parts: vec![Part::Bytes(b"bye".to_vec())], ends: true };
        assert_eq!(world.ask(Request::Write(last)), Reply::Written(3));
        let mut received = Vec::new();
        client.read_to_end(&mut received).expect("an end");
        assert_eq!(world.ask(Request::Close(connection)), Reply::Done);
        assert_eq!(world.answer(read), failed(Error::Cancelled));
        let is_refused = (0..500).any(|_| {
            let sleep = world.send(Request::Sleep(10_000_000));
            world.answer(sleep);
            client.write_all(b"x").is_err()
        });
        assert!(is_refused, "what a client sends to a closed connection is still taken");
    });
}

#[test]
fn one_read_and_one_write_of_a_connection_can_be_pending() {
    on_each_driver(|world| {
        let (mut client, connection) = world.meet();
        let read = world.read(connection, 100);
        let second = world.read(connection, 100);
        assert_eq!(world.answer(second), failed(Error::Busy));
        // Until the sockets hold no more.
        let pending = (0..10).map(|_| world.write(connection, vec![Part::Bytes(vec![7; 4 << 20])])).collect::<Vec<_>>();
        let last = pending.iter().map(|id| (world.has_answer(*id), *id)).last();
        assert_eq!(world.answer(last.expect("ten").1), failed(Error::Busy));
        assert_eq!(world.ask(Request::Shutdown(connection)), failed(Error::Busy));
        client.write_all(b"hello").expect("it reads");
        assert_eq!(world.answer(read), Reply::Data(b"hello".to_vec()));
        let zero = world.read(connection, 0);
        assert_eq!(world.answer(zero), failed(Error::Invalid));
    });
}

#[test]
fn what_a_client_sends_is_read_in_order_whether_or_not_a_read_waits_for_it() {
    with_a_client(|world, mut client, connection| {
        let read = world.read(connection, 4);
        client.write_all(b"hello, world").expect("it takes that");
        assert_eq!(world.answer(read), Reply::Data(b"hell".to_vec()));
        let read = world.read(connection, 3);
        assert_eq!(world.answer(read), Reply::Data(b"o, ".to_vec()));
        let read = world.read(connection, 100);
        assert_eq!(world.answer(read), Reply::Data(b"world".to_vec()));
        let cancelled = world.read(connection, 100);
        assert_eq!(world.ask(Request::Cancel(cancelled)), Reply::Done);
        assert_eq!(world.answer(cancelled), failed(Error::Cancelled));
        client.write_all(b"more").expect("it takes that");
        client.shutdown(std::net::Shutdown::Write).expect("an end");
        // It has come before it is asked for.
        let sleep = world.send(Request::Sleep(50_000_000));
        world.answer(sleep);
        for expected in [&b"more"[..], b"", b""] {
            let read = world.read(connection, 100);
            assert_eq!(world.answer(read), Reply::Data(expected.to_vec()));
        }
    });
}

/// Both behind so much that nothing more is received until it is read.
#[test]
fn an_end_and_a_reset_are_told_behind_what_came_before() {
    for is_reset in [false, true] {
        with_a_client(|world, mut client, connection| {
            let read = world.read(connection, 1);
            client.write_all(&[b'x'; 60_000]).expect("the system takes that");
            assert_eq!(world.answer(read), Reply::Data(b"x".to_vec()));
            if is_reset {
                sockopt::set_socket_linger(&client, Some(Duration::ZERO)).expect("a socket");
            }
            drop(client);
            let sleep = world.send(Request::Sleep(30_000_000));
            world.answer(sleep);
            let mut received = 1;
            let last = loop {
                let read = world.read(connection, 1_000);
                match world.answer(read) {
                    Reply::Data(bytes) if !bytes.is_empty() => received += bytes.len(),
                    last => break last,
                }
            };
            if is_reset {
                assert_eq!(last, failed(Error::Disconnected), "behind {received} bytes");
            } else {
                assert_eq!((received, last), (60_000, Reply::Data(Vec::new())));
            }
        });
    }
}

/// Otherwise a guest could make the host hold much more than what was sent.
#[test]
fn answers_hold_no_more_memory_than_their_bytes() {
    with_a_client(|world, mut client, connection| {
        let first = world.read(connection, 1);
        client.write_all(&[b'x'; 10_000]).expect("the system takes that");
        assert_eq!(world.answer(first), Reply::Data(b"x".to_vec()));
        let read = world.read(connection, 1);
        match world.answer(read) {
            Reply::Data(bytes) => assert!(bytes.capacity() <= 64, "{} bytes for one", bytes.capacity()),
            other => panic!("{other:?}"),
        }
    });
}

/// What the system's own buffers take of a client is at most some MiB.
#[test]
fn a_client_that_nobody_reads_from_is_held_back_and_loses_nothing() {
    const ALL: usize = 64 << 20;
    with_a_client(|world, mut client, connection| {
        let read = world.read(connection, 1);
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        let sending = std::thread::spawn(move || {
            let bytes: Vec<u8> = (0..=250).cycle().take(251 << 10).collect();
            while counted.load(Relaxed) < ALL {
                client.write_all(&bytes).expect("it takes that at last");
                counted.fetch_add(bytes.len(), Relaxed);
            }
        });
        let mut received = match world.answer(read) {
            Reply::Data(bytes) => bytes,
            other => panic!("{other:?}"),
        };
        for _ in 0..10 {
            let sleep = world.send(Request::Sleep(20_000_000));
            world.answer(sleep);
        }
        assert!(sent.load(Relaxed) < ALL / 2, "{} bytes were taken that nobody reads", sent.load(Relaxed));
        while received.len() < ALL {
            let read = world.read(connection, u32::MAX);
            match world.answer(read) {
                Reply::Data(bytes) => received.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        sending.join().expect("it sends all");
        assert!(received.iter().zip((0..=250).cycle()).all(|(found, expected)| *found == expected));
    });
}
