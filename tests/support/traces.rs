//! Recordings, and what replays them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::guests;
use super::host::{self, Ended, Host};

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

    /// The path of a guest in it, made of a module's text.
    pub fn guest(&self, name: &str, body: &str) -> String {
        let path = self.path(name);
        fs::write(&path, guests::module(body)).expect("a file");
        path
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Starts to record a server.
pub fn record(driver: &str, trace: &str, guest: &Path, arguments: &[&str]) -> Host {
    let guest = text(guest);
    let mut all = vec!["--driver", driver, "--log", "off", "--record", trace, &guest, "0"];
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
