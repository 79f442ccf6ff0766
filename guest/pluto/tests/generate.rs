//! Random conversations: what clients send that know HTTP, and what becomes of it when somebody
//! tampers with it.
//!
//! Everything follows from a seed, which a failing test names. `PLUTO_FUZZ_ROUNDS` makes each test
//! try so many times as many cases.

use crate::support::ARGS;
use fastrand::Rng;
use pluto_sdk::testing::{ClientId, World};

/// Files whose contents do not begin like a response, so that a response to HEAD can be told from
/// one to GET.
pub const FILES: [(&str, &str); 5] = [
    ("index.html", "<h1>home</h1>"),
    ("a.txt", "alpha"),
    ("empty.txt", ""),
    ("dir/index.html", "<h1>dir</h1>"),
    ("sp ace.css", "body {}"),
];

/// A small file is copied and a large one is sent in pieces; this one takes several.
pub const LARGE_BYTES: usize = 600_000;

/// A server of those files and a large one.
pub fn serve() -> World {
    let mut world = World::new();
    for (name, content) in FILES {
        world.file(name, content);
    }
    world.file("large.bin", "large ".repeat(LARGE_BYTES / 6));
    world.start(pluto::main, &ARGS);
    world.run_until_idle();
    world
}

/// A world remembers all that it has sent and received: so many cases share one.
const CASES_OF_A_WORLD: u64 = 50;

/// Calls a test with one generator after another, each from a seed of its own, and a world that
/// some of them share.
pub fn worlds(count: u64, mut test: impl FnMut(&mut Rng, &mut World)) {
    let (mut world, mut cases) = (serve(), 0);
    seeds(count, |rng| {
        if cases == CASES_OF_A_WORLD {
            (world, cases) = (serve(), 0);
        }
        cases += 1;
        test(rng, &mut world);
    });
}

/// Calls a test with one generator after another, each from a seed of its own.
pub fn seeds(count: u64, mut test: impl FnMut(&mut Rng)) {
    let rounds = std::env::var("PLUTO_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for seed in 0..count * rounds {
        let named = Named(seed);
        test(&mut Rng::with_seed(seed));
        std::mem::forget(named);
    }
}

/// Names the seed when the test that uses it panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        eprintln!("this was seed {}", self.0);
    }
}

/// A request that is right, and what it is answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub bytes: Vec<u8>,
    pub method: &'static str,
    pub status: u16,
    /// Of a 200 to GET.
    pub content: Option<Vec<u8>>,
}

/// A request that is right.
pub fn exchange(rng: &mut Rng) -> Exchange {
    let (target, status, content) = target(rng);
    let method = *rng.choice(&["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "BREW"]).expect("one");
    let status = match method {
        "OPTIONS" => 204,
        "POST" => 405,
        "BREW" => 501,
        _ => status,
    };
    let mut bytes = b"\r\n".repeat(usize::from(rng.u8(..8) == 0));
    bytes.extend(format!("{method} {target} HTTP/1.{}\r\n", rng.u8(1..4)).bytes());
    let mut fields = vec!["Host: example.org".to_owned()];
    for _ in 0..rng.usize(..4) {
        fields.push(field(rng));
    }
    let body = body(rng, &mut fields);
    rng.shuffle(&mut fields);
    for field in fields {
        bytes.extend(field.bytes());
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    let content = content.filter(|_| method == "GET");
    Exchange { bytes, method, status, content }
}

fn target(rng: &mut Rng) -> (String, u16, Option<Vec<u8>>) {
    let (path, status, content) = match rng.u8(..12) {
        0 => ("/missing".to_owned(), 404, None),
        1 => ("/dir".to_owned(), 301, None),
        2 => ("/dir/%2f".to_owned(), 404, None),
        3 => ("/.env".to_owned(), 404, None),
        4 => ("/large.bin".to_owned(), 200, Some("large ".repeat(LARGE_BYTES / 6).into_bytes())),
        5 => ("/".to_owned(), 200, Some(FILES[0].1.into())),
        _ => {
            let (name, content) = *rng.choice(&FILES).expect("one");
            (format!("/{}", disguise(rng, name)), 200, Some(content.into()))
        }
    };
    let query = rng.choice(&["", "", "?", "?a=b&c=%zz", "?../.."]).expect("one");
    let host = rng.choice(&["", "", "", "http://example.org:80"]).expect("one");
    (format!("{host}{path}{query}"), status, content)
}

/// The same path, written otherwise.
fn disguise(rng: &mut Rng, name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        match byte {
            b'/' => path += rng.choice(&["/", "//", "/./", "/x/../", "/%2e/", "/y/%2E%2e/"]).expect("one"),
            b' ' => path += "%20",
            _ if rng.u8(..5) == 0 => path += &format!("%{byte:02x}"),
            _ => path.push(char::from(byte)),
        }
    }
    path
}

fn field(rng: &mut Rng) -> String {
    let name = rng.choice(&["Accept", "user-agent", "X-Y", "COOKIE", "Referer", "Content-Type", "x!#$%&'*+-.^_`|~"]);
    let space = rng.choice(&["", " ", "\t", "  \t "]).expect("one");
    let value = rng.choice(&["", "a", "text/html, */*;q=0.1", "\u{e9}", "a: b", "\"quoted\\\"\"", "=;,"]).expect("one");
    format!("{}:{space}{value}{space}", name.expect("one"))
}

/// A body, whose framing goes to the fields.
fn body(rng: &mut Rng, fields: &mut Vec<String>) -> Vec<u8> {
    let content = match rng.u8(..8) {
        0 => b"GET /a.txt HTTP/1.1\r\nHost: smuggled.example\r\n\r\n".to_vec(),
        1 => vec![b'x'; rng.usize(..20_000)],
        2 => b"0\r\n\r\n".to_vec(),
        _ => return Vec::new(),
    };
    if rng.bool() {
        fields.push(format!("Content-Length: {}", content.len()));
        return content;
    }
    fields.push("transfer-encoding:\tCHUNKED".to_owned());
    let mut body = Vec::new();
    let size = rng.usize(1..5_000);
    for chunk in content.chunks(size) {
        let extension = rng.choice(&["", "", ";a", " ; a = \"b;c\""]).expect("one");
        body.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
        body.extend(chunk);
        body.extend(b"\r\n");
    }
    body.extend(format!("00{}\r\n\r\n", rng.choice(&["", "\r\nX: y", "\r\nContent-Length: 5"]).expect("one")).bytes());
    body
}

/// Several requests that are right, one behind the other.
pub fn pipeline(rng: &mut Rng) -> Vec<Exchange> {
    (0..rng.usize(1..8)).map(|_| exchange(rng)).collect()
}

/// The bytes of all of them.
pub fn bytes(pipeline: &[Exchange]) -> Vec<u8> {
    pipeline.iter().flat_map(|exchange| exchange.bytes.clone()).collect()
}

/// What is put where it does not belong.
const INTRUDERS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"%",
    b"%2e%2e%2f",
    b"../",
    b"//",
    b"\\",
    b"#",
    b"\x80",
    b"\x7f",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b" folded\r\n",
    b"Host: other\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Range: bytes=0-1,3-,-2\r\n",
    b"If-None-Match: *\r\n",
    b"Accept-Encoding: gzip;q=0, *\r\n",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"GET / HTTP/1.1\r\n\r\n",
];

/// Tampers with bytes in a few places.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=bytes.len());
        let end = (at + rng.usize(..30)).min(bytes.len());
        match rng.u8(..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes[at..end].reverse(),
            4 if at < bytes.len() => bytes[at] = rng.u8(..),
            _ => {
                let intruder = *rng.choice(INTRUDERS).expect("one");
                // At the start of a line more often than not, where it is most likely to mean
                // something.
                let line = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(at, |length| at + length + 1);
                let at = if rng.bool() { line } else { at };
                bytes.splice(at..at, intruder.iter().copied());
            }
        }
    }
}

/// A new client that sends these bytes, cut at random places.
pub fn send_cut(rng: &mut Rng, world: &mut World, bytes: &[u8]) -> ClientId {
    let client = world.connect();
    let mut rest = bytes;
    while !rest.is_empty() && !world.is_closed(client) {
        let length = match rng.u8(..3) {
            0 => 1,
            1 => rng.usize(1..=rest.len().min(20)),
            _ => rng.usize(1..=rest.len()),
        };
        world.client_sends(client, &rest[..length]);
        rest = &rest[length..];
        world.run_until_idle();
    }
    client
}
