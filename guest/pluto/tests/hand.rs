//! A guest driven by hand: the test decides when and how each request is answered, and sees each
//! turn.

use crate::support::ARGS;
use pluto_sdk::testing::contract::{Accepted, Digested, IpAddress, Opened, Part, SocketAddress};
use pluto_sdk::testing::{Answer, Guest, Reply, Request, Submission, Turn};
use pluto_sdk::{Error, Kind, Metadata};

/// A guest driven by hand.
pub struct Hand {
    guest: Guest,
    /// What waits for an answer.
    pub waiting: Vec<Submission>,
    /// Bytes that were written, with `<handle>` in place of a file's range.
    pub written: String,
    /// Lines that were logged.
    pub logs: Vec<String>,
    time: u64,
}

/// A server that has just found that its site has no configuration.
pub fn start() -> (Guest, Turn) {
    let (mut guest, turn) = Guest::start(pluto::main, &ARGS, 0);
    let [Submission { id, request: Request::Open(_) }] = turn.requests[..] else { panic!("{:?}", turn.requests) };
    let turn = guest.turn(0, vec![Answer { id, reply: Reply::Failed(Error::NotFound) }]);
    (guest, turn)
}

impl Hand {
    /// A server with one client, which has sent these bytes.
    pub fn new(bytes: String) -> Hand {
        let (guest, turn) = start();
        let mut hand = Hand { guest, waiting: turn.requests, written: String::new(), logs: Vec::new(), time: 0 };
        let listen = hand.id(|request| matches!(request, Request::Listen(_)));
        let peer = SocketAddress { address: IpAddress::Ipv4((192, 0, 2, 7)), port: 40_000 };
        hand.answer(vec![(listen, Reply::Listening(8000))]);
        hand.answer(vec![(listen, Reply::Accepted(Accepted { connection: 1, peer }))]);
        let read = hand.id(|request| matches!(request, Request::Read(_)));
        hand.answer(vec![(read, Reply::Data(bytes.into_bytes()))]);
        hand
    }

    pub fn ids(&self, kind: fn(&Request) -> bool) -> Vec<u64> {
        self.waiting.iter().filter(|submission| kind(&submission.request)).map(|submission| submission.id).collect()
    }

    #[track_caller]
    pub fn id(&self, kind: fn(&Request) -> bool) -> u64 {
        let ids = self.ids(kind);
        assert_eq!(ids.len(), 1, "{:?}", self.waiting);
        ids[0]
    }

    pub fn answer(&mut self, replies: Vec<(u64, Reply)>) {
        self.time += 1;
        for (id, reply) in &replies {
            if !matches!(reply, Reply::Listening(_) | Reply::Accepted(_)) {
                self.waiting.retain(|submission| submission.id != *id);
            }
        }
        let answers = replies.into_iter().map(|(id, reply)| Answer { id, reply }).collect();
        let turn = self.guest.turn(self.time, answers);
        self.logs.extend(turn.logs.into_iter().map(|(_, line)| line));
        for submission in turn.requests {
            if let Request::Write(write) = &submission.request {
                for part in &write.parts {
                    match part {
                        Part::Bytes(bytes) => self.written += std::str::from_utf8(bytes).expect("text"),
                        Part::File(range) => self.written += &format!("<{}>", range.handle),
                        Part::Buffer(_) => panic!("no buffer is in use"),
                    }
                }
            }
            self.waiting.push(submission);
        }
        self.answer_digests();
    }

    /// No test cares when a digest is there: it is that of an unchanged file.
    fn answer_digests(&mut self) {
        let digests = self.waiting.iter().filter_map(|submission| match submission.request {
            Request::Digest(file) => Some((submission.id, digested(file))),
            _ => None,
        });
        let digests: Vec<_> = digests.collect();
        if !digests.is_empty() {
            self.answer(digests);
        }
    }

    /// The site has no page of its own for what is missing.
    pub fn no_error_page(&mut self) {
        while let [open] = self.ids(is_open)[..] {
            self.answer(vec![(open, Reply::Failed(Error::NotFound))]);
        }
    }

    /// Answers an open by a file with this handle.
    pub fn open(&mut self, id: u64, file: u64) {
        self.open_as(id, file, Kind::Regular);
    }

    /// Answers an open by something of this kind, as no host should.
    pub fn open_as(&mut self, id: u64, file: u64, kind: Kind) {
        let metadata = Metadata { kind, ..metadata(file) };
        self.answer(vec![(id, Reply::Opened(Opened { file, metadata }))]);
    }
}

fn metadata(file: u64) -> Metadata {
    Metadata { kind: Kind::Regular, size: 10, modified: 0, changed: 0, inode: file }
}

fn digested(file: u64) -> Reply {
    let Metadata { size, modified, changed, .. } = metadata(file);
    Reply::Digested(Digested { digest: (0, file), size, modified, changed })
}

pub fn is_open(request: &Request) -> bool {
    matches!(request, Request::Open(_))
}

pub fn is_write(request: &Request) -> bool {
    matches!(request, Request::Write(_))
}

pub fn is_read(request: &Request) -> bool {
    matches!(request, Request::Read(_))
}
