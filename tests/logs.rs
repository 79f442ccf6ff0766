//! Where the log goes: readers that do not read, full disks, and what the operator learns of lost
//! lines.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::starting::free_port;
use crate::support::guests;
use crate::support::host::{self, Host, PATIENCE};
use crate::support::http::Client;

/// How long a server may take to end when it is told to: the last lines wait for a second.
const END: Duration = Duration::from_secs(5);

fn pluto() -> String {
    guests::built("pluto").display().to_string()
}

fn connect(port: u16) -> Client {
    let begin = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                return Client::new(stream);
            }
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks so often for what is not there; a line of the log has about 1,100 bytes.
fn ask(client: &mut Client, requests: usize) {
    let target = format!("/{}", "a".repeat(3_000));
    (0..requests).for_each(|_| assert_eq!(client.get(&target).status, 404));
}

/// Tells it to stop, and waits for that.
fn stop(host: Host) -> host::Ended {
    let begin = Instant::now();
    host.signal("TERM");
    let ended = host.wait();
    assert!(begin.elapsed() < END, "it took {:?} to end", begin.elapsed());
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    ended
}

/// Serves a site with its log there.
fn log_to(output: impl Into<Stdio>, options: &[&str], arguments: &[&str]) -> Host {
    let mut command = Command::new(host::command());
    command.args(options).args([&pluto(), "0", "html/"]).args(arguments).stdout(output);
    Host::of(&mut command).serving()
}

/// A terminal has room for 4 KiB, and a write to it blocked all shards, so that SIGTERM had no
/// effect either.
#[test]
fn a_terminal_that_nobody_reads_stops_neither_shards_nor_the_end() {
    let folder = TempDir::new().expect("a folder");
    let (port, pid) = (free_port(), folder.path().join("pid").display().to_string());
    let arguments = format!("--shards 2 {} {port} html/", pluto());
    // Its standard input, output and error are the terminal. `script` stops reading when nobody
    // reads from itself.
    let serve = format!("echo $$ > {pid}; exec {} {arguments}", host::command().display());
    let script = Command::new("script")
        .args(["-qec", &serve, "/dev/null"])
        .current_dir(guests::repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut script) = script else {
        return eprintln!("SKIPPED: there is no `script` (util-linux), which makes terminals");
    };
    let mut clients: Vec<Client> = (0..8).map(|_| connect(port)).collect();
    // More than the terminal, the pipe of `script` and what the host keeps.
    clients.iter_mut().for_each(|client| ask(client, 200));
    drop(clients);
    let pid = fs::read_to_string(&pid).expect("its number").trim().to_owned();
    let begin = Instant::now();
    host::signal(pid.parse().expect("a number"), "TERM");
    // Not the end of `script`, which waits for whoever reads it.
    while is_running(&pid) {
        assert!(begin.elapsed() < END, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(script.stdout.take());
    let _ = script.kill();
    script.wait().expect("it ends");
}

/// Whether a process runs, and is not only waited for.
fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn a_socket_or_pipe_that_nobody_reads_stops_nobody() {
    let (socket, _reader) = UnixStream::pair().expect("a pair");
    let (_end, pipe) = std::io::pipe().expect("a pipe");
    for output in [OwnedFd::from(socket), OwnedFd::from(pipe)] {
        let host = log_to(output, &["--shards", "2"], &[]);
        let mut clients: Vec<Client> = (0..8).map(|_| Client::new(host.connect())).collect();
        clients.iter_mut().for_each(|client| ask(client, 100));
        drop(clients);
        let ended = stop(host);
        assert!(
            ended
                .errors
                .contains(" lines of the log were not written: the reader of the log, or its disk, was too slow"),
            "{ended:#?}"
        );
    }
}

/// Nobody reads that it serves, that a signal is ignored, or that it stops.
#[test]
fn standard_error_that_nobody_reads_stops_nobody() {
    let (_end, mut pipe) = std::io::pipe().expect("a pipe");
    pipe.write_all(&[b'.'; 64 << 10]).expect("as much as a pipe takes");
    let port = free_port();
    let mut child = Command::new(host::command())
        .args(["--shards", "2", &pluto(), &port.to_string(), "html/"])
        .current_dir(guests::repository())
        .stdout(Stdio::null())
        .stderr(pipe)
        .spawn()
        .expect("it starts");
    assert_eq!(connect(port).get("/").status, 200);
    host::signal(child.id(), "USR2");
    assert_eq!(connect(port).get("/").status, 200);
    host::signal(child.id(), "TERM");
    let begin = Instant::now();
    while child.try_wait().expect("it can be waited for").is_none() {
        assert!(begin.elapsed() < END, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(child.wait().expect("it ended").code(), Some(0));
}

/// The description of a pipe is shared with whoever made it non-blocking, such as a program
/// before it in the shell.
#[test]
fn a_pipe_that_does_not_block_is_waited_for() {
    let (end, pipe) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&pipe, true).expect("non-blocking");
    let host = log_to(pipe, &["--shards", "1"], &[]);
    ask(&mut Client::new(host.connect()), 100);
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        { end }.read_to_string(&mut text).expect("text");
        text
    });
    stop(host);
    let text = read.join().expect("it reads");
    assert_eq!(text.matches(" 404 ").count(), 100, "{} bytes", text.len());
}

#[test]
fn that_nobody_reads_the_log_any_more_is_told_once() {
    let (end, pipe) = std::io::pipe().expect("a pipe");
    drop(end);
    let host = log_to(pipe, &[], &[]);
    ask(&mut Client::new(host.connect()), 100);
    let ended = stop(host);
    assert_eq!(ended.errors.matches("nobody reads the log any more: Broken pipe").count(), 1, "{ended:#?}");
    assert_eq!(ended.errors.lines().count(), 2, "and nothing else is: {ended:#?}");
}

/// Who reads a pipe with a name is restarted, as any program is.
#[test]
fn the_next_reader_of_a_named_pipe_gets_the_log_again() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    let open = || OpenOptions::new().read(true).write(true).open(&path).expect("a pipe");
    // A reader that is a writer as well does not wait for one.
    let first = open();
    let output = OpenOptions::new().write(true).open(&path).expect("a pipe");
    let mut host = log_to(output, &["--shards", "1"], &[]);
    let mut client = Client::new(host.connect());
    ask(&mut client, 1);
    std::thread::sleep(Duration::from_millis(200));
    drop(first);
    ask(&mut client, 1);
    host.wait_for_error("nobody reads the log any more: Broken pipe");
    ask(&mut client, 2_000);
    let second = File::open(&path).expect("a pipe");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(second));
    let mut next = || lines.next().expect("a line").expect("text");
    let mut written = 0;
    let lost = loop {
        let line = next();
        match line.split_once(" lines of the log were lost") {
            Some((count, _)) => {
                break count.rsplit(' ').next().and_then(|it| it.parse::<u64>().ok()).expect("a number");
            }
            None => written += u64::from(line.contains(" 404 ")),
        }
    };
    // The pipe has kept what its first reader had not read.
    assert_eq!(written + lost, 2_002);
    ask(&mut client, 1);
    assert!(next().contains(" 404 "), "the log goes on");
    drop(client);
    stop(host);
}

/// A small disk, and what fills it.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// With room for so many bytes, or none where this user may not mount.
    fn new(bytes: usize) -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).stderr(Stdio::null());
        if !mount.status().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: this user may not mount a small disk");
            return None;
        }
        Some(Self { folder })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = File::create(self.path("other")).expect("a file");
        while file.write(&[0; 512]).is_ok_and(|count| count > 0) {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

/// The lines of a log in JSON, each of which is whole.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a log");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Of a log in JSON: requests that are in it, and those that it says are lost.
fn accounted(lines: &[Value]) -> (u64, u64) {
    let written = lines.iter().filter(|line| line["message"]["status"] == 404).count() as u64;
    let told = lines.iter().filter_map(|line| line["message"].as_str()?.split_once(" lines of the log were lost"));
    (written, told.map(|(count, _)| count.parse::<u64>().expect("a number")).sum())
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metric(operator: &mut Client, name: &str) -> u64 {
    let page = String::from_utf8(operator.get("/metrics").body).expect("text");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().expect("a number")
}

/// A moment without room once turned the log off for good, after half a line and without a word.
#[test]
fn a_full_disk_loses_lines_that_are_counted_and_the_log_comes_back_without_half_a_line() {
    let Some(disk) = Disk::new(4 << 20) else { return };
    let log = disk.path("log");
    let output = OpenOptions::new().append(true).create(true).open(&log).expect("a log");
    let options = ["--shards", "2", "--log", "json", "--grant-port", "0"];
    let mut host = log_to(output, &options, &["--access-log", "json", "--metrics-port", "0"]);
    let line = host.wait_for_error("listening on ");
    let address = line.split("listening on ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    let address: SocketAddr = address.parse().expect("a socket address");
    let mut operator = Client::new(TcpStream::connect(address).expect("it accepts"));
    // The system's choice of shards may be uneven; one connection each is not enough.
    let mut clients: Vec<Client> = (0..16).map(|_| Client::new(host.connect())).collect();
    clients.iter_mut().for_each(|client| ask(client, 1));
    until("the first lines", || accounted(&lines(&log)).0 == 16);

    disk.fill();
    ask(&mut clients[0], 4);
    let told = host.wait_for_error("the log cannot be written: No space left on device");
    assert!(told.contains("it is tried again every second"), "{told}");
    clients.iter_mut().for_each(|client| ask(client, 100));
    until("the metrics", || metric(&mut operator, "pluto_log_lines_lost_total") > 0);
    fs::remove_file(disk.path("other")).expect("there is room again");
    let sum = |(written, lost)| written + lost;
    until("every line, or that it is lost", || {
        fs::read(&log).expect("a log").ends_with(b"\n") && sum(accounted(&lines(&log))) == 16 + 4 + 16 * 100
    });
    let parts = lines(&log);
    let (_, lost) = accounted(&parts);
    assert!(lost > 0);
    let told: Vec<&Value> = parts
        .iter()
        .filter(|line| line["message"].as_str().is_some_and(|text| text.contains("lines of the log were lost from 20")))
        .collect();
    assert!(!told.is_empty() && told.iter().all(|line| line["shard"].is_u64()), "{told:?}");
    assert!(told[0]["message"].as_str().is_some_and(|text| text.ends_with("No space left on device (os error 28)")));
    until("the metrics", || metric(&mut operator, "pluto_log_lines_lost_total") == lost);
    drop((clients, operator));
    let ended = stop(host);
    assert!(ended.errors.matches("the log cannot be written").count() <= 3, "{ended:#?}");
}

#[test]
fn a_half_line_is_finished_when_there_is_room_again() {
    let Some(disk) = Disk::new(64 << 10) else { return };
    let log = disk.path("log");
    let options = ["--shards", "1", "--log", "json"];
    let mut host = log_to(File::create(&log).expect("a log"), &options, &["--access-log", "json"]);
    let mut client = Client::new(host.connect());
    File::create(disk.path("other")).and_then(|mut file| file.write_all(&[0; 40 << 10])).expect("it fits");
    ask(&mut client, 40);
    host.wait_for_error("the log cannot be written");
    fs::remove_file(disk.path("other")).expect("there is room again");
    until("all lines", || fs::read(&log).expect("a log").ends_with(b"\n") && accounted(&lines(&log)) == (40, 0));
    drop(client);
    stop(host);
}

#[test]
fn a_disk_that_stays_full_keeps_nobody_waiting_and_the_end_says_what_is_missing() {
    let output = OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let host = log_to(output, &["--shards", "2"], &[]);
    ask(&mut Client::new(host.connect()), 100);
    // The message may have come before the one that says where the host serves.
    std::thread::sleep(Duration::from_millis(2_500));
    let ended = stop(host);
    assert_eq!(ended.errors.matches("the log cannot be written").count(), 1, "{ended:#?}");
    assert!(ended.errors.contains(" lines of the log were not written: No space left on device"), "{ended:#?}");
}

/// The limit sends SIGXFSZ, which ends a process that does not take it over.
#[test]
fn a_limit_of_file_size_is_a_full_disk_which_an_emptied_log_ends() {
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("log");
    // Units of 512 bytes (POSIX). There is room for about four lines; the engine needs files of
    // its own, in memory.
    let script = format!("ulimit -f 8192 && exec \"$@\" >> {}", log.display());
    fs::write(&log, vec![b'\n'; 8_192 * 512 - 5_000]).expect("an old log");
    let arguments = ["--no-cache", "--shards", "1", "--log", "json", &pluto(), "0", "html/", "--access-log", "json"];
    let mut host = Host::by_shell(&script, arguments).serving();
    let mut client = Client::new(host.connect());
    ask(&mut client, 20);
    host.wait_for_error("the log cannot be written: File too large");
    let before = String::from_utf8(fs::read(&log).expect("a log")).expect("text");
    assert!(!before.ends_with('\n'), "half a line stands there");
    OpenOptions::new().write(true).truncate(true).open(&log).expect("it is emptied");
    until("lines from a beginning", || !fs::read(&log).expect("a log").is_empty());
    let text = fs::read_to_string(&log).expect("text");
    assert!(text.starts_with("{\"time\":"), "a line is written as a whole: {}", &text[..80]);
    assert_eq!(client.get("/").status, 200);
    drop(client);
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
}

/// What a tool does that rotates logs: it moves the file away and sends SIGUSR1.
#[test]
fn sigusr1_opens_the_file_of_the_log_again_and_writes_the_flight_recorder() {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let (log, old, trace) = (path("log"), path("log.1"), path("run.trace"));
    fs::write(&log, "before\n").expect("a log");
    let mut command = Command::new(host::command());
    command.args(["--shards", "1", "--flight-recorder", "1M"]);
    command.args([Path::new("--record"), &trace, Path::new("--log-file"), &log]);
    let mut host = Host::of(command.args([&pluto(), "0", "html/"])).serving();
    let mut client = Client::new(host.connect());
    ask(&mut client, 3);
    let requests = |path: &Path| fs::read_to_string(path).unwrap_or_default().matches(" 404 ").count();
    until("the first lines", || requests(&log) == 3);

    fs::rename(&log, &old).expect("it is moved");
    host.signal("USR1");
    host.wait_for_error("the flight recorder has written");
    until("the file is there again", || log.exists());
    // The file is there before the thread that writes has it.
    std::thread::sleep(Duration::from_millis(100));
    ask(&mut client, 2);
    until("lines in the new file", || requests(&log) == 2);
    let kept = fs::read_to_string(&old).expect("a log");
    assert!(kept.starts_with("before\n") && kept.matches(" 404 ").count() == 3, "{kept}");

    // Where it cannot be opened the log goes on.
    fs::rename(&log, &old).expect("it is moved");
    fs::create_dir(&log).expect("a folder in its place");
    host.signal("USR1");
    host.wait_for_error("the log goes on in the file that was open");
    ask(&mut client, 1);
    until("a line in the old file", || requests(&old) == 3);
    drop(client);
    let ended = stop(host);
    assert_eq!(ended.output, "", "{ended:#?}");
}

#[test]
fn a_file_of_the_log_that_cannot_be_opened_is_told_before_anything_is_served() {
    let ended = host::run(["--log-file", "/nowhere/log", &pluto(), "0", "html/"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.errors.contains("cannot open the file of --log-file, /nowhere/log: No such file"), "{ended:#?}");
}

/// A server in a terminal, whose SIGHUP was taken for a reload when the terminal closed.
#[test]
fn a_terminal_that_closes_ends_the_server_in_it_unless_nohup_started_it() {
    for (before, ends) in [("", true), ("trap '' HUP; ", false)] {
        let folder = TempDir::new().expect("a folder");
        let (port, pid) = (free_port(), folder.path().join("pid").display().to_string());
        let serve =
            format!("{before}echo $$ > {pid}; exec {} --shards 1 {} {port} html/", host::command().display(), pluto());
        let script = Command::new("script")
            .args(["-qec", &serve, "/dev/null"])
            .current_dir(guests::repository())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let Ok(mut script) = script else {
            return eprintln!("SKIPPED: there is no `script` (util-linux), which makes terminals");
        };
        assert_eq!(connect(port).get("/").status, 200);
        let pid = fs::read_to_string(&pid).expect("its number").trim().to_owned();
        let number = pid.parse().expect("a number");
        host::signal(number, "HUP");
        assert_eq!(connect(port).get("/").status, 200, "the terminal is there: a reload");
        // It holds the other end of the terminal.
        script.kill().expect("it runs");
        script.wait().expect("it ends");
        if ends {
            let begin = Instant::now();
            while is_running(&pid) {
                assert!(begin.elapsed() < END, "it does not end");
                std::thread::sleep(Duration::from_millis(10));
            }
        } else {
            std::thread::sleep(Duration::from_secs(1));
            assert_eq!(connect(port).get("/").status, 200);
            host::signal(number, "TERM");
        }
    }
}

/// Why a server does not start is on standard error, in the form of the log, whatever becomes of
/// the log itself.
#[test]
fn why_a_server_does_not_start_is_on_standard_error() {
    let (pluto, why) = (pluto(), "there is no option");
    for (format, has_objects) in [("text", false), ("json", true), ("off", false)] {
        for shards in ["1", "2"] {
            let ended = host::run(["--log", format, "--shards", shards, &pluto, "0", "html/", "--nonsense"]);
            assert_eq!((ended.code, ended.output.as_str()), (Some(5), ""), "{format}: {ended:#?}");
            assert_eq!(ended.errors.matches(why).count(), 1, "{format}: {ended:#?}");
            for line in ended.errors.lines() {
                let object = serde_json::from_str::<serde_json::Value>(line);
                assert_eq!(object.is_ok_and(|line| line["level"] == "error"), has_objects, "{format}: {line}");
            }
        }
        // What the host itself finds wrong, once it has begun to start.
        let ended = host::run(["--log", format, &pluto, "0", "/nowhere/at/all"]);
        assert_eq!(ended.code, Some(1), "{format}: {ended:#?}");
        let object = serde_json::from_str::<serde_json::Value>(ended.errors.trim_end());
        assert_eq!(object.is_ok(), has_objects, "{format}: {ended:#?}");
        assert!(ended.errors.contains("/nowhere/at/all does not exist"), "{format}: {ended:#?}");
    }
}
