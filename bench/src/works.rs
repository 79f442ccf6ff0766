//! The kinds of work that are measured, and the goal of the web server for each.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::servers::{Running, Server, answer as answer_of_pluto};
use crate::site::Site;
use crate::workspace::{Result, folder};

/// A kind of requests, and who answers them.
pub(crate) struct Work {
    /// In tables.
    pub(crate) name: &'static str,
    pub(crate) site: Site,
    /// Asked for, unless there is a script.
    pub(crate) path: &'static str,
    /// Of each request.
    pub(crate) fields: &'static [&'static str],
    pub(crate) connections: u32,
    /// Of each answer.
    pub(crate) status: u16,
    asks: Asks,
    /// The first is the one whose ratio to each of the others is told.
    pub(crate) servers: &'static [Server],
    /// Everybody writes an access log.
    pub(crate) logs: bool,
    /// Each sample is of a server that was just started.
    pub(crate) cold: bool,
    /// Servers and load share all cores.
    pub(crate) spread: bool,
    /// How many times the usual rounds it takes, where a few percent are to be told from noise.
    pub(crate) rounds: usize,
    /// The ratio that is to be reached, and to whom.
    pub(crate) goals: &'static [(Server, f64)],
}

/// In which order paths are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Always the same.
    One,
    /// The same, sixteen at a time.
    Pipelined,
    /// All files, by a skewed popularity: the file of rank n is asked for about 1/n as often as
    /// the first (Zipf's law).
    Skewed,
    /// All files, each once, and then again.
    Each,
}

const PEERS: &[Server] = &[Server::Pluto, Server::Again, Server::Nginx, Server::Lighttpd, Server::H2o];
const PEERS_AND_FLOOR: &[Server] =
    &[Server::Pluto, Server::Again, Server::Nginx, Server::Lighttpd, Server::H2o, Server::Floor];
const NGINX: &[Server] = &[Server::Pluto, Server::Again, Server::Nginx];

/// The one that the others are variations of.
pub(crate) const KEPT: Work = Work {
    name: "1 KiB",
    site: Site::Sizes,
    path: "/1k.bin",
    fields: &[],
    connections: 64,
    status: 200,
    asks: Asks::One,
    servers: PEERS_AND_FLOOR,
    logs: false,
    cold: false,
    spread: false,
    rounds: 1,
    goals: &[(Server::Nginx, 0.65), (Server::H2o, 0.85)],
};

const SKEWED: Work = Work {
    name: "documentation, skewed, warm",
    site: Site::Documentation,
    path: "/",
    asks: Asks::Skewed,
    servers: PEERS,
    goals: &[(Server::Nginx, 0.80)],
    ..KEPT
};

/// What the files of `Site::Sizes` have not been since `site::MODIFIED_SECONDS`.
const NOT_MODIFIED: &[&str] = &["If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT"];

/// All of them.
pub(crate) static WORKS: &[Work] = &[
    KEPT,
    Work { name: "304", fields: NOT_MODIFIED, status: 304, goals: &[(Server::Nginx, 0.65)], ..KEPT },
    Work { name: "404", path: "/none", status: 404, goals: &[(Server::Nginx, 0.65)], ..KEPT },
    Work { name: "10 KiB", path: "/10k.bin", goals: &[(Server::Nginx, 0.80)], ..KEPT },
    Work { name: "100 KiB", path: "/100k.bin", servers: PEERS, goals: &[(Server::Nginx, 1.0)], ..KEPT },
    Work { name: "10 MiB", path: "/10m.bin", servers: PEERS, goals: &[(Server::Nginx, 1.0)], ..KEPT },
    Work {
        name: "1 KiB, 16 pipelined",
        asks: Asks::Pipelined,
        servers: PEERS,
        goals: &[(Server::Nginx, 0.40)],
        ..KEPT
    },
    Work { name: "1 KiB, a connection each", fields: &["Connection: close"], goals: &[(Server::Nginx, 1.0)], ..KEPT },
    SKEWED,
    Work { name: "documentation, skewed, just started", cold: true, ..SKEWED },
    Work {
        name: "documentation, each file in turn",
        site: Site::Documentation,
        path: "/",
        asks: Asks::Each,
        // lighttpd keeps files open for a while, and answers 503 when these take all of its
        // descriptors.
        servers: &[Server::Pluto, Server::Again, Server::Nginx, Server::H2o],
        goals: &[(Server::Nginx, 0.80)],
        ..KEPT
    },
    Work { name: "1 KiB, with access log", logs: true, ..KEPT },
    Work {
        name: "404, with access log",
        path: "/none",
        status: 404,
        logs: true,
        goals: &[(Server::Nginx, 0.65)],
        ..KEPT
    },
    Work {
        name: "304, with access log",
        fields: NOT_MODIFIED,
        status: 304,
        logs: true,
        goals: &[(Server::Nginx, 0.65)],
        ..KEPT
    },
    Work { name: "10 KiB, with access log", path: "/10k.bin", logs: true, goals: &[(Server::Nginx, 0.80)], ..KEPT },
    Work {
        name: "100 KiB, with access log",
        path: "/100k.bin",
        servers: PEERS,
        logs: true,
        goals: &[(Server::Nginx, 1.0)],
        ..KEPT
    },
    Work {
        name: "1 KiB, 16 pipelined, with access log",
        asks: Asks::Pipelined,
        servers: PEERS,
        logs: true,
        goals: &[(Server::Nginx, 0.40)],
        ..KEPT
    },
    Work {
        name: "1 KiB, a connection each, with access log",
        fields: &["Connection: close"],
        logs: true,
        goals: &[(Server::Nginx, 1.0)],
        ..KEPT
    },
    Work { name: "documentation, skewed, with access log", logs: true, ..SKEWED },
    Work { name: "1 KiB, 10 connections", connections: 10, servers: NGINX, goals: &[], ..KEPT },
    Work { name: "1 KiB, 1,000 connections", connections: 1_000, servers: NGINX, goals: &[], ..KEPT },
    Work { name: "1 KiB, 10,000 connections", connections: 9_900, servers: NGINX, goals: &[], ..KEPT },
    Work {
        name: "1,000,000 files",
        site: Site::Many(1_000_000),
        path: "/",
        asks: Asks::Skewed,
        servers: NGINX,
        goals: &[],
        ..KEPT
    },
    Work { name: "10 files", site: Site::Many(10), path: "/", asks: Asks::Skewed, servers: NGINX, goals: &[], ..KEPT },
    Work {
        name: "recorded",
        servers: &[Server::Recorded, Server::Pluto, Server::Again],
        rounds: 4,
        goals: &[(Server::Pluto, 1.05)],
        ..KEPT
    },
    Work {
        name: "flight recorder",
        servers: &[Server::Flight, Server::Pluto, Server::Again],
        rounds: 4,
        goals: &[(Server::Pluto, 1.02)],
        ..KEPT
    },
    Work { name: "epoll", servers: &[Server::Poll, Server::Pluto, Server::Nginx], goals: &[], ..KEPT },
    Work {
        name: "`wasmtime serve`",
        servers: &[Server::WasmtimeServe, Server::Pluto, Server::Nginx],
        goals: &[],
        ..KEPT
    },
    // 1.9 times the work of one for twice its CPU time.
    Work {
        name: "two shards",
        servers: &[Server::TwoShards, Server::OneShard],
        spread: true,
        rounds: 2,
        goals: &[(Server::OneShard, 2.0 / 1.9)],
        ..KEPT
    },
];

/// Those of `--quick`.
pub(crate) const QUICK: &[&str] = &["1 KiB", "404", "100 KiB"];

/// How many requests a script has, which then begins again.
const SKEWED_REQUESTS: usize = 1 << 16;

const PIPELINE: usize = 16;

const COLD_SECONDS_MIN: u64 = 2;

const WARM_SECONDS_MIN: u64 = 3;

/// What `Server::Floor` sends is less than this.
const ANSWER_BYTES_MAX: usize = 64 << 10;

impl Work {
    /// How long a sample takes, of so many seconds. What a server does first is not to be all that
    /// is seen of one that was just started; nor of one that others have had their turn before,
    /// for in a second everything that is kept becomes old.
    pub(crate) fn seconds(&self, usual: u64) -> u64 {
        match self.asks {
            Asks::Skewed if self.cold => usual.max(COLD_SECONDS_MIN),
            Asks::Skewed => usual.max(WARM_SECONDS_MIN),
            Asks::One | Asks::Pipelined | Asks::Each => usual,
        }
    }

    /// What wrk is told besides its options, when one path is not all.
    pub(crate) fn script(&self, root: &Path) -> Result<Option<PathBuf>> {
        let paths: Vec<String> = match self.asks {
            Asks::One => return Ok(None),
            Asks::Pipelined => vec![self.path.to_owned()],
            Asks::Skewed => skewed(&Site::paths(root)),
            Asks::Each => Site::paths(root),
        };
        let at_once = if self.asks == Asks::Pipelined { PIPELINE } else { 1 };
        let list = folder().join("paths.txt");
        let script = folder().join("script.lua");
        let lua = format!(
            "local requests, at = {{}}, 0
init = function()
  for path in io.lines({list:?}) do requests[#requests + 1] = wrk.format(nil, path):rep({at_once}) end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
"
        );
        let written = fs::write(&list, paths.join("\n")).and_then(|()| fs::write(&script, lua));
        written.map_err(|error| format!("cannot write the load's script: {error}"))?;
        Ok(Some(script))
    }

    /// Asks once, and looks at the status.
    pub(crate) fn check(&self, server: &Running) -> Result<()> {
        let mut begin = [0; 12];
        let failed = |error: std::io::Error| format!("{} does not answer: {error}", server.name);
        self.ask(server).and_then(|mut stream| stream.read_exact(&mut begin)).map_err(failed)?;
        let begin = String::from_utf8_lossy(&begin);
        match begin.split(' ').nth(1) {
            Some(status) if status == self.status.to_string() => Ok(()),
            // A folder without an index is no part of the work: only a script's paths are.
            Some(_) if matches!(self.asks, Asks::Skewed | Asks::Each) => Ok(()),
            _ => Err(format!("{} answers {begin:?} where {} is expected", server.name, self.status)),
        }
    }

    /// Asks once, and keeps the answer for `Server::Floor`.
    pub(crate) fn keep_answer(&self, server: &Running) -> Result<()> {
        let mut answer = vec![0; ANSWER_BYTES_MAX];
        let mut length = 0;
        let kept = self.ask(server).and_then(|mut stream| {
            // Only the client's patience ends the answer on a connection that is kept.
            stream.set_read_timeout(Some(Duration::from_millis(300)))?;
            while let Ok(count @ 1..) = stream.read(&mut answer[length..]) {
                length += count;
            }
            fs::write(answer_of_pluto(), &answer[..length])
        });
        kept.map_err(|error| format!("cannot keep an answer of {}: {error}", server.name))
    }

    fn ask(&self, server: &Running) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let fields: String = self.fields.iter().map(|field| format!("{field}\r\n")).collect();
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n", self.path);
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }
}

/// Paths, each as often as its rank says, in an order without pattern, which is always the same.
fn skewed(paths: &[String]) -> Vec<String> {
    let weights: Vec<f64> = (1..=paths.len()).map(|rank| 1.0 / rank as f64).collect();
    let mut sums: Vec<f64> = Vec::with_capacity(weights.len());
    let total = weights.iter().fold(0.0, |sum, weight| {
        sums.push(sum + weight);
        sum + weight
    });
    let mut state = 88_172_645_463_325_252_u64;
    let draw = || {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let point = (state >> 11) as f64 / (1_u64 << 53) as f64 * total;
        paths[sums.partition_point(|sum| *sum < point).min(paths.len() - 1)].clone()
    };
    std::iter::repeat_with(draw).take(SKEWED_REQUESTS).collect()
}
