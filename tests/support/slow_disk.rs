//! A file system whose answers take as long as a test wants: one flat folder of read-only files,
//! kept in memory and served over `/dev/fuse`.
//!
//! It speaks as much of FUSE's protocol (7.31, `linux/fuse.h`) as reading needs. The system caches
//! no name and no attributes of it, so that each call of a server comes here. A thread of its own
//! answers each slow request, so that no other request is delayed.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use tempfile::TempDir;

/// What the system asks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// To find its name.
    Lookup,
    /// To tell its attributes: `stat`, `fstat`.
    Attributes,
    /// To open it.
    Open,
    /// To read a piece of it: 128 KiB at most.
    Read,
    /// To let go of it, which `close` waits for.
    Close,
}

/// A file of the folder.
struct Entry {
    name: String,
    content: Vec<u8>,
    /// The operation that takes a while, and how long it takes each time.
    slow: Option<(Operation, Duration)>,
}

/// The files of a file system that is not mounted yet.
#[derive(Default)]
pub struct Files(Vec<Entry>);

impl Files {
    /// Adds a file that answers at once.
    pub fn quick(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.0.push(Entry { name: name.into(), content: content.into(), slow: None });
        self
    }

    /// Adds a file that takes so long for each operation of one kind.
    pub fn slow(mut self, name: &str, content: impl Into<Vec<u8>>, operation: Operation, delay: Duration) -> Self {
        self.0.push(Entry { name: name.into(), content: content.into(), slow: Some((operation, delay)) });
        self
    }

    /// Mounts the files. Where that is not possible, says so on standard error and returns
    /// nothing: not every machine lets a test mount a file system.
    pub fn mount(self) -> Option<SlowDisk> {
        match SlowDisk::mount(self) {
            Ok(disk) => Some(disk),
            Err(reason) => {
                eprintln!("NOT TESTED: a slow disk needs /dev/fuse and root, and {reason}");
                None
            }
        }
    }
}

/// A mounted file system. It is unmounted when it is dropped, and then nothing is slow any more.
pub struct SlowDisk {
    folder: TempDir,
    server: Arc<Server>,
}

impl SlowDisk {
    fn mount(files: Files) -> Result<Self, String> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(|error| error.to_string())?;
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        // The device is standard input of `mount`, which so needs no helper of FUSE (`-i`).
        let output = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", "ro,nosuid,nodev,fd=0,rootmode=40000,user_id=0,group_id=0"])
            .args(["slow-disk".as_ref(), folder.path().as_os_str()])
            .stdin(Stdio::from(device.try_clone().map_err(|error| error.to_string())?))
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let state = Mutex::new(State { is_mounted: true, ..State::default() });
        let server = Arc::new(Server { device, files: files.0, state });
        let serving = server.clone();
        std::thread::spawn(move || serving.serve());
        Ok(Self { folder, server })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How many slow requests wait for their answers.
    pub fn waiting(&self) -> usize {
        self.server.state().waiting.len()
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        let mut state = self.server.state();
        state.is_mounted = false;
        // Whoever waits is answered.
        state.waiting.clear();
        drop(state);
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

/// The number of the folder. The file at an index has `FOLDER + 1 + index`.
const FOLDER: u64 = 1;

/// Room for any request: 8 KiB is what the system asks for.
const REQUEST_BYTES_MAX: usize = 64 << 10;

/// Bytes that the system may read ahead, which are also the most that it asks for at once.
const READ_AHEAD_BYTES: u32 = 128 << 10;

/// Requests that the system makes on its own, to read ahead, before others of this kind wait.
const BACKGROUND_MAX: u16 = 64;

/// When every file was last modified: long ago.
const MODIFIED_SECONDS: u64 = 1_700_000_000;

struct Server {
    device: File,
    files: Vec<Entry>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_mounted: bool,
    /// Ends the wait of a request, by its number.
    waiting: HashMap<u64, Sender<()>>,
}

/// A request of the system.
struct Request {
    opcode: u32,
    /// Its number.
    unique: u64,
    /// Whom it is about.
    node: u64,
    body: Vec<u8>,
}

impl Request {
    fn parse(bytes: &[u8]) -> Self {
        Self {
            opcode: short(&bytes[4..]),
            unique: number(&bytes[8..]),
            node: number(&bytes[16..]),
            body: bytes[40..].to_vec(),
        }
    }
}

/// The number of eight bytes with which some bytes begin.
fn number(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// The number of four bytes with which some bytes begin.
fn short(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes(bytes[..4].try_into().expect("four bytes"))
}

type Answer = Result<Vec<u8>, Errno>;

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers requests until the file system is unmounted and nobody has it open.
    fn serve(self: Arc<Self>) {
        let mut bytes = vec![0; REQUEST_BYTES_MAX];
        loop {
            match (&self.device).read(&mut bytes) {
                Ok(length) => self.take(Request::parse(&bytes[..length])),
                // A request was taken back before it was read.
                Err(error) if Errno::from_io_error(&error).is_some_and(|e| matches!(e, Errno::NOENT | Errno::INTR)) => {
                }
                Err(_) => break,
            }
        }
    }

    /// Answers a request, at once or after a while.
    fn take(self: &Arc<Self>, request: Request) {
        match request.opcode {
            opcode::FORGET | opcode::BATCH_FORGET => return,
            // It takes the number of the request that nobody wants any more.
            opcode::INTERRUPT => {
                if let Some(waiting) = self.state().waiting.get(&number(&request.body)) {
                    let _ = waiting.send(());
                }
                return;
            }
            _ => {}
        }
        match self.delay(&request) {
            None => self.reply(request.unique, self.answer(&request)),
            Some(delay) => self.answer_later(request, delay),
        }
    }

    fn answer_later(self: &Arc<Self>, request: Request, delay: Duration) {
        let (sender, interrupted) = channel();
        let mut state = self.state();
        if state.is_mounted {
            state.waiting.insert(request.unique, sender);
        }
        drop(state);
        let server = self.clone();
        std::thread::spawn(move || {
            let answer = match interrupted.recv_timeout(delay) {
                Ok(()) => Err(Errno::INTR),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => server.answer(&request),
            };
            server.state().waiting.remove(&request.unique);
            server.reply(request.unique, answer);
        });
    }

    /// How long a request takes, if that is longer than its answer.
    fn delay(&self, request: &Request) -> Option<Duration> {
        let (operation, entry) = match request.opcode {
            opcode::LOOKUP => (Operation::Lookup, self.named(&request.body)?.1),
            opcode::GETATTR => (Operation::Attributes, self.file(request.node)?),
            opcode::OPEN => (Operation::Open, self.file(request.node)?),
            opcode::READ => (Operation::Read, self.file(request.node)?),
            opcode::FLUSH => (Operation::Close, self.file(request.node)?),
            _ => return None,
        };
        entry.slow.filter(|(slow, _)| *slow == operation).map(|(_, delay)| delay)
    }

    fn answer(&self, request: &Request) -> Answer {
        match request.opcode {
            opcode::INIT => Ok(init()),
            opcode::LOOKUP => self.look_up(&request.body),
            opcode::GETATTR => {
                let attributes = self.attributes(request.node).ok_or(Errno::NOENT)?;
                Ok(words(&[0, 0], &[]).into_iter().chain(attributes).collect())
            }
            opcode::OPEN => self.file(request.node).map(|_| opened()).ok_or(Errno::NOENT),
            opcode::OPENDIR => Ok(opened()),
            opcode::READ => self.read(request),
            opcode::READDIR => Ok(self.list(request)),
            opcode::STATFS => Ok(words(&[0; 5], &[4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0])),
            opcode::FLUSH | opcode::RELEASE | opcode::RELEASEDIR | opcode::ACCESS | opcode::DESTROY => Ok(Vec::new()),
            _ => Err(Errno::NOSYS),
        }
    }

    fn reply(&self, unique: u64, answer: Answer) {
        let (error, body) = answer.map_or_else(|errno| (-errno.raw_os_error(), Vec::new()), |body| (0, body));
        let length = 16 + body.len() as u32;
        let mut bytes = [length.to_ne_bytes(), error.to_ne_bytes()].concat();
        bytes.extend(unique.to_ne_bytes());
        bytes.extend(body);
        // Nobody is left to be told when it fails: the request was taken back, or all is
        // unmounted.
        let _ = (&self.device).write_all(&bytes);
    }

    fn file(&self, node: u64) -> Option<&Entry> {
        self.files.get(usize::try_from(node.checked_sub(FOLDER + 1)?).ok()?)
    }

    /// The file that is named by bytes with a zero behind them, and its number.
    fn named(&self, name: &[u8]) -> Option<(u64, &Entry)> {
        let name = name.strip_suffix(&[0])?;
        (FOLDER + 1..).zip(&self.files).find(|(_, entry)| entry.name.as_bytes() == name)
    }

    fn look_up(&self, name: &[u8]) -> Answer {
        let (node, _) = self.named(name).ok_or(Errno::NOENT)?;
        let attributes = self.attributes(node).ok_or(Errno::NOENT)?;
        // Neither the name nor the attributes are kept.
        Ok(words(&[node, 0, 0, 0], &[0, 0]).into_iter().chain(attributes).collect())
    }

    fn attributes(&self, node: u64) -> Option<Vec<u8>> {
        let (mode, size) = match self.file(node) {
            Some(entry) => (0o100_444, entry.content.len() as u64),
            None if node == FOLDER => (0o040_555, 0),
            None => return None,
        };
        let times = [MODIFIED_SECONDS; 3];
        Some(words(&[&[node, size, size.div_ceil(512)], &times[..]].concat(), &[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]))
    }

    fn read(&self, request: &Request) -> Answer {
        let content = &self.file(request.node).ok_or(Errno::NOENT)?.content;
        let (offset, length) = (number(&request.body[8..]) as usize, short(&request.body[16..]) as usize);
        let begin = offset.min(content.len());
        Ok(content[begin..begin.saturating_add(length).min(content.len())].to_vec())
    }

    /// The entries behind so many, as far as they fit.
    fn list(&self, request: &Request) -> Vec<u8> {
        let (offset, room) = (number(&request.body[8..]), short(&request.body[16..]) as usize);
        let mut bytes = Vec::new();
        for (index, entry) in (0..).zip(&self.files).skip(offset as usize) {
            let name = entry.name.as_bytes();
            let mut one = words(&[FOLDER + 1 + index, index + 1], &[name.len() as u32, 8]);
            one.extend(name);
            one.resize(one.len().next_multiple_of(8), 0);
            if bytes.len() + one.len() > room {
                break;
            }
            bytes.extend(one);
        }
        bytes
    }
}

/// What the server can do: read ahead without waiting, and look up names beside each other.
fn init() -> Vec<u8> {
    const ASYNC_READ: u32 = 1;
    const PARALLEL_DIROPS: u32 = 1 << 18;
    // Two numbers of two bytes: at most so many, and from so many on the device counts as busy.
    let background = u32::from(BACKGROUND_MAX) << 16 | u32::from(BACKGROUND_MAX);
    let mut answer = words(&[], &[7, 31, READ_AHEAD_BYTES, ASYNC_READ | PARALLEL_DIROPS, background, 4096, 1]);
    answer.resize(64, 0);
    answer
}

/// A file or the folder is opened, and needs no number of its own.
fn opened() -> Vec<u8> {
    words(&[0, 0], &[])
}

/// Numbers of eight bytes, and behind them some of four.
fn words(long: &[u64], short: &[u32]) -> Vec<u8> {
    let long = long.iter().flat_map(|number| number.to_ne_bytes());
    long.chain(short.iter().flat_map(|number| number.to_ne_bytes())).collect()
}

/// `enum fuse_opcode`.
mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const ACCESS: u32 = 34;
    pub const INTERRUPT: u32 = 36;
    pub const DESTROY: u32 = 38;
    pub const BATCH_FORGET: u32 = 42;
}
