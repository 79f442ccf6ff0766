//! Recordings, and replaying them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::guests;
use super::host::{self, Ended, Host, PATIENCE};

/// The engines that `replay` knows.
pub const ENGINES: [&str; 2] = ["native", "pulley"];

/// A folder for the guests and traces of a test.
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it, beneath folders that are made for it; the file's path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// The path of a guest in it, made of a module's text.
    pub fn guest(&self, name: &str, body: &str) -> String {
        text(&self.write(name, &guests::module(body)))
    }

    /// The web server with strings replaced by others of the same length.
    pub fn pluto_with(&self, replacements: &[(&str, &str)]) -> PathBuf {
        let mut bytes = fs::read(guests::built("pluto")).expect("it is built");
        for (from, to) in replacements {
            assert_eq!(from.len(), to.len(), "{from:?} and {to:?}");
            let places: Vec<usize> =
                (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
            assert!(!places.is_empty(), "{from:?} is not in the web server");
            places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to.as_bytes()));
        }
        self.write("changed.wasm", &bytes)
    }
}

/// Waits until a recording under way has what is looked for: the recorder writes it down a few
/// milliseconds after it has happened. Then a host can be killed, and what is left is known.
pub fn wait_until_recorded(trace: &str, has: impl Fn(&str) -> bool) {
    let begin = Instant::now();
    loop {
        let ended = host::run(["trace", "text", trace]);
        if ended.code == Some(0) && has(&ended.output) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "it is not recorded: {ended:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Starts to record a server.
pub fn record(driver: &str, trace: &str, guest: &Path, arguments: &[&str]) -> Host {
    let guest = text(guest);
    let mut all = vec!["--driver", driver, "--log", "off", "--overwrite", "--record", trace, &guest, "0"];
    all.extend(arguments);
    Host::serve(all)
}

/// Replays a trace.
pub fn replay(guest: &Path, trace: &str) -> Ended {
    host::run(["replay", &text(guest), trace])
}

/// Replays a trace on every engine; it must be the same run on each, of which this is said.
pub fn replays(guest: &Path, trace: &str, says: &str) {
    for engine in ENGINES {
        let ended = host::run(["replay", "--engine", engine, &text(guest), trace]);
        assert_eq!(ended.code, Some(0), "{engine}: {ended:#?}");
        assert!(ended.errors.contains("the same run") && ended.errors.contains(says), "no {says:?} in {ended:#?}");
    }
}

/// A trace as text.
pub fn as_text(trace: &str) -> String {
    let ended = host::run(["trace", "text", trace]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    ended.output
}

/// Makes a trace of a text.
pub fn from_text(folder: &Folder, text: &str, guest: &str, trace: &str) {
    let path = folder.path("edited.txt");
    fs::write(&path, text).expect("a file");
    let ended = host::run(["trace", "binary", &path, "--guest", guest, "--output", trace]);
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
}
