//! Compiled code that is kept from one start to the next, and what may happen to it on an
//! operator's disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::{self, Ended};

/// A folder of compiled code, and a guest that ends well at once.
struct World {
    folder: TempDir,
    guest: String,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let guest = folder.path().join("guest.wasm");
        // Enough code to hit.
        let more: String = (0..200)
            .map(|number| format!("(func (export \"f{number}\") (param i32) (result i32) (i32.mul (local.get 0) (i32.const {number})))"))
            .collect();
        let run = "(func (export \"run\") (param i32 i32) (result i32) (call $exit (i32.const 0)))";
        fs::write(&guest, guests::module(&format!("{more}{run}"))).expect("a file");
        let guest = guest.display().to_string();
        Self { folder, guest }
    }

    /// Starts the guest.
    fn start(&self) -> Ended {
        let begin = Instant::now();
        let output = Command::new("timeout")
            .arg("30")
            .arg(host::command())
            .args([&self.guest, "0"])
            .env("XDG_CACHE_HOME", self.folder.path())
            .output()
            .expect("it runs");
        assert!(begin.elapsed() < Duration::from_secs(20), "{output:?}");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
    }

    /// The one file of compiled code.
    fn code(&self) -> PathBuf {
        self.only_file_in("code")
    }

    /// The one component, for the guest is a core module.
    fn component(&self) -> PathBuf {
        self.only_file_in("components")
    }

    fn only_file_in(&self, folder: &str) -> PathBuf {
        let files = fs::read_dir(self.folder.path().join("pluto-host").join(folder)).expect("a folder");
        let files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    /// Puts other bytes in the place of the code.
    fn replace(&self, path: &Path, code: &[u8]) {
        let _ = fs::remove_file(path);
        fs::write(path, code).expect("it can be written");
        fs::set_permissions(path, Permissions::from_mode(0o444)).expect("ours");
    }
}

/// Of forty damaged copies 29 used to crash the host, or to trap in a guest that does not, again
/// at each start.
#[test]
fn every_damaged_copy_is_told_once_and_replaced() {
    let world = World::new();
    assert_eq!(world.start().code, Some(0));
    let path = world.code();
    let whole = fs::read(&path).expect("a file");
    let mut random = fastrand::Rng::with_seed(12);
    for number in 0..300 {
        let mut damaged = whole.clone();
        let at = random.usize(..whole.len());
        match number % 5 {
            0 => damaged[at] ^= 1 << random.u8(..8),
            1 => damaged[at & !4095..].iter_mut().take(4096).for_each(|byte| *byte = 0),
            2 => damaged.truncate(at),
            3 => damaged.extend(std::iter::repeat_with(|| random.u8(..)).take(at % 9_000 + 1)),
            _ => damaged.iter_mut().skip(at).take(64).for_each(|byte| *byte = random.u8(..)),
        }
        if damaged == whole {
            continue;
        }
        world.replace(&path, &damaged);
        let ended = world.start();
        assert_eq!(ended.code, Some(0), "{number}: {ended:#?}");
        assert_eq!(ended.errors.matches("is damaged: compiling the guest again").count(), 1, "{number}: {ended:#?}");
        assert!(fs::read(world.code()).expect("a file") == whole, "{number}: it is not replaced");
    }
    let ended = world.start();
    assert!(ended.code == Some(0) && !ended.errors.contains("damaged"), "{ended:#?}");
}

/// A damaged component is made again; nothing of it reaches the engine.
#[test]
fn a_damaged_component_of_a_core_module_is_made_again() {
    let world = World::new();
    assert_eq!(world.start().code, Some(0));
    let path = world.component();
    let whole = fs::read(&path).expect("a file");
    for at in (0..whole.len()).step_by(whole.len() / 20) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        world.replace(&path, &damaged);
        let ended = world.start();
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{ended:#?}");
        assert!(fs::read(&path).expect("a file") == whole, "it is not replaced");
    }
}

/// Opening a pipe waits for whoever writes to it, if one lets it.
#[test]
fn what_is_no_file_in_the_place_of_the_code_holds_nothing_up() {
    let world = World::new();
    assert_eq!(world.start().code, Some(0));
    let path = world.code();
    let pipe = |path: &Path| {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    };
    let socket = |path: &Path| drop(UnixListener::bind(path).expect("a socket"));
    let link = |path: &Path| std::os::unix::fs::symlink("/dev/tty", path).expect("a link");
    let folder = |path: &Path| fs::create_dir(path).expect("a folder");
    for make in [&pipe as &dyn Fn(&Path), &socket, &link, &folder] {
        fs::remove_file(&path).expect("it is there");
        make(&path);
        let ended = world.start();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        if path.is_dir() {
            fs::remove_dir(&path).expect("nothing is in it");
            assert_eq!(world.start().code, Some(0));
        }
        assert!(fs::symlink_metadata(world.code()).expect("a file").is_file(), "it is not replaced");
    }
}
