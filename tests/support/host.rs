//! The command `pluto-host`, run as a user runs it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::guests::repository;

/// How long anything may take before a test gives up: far longer than it should, for the machine
/// may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub errors: String,
}

/// A run under way. It is killed when it is dropped.
pub struct Host {
    child: Child,
    address: Option<SocketAddr>,
    output: Option<JoinHandle<String>>,
    errors: Receiver<String>,
    seen: String,
}

/// The built command.
pub fn command() -> PathBuf {
    let path = repository().join("target/release/pluto-host");
    assert!(path.exists(), "{} is missing: run `cargo xtask build` first", path.display());
    path
}

/// Runs the command to its end.
pub fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
    Host::spawn(arguments).wait()
}

/// Sends a process a signal, by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -s {name}");
}

/// A run that has ended, with what it took.
#[derive(Debug)]
pub struct Measured {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard error.
    pub errors: String,
    /// The most memory that it had, in KiB.
    pub peak_kib: u64,
    /// The most addresses that it had, in KiB: what `ulimit -v` limits.
    pub peak_addresses_kib: u64,
    /// How long it took.
    pub time: Duration,
}

/// Runs the command to its end, and looks at its memory meanwhile. What it prints is thrown away.
pub fn measured(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Measured {
    let begin = Instant::now();
    let mut command = Command::new(command());
    command.current_dir(repository()).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut stderr = child.stderr.take().expect("piped");
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    // The system tells the peaks as long as the process has not ended, and they only grow: the
    // last look is what counts.
    let (status, mut peaks) = (format!("/proc/{}/status", child.id()), [0; 2]);
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        for (peak, name) in peaks.iter_mut().zip(["VmHWM:", "VmPeak:"]) {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            *peak = now.unwrap_or(0).max(*peak);
        }
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status.code();
        }
        if begin.elapsed() > 2 * PATIENCE {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let ([peak_kib, peak_addresses_kib], time) = (peaks, begin.elapsed());
    Measured { code, errors: errors.join().expect("it reads"), peak_kib, peak_addresses_kib, time }
}

impl Host {
    /// Starts the command.
    pub fn spawn(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(command());
        command.args(arguments).stdout(Stdio::piped());
        Self::of(&mut command)
    }

    /// Starts the command by a shell, such as `ulimit -n 16; exec "$@"`.
    pub fn by_shell(script: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(command()).args(arguments).stdout(Stdio::piped());
        Self::of(&mut shell)
    }

    /// Starts a command whose standard output is somewhere already; what is not a pipe is not in
    /// `Ended`.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .current_dir(repository())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let (sender, errors) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let stdout = child.stdout.take();
        let output = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.map(|mut stdout| stdout.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { child, address: None, output: Some(output), errors, seen: String::new() }
    }

    /// Starts the command and waits until it serves.
    pub fn serve(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self::spawn(arguments).serving()
    }

    /// Waits until it serves.
    pub fn serving(mut self) -> Self {
        let line = self.wait_for_error("serving ");
        self.serving_at(&line)
    }

    /// It serves, where that line says that it does.
    pub fn serving_at(mut self, line: &str) -> Self {
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        self.address = Some(address.parse().expect("a socket address"));
        self
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("it serves")
    }

    /// A new client.
    pub fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address()).expect("it accepts");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        client.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        client.set_nodelay(true).expect("no delay");
        client
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits until nobody new is let in.
    pub fn wait_until_it_refuses(&self) {
        let begin = Instant::now();
        while TcpStream::connect(self.address()).is_ok() {
            assert!(begin.elapsed() < PATIENCE, "it still accepts");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line on standard error that contains `text`.
    pub fn wait_for_error(&mut self, text: &str) -> String {
        self.wait_for_any_error(&[text])
    }

    /// Waits for a line on standard error that contains one of these.
    pub fn wait_for_any_error(&mut self, texts: &[&str]) -> String {
        loop {
            match self.errors.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    self.seen.push('\n');
                    if texts.iter().any(|text| line.contains(text)) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no {texts:?} in time, but:\n{}", self.seen),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without {texts:?}:\n{}", self.seen),
            }
        }
    }

    /// Waits until it ends.
    pub fn wait(mut self) -> Ended {
        let status = self.wait_for_exit();
        let output = self.output.take().expect("taken once").join().expect("it reads");
        while let Ok(line) = self.errors.recv() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        Ended { code: status.code(), output, errors: std::mem::take(&mut self.seen) }
    }

    fn wait_for_exit(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end; it said:\n{}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
