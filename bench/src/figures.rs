//! Figures besides CPU time for each request: latency, start, memory, idle clients, the cost of
//! the sandbox.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::open_loop::{self, Held, Latencies};
use crate::results::{Effort, Line, Spread};
use crate::servers::{CONNECTIONS_MAX, Running, Server, Settings, free_port, trace};
use crate::site::Site;
use crate::works::KEPT;
use crate::workspace::{self, Result, run};
use crate::{load, machine};

/// Something that is measured in a way of its own.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) measure: fn(Effort) -> Result<Vec<Line>>,
}

/// All of them.
pub(crate) static FIGURES: &[Figure] = &[
    Figure { name: "latency", measure: latency },
    Figure { name: "start", measure: start },
    Figure { name: "memory", measure: memory },
    Figure { name: "idle connections", measure: idle },
    Figure { name: "sandbox", measure: sandbox },
];

/// Those of `--quick`.
pub(crate) const QUICK: &[&str] = &["latency", "start", "memory"];

const PATH: &str = "/1k.bin";
const CONNECTIONS: usize = 64;
const MIB: f64 = (1 << 20) as f64;

/// One of several latencies.
type Part = fn(&Latencies) -> f64;

/// Latency at half of what nginx can do at most, for each server in turn. In more rounds than
/// usual: what lasts a millisecond on this machine, whoever does it, is in the p99 of a round.
fn latency(effort: Effort) -> Result<Vec<Line>> {
    let root = Site::Sizes.make()?;
    let servers = [Server::Pluto, Server::Nginx].map(|server| server.start(&root, false));
    let [pluto, nginx] = servers;
    let (pluto, nginx) = (pluto?, nginx?);
    let peak = load::run(&nginx, &KEPT, None, effort.seconds)?.requests / effort.seconds;
    let ask = |server: &Running| open_loop::ask(server.port, peak / 2, effort.seconds, CONNECTIONS, PATH);
    ask(&pluto)?;
    let mut rounds = Vec::new();
    for round in 0..effort.latency * effort.rounds {
        // Nobody is always the first.
        rounds.push(if round % 2 == 0 {
            let first = ask(&pluto)?;
            [first, ask(&nginx)?]
        } else {
            let first = ask(&nginx)?;
            [ask(&pluto)?, first]
        });
    }
    let parts: [(&str, Part); 3] = [("p50", |it| it.p50), ("p99", |it| it.p99), ("p99.9", |it| it.p999)];
    let line = |(name, part): (&str, Part)| {
        let [pluto, nginx] = [0, 1].map(|server| Spread::of(rounds.iter().map(|it| part(&it[server])).collect()));
        let ratio = Spread::of(rounds.iter().map(|[pluto, nginx]| part(pluto) / part(nginx)).collect());
        Line {
            what: format!("latency at {} requests a second, {name}, µs", peak / 2),
            pluto: format!("{pluto:.0}"),
            nginx: format!("{nginx:.0}"),
            ratio: Some(ratio),
            goal: "≤ 1.00 of nginx",
            met: Some(ratio.median <= 1.0),
        }
    };
    Ok(parts.map(line).into())
}

/// From the start of the process to the first bytes of a response.
fn start(effort: Effort) -> Result<Vec<Line>> {
    let root = Site::Sizes.make()?;
    let time = |server: Server, no_cache: bool| -> Result<Spread> {
        let times = (0..=2 * effort.rounds).map(|_| start_once(server, &root, no_cache)).skip(1);
        Ok(Spread::of(times.collect::<Result<_>>()?))
    };
    let nginx = time(Server::Nginx, false)?;
    let lines = [("cached", false, "≤ 15", 15.0), ("not cached", true, "≤ 500", 500.0)];
    let line = |(name, no_cache, goal, millis)| -> Result<Line> {
        start_once(Server::Pluto, &root, no_cache)?; // What may be kept, is.
        let pluto = time(Server::Pluto, no_cache)?;
        let what = format!("start to first response, compiled code {name}, ms");
        let (pluto, met) = (format!("{pluto:.1}"), Some(pluto.median <= millis));
        Ok(Line { what, pluto, nginx: format!("{nginx:.1}"), ratio: None, goal, met })
    };
    lines.into_iter().map(line).collect()
}

/// In milliseconds.
fn start_once(server: Server, root: &Path, no_cache: bool) -> Result<f64> {
    let port = free_port()?;
    let mut command = server.command(root, port, Settings { no_cache, ..Settings::default() })?;
    let begin = Instant::now();
    let _running = server.spawn(&mut command, port)?;
    while begin.elapsed() < Duration::from_secs(10) {
        if get(port).is_ok() {
            return Ok(begin.elapsed().as_secs_f64() * 1e3);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Err(format!("{} does not serve", server.name()))
}

/// Asks once, and waits for the first bytes.
fn get(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
    stream.read_exact(&mut [0; 12])
}

/// Resident memory of a server that has served a little.
fn memory(_: Effort) -> Result<Vec<Line>> {
    let root = Site::Sizes.make()?;
    let of = |server: Server| -> Result<f64> {
        let running = server.start(&root, false)?;
        settle(&running)?;
        Ok(machine::resident(running.pid())? as f64 / MIB)
    };
    let (pluto, nginx) = (of(Server::Pluto)?, of(Server::Nginx)?);
    Ok(vec![Line {
        what: "resident memory, idle, MiB".into(),
        pluto: format!("{pluto:.1}"),
        nginx: format!("{nginx:.1}"),
        ratio: None,
        goal: "≤ 25",
        met: Some(pluto <= 25.0),
    }])
}

/// Serves a little, so that what is made at first use is there.
fn settle(server: &Running) -> Result<()> {
    (0..10).try_for_each(|_| get(server.port)).map_err(|error| format!("{}: {error}", server.name))?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(())
}

/// Clients that are connected and do nothing, and a busy one among them: 10,000, then as many as
/// there can be.
fn idle(effort: Effort) -> Result<Vec<Line>> {
    let most = idle_max();
    let mut lines = idle_of(most.min(10_000), effort)?;
    if most > 10_000 {
        lines.extend(idle_of(most, effort)?);
    }
    lines.push(Line {
        what: "idle connections at once, by the limits of this machine and our own".into(),
        pluto: most.to_string(),
        nginx: String::new(),
        ratio: None,
        goal: "≥ 50000",
        met: Some(most >= IDLE_WANTED),
    });
    Ok(lines)
}

/// How many are to be held at once.
const IDLE_WANTED: usize = 50_000;

/// How many can be: the web server takes no more than `CONNECTIONS_MAX`, and the host keeps a
/// quarter of its descriptors for files.
fn idle_max() -> usize {
    let files = machine::files_max() as usize;
    (files - files / 4 - 200).min(CONNECTIONS_MAX as usize).min(IDLE_WANTED)
}

fn idle_of(connections: usize, effort: Effort) -> Result<Vec<Line>> {
    let root = Site::Sizes.make()?;
    let of = |server: Server| -> Result<(f64, [Latencies; 2])> {
        let running = server.start_with(&root, Settings { idle: true, ..Settings::default() })?;
        settle(&running)?;
        let busy = || open_loop::ask(running.port, 1_000, effort.seconds, 1, PATH);
        let (alone, before) = (busy()?, machine::resident(running.pid())?);
        let held = Held::open(running.port, connections, PATH)?;
        std::thread::sleep(Duration::from_secs(1));
        let after = machine::resident(running.pid())?;
        let among = busy()?;
        drop(held);
        Ok((after.saturating_sub(before) as f64 / connections as f64, [alone, among]))
    };
    let ((pluto, [alone, among]), (nginx, theirs)) = (of(Server::Pluto)?, of(Server::Nginx)?);
    let show = |[alone, among]: [Latencies; 2]| format!("{:.0} (alone {:.0})", among.p99, alone.p99);
    Ok(vec![
        Line {
            what: format!("memory for each of {connections} idle connections, bytes"),
            pluto: format!("{pluto:.0}"),
            nginx: format!("{nginx:.0}"),
            ratio: None,
            goal: "≤ 2048",
            met: Some(pluto <= 2_048.0),
        },
        Line {
            what: format!("p99 of a client with 1,000 requests a second among {connections} idle ones, µs"),
            pluto: show([alone, among]),
            nginx: show(theirs),
            ratio: None,
            goal: "as alone",
            met: None,
        },
    ])
}

/// What a request costs on this side of the system calls: a recorded run is run again, without
/// sockets and files.
fn sandbox(effort: Effort) -> Result<Vec<Line>> {
    let root = Site::Sizes.make()?;
    // Without load first: starting, compiling and ending are no part of it.
    let (_, idle) = recorded(&root, 0)?;
    let idle = Spread::of((0..effort.rounds).map(|_| replayed(&idle)).collect::<Result<_>>()?);
    let (requests, busy) = recorded(&root, effort.seconds)?;
    let times = (0..effort.rounds).map(|_| Ok((replayed(&busy)? - idle.median) / requests as f64));
    let micros = Spread::of(times.collect::<Result<_>>()?);
    let line = |what: &str, pluto: String, goal, met| Line {
        what: what.into(),
        pluto,
        nginx: String::new(),
        ratio: None,
        goal,
        met,
    };
    let mut lines = vec![line(
        "a request replayed: guest, sandbox, and reading its trace, µs",
        format!("{micros:.2}"),
        "≤ 0.5 for the sandbox",
        None,
    )];
    if let Some([guest, host]) = instructions("1 KiB") {
        lines.push(line("instructions of it: guest, and host", format!("{guest}, {host}"), "", None));
    }
    Ok(lines)
}

/// Records a run under load, or one without; gives the requests and the trace.
fn recorded(root: &Path, seconds: u64) -> Result<(u64, PathBuf)> {
    let server = Server::Recorded.start(root, false)?;
    settle(&server)?;
    let requests = if seconds == 0 { 0 } else { load::run(&server, &KEPT, None, seconds)?.requests };
    drop(server);
    let kept = trace().with_extension(format!("{seconds}.trace"));
    fs::rename(trace(), &kept).map_err(|error| format!("{}: {error}", trace().display()))?;
    Ok((requests, kept))
}

/// CPU time of a replay, in microseconds.
fn replayed(trace: &Path) -> Result<f64> {
    let before = machine::children_time()?;
    let mut replay = Command::new(workspace::host());
    replay.arg("replay").arg(workspace::target().join("guests/pluto.wasm")).arg(trace).stderr(Stdio::null());
    run(&mut replay)?;
    Ok((machine::children_time()? - before).as_secs_f64() * 1e6)
}

/// The counts of a mix in `tests/instructions.toml`, of guest and host.
fn instructions(mix: &str) -> Option<[u64; 2]> {
    let text = fs::read_to_string(workspace::root().join("tests/instructions.toml")).ok()?;
    let (_, text) = text.split_once(&format!("name = {mix:?}\n"))?;
    let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.trim_start_matches(" = ").parse().ok());
    Some([of("guest")?, of("host")?])
}
