//! Kinds of requests, and the traces of clients that send them.

use std::collections::VecDeque;
use std::time::Duration;

use pluto_sdk::testing::{ClientId, World};
use pluto_trace::binary::{self, Block};
use pluto_trace::{Header, Sent};

/// Clients that all want the same.
#[derive(Clone, Copy)]
pub struct Mix {
    /// In tables and in the file.
    pub name: &'static str,
    pub guest: &'static str,
    /// Behind the port and the root.
    arguments: &'static [&'static str],
    /// What a client sends for each request.
    request: &'static str,
    /// How many requests it sends at once.
    pipelined: usize,
    /// Who stays for the next request, or a new client for each.
    stays: bool,
    /// How a response begins.
    begins: &'static str,
    /// The requests of the longer trace; the shorter has a third of them.
    requests: usize,
}

/// A trace, with what happens in it.
pub struct Trace {
    pub bytes: Vec<u8>,
    /// Requests of clients.
    pub requests: u64,
    /// Requests of the guest.
    pub sent: usize,
}

/// Who are connected. Some of them send in each turn, in their order.
const CLIENTS: usize = 64;
const CLIENTS_A_TURN: usize = 8;

/// How long a turn takes, about. It moves the clock of the world by less than a second in all, so
/// that what is done once a second is not in the difference by chance.
const TURN: Duration = Duration::from_micros(50);

const KEPT: Mix = Mix {
    name: "1 KiB",
    guest: "pluto",
    arguments: &["--no-access-log"],
    request: "GET /1k.bin HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n",
    pipelined: 1,
    stays: true,
    begins: "HTTP/1.1 200 ",
    requests: 1_536,
};

/// For a page of the Rust documentation.
const LONG_PATH: &str =
    "GET /core/arch/x86_64/fn._mm256_mask_mulhrs_epi16.html HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

/// What Chromium 120 sends.
const BROWSER: &str = "GET /1k.bin HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: keep-alive\r\nsec-ch-ua: \"Not_A Brand\";v=\"8\", \
    \"Chromium\";v=\"120\"\r\nsec-ch-ua-mobile: ?0\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/120.0.0.0 Safari/537.36\r\nsec-ch-ua-platform: \"Linux\"\r\nAccept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\nReferer: http://127.0.0.1:8000/\r\n\
    Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n";

/// A policy of a few rules.
const POLICY: &str = "security-headers = true\n[[redirects]]\nsource = \"/old/**\"\ndestination = \"/$1\"\nkind = 301\n\
    [[headers]]\nsource = \"**/*.bin\"\nheaders = { X-Example = \"yes\" }\n";

/// All of them.
pub const MIXES: [Mix; 13] = [
    KEPT,
    Mix { name: "1 KiB, a long path", request: LONG_PATH, ..KEPT },
    Mix { name: "1 KiB, a browser's head", request: BROWSER, ..KEPT },
    Mix {
        name: "304",
        request: "GET /1k.bin HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nIf-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n\r\n",
        begins: "HTTP/1.1 304 ",
        ..KEPT
    },
    Mix { name: "404", request: "GET /none HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", begins: "HTTP/1.1 404 ", ..KEPT },
    Mix { name: "1 KiB, 16 pipelined", pipelined: 16, requests: 6_144, ..KEPT },
    Mix { name: "1 KiB, common log", arguments: &["--access-log", "common"], ..KEPT },
    Mix { name: "1 KiB, JSON log", arguments: &["--access-log", "json"], ..KEPT },
    Mix { name: "1 KiB, with a policy", arguments: &["--no-access-log", "--config", "policy.toml"], ..KEPT },
    Mix {
        name: "1 KiB, a connection each",
        request: "GET /1k.bin HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: close\r\n\r\n",
        stays: false,
        ..KEPT
    },
    Mix { name: "10 KiB", request: "GET /10k.bin HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", ..KEPT },
    Mix { name: "512 KiB", request: "GET /512k.bin HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", requests: 192, ..KEPT },
    Mix { name: "echo of 64 bytes", guest: "echo", arguments: &[], request: ECHO, begins: "0123", ..KEPT },
];

const ECHO: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl Mix {
    /// A trace, and a longer one that begins in the same way.
    pub fn traces(&self, guest: &[u8]) -> [Trace; 2] {
        let mut world = World::new();
        let long = LONG_PATH.split(' ').nth(1).and_then(|path| path.strip_prefix('/')).expect("a path");
        for (name, kib) in [("1k.bin", 1), ("10k.bin", 10), ("512k.bin", 512), (long, 1)] {
            world.file(name, vec![b'x'; kib << 10]);
        }
        world.file("policy.toml", POLICY);
        let arguments = self.arguments();
        let start = world.now();
        if self.guest == "echo" {
            world.start(echo::main, &arguments);
        } else {
            world.start(pluto::main, &arguments);
        }
        world.run_until_idle();
        let mut clients = Clients::new(self, &mut world);
        [self.requests / 3, self.requests].map(|requests| {
            while clients.requests < requests {
                clients.turn(&mut world);
            }
            let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
            let header = Header::new(guest, pluto_engine::limits::MEMORY_BYTES_DEFAULT, arguments, start);
            let mut bytes = binary::begin(&header, guest).expect("it packs");
            let mut block = Block::default();
            for (time, answers) in world.batches() {
                block.turn(Sent::UNKNOWN, *time, answers);
            }
            bytes.extend(block.seal());
            Trace { bytes, requests: clients.requests as u64, sent: world.requests().len() }
        })
    }

    fn arguments(&self) -> Vec<&'static str> {
        let root: &[&str] = if self.guest == "echo" { &[] } else { &["html"] };
        [&["8000"], root, self.arguments].concat()
    }
}

/// The clients of a mix, as they go on.
struct Clients {
    mix: Mix,
    /// Who sends next is in front.
    open: VecDeque<ClientId>,
    requests: usize,
}

impl Clients {
    fn new(mix: &Mix, world: &mut World) -> Self {
        let open = if mix.stays { (0..CLIENTS).map(|_| world.connect()).collect() } else { VecDeque::new() };
        Self { mix: *mix, open, requests: 0 }
    }

    /// Some clients send while what the last turn caused is being done, and the guest has all of
    /// it in one batch.
    fn turn(&mut self, world: &mut World) {
        let text = self.mix.request.repeat(self.mix.pipelined);
        for _ in 0..CLIENTS_A_TURN {
            let client = self.next(world);
            world.client_sends(client, &text);
            self.requests += self.mix.pipelined;
        }
        world.pass(TURN);
        world.run_once();
    }

    /// Who sends now. Its last request was answered: there are enough others.
    fn next(&mut self, world: &mut World) -> ClientId {
        if self.mix.stays {
            let client = self.open.pop_front().expect("there are clients");
            self.open.push_back(client);
            let received = world.received(client);
            assert!(received.is_empty() || received.starts_with(self.mix.begins.as_bytes()), "{}", self.mix.name);
            return client;
        }
        while let Some(client) = self.open.pop_front_if(|client| world.is_ended(*client)) {
            assert!(world.received(client).starts_with(self.mix.begins.as_bytes()), "{}", self.mix.name);
            world.client_ends(client);
        }
        let client = world.connect();
        self.open.push_back(client);
        client
    }
}
