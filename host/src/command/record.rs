//! Records a live run into a file, or into the flight recorder's memory.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use signal_hook::consts::SIGUSR1;
use signal_hook::low_level::pipe;

use super::private_file;
use super::report::report;
use super::trace_name;
use crate::cli::Run;
use crate::limits;
use pluto_contract::stop::Exit;
use pluto_contract::world::World as _;
use pluto_live::Live;
use pluto_trace::key_frames::{PausableWorld, WithoutKeyFrames};
use pluto_trace::record::{BackgroundWriter, Flight, Recorder, Snapshot, Snapshots};
use pluto_trace::{Header, binary};

/// The stream that becomes readable at each SIGUSR1.
pub struct SnapshotRequests(UnixStream);

impl SnapshotRequests {
    /// Takes SIGUSR1 over, if there will be flight recorders, one for each shard. Called before
    /// anything that takes long, because the signal would end the host. Requests that come
    /// meanwhile are served once there is something to write.
    pub fn of(run: &Run, shards: usize) -> Result<Vec<Self>> {
        let recorders = if run.flight_recorder.is_some() { shards } else { 0 };
        let install = || -> std::io::Result<Self> {
            let (snapshot_requests, sender) = UnixStream::pair()?;
            pipe::register(SIGUSR1, sender)?;
            Ok(Self(snapshot_requests))
        };
        (0..recorders).map(|_| install()).collect::<Result<_, _>>().context("cannot take over the signal SIGUSR1")
    }
}

/// Puts a recorder in front of the live world, if the operator wants one. The shard has a number
/// if there are several.
pub fn recorded(
    mut live: Live,
    run: &Run,
    shard: Option<usize>,
    guest: &[u8],
    snapshot_requests: Option<SnapshotRequests>,
) -> Result<Box<dyn PausableWorld>> {
    let start = live.start();
    let beginning = || binary::begin(&Header::new(guest, run.memory_max, run.guest_arguments(), start), guest);
    Ok(match (run.flight_recorder, &run.record) {
        (None, None) => Box::new(WithoutKeyFrames(live)),
        (None, Some(path)) => {
            let path = of_shard(&named(path), shard);
            let (name, overwrite) = (path.display().to_string(), run.overwrite);
            let open = move || open_to_record(&path, overwrite).map_err(|error| format!("{error:#}"));
            let writer = BackgroundWriter::file(beginning()?, open, report)
                .map_err(|why| anyhow!("cannot record to {name}: {why}"))?;
            Box::new(Recorder::new(Box::new(live), writer, run.key_frame_every, limits::KEY_FRAME_DISTANCE_FACTOR))
        }
        (Some(size), path) => {
            let path = path.as_deref().map_or_else(|| named(Path::new(FLIGHT_NAME)), named);
            let saver = Saver::new(of_shard(&path, shard), beginning()?, run.overwrite)?;
            Box::new(flight_recorder(live, size, saver, snapshot_requests)?)
        }
    })
}

/// The name of the trace of a flight recorder without a name.
const FLIGHT_NAME: &str = "pluto-host.%t.%p.trace";

/// Returns the name of a trace of this run. All shards have the time of the first one.
fn named(name: &Path) -> PathBuf {
    static START: OnceLock<SystemTime> = OnceLock::new();
    trace_name::expand(name, *START.get_or_init(SystemTime::now), std::process::id())
}

/// Returns the file of a shard's own trace, with the shard's number before the ending.
fn of_shard(path: &Path, shard: Option<usize>) -> PathBuf {
    let Some(number) = shard else { return path.to_owned() };
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

/// Puts a flight recorder in front of the live world.
fn flight_recorder(
    live: Live,
    size: u64,
    saver: Saver,
    snapshot_requests: Option<SnapshotRequests>,
) -> Result<Recorder> {
    let failed = |why| anyhow!("cannot start the flight recorder: {why}");
    let writer = BackgroundWriter::onto(Flight::new(size, report), report).map_err(failed)?;
    let snapshots = writer.snapshots();
    let (path, written) = (saver.path.clone(), saver.written.clone());
    let saver = Arc::new(Mutex::new(saver));
    if let Some(snapshot_requests) = snapshot_requests {
        save_on_request(snapshot_requests, snapshots.clone(), saver.clone())
            .context("cannot start the flight recorder")?;
    }
    // The size of a key frame and the distance between two of them are then about the same at
    // worst.
    let record = Recorder::new(Box::new(live), writer, Flight::key_frame_every(size), 1);
    Ok(record.then(Box::new(move |exit| {
        let (saver, snapshots, is_to_save) = (saver.clone(), snapshots.clone(), !is_orderly(exit));
        let last = move || {
            // Whoever is writing finishes first, and nobody begins any more: the process ends,
            // perhaps in the midst of it.
            let mut saver = lock(&saver);
            if is_to_save {
                saver.save(&snapshots);
            }
            saver.is_over = true;
        };
        let stall = Duration::from_secs(pluto_trace::limits::TRACE_STALL_SECONDS_MAX);
        if finished(last, stall, &written).is_none() {
            report(&format!("the flight recorder cannot write {}: its disk does not respond", path.display()));
        }
    })))
}

/// Runs work that waits for a disk in a thread of its own, and returns its result. Returns none
/// when the work takes too long: `patience` without any of the steps that it counts. The work then
/// goes on as long as the process does.
fn finished<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    patience: Duration,
    steps: &AtomicU64,
) -> Option<T> {
    let (sender, receiver) = channel();
    // Nobody may wait for it any more.
    let work = move || drop(sender.send(work()));
    thread::Builder::new().name("disk".into()).spawn(work).ok()?;
    loop {
        let before = steps.load(Ordering::Relaxed);
        match receiver.recv_timeout(patience) {
            Ok(result) => return Some(result),
            Err(_) if steps.load(Ordering::Relaxed) == before => return None,
            Err(_) => {}
        }
    }
}

/// Returns whether the end of the run is so ordinary that nobody will ask what happened.
fn is_orderly(exit: &Exit) -> bool {
    match exit {
        Exit::Code(code) => *code == 0,
        Exit::Trapped => false,
        Exit::Stopped(stop) => stop.is_orderly(),
    }
}

/// A thread that writes what the recorder holds at each SIGUSR1.
fn save_on_request(
    mut snapshot_requests: SnapshotRequests,
    snapshots: Snapshots,
    saver: Arc<Mutex<Saver>>,
) -> std::io::Result<()> {
    let wait = move || {
        while snapshot_requests.0.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            let saver = lock(&saver);
            if !saver.is_over {
                saver.save(&snapshots);
            }
        }
    };
    thread::Builder::new().name("flight".into()).spawn(wait)?;
    Ok(())
}

fn lock(saver: &Mutex<Saver>) -> MutexGuard<'_, Saver> {
    saver.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what a flight recorder holds.
struct Saver {
    path: PathBuf,
    /// The beginning of the trace: the header and the guest.
    beginning: Arc<[u8]>,
    /// The number of bytes that were written, by which progress is noticed.
    written: Arc<AtomicU64>,
    /// Whether the run has ended and everything is written.
    is_over: bool,
}

impl Saver {
    /// Creates a saver. A file that cannot be written is an error now, before there is something
    /// to write. A disk that stalls is not waited for.
    fn new(path: PathBuf, beginning: Vec<u8>, overwrite: bool) -> Result<Self> {
        let saver = Self { path, beginning: beginning.into(), written: Arc::default(), is_over: false };
        let failed = || format!("cannot record to {}", saver.path.display());
        let path = saver.path.clone();
        let try_it = move || {
            check_place(&path, overwrite)?;
            create(&path).and_then(|_| Ok(std::fs::remove_file(part(&path))?))
        };
        let patience = Duration::from_millis(pluto_trace::limits::TRACE_OPEN_MILLIS_MAX);
        match finished(try_it, patience, &saver.written) {
            Some(tried) => tried.with_context(failed)?,
            None => {
                report(&format!("note: {} could not be tested: its disk does not respond yet", saver.path.display()));
            }
        }
        Ok(saver)
    }

    fn save(&self, snapshots: &Snapshots) {
        let Some(snapshot) = snapshots.take() else {
            return report("the flight recorder has nothing to write: recording has ended");
        };
        match self.write(&snapshot) {
            Ok(bytes) => report(&describe(&self.path, bytes, &snapshot)),
            Err(error) => report(&format!("the flight recorder cannot write {}: {error:#}", self.path.display())),
        }
    }

    /// Writes a snapshot, under another name first, so that there is a whole trace or none.
    /// Returns the size of the trace in bytes.
    fn write(&self, snapshot: &Snapshot) -> Result<u64> {
        let (mut file, part) = (create(&self.path)?, part(&self.path));
        let blocks = std::iter::once(&self.beginning[..]).chain(snapshot.blocks.iter().map(|it| &it[..]));
        let written = blocks.flat_map(|block| block.chunks(limits::FLIGHT_SYNC_BYTES)).try_for_each(|piece| {
            file.write_all(piece)?;
            self.takes(piece.len(), &file)
        });
        let renamed = written.and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&part, &self.path));
        if let Err(error) = renamed {
            // A part of a trace helps nobody, and its place may be needed.
            let _ = std::fs::remove_file(&part);
            return Err(error.into());
        }
        Ok(file.metadata()?.len())
    }

    /// Counts written bytes, and now and then waits until the disk has them, so that progress of
    /// the disk is noticed.
    fn takes(&self, bytes: usize, file: &File) -> std::io::Result<()> {
        let before = self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        let piece = limits::FLIGHT_SYNC_BYTES as u64;
        if (before + bytes as u64) / piece > before / piece { file.sync_data() } else { Ok(()) }
    }
}

/// Creates the file of a flight recorder under its other name. A file that is left over from a
/// process with the same number is replaced.
fn create(path: &Path) -> Result<File> {
    if std::fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        bail!("the name belongs to something that is no file: choose another");
    }
    check_place(path, true)?;
    let part = part(path);
    check_place(&part, true).with_context(|| part.display().to_string())?;
    if part.is_file() {
        std::fs::remove_file(&part)?;
    }
    Ok(File::options().write(true).create_new(true).mode(private_file::MODE).open(part)?)
}

/// Returns the name under which the trace is written at first.
fn part(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}

fn describe(path: &Path, bytes: u64, snapshot: &Snapshot) -> String {
    let Snapshot { begin, end, replays_from, .. } = snapshot;
    let seconds = end.time.saturating_sub(begin.time) as f64 / 1e9;
    let reservation = match replays_from {
        None => ", which can be read but not replayed".to_owned(),
        Some(turn) if *turn > begin.turn => format!(", which can be replayed from turn {} on", turn + 1),
        Some(_) => String::new(),
    };
    let (path, kib) = (path.display(), bytes.div_ceil(1 << 10));
    let turns = match end.turn - begin.turn {
        0 => "no turn yet".to_owned(),
        _ => format!("turns {} to {}", begin.turn + 1, end.turn),
    };
    format!("the flight recorder has written {path}: {kib} KiB, {seconds:.1} s, {turns}{reservation}")
}

/// Creates the file of a trace, or empties the file of an earlier one. Waits until a pipe has a
/// reader.
pub fn create_trace(path: &Path) -> Result<File> {
    check_place(path, true)?;
    Ok(private_file::create(path, OFlags::empty())?)
}

/// Creates the file of a trace for a run that is about to begin. A pipe without a reader is an
/// error, and so is a trace that must not be overwritten.
fn open_to_record(path: &Path, overwrite: bool) -> Result<File> {
    check_place(path, overwrite)?;
    let file = private_file::create(path, OFlags::NONBLOCK).map_err(|error| {
        let has_no_reader = Errno::from_io_error(&error) == Some(Errno::NXIO);
        let error = anyhow::Error::from(error);
        if has_no_reader {
            error.context("nobody reads it: start the program that reads this pipe before this one")
        } else {
            error
        }
    })?;
    // Its own thread writes, which may wait.
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Refuses to overwrite a file that is not a trace; and a trace, unless the operator wants that:
/// it may be the recording of the very failure after which this run was started.
fn check_place(path: &Path, overwrite: bool) -> Result<()> {
    let mut begin = [0; binary::MAGIC.len()];
    let is_something = std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() > 0);
    if is_something && (File::open(path)?.read_exact(&mut begin).is_err() || begin != binary::MAGIC) {
        bail!("there is a file of that name which is no trace: choose another name");
    }
    if is_something && !overwrite {
        bail!(
            "there is a trace of that name: --overwrite replaces it, and %t or %p in the name gives each run a trace \
             of its own"
        );
    }
    Ok(())
}
