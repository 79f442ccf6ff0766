//! Running a guest in the live world.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;

use super::record::{Demands, recorded};
use super::{Exit, engine, read_guest, report};
use crate::admission::{self, Admitted};
use crate::backend::live::{Grant, Live, Port, Root, Signals, clients_max};
use crate::cli::Run;
use crate::console::Console;
use crate::engine::Engine;
use crate::guest::{Ended, Guest};
use crate::limits;

/// Runs a guest until it ends.
pub fn serve(run: &Run) -> Result<Exit> {
    let begin = Instant::now();
    let bytes = read_guest(&run.guest)?;
    let demands = Demands::of(run)?;
    let ports = bind_ports(run)?;
    let first = ports.first().map(Port::address);
    let root = run.root().map(open_root).transpose()?;
    let engine = engine(run.no_cache)?;
    let admitted = admit(&engine, &run.guest, &bytes)?;
    let handles_max = take_descriptors();
    let what = run.root().map_or_else(|| run.guest.display().to_string(), str::to_owned);
    let grant = Grant {
        ports,
        handles_max,
        root,
        signals: Some(Signals::install().context("cannot take over the signals")?),
        console: Console::new(run.log, run.log_level),
        on_listening: Box::new(move |address, clients| {
            if Some(address) != first {
                return report(&also_listening(address));
            }
            report(&serving(&what, address, begin));
            fewer_clients(clients as usize, handles_max).iter().for_each(|note| report(note));
        }),
    };
    let live = Live::new(run.driver, grant)
        .context("cannot open the system's queue; where io_uring is not allowed, --driver poll or auto does without")?;
    let world = recorded(live, run, &bytes, demands)?;
    let mut guest = Guest::new(&engine, admitted, world, run.memory_max);
    let ended = guest.run(&run.guest_arguments());
    // The log comes before the last word.
    drop(guest);
    Ok(conclude(ended))
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

fn conclude(ended: Ended) -> Exit {
    match ended {
        Ended::Exit(0) => Exit::Well,
        Ended::Exit(code) => {
            report(&format!("the guest ended with an error (its exit code is {code})"));
            Exit::GuestFailed
        }
        Ended::Stopped(stop) if stop.is_orderly() => Exit::Well,
        Ended::Stopped(stop) => {
            report(&format!("the guest was ended: {stop}"));
            Exit::GuestEnded
        }
        Ended::Trapped(message) => {
            report(&format!("the guest trapped: {}", message.trim_end()));
            Exit::GuestEnded
        }
    }
}

fn serving(what: &str, address: SocketAddr, begin: Instant) -> String {
    let (host, reach) = reach(address);
    format!("serving {what} at http://{host}/ ({reach}), ready in {:.0?}", begin.elapsed())
}

/// What the operator is told when fewer clients can be connected than the guest would take.
fn fewer_clients(wanted: usize, handles_max: usize) -> Option<String> {
    let most = clients_max(handles_max);
    // A share less is enough for them: the inverse of `clients_max`.
    let handles = (wanted * limits::HANDLES_FOR_FILES_SHARE).div_ceil(limits::HANDLES_FOR_FILES_SHARE - 1);
    let advice = match handles as u64 + limits::DESCRIPTORS_OF_HOST {
        _ if handles > limits::HANDLES_MAX => "the host takes no more".to_owned(),
        descriptors => format!("for all of them `ulimit -Hn` must allow {descriptors} descriptors"),
    };
    (most < wanted).then(|| format!("note: {most} clients at once, where the guest takes {wanted}: {advice}"))
}

fn also_listening(address: SocketAddr) -> String {
    let (host, reach) = reach(address);
    format!("listening on {host} as well ({reach})")
}

/// How an address is reached from this machine, and who else reaches it.
fn reach(address: SocketAddr) -> (String, &'static str) {
    let ip = address.ip();
    if ip.is_loopback() {
        (address.to_string(), "this machine only")
    } else if ip.is_unspecified() {
        (format!("localhost:{}", address.port()), "every network of this machine")
    } else {
        (address.to_string(), "the network of this address")
    }
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
        Errno::ADDRINUSE => {
            anyhow!("port {port} is in use: stop the program that has it, or choose another port (0 lets the system)")
        }
        Errno::ACCESS | Errno::PERM => {
            anyhow!("port {port} is not permitted: ports below 1024 need privileges; choose one above, such as 8000")
        }
        Errno::ADDRNOTAVAIL => {
            anyhow!("{} is not an address of this machine: see --listen and --grant-port", address.ip())
        }
        error => anyhow!("cannot listen on {address}: {}", std::io::Error::from(error)),
    }
}

/// Takes as many descriptors as the system gives, for the soft limit is low for programs that use `select`; how many
/// handles that makes. Each connection and each open file takes one.
fn take_descriptors() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    let descriptors = if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { before };
    let descriptors = descriptors.unwrap_or(u64::MAX);
    if descriptors < limits::DESCRIPTORS_FEW {
        report(&format!("note: only {descriptors} descriptors for clients and files: `ulimit -Hn` allows no more"));
    }
    let handles = descriptors.saturating_sub(limits::DESCRIPTORS_OF_HOST).max(4);
    usize::try_from(handles).unwrap_or(usize::MAX).min(limits::HANDLES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn who_wants_more_clients_than_descriptors_allow_is_told_how_many_are_needed() {
        assert_eq!(fewer_clients(750, 1_000), None);
        let note = fewer_clients(50_000, 19_936).expect("fewer");
        assert!(note.contains("14952 clients") && note.contains("`ulimit -Hn` must allow 66731 descriptors"), "{note}");
        let enough = 66_731 - usize::try_from(limits::DESCRIPTORS_OF_HOST).expect("small");
        assert_eq!(fewer_clients(50_000, enough), None);
        assert!(
            fewer_clients(100_000, limits::HANDLES_MAX).is_some_and(|note| note.contains("the host takes no more"))
        );
    }

    #[test]
    fn the_startup_line_says_who_can_reach_the_server() {
        for (address, url, reach) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000/", "this machine only"),
            ("[::1]:80", "http://[::1]:80/", "this machine only"),
            ("0.0.0.0:80", "http://localhost:80/", "every network"),
            ("192.0.2.1:80", "http://192.0.2.1:80/", "the network of this address"),
        ] {
            let line = serving("html/", address.parse().expect("an address"), Instant::now());
            assert!(line.contains(url) && line.contains(reach), "{line}");
        }
    }
}
