//! Runs a guest in the live world. Finds, binds and admits everything before the shards begin.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use rustix::io::Errno;

use super::descriptors::take_descriptors;
use super::exit_status::ExitStatus;
use super::log_file;
use super::ports::bind_ports;
use super::record::SnapshotRequests;
use super::report::report;
use super::setup::{engine, read_guest, tell_of_compiling};
use super::shards::{ShardContext, Shards};
use super::startup_notice::{self, StartupNotice};
use crate::cli::Run;
use pluto_engine::admission::{self, Admitted};
use pluto_engine::engine::Engine;
use pluto_live::{Board, GrantedFolder, Operator, Port, Root, Signals};

/// Runs a guest until it ends.
pub fn serve(run: &Run) -> Result<ExitStatus> {
    let begin = Instant::now();
    let shards = run.shards();
    // The order matters: after the first step nobody waits for a reader of standard error, and the
    // third step needs descriptors. Each step is short, so that a signal can hardly end the
    // process meanwhile.
    let output = log_file::start(run)?;
    let handles_max = take_descriptors(shards)?;
    let operator = Operator::take_over(run.flight_recorder.is_some() || run.log_file.is_some(), report);
    let operator = operator.context("cannot take over the signals")?;
    log_file::reopen_on_request(run, &output)?;
    let bytes = read_guest(&run.guest)?;
    let snapshot_requests = SnapshotRequests::of(run, shards)?;
    let ports = bind_ports(run)?;
    let address = ports[0].address();
    let root = run.root().map(|path| open_root(path, &run.grant_folders)).transpose()?;
    let engine = engine(run.no_cache)?;
    let admitted = admit(&engine, &run.guest, &bytes)?;
    let what = run.root().map_or_else(|| run.guest.display().to_string(), str::to_owned);
    let (signals, stopper) = operator.shards(shards).context("cannot pass signals on to each shard")?;
    let contexts = contexts(shards, ports, root.as_ref(), signals, snapshot_requests)?;
    let note = run
        .has_one_shard_to_record()
        .then(|| "note: one shard, for a trace is the run of one; --shards N records N traces".to_owned());
    let of_shards = startup_notice::Shards { number: shards, are_wanted: run.wants_shards() };
    let notice = StartupNotice::new(what, address, of_shards, handles_max, begin, note);
    Shards {
        run,
        guest: &bytes,
        engine: &engine,
        admitted: &admitted,
        handles_max,
        output,
        notice: Arc::new(notice),
        stopper,
        shards,
        have_begun: Arc::default(),
    }
    .run(contexts)
}

/// Creates what each shard has for itself. The clients of the first port are distributed. Further
/// ports, on which an operator is told what all shards know, belong to the first shard.
fn contexts(
    shards: usize,
    ports: Vec<Port>,
    root: Option<&Root>,
    signals: Vec<Signals>,
    snapshot_requests: Vec<SnapshotRequests>,
) -> Result<Vec<ShardContext>> {
    let count = u32::try_from(shards).expect("at most SHARDS_MAX");
    let mut snapshot_requests = snapshot_requests.into_iter();
    let mut contexts = Vec::new();
    for ((number, signals), board) in (1..).zip(signals).zip(Board::shared(shards)) {
        let root = root.map(Root::another).transpose().context("cannot open the folder for each shard")?;
        contexts.push(ShardContext {
            number,
            ports: Vec::new(),
            root,
            signals,
            board,
            snapshot_requests: snapshot_requests.next(),
        });
    }
    for (index, port) in ports.into_iter().enumerate() {
        let ports = if index == 0 { port.shared(count) } else { port.of_the_first(count) };
        contexts.iter_mut().zip(ports).for_each(|(context, port)| context.ports.push(port));
    }
    Ok(contexts)
}

fn admit(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Admitted> {
    let refused = || format!("{} is refused", path.display());
    let inspected = tell_of_compiling(path, bytes, || admission::inspect(engine, bytes));
    inspected.with_context(refused)?.admitted.with_context(refused)
}

fn open_root(path: &str, granted: &[PathBuf]) -> Result<Root> {
    let granted: Result<Vec<GrantedFolder>> = granted.iter().map(|path| open_granted(path)).collect();
    Root::open(Path::new(path), granted?).map_err(|error| match error {
        Errno::NOENT => anyhow!("the folder {path} does not exist: give the folder to serve, such as html/"),
        Errno::NOTDIR => anyhow!("{path} is not a folder: give the folder to serve, such as html/"),
        Errno::NOSYS => anyhow!("this kernel cannot confine a guest to {path}: Linux 5.6 or newer can (openat2)"),
        error => anyhow!("cannot open the folder {path}: {}", std::io::Error::from(error)),
    })
}

fn open_granted(path: &Path) -> Result<GrantedFolder> {
    GrantedFolder::open(path).map_err(|error| {
        let error = std::io::Error::from(error);
        anyhow!("cannot open the granted folder {}: {error}: --grant-folder names a folder", path.display())
    })
}
