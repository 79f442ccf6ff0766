//! Running a guest in the live world: what has to be found, bound and admitted before its shards begin.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;

use super::opening::Opening;
use super::record::Demands;
use super::shards::{Place, Shards};
use super::{Exit, engine, read_guest, report};
use crate::admission::{self, Admitted};
use crate::backend::live::{Board, Operator, Port, Root, Signals};
use crate::cli::Run;
use crate::console;
use crate::engine::Engine;
use crate::limits;

/// Runs a guest until it ends.
pub fn serve(run: &Run) -> Result<Exit> {
    let begin = Instant::now();
    let shards = run.shards();
    // In this order: from the first on nobody waits for a reader of standard error, and the third
    // needs descriptors. None of them takes time, in which a signal could end the process.
    let output = console::start().context("cannot start the threads that write the log")?;
    let handles_max = take_descriptors(shards)?;
    let operator = Operator::take_over(run.flight_recorder.is_some(), report);
    let operator = operator.context("cannot take over the signals")?;
    let bytes = read_guest(&run.guest)?;
    let demands = Demands::of(run, shards)?;
    let ports = bind_ports(run)?;
    let address = ports[0].address();
    let root = run.root().map(open_root).transpose()?;
    let engine = engine(run.no_cache)?;
    let admitted = admit(&engine, &run.guest, &bytes)?;
    let what = run.root().map_or_else(|| run.guest.display().to_string(), str::to_owned);
    let (signals, stopper) = operator.shards(shards).context("cannot pass signals on to each shard")?;
    let places = places(shards, ports, root.as_ref(), signals, demands)?;
    let note = run
        .has_one_shard_to_record()
        .then(|| "note: one shard, for a trace is the run of one; with --shards N each of N writes its own".to_owned());
    let opening = Opening::new(what, address, shards, handles_max, begin, note);
    Shards {
        run,
        guest: &bytes,
        engine: &engine,
        admitted: &admitted,
        handles_max,
        output,
        opening: Arc::new(opening),
        stopper,
        shards,
        have_begun: Arc::default(),
    }
    .run(places)
}

/// What each shard has for itself. The clients of the first port are shared out; further ports, on which an operator is told
/// what all shards know, are the first shard's.
fn places(
    shards: usize,
    ports: Vec<Port>,
    root: Option<&Root>,
    signals: Vec<Signals>,
    demands: Vec<Demands>,
) -> Result<Vec<Place>> {
    let count = u32::try_from(shards).expect("at most SHARDS_MAX");
    let mut demands = demands.into_iter();
    let mut places = Vec::new();
    for ((number, signals), board) in (1..).zip(signals).zip(Board::shared(shards)) {
        let root = root.map(Root::another).transpose().context("cannot open the folder for each shard")?;
        places.push(Place { number, ports: Vec::new(), root, signals, board, demands: demands.next() });
    }
    for (index, port) in ports.into_iter().enumerate() {
        let ports = if index == 0 { port.shared(count) } else { port.of_the_first(count) };
        places.iter_mut().zip(ports).for_each(|(place, port)| place.ports.push(port));
    }
    Ok(places)
}

/// Binds the guest's port, then those that it is granted besides.
fn bind_ports(run: &Run) -> Result<Vec<Port>> {
    if run.grant_ports.len() > limits::PORTS_GRANTED_MAX {
        bail!("--grant-port was given {} times; a guest may have {}", run.grant_ports.len(), limits::PORTS_GRANTED_MAX);
    }
    let mut addresses = vec![SocketAddr::new(run.listen, run.port)];
    for address in &run.grant_ports {
        let port = address.port();
        if port != 0 && addresses.iter().any(|other| other.port() == port) {
            bail!("port {port} is granted twice; a guest knows its ports by their numbers, so give it another");
        }
        addresses.push(*address);
    }
    addresses.iter().map(|address| Port::bind(*address).map_err(|error| explain_bind(*address, error))).collect()
}

fn admit(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Admitted> {
    let refused = || format!("{} is refused", path.display());
    admission::inspect(engine, bytes).with_context(refused)?.admitted.with_context(refused)
}

fn open_root(path: &str) -> Result<Root> {
    Root::open(Path::new(path)).map_err(|error| match error {
        Errno::NOENT => anyhow!("the folder {path} does not exist: give the folder to serve, such as html/"),
        Errno::NOTDIR => anyhow!("{path} is not a folder: give the folder to serve, such as html/"),
        Errno::NOSYS => anyhow!("this kernel cannot confine a guest to {path}: Linux 5.6 or newer can (openat2)"),
        error => anyhow!("cannot open the folder {path}: {}", std::io::Error::from(error)),
    })
}

fn explain_bind(address: SocketAddr, error: Errno) -> anyhow::Error {
    let port = address.port();
    match error {
        Errno::ADDRINUSE => anyhow!(port_in_use(port)),
        Errno::ACCESS | Errno::PERM => {
            anyhow!("port {port} is not permitted: ports below 1024 need privileges; choose one above, such as 8000")
        }
        Errno::ADDRNOTAVAIL => {
            anyhow!("{} is not an address of this machine: see --listen and --grant-port", address.ip())
        }
        error => anyhow!("cannot listen on {address}: {}", std::io::Error::from(error)),
    }
}

/// What the operator is told of a port that another program has.
pub fn port_in_use(port: u16) -> String {
    format!("port {port} is in use: stop the program that has it, or choose another port (0 lets the system)")
}

/// Descriptors that neither clients nor files can have.
pub fn descriptors_of_host(shards: usize) -> u64 {
    limits::DESCRIPTORS_OF_HOST + limits::DESCRIPTORS_OF_SHARD * (shards as u64 - 1)
}

/// Takes as many descriptors as the system gives, for the soft limit is low for programs that use
/// `select`; how many handles that makes for each shard. Each connection and each open file takes
/// one. Too few to serve with are an error.
fn take_descriptors(shards: usize) -> Result<usize> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    let descriptors = if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { before };
    let descriptors = descriptors.unwrap_or(u64::MAX);
    if descriptors < descriptors_needed(shards) {
        bail!(too_few_descriptors(descriptors, shards));
    }
    if descriptors < limits::DESCRIPTORS_FEW {
        report(&format!("note: only {descriptors} descriptors for clients and files: `ulimit -Hn` allows no more"));
    }
    let handles = (descriptors - descriptors_of_host(shards)) / shards as u64;
    Ok(usize::try_from(handles).unwrap_or(usize::MAX).min(limits::HANDLES_MAX))
}

/// Descriptors without which a server of so many shards does not start.
fn descriptors_needed(shards: usize) -> u64 {
    descriptors_of_host(shards) + limits::DESCRIPTORS_SERVING_MIN * shards as u64
}

fn too_few_descriptors(allowed: u64, shards: usize) -> String {
    let needed = descriptors_needed(shards);
    let (shards, fewer) = match shards {
        1 => ("one shard".to_owned(), String::new()),
        _ => (format!("{shards} shards"), format!(", or take --shards 1, which needs {}", descriptors_needed(1))),
    };
    format!(
        "`ulimit -Hn` allows {allowed} descriptors, and {shards} cannot serve with less than {needed}: allow that many (systemd: LimitNOFILE={needed}){fewer}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_explained_with_the_number_that_is_enough() {
        let message = too_few_descriptors(64, 1);
        assert!(message.contains("allows 64 descriptors") && message.contains("LimitNOFILE=80"), "{message}");
        let message = too_few_descriptors(100, 4);
        assert!(message.contains("less than 176") && message.contains("--shards 1, which needs 80"), "{message}");
    }

    #[test]
    fn what_forbids_a_port_is_explained() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        for (errno, says) in [
            (Errno::ACCESS, "ports below 1024 need privileges"),
            (Errno::ADDRINUSE, "port 80 is in use"),
            (Errno::ADDRNOTAVAIL, "--listen"),
        ] {
            let message = explain_bind(address, errno).to_string();
            assert!(message.contains(says), "no {says:?} in {message:?}");
        }
    }
}
