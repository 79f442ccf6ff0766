//! Recording a run that is being served: into a file, or into the flight recorder's memory.

use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use signal_hook::consts::SIGUSR1;
use signal_hook::low_level::pipe;

use super::report;
use crate::backend::Backend;
use crate::backend::live::Live;
use crate::backend::record::{Flight, Record, Snapshot, Snapshots, Tape};
use crate::cli::Run;
use crate::limits;
use crate::trace::{Header, How, binary};

/// Where each SIGUSR1 is told.
pub struct Demands(UnixStream);

impl Demands {
    /// Takes the signal over, when there will be flight recorders, one for each shard: before anything that takes long, for it would end the
    /// host. What is demanded meanwhile is done once there is something to write.
    pub fn of(run: &Run, shards: usize) -> Result<Vec<Self>> {
        let recorders = if run.flight_recorder.is_some() { shards } else { 0 };
        let install = || -> std::io::Result<Self> {
            let (demands, sender) = UnixStream::pair()?;
            pipe::register(SIGUSR1, sender)?;
            Ok(Self(demands))
        };
        (0..recorders).map(|_| install()).collect::<Result<_, _>>().context("cannot take over the signal SIGUSR1")
    }
}

/// Puts a recorder before the live world, when one is wanted. The shard has a number if there are several.
pub fn recorded(
    mut live: Live,
    run: &Run,
    shard: Option<usize>,
    guest: &[u8],
    demands: Option<Demands>,
) -> Result<Box<dyn Backend>> {
    let start = live.start();
    let beginning = || binary::begin(&Header::new(guest, run.memory_max, run.guest_arguments(), start), guest);
    Ok(match (run.flight_recorder, &run.record) {
        (None, None) => Box::new(live),
        (None, Some(path)) => {
            let path = &of_shard(path, shard);
            let failed = || format!("cannot record to {}", path.display());
            let beginning = beginning()?;
            let mut file = create_trace(path).with_context(failed)?;
            file.write_all(&beginning).with_context(failed)?;
            let tape = Tape::new(file, report).with_context(failed)?;
            Box::new(Record::new(Box::new(live), tape, run.key_frame_every, limits::KEY_FRAME_DISTANCE_FACTOR))
        }
        (Some(size), path) => {
            let path = path.clone().unwrap_or_else(|| format!("pluto-host.{}.trace", std::process::id()).into());
            let saver = Saver::new(of_shard(&path, shard), beginning()?)?;
            Box::new(flight_recorder(live, size, saver, demands)?)
        }
    })
}

/// The file of a shard's own trace: with its number before the ending.
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

/// Puts a flight recorder before the live world.
fn flight_recorder(live: Live, size: u64, saver: Saver, demands: Option<Demands>) -> Result<Record> {
    let tape = Tape::onto(Flight::new(size, report), report).context("cannot start the flight recorder")?;
    let snapshots = tape.snapshots();
    let saver = Arc::new(Mutex::new(saver));
    if let Some(demands) = demands {
        save_on_demand(demands, snapshots.clone(), saver.clone()).context("cannot start the flight recorder")?;
    }
    // The size of a key frame and the distance between two of them are then about the same at worst.
    let record = Record::new(Box::new(live), tape, Flight::key_frame_every(size), 1);
    Ok(record.then(Box::new(move |how| {
        // Whoever is writing finishes first, and nobody begins any more: the process ends, perhaps in the midst of it.
        let mut saver = lock(&saver);
        if !is_orderly(how) {
            saver.save(&snapshots);
        }
        saver.is_over = true;
    })))
}

/// Whether nobody will ask what has happened.
fn is_orderly(how: &How) -> bool {
    match how {
        How::Exit(code) => *code == 0,
        How::Trapped => false,
        How::Stopped(stop) => stop.is_orderly(),
    }
}

/// A thread that writes what the recorder holds at each SIGUSR1.
fn save_on_demand(mut demands: Demands, snapshots: Snapshots, saver: Arc<Mutex<Saver>>) -> std::io::Result<()> {
    let wait = move || {
        while demands.0.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            let saver = lock(&saver);
            if !saver.is_over {
                saver.save(&snapshots);
            }
        }
    };
    std::thread::Builder::new().name("flight".into()).spawn(wait)?;
    Ok(())
}

fn lock(saver: &Mutex<Saver>) -> MutexGuard<'_, Saver> {
    saver.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what a flight recorder holds.
struct Saver {
    path: PathBuf,
    /// What the trace begins with: the header and the guest.
    beginning: Vec<u8>,
    /// The run has ended, and all is written.
    is_over: bool,
}

impl Saver {
    /// A file that cannot be written is better known before there is something to write.
    fn new(path: PathBuf, beginning: Vec<u8>) -> Result<Self> {
        let saver = Self { path, beginning, is_over: false };
        let failed = || format!("cannot record to {}", saver.path.display());
        saver.create().with_context(failed)?;
        std::fs::remove_file(saver.part()).with_context(failed)?;
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

    /// Under another name first, so that there is a whole trace or none. How many bytes it has.
    fn write(&self, snapshot: &Snapshot) -> Result<u64> {
        let mut file = self.create()?;
        let write = |block: &[u8]| file.write_all(block);
        let written =
            std::iter::once(&self.beginning[..]).chain(snapshot.blocks.iter().map(|it| &it[..])).try_for_each(write);
        let renamed = written.and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(self.part(), &self.path));
        if let Err(error) = renamed {
            // A part of a trace helps nobody, and its place may be needed.
            let _ = std::fs::remove_file(self.part());
            return Err(error.into());
        }
        Ok(file.metadata()?.len())
    }

    /// Makes the file under its other name. One that is left over from a process with the same number gives way.
    fn create(&self) -> Result<File> {
        if std::fs::metadata(&self.path).is_ok_and(|it| !it.is_file()) {
            bail!("it is there, and is no file: choose another name");
        }
        check_place(&self.path)?;
        let part = self.part();
        check_place(&part).with_context(|| part.display().to_string())?;
        if part.is_file() {
            std::fs::remove_file(&part)?;
        }
        Ok(File::options().write(true).create_new(true).mode(TRACE_MODE).open(part)?)
    }

    /// The name under which it is written.
    fn part(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}.part", std::process::id()));
        name.into()
    }
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

/// Of a trace. It holds what clients have sent, so that only its owner may read it.
const TRACE_MODE: u32 = 0o600;

/// Makes the file of a trace, or empties that of an earlier one.
pub fn create_trace(path: &Path) -> Result<File> {
    check_place(path)?;
    let file = File::options().write(true).create(true).truncate(true).mode(TRACE_MODE).open(path)?;
    if file.metadata()?.is_file() {
        // It may have been there, with another mode.
        file.set_permissions(Permissions::from_mode(TRACE_MODE))?;
    }
    Ok(file)
}

/// What is there and is no trace is not overwritten.
fn check_place(path: &Path) -> Result<()> {
    let mut begin = [0; binary::MAGIC.len()];
    let is_something = std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() > 0);
    if is_something && (File::open(path)?.read_exact(&mut begin).is_err() || begin != binary::MAGIC) {
        bail!("there is a file of that name which is no trace: choose another name");
    }
    Ok(())
}
