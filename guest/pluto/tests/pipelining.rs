//! Several requests at once: answered in order, gathered, and never more than a bounded number at
//! a time.

use crate::hand::{Hand, is_open, is_read, is_write};
use crate::support::{After, after, get, responses, send, serve};
use pluto::limits::PIPELINE_MAX;
use pluto_sdk::testing::{Reply, Request};

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let mut world = serve(&[]);
    let requests = [
        get("/a.txt"),
        get("/missing"),
        get("/b.css").replace("GET", "HEAD"),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 23\r\n\r\nGET /c HTTP/1.1\r\nX: y\r\n".to_owned(),
        get("/dir"),
        get("/empty.txt"),
        get("/dir/"),
    ];
    let bytes = requests.concat().into_bytes();
    let methods = ["GET", "GET", "HEAD", "POST", "GET", "GET", "GET"];
    let whole = send(&mut world, &[&bytes]);
    let expected = world.received(whole).to_vec();
    let found = responses(&expected, &methods);
    let statuses: Vec<u16> = found.iter().map(|response| response.status).collect();
    assert_eq!(statuses, [200, 404, 200, 405, 301, 200, 200]);
    assert_eq!([found[0].text(), found[6].text()], ["alpha", "<h1>dir</h1>"]);
    for cut in 1..bytes.len() {
        let client = send(&mut world, &[&bytes[..cut], &bytes[cut..]]);
        assert!(world.received(client) == expected, "cut at {cut}");
        world.client_ends(client);
    }
    let client = send(&mut world, &bytes.chunks(1).collect::<Vec<_>>());
    assert!(world.received(client) == expected);
}

#[test]
fn nothing_is_answered_behind_the_last_request() {
    let mut world = serve(&[]);
    let check = |world: &mut pluto_sdk::testing::World, request: &str, status: u16| {
        let bytes = get("/a.txt") + request + &get("/b.css");
        let client = send(world, &[bytes.as_bytes()]);
        let found = responses(world.received(client), &[]);
        assert_eq!((found.len(), found[1].status), (2, status), "{request}");
        assert_eq!(after(world, client), After::Lingers, "{request}");
    };
    check(&mut world, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200);
    check(&mut world, "GET / HTTP/1.0\r\n\r\n", 200);
    check(&mut world, "GET / HTTP/1.1\n", 400);
    check(&mut world, "GET /.. HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    check(&mut world, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 405);
}

#[test]
fn answers_are_in_order_whatever_the_order_of_the_files() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut hand = Hand::new(get("/a") + &get("/b") + &get("/c"));
        let opens = hand.ids(is_open);
        assert_eq!(opens.len(), 3, "all files are asked for at once");
        for index in order {
            hand.open(opens[index], 100 + index as u64);
        }
        let places = ["<100>", "<101>", "<102>"].map(|content| hand.written.find(content).expect(content));
        assert!(places.is_sorted(), "{order:?}: {}", hand.written);
        assert_eq!(hand.written.matches("HTTP/1.1 200 OK").count(), 3);
    }
}

/// Once a file and its digest are there, one turn answers: the close and the next read go with the
/// write.
#[test]
fn a_request_takes_two_turns_of_the_guest() {
    let mut hand = Hand::new(get("/a"));
    let open = hand.id(is_open);
    let before = hand.waiting.len();
    hand.open(open, 100);
    let new: Vec<_> = hand.waiting[before - 1..].iter().map(|submission| &submission.request).collect();
    assert!(matches!(new[..], [Request::Write(_), Request::Close(100), Request::Read(_)]), "{new:?}");
    let write = hand.id(is_write);
    hand.answer(vec![(write, Reply::Written(1))]);
    let read = hand.id(is_read);
    hand.answer(vec![(read, Reply::Data(get("/b").into_bytes()))]);
    assert_eq!(hand.ids(is_open).len(), 1);
}

/// A client that sends and does not read finds the server waiting, not gathering.
#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let mut hand = Hand::new((0..3 * PIPELINE_MAX).map(|n| get(&format!("/{n}"))).collect::<String>());
    let opens = hand.ids(is_open);
    assert_eq!(opens.len(), PIPELINE_MAX, "so many files for one client at once");
    for (index, open) in opens.iter().enumerate() {
        hand.open(*open, 100 + index as u64);
    }
    assert_eq!((hand.ids(is_write).len(), hand.ids(is_read).len(), hand.ids(is_open).len()), (1, 0, 0));
    let write = hand.id(is_write);
    hand.answer(vec![(write, Reply::Written(1))]);
    assert_eq!(hand.ids(is_open).len(), PIPELINE_MAX, "the next ones");
}

/// One read is sent ahead with the write, and what it brings is not looked at while the write is
/// pending.
#[test]
fn what_comes_behind_a_pending_write_waits() {
    let mut hand = Hand::new(get("/a"));
    let open = hand.id(is_open);
    hand.open(open, 100);
    let read = hand.id(is_read);
    hand.answer(vec![(read, Reply::Data(get("/b").into_bytes()))]);
    assert_eq!((hand.ids(is_write).len(), hand.ids(is_read).len(), hand.ids(is_open).len()), (1, 0, 0));
    let write = hand.id(is_write);
    hand.answer(vec![(write, Reply::Written(1))]);
    assert_eq!(hand.ids(is_open).len(), 1);
}
