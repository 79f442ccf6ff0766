//! An independent client: hyper speaks to the server, and must understand what was meant.

use crate::generate::{self, seeds};
use crate::support::{responses, send};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};
use pluto_sdk::testing::{ClientId, World};
use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// One client of a world, as a stream of bytes. The world runs whenever bytes are sent.
struct Stream {
    world: Rc<RefCell<World>>,
    client: ClientId,
    /// Bytes that hyper has read.
    read: usize,
    /// Bytes that one read gives at most.
    piece: usize,
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let world = Rc::clone(&self.world);
        let world = world.borrow();
        let rest = &world.received(self.client)[self.read..];
        if rest.is_empty() && !world.is_ended(self.client) {
            return Poll::Pending;
        }
        let length = rest.len().min(to.remaining()).min(self.piece);
        to.put_slice(&rest[..length]);
        self.read += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut world = self.world.borrow_mut();
        world.client_sends(self.client, bytes);
        world.run_until_idle();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Drives a future that only waits for a world, and so is ready in a bounded number of polls.
fn finish<T>(future: impl Future<Output = T>, also: &mut dyn FnMut(&mut Context<'_>)) -> T {
    let mut context = Context::from_waker(Waker::noop());
    let mut future = pin!(future);
    for _ in 0..100_000 {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        also(&mut context);
    }
    panic!("hyper waits for something that does not come")
}

async fn collect(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        bytes.extend(frame.expect("a frame").into_data().expect("no trailers"));
    }
    bytes
}

#[test]
fn hyper_reads_what_was_meant() {
    let world = Rc::new(RefCell::new(generate::serve()));
    seeds(60, |rng| {
        let client = world.borrow_mut().connect();
        let stream = Stream { world: Rc::clone(&world), client, read: 0, piece: rng.usize(1..100_000) };
        let (mut sender, connection) =
            finish(http1::handshake::<_, String>(stream), &mut |_| ()).expect("hyper starts");
        let mut connection = pin!(connection);
        let mut drive = |context: &mut Context<'_>| drop(connection.as_mut().poll(context));
        for _ in 0..rng.usize(1..6) {
            let target = *rng.choice(&["/", "/a.txt", "/empty.txt", "/dir", "/missing", "/large.bin"]).expect("one");
            let method = *rng.choice(&["GET", "HEAD", "OPTIONS", "POST"]).expect("one");
            let body = if method == "POST" { "body".to_owned() } else { String::new() };
            // What a reader that shares nothing with hyper makes of the same response.
            let length = body.len();
            let bytes = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
            let plain = send(&mut world.borrow_mut(), &[bytes.as_bytes()]);
            let expected = responses(world.borrow().received(plain), &[method]).remove(0);

            let request = hyper::Request::builder().method(method).uri(target).header("Host", "a").body(body);
            let sent = sender.send_request(request.expect("a request"));
            let response = finish(sent, &mut drive).expect(target);
            assert_eq!(response.status().as_u16(), expected.status, "{method} {target}");
            for (name, value) in &expected.fields {
                let found = response.headers().get(name).map(hyper::header::HeaderValue::as_bytes);
                assert_eq!(found, Some(value.as_bytes()), "{method} {target}: {name}");
            }
            let content = finish(collect(response.into_body()), &mut drive);
            assert!(content == expected.content, "{method} {target}: {} bytes", content.len());
            finish(sender.ready(), &mut drive).expect("the connection is kept");
        }
        drop(sender);
        world.borrow_mut().client_ends(client);
        world.borrow_mut().run_until_idle();
    });
}
