//! The bytes that a client sends, cut into requests. Bodies are dropped on the way, so that one is never read as the
//! next request.

use super::body::{Dropper, Progress};
use super::head::Scanner;
use super::request::Request;
use super::status::{Fault, Status};
use crate::limits::{BODY_BYTES_DEFAULT, IDLE_BUFFER_BYTES_MAX};

/// Cuts one connection's bytes into requests. It holds one head and what one read brought behind it, at most.
#[derive(Debug)]
pub struct Inbound {
    /// What has come and is not used up: everything from `start`.
    buffer: Vec<u8>,
    start: usize,
    scanner: Scanner,
    /// A request whose body has not yet ended.
    held: Option<(Request, Dropper)>,
    /// All that has come was looked at, and is not enough.
    hungry: bool,
    over: bool,
    body_bytes_max: u64,
}

/// What the client is in the middle of, when there is no request to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// Sending a head.
    Head,
    /// Sending a body.
    Body,
    /// Nothing that matters: the last request has come.
    Over,
}

impl Default for Inbound {
    fn default() -> Inbound {
        Inbound::new(BODY_BYTES_DEFAULT)
    }
}

impl Inbound {
    /// For a new connection, on which bodies of at most so many bytes are dropped.
    pub fn new(body_bytes_max: u64) -> Inbound {
        Inbound {
            buffer: Vec::new(),
            start: 0,
            scanner: Scanner::default(),
            held: None,
            hungry: true,
            over: false,
            body_bytes_max,
        }
    }

    /// Takes bytes that the client sent. To be called when `next_request` has nothing more.
    pub fn feed(&mut self, bytes: Vec<u8>) {
        if self.start == self.buffer.len() {
            self.buffer = bytes;
        } else {
            // Moves less than the last read brought, or nothing: `start` is 0 until a request has been used up.
            self.buffer.drain(..self.start);
            self.buffer.extend_from_slice(&bytes);
        }
        self.start = 0;
        self.hungry = false;
    }

    /// Whether `next_request` has said that it needs more bytes; never so behind the last request.
    pub fn is_hungry(&self) -> bool {
        self.hungry && !self.over
    }

    /// The next request, when it has come with its body.
    pub fn next_request(&mut self) -> Option<Request> {
        let request = self.cut_request();
        self.hungry = request.is_none();
        request
    }

    fn cut_request(&mut self) -> Option<Request> {
        if self.over {
            return None;
        }
        if self.held.is_none() {
            let bytes = &self.buffer[self.start..];
            match self.scanner.scan(bytes) {
                Ok(false) => return None,
                Ok(true) => (),
                Err(fault) => return Some(self.refuse(fault)),
            }
            let (request, framing) = Request::read(self.scanner.head(bytes));
            self.start += self.scanner.length();
            self.scanner.reset();
            match Dropper::new(framing, self.body_bytes_max) {
                None => return Some(self.finish(request)),
                Some(dropper) => self.held = Some((request, dropper)),
            }
        }
        self.drop_body()
    }

    /// What the client is in the middle of.
    pub fn phase(&self) -> Phase {
        match self.held {
            _ if self.over => Phase::Over,
            Some(_) => Phase::Body,
            None if self.scanner.has_begun() => Phase::Head,
            None => Phase::Idle,
        }
    }

    /// The client was too slow: the request that it was in the middle of, refused.
    pub fn time_out(&mut self) -> Option<Request> {
        self.interrupt(Fault::fatal(Status::RequestTimeout, "The request took too long to arrive."))
    }

    /// The client sends no more: the request that it was in the middle of, refused.
    pub fn end(&mut self) -> Option<Request> {
        self.interrupt(Fault::bad("The request ended before it was complete."))
    }

    /// Gives back a large buffer with nothing in it, for an idle client may stay so for long.
    pub fn shrink(&mut self) {
        if self.start == self.buffer.len() && self.buffer.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.buffer = Vec::new();
            self.start = 0;
        }
    }

    fn drop_body(&mut self) -> Option<Request> {
        let (mut request, mut dropper) = self.held.take()?;
        match dropper.take(&self.buffer[self.start..]) {
            Ok(Progress::More) => {
                self.start = self.buffer.len();
                self.held = Some((request, dropper));
                return None;
            }
            Ok(Progress::Done(length)) => self.start += length,
            // Answered all the same, but the connection ends.
            Ok(Progress::TooMuch) => request.persistent = false,
            Err(fault) => request.fail(fault),
        }
        Some(self.finish(request))
    }

    fn interrupt(&mut self, fault: Fault) -> Option<Request> {
        let request = match (self.phase(), self.held.take()) {
            (Phase::Body, Some((mut request, _))) => {
                request.fail(fault);
                Some(self.finish(request))
            }
            (Phase::Head, None) => Some(self.refuse(fault)),
            _ => None,
        };
        self.over = true;
        request
    }

    fn refuse(&mut self, fault: Fault) -> Request {
        let request = Request::refused(self.scanner.head(&self.buffer[self.start..]), fault);
        self.finish(request)
    }

    /// What follows the last request is never looked at.
    fn finish(&mut self, request: Request) -> Request {
        self.over = !request.persistent;
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::Action;

    /// Feeds bytes, cut at these places, and shows the requests and the phase at the end.
    fn requests(bytes: &[u8], cuts: &[usize]) -> (Vec<String>, Phase) {
        let mut inbound = Inbound::new(20);
        let mut found = Vec::new();
        let mut start = 0;
        for &end in cuts.iter().chain([&bytes.len()]) {
            inbound.feed(bytes[start..end].to_vec());
            start = end;
            while let Some(request) = inbound.next_request() {
                found.push(match &request.action {
                    Action::Serve(path) => path.escape(),
                    Action::Options => "options".to_owned(),
                    Action::Refuse(fault) => fault.status.code().to_string(),
                });
            }
        }
        (found, inbound.phase())
    }

    /// Feeds the bytes whole, cut in two everywhere, and one by one.
    fn check(bytes: &str, expected: &[&str], phase: Phase) {
        let expected = (expected.iter().map(ToString::to_string).collect(), phase);
        let bytes = bytes.as_bytes();
        assert_eq!(requests(bytes, &[]), expected, "{:?}", String::from_utf8_lossy(bytes));
        for cut in 0..bytes.len() {
            assert_eq!(requests(bytes, &[cut]), expected, "{:?}", bytes[..cut].escape_ascii().to_string());
        }
        assert_eq!(requests(bytes, &(0..bytes.len()).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn requests_are_told_apart_however_they_are_cut() {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        check("", &[], Phase::Idle);
        check("\r\n", &[], Phase::Idle);
        check("\r\nG", &[], Phase::Head);
        check(&get("/a"), &["/a"], Phase::Idle);
        check(&(get("/a") + "\r\n" + &get("/b") + &get("/c")), &["/a", "/b", "/c"], Phase::Idle);
        check(&(get("/a") + "GET /"), &["/a"], Phase::Head);
        check(&(get("/a") + "GET /\n" + &get("/b")), &["/a", "400"], Phase::Over);
        check(&(get("/..") + &get("/b")), &["400"], Phase::Over);
        check(&(get("/%2f") + &get("/b")), &["404", "/b"], Phase::Idle);
        check(&("GET /a HTTP/1.0\r\n\r\n".to_owned() + &get("/b")), &["/a"], Phase::Over);
        check("\x16\x03\x01\x02\x00", &["400"], Phase::Over);
        check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["505"], Phase::Over);
    }

    #[test]
    fn a_body_is_never_read_as_a_request() {
        let get = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
        let with = |field: &str, body: &str| format!("GET /a HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n{body}");
        check(&with("Content-Length: 6", "GET / "), &["/a"], Phase::Idle);
        check(&(with("Content-Length: 6", "GET / ") + get), &["/a", "/b"], Phase::Idle);
        check(&with("Content-Length: 6", "GET /"), &[], Phase::Body);
        check(&(with("Content-Length: 21", "") + get), &["/a"], Phase::Over);
        check(&(with("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n") + get), &["/a", "/b"], Phase::Idle);
        check(&(with("Transfer-Encoding: chunked", "f\r\n0123456789abcde\r\n0\r\n\r\n") + get), &["/a"], Phase::Over);
        check(&(with("Transfer-Encoding: chunked", "3\r\nabcd") + get), &["400"], Phase::Over);
        check(&(with("Expect: 100-continue\r\nContent-Length: 3", "abc") + get), &["/a"], Phase::Over);
    }

    /// Every sequence of up to four of these: what is found does not depend on how it is cut, and nothing panics.
    #[test]
    fn any_bytes_are_read_alike_whole_and_one_by_one() {
        const FRAGMENTS: [&str; 15] = [
            "GET /a",
            " HTTP/1.1\r\n",
            " HTTP/1.0\r\n",
            "Host: a\r\n",
            "\r\n",
            "\n",
            "\r",
            "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n",
            "0\r\n\r\n",
            "abc",
            "/../",
            "GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ];
        for mut number in 0..FRAGMENTS.len().pow(4) {
            let mut bytes = Vec::new();
            for _ in 0..4 {
                bytes.extend_from_slice(FRAGMENTS[number % FRAGMENTS.len()].as_bytes());
                number /= FRAGMENTS.len();
            }
            let cuts: Vec<usize> = (0..bytes.len()).collect();
            assert_eq!(requests(&bytes, &[]), requests(&bytes, &cuts), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_idle_client_holds_no_large_buffer() {
        let check = |bytes: String, kept: bool| {
            let mut inbound = Inbound::default();
            inbound.feed(bytes.into_bytes());
            while inbound.next_request().is_some() {}
            inbound.shrink();
            assert_eq!(inbound.buffer.capacity() > 0, kept);
        };
        let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        check(get.to_owned(), true);
        check(get.repeat(500), false);
        check(get.repeat(500) + "\r\n", true);
    }

    #[test]
    fn what_is_not_finished_can_be_refused() {
        let check = |bytes: &str, expected: [Option<u16>; 2]| {
            let refuse = |how: fn(&mut Inbound) -> Option<Request>| {
                let mut inbound = Inbound::default();
                inbound.feed(bytes.as_bytes().to_vec());
                while inbound.next_request().is_some() {}
                let refused = how(&mut inbound);
                assert_eq!((inbound.phase(), inbound.next_request()), (Phase::Over, None));
                refused.map(|request| match request.action {
                    Action::Refuse(fault) if !request.persistent => fault.status.code(),
                    _ => 0,
                })
            };
            assert_eq!([refuse(Inbound::time_out), refuse(Inbound::end)], expected, "{bytes:?}");
        };
        check("", [None, None]);
        check("\r\n", [None, None]);
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", [None, None]);
        check("GET / HTTP/1.0\r\n\r\nGET", [None, None]);
        check("G", [Some(408), Some(400)]);
        check("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", [Some(408), Some(400)]);
    }
}
