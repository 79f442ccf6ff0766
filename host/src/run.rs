//! What the commands do.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;

use crate::admission::{self, Admitted, Inspection};
use crate::backend::live::{Grant, Live, Port, Root, Signals};
use crate::cli::{Cli, Command, Run};
use crate::console::Console;
use crate::engine::{self, Engine};
use crate::guest::{Ended, Guest};
use crate::limits;

/// The exit codes, as the help text documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The guest ended well, or was stopped.
    Well = 0,
    /// The host could not start.
    CannotStart = 1,
    /// The host ended the guest.
    GuestEnded = 4,
    /// The guest ended with an error of its own.
    GuestFailed = 5,
}

/// Does what the command line says. An error means that nothing was started.
pub fn command(cli: Cli) -> Result<Exit> {
    match (cli.command, cli.run) {
        (Some(Command::Inspect { guest }), _) => inspect(&guest),
        (Some(Command::Componentize { module, output }), _) => componentize(&module, &output),
        (None, Some(run)) => serve(&run),
        (None, None) => bail!("no guest to run; see pluto-host --help"),
    }
}

/// Writes a message of the host to standard error.
pub fn report(message: &str) {
    // Nobody may be there to read it; that is no reason to end.
    let _ = writeln!(std::io::stderr(), "pluto-host: {message}");
}

fn serve(run: &Run) -> Result<Exit> {
    let begin = Instant::now();
    let bytes = read_guest(&run.guest)?;
    let address = SocketAddr::new(run.listen, run.port);
    let port = Port::bind(address).map_err(|error| explain_bind(address, error))?;
    let root = run.root().map(open_root).transpose()?;
    let engine = engine(run.no_cache)?;
    let admitted = admit(&engine, &run.guest, &bytes)?;
    raise_descriptor_limit();
    let what = run.root().map_or_else(|| run.guest.display().to_string(), str::to_owned);
    let grant = Grant {
        ports: vec![port],
        root,
        signals: Some(Signals::install().context("cannot take over the signals")?),
        console: Console::new(run.log, run.log_level),
        on_listening: Box::new(move |address| report(&serving(&what, address, begin))),
    };
    let live = Live::new(run.driver, grant)
        .context("cannot open the system's queue; where io_uring is not allowed, --driver poll or auto does without")?;
    let mut guest = Guest::new(&engine, admitted, Box::new(live), run.memory_max);
    let ended = guest.run(&run.guest_arguments());
    // The log comes before the last word.
    drop(guest);
    Ok(conclude(ended))
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
    let ip = address.ip();
    let (host, reach) = if ip.is_loopback() {
        (address.to_string(), "this machine only")
    } else if ip.is_unspecified() {
        (format!("localhost:{}", address.port()), "every network of this machine")
    } else {
        (address.to_string(), "the network of this address")
    };
    format!("serving {what} at http://{host}/ ({reach}), ready in {:.0?}", begin.elapsed())
}

fn engine(no_cache: bool) -> Result<Engine> {
    let cache = if no_cache { None } else { engine::cache_folder() };
    match Engine::new(cache.clone()) {
        // A read-only home is no reason not to serve.
        Err(error) if cache.is_some() => {
            report(&format!("{error:#}; going on without"));
            Engine::new(None)
        }
        result => result,
    }
}

fn admit(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Admitted> {
    let refused = || format!("{} is refused", path.display());
    admission::inspect(engine, bytes).with_context(refused)?.admitted.with_context(refused)
}

/// Reads a guest's file. Errors say what to do.
fn read_guest(path: &Path) -> Result<Vec<u8>> {
    let advice = "give the path of a guest's .wasm file, such as target/guests/pluto.wasm";
    let metadata = std::fs::metadata(path).with_context(|| format!("no guest at {}: {advice}", path.display()))?;
    if !metadata.is_file() {
        bail!("{} is not a file: {advice}", path.display());
    }
    if metadata.len() > limits::GUEST_BYTES_MAX {
        bail!("{} has {} bytes; a guest may have {}", path.display(), metadata.len(), limits::GUEST_BYTES_MAX);
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn inspect(path: &Path) -> Result<Exit> {
    let bytes = read_guest(path)?;
    let engine = engine(false)?;
    let inspection = admission::inspect(&engine, &bytes).with_context(|| path.display().to_string())?;
    let mut text = describe(path, &inspection);
    let exit = match &inspection.admitted {
        Ok(_) => {
            text.push_str("admitted  yes\n");
            Exit::Well
        }
        Err(error) => {
            let _ = writeln!(text, "admitted  no: {error:#}");
            Exit::CannotStart
        }
    };
    // A closed pipe is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(exit)
}

fn describe(path: &Path, inspection: &Inspection) -> String {
    let kind = if inspection.is_core_module { "core module (made a component when loaded)" } else { "component" };
    let sha256: String = inspection.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join("\n          ") };
    format!(
        "guest     {}\nkind      {kind}\nsize      {} bytes\nsha256    {sha256}\nimports   {}\nexports   {}\n",
        path.display(),
        inspection.size,
        list(&inspection.imports),
        list(&inspection.exports),
    )
}

fn componentize(module: &Path, output: &Path) -> Result<Exit> {
    let bytes = read_guest(module)?;
    let component = engine::componentize(&bytes).with_context(|| module.display().to_string())?;
    std::fs::write(output, component).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(Exit::Well)
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
        Errno::ADDRNOTAVAIL => anyhow!("{} is not an address of this machine: see --listen", address.ip()),
        error => anyhow!("cannot listen on {address}: {}", std::io::Error::from(error)),
    }
}

/// Each connection and each open file takes a descriptor. The soft limit is low for programs that use `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // The old limit is enough for a small server.
    let _ = setrlimit(Resource::Nofile, limit);
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
