//! Compiled code, kept in a folder of the operator's, so that a guest that was compiled once starts at once.
//!
//! wasmtime has such a cache, which packs code and unpacks it for each start. This one maps a file as it is, as the system
//! does with every program: of the web server's 17 ms until its first response that spares 9.

use std::fs::{self, File, Permissions};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::limits;

/// A folder of compiled code.
pub struct CodeCache {
    folder: PathBuf,
}

/// The end of a file's name, of one that is whole and of one that is being written.
const WHOLE: &str = "code";
const PART: &str = "part";

/// How old the time of a file's last use may be.
const USED_AGAIN: Duration = Duration::from_secs(60 * 60);

/// A symbolic link is not followed.
const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

impl CodeCache {
    /// The cache in this folder, which is made if need be. What is in it is run as it is: a folder in which anybody but this
    /// user and root may write is an error.
    pub fn open(folder: PathBuf) -> Result<Self> {
        let failed = || format!("cannot keep compiled code in {}", folder.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(failed)?;
        if !is_trusted(&fs::symlink_metadata(&folder).with_context(failed)?) {
            bail!(
                "{}: it is a link, belongs to another user, or others may write to it; remove it, or set XDG_CACHE_HOME",
                failed()
            );
        }
        Ok(Self { folder })
    }

    /// The code of a component: that which is kept, else it is compiled and kept.
    pub fn compile(&self, engine: &wasmtime::Engine, component: &[u8]) -> Result<Component> {
        let path = self.path(engine, component);
        if let Some(code) = load(engine, &path) {
            return Ok(code);
        }
        let code = Component::new(engine, component)?;
        // A full disk is no reason not to serve.
        if self.keep(&path, &code).is_err() {
            return Ok(code);
        }
        // From the file from the first start on, so that profiles and memory are the same as later.
        Ok(load(engine, &path).unwrap_or(code))
    }

    /// A name for the code that this engine makes of a component, and no other engine of another. wasmtime looks at a file
    /// only for its own major version; here the whole version is in the name.
    fn path(&self, engine: &wasmtime::Engine, component: &[u8]) -> PathBuf {
        let mut digest = Digesting(Sha256::new_with_prefix(component));
        engine.precompile_compatibility_hash().hash(&mut digest);
        let name: String = digest.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name).with_extension(WHOLE)
    }

    fn keep(&self, path: &Path, code: &Component) -> Result<()> {
        let code = code.serialize()?;
        if code.len() as u64 > limits::CODE_KEPT_BYTES_MAX / 2 {
            bail!("it would take the place of all else");
        }
        write(path, &code)?;
        self.prune(limits::CODE_KEPT_BYTES_MAX);
        Ok(())
    }

    /// Removes what was used least lately until no more than these bytes are left. A file that is mapped stays until it is not.
    fn prune(&self, bytes_max: u64) {
        let is_code = |path: &Path| path.extension().is_some_and(|end| end == WHOLE || end == PART);
        let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| is_code(&entry.path()))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        for (_, size, path) in files {
            bytes += size;
            if bytes > bytes_max {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Writes a file that is there as a whole or not at all, also after a power failure, and never changes.
fn write(path: &Path, code: &[u8]) -> std::io::Result<()> {
    // Processes in two containers may have the same number.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let part = path.with_extension(format!("{}-{}.{PART}", std::process::id(), now.as_nanos()));
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(code)?;
        file.set_permissions(Permissions::from_mode(0o444))?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&part)))
}

/// The code in a file that was kept for this engine; nothing when there is none that is trusted.
#[allow(unsafe_code)]
fn load(engine: &wasmtime::Engine, path: &Path) -> Option<Component> {
    let file = File::options().read(true).custom_flags(NO_LINK).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !is_trusted(&metadata) {
        return None;
    }
    mark_used(&file, &metadata);
    // The very file that was looked at, whatever bears its name by now.
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file is this user's or root's, and nobody else could have written it or can. Who can is able to run any
    // program as this user. We ourselves write such a file once, from what `serialize` has made, and never change it.
    let mapped = unsafe { Component::deserialize_file(engine, &same) };
    // Where nothing may be mapped to be executed (noexec), or there is no /proc, a copy is run.
    mapped.ok().or_else(|| {
        let mut copy = Vec::new();
        (&file).read_to_end(&mut copy).ok()?;
        // SAFETY: as above.
        unsafe { Component::deserialize(engine, copy) }.ok()
    })
}

/// Notes that a file is used; at most once an hour, for that writes to the disk.
fn mark_used(file: &File, metadata: &fs::Metadata) {
    let now = SystemTime::now();
    if metadata.modified().is_ok_and(|last| now.duration_since(last).is_ok_and(|age| age >= USED_AGAIN)) {
        let _ = file.set_modified(now);
    }
}

/// Whether something is this user's or root's, nobody else may write to it, and it is no link.
fn is_trusted(metadata: &fs::Metadata) -> bool {
    let owners = [rustix::process::geteuid().as_raw(), 0];
    owners.contains(&metadata.uid()) && metadata.mode() & 0o022 == 0 && !metadata.is_symlink()
}

/// Puts what is hashed into a digest.
struct Digesting(Sha256);

impl Hasher for Digesting {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the digest is taken instead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn engine(optimized: bool) -> wasmtime::Engine {
        let mut config = wasmtime::Config::new();
        config.cranelift_opt_level(if optimized { wasmtime::OptLevel::Speed } else { wasmtime::OptLevel::None });
        wasmtime::Engine::new(&config).expect("an engine")
    }

    fn cache() -> (TempDir, CodeCache) {
        let folder = TempDir::new().expect("a folder");
        let cache = CodeCache::open(folder.path().join("a/b")).expect("a cache");
        (folder, cache)
    }

    /// With the code of a component in it; the component, and where its code is.
    fn with_code() -> (TempDir, CodeCache, Vec<u8>, PathBuf) {
        let (folder, cache) = cache();
        let component = wat::parse_str("(component)").expect("a component");
        cache.compile(&engine(true), &component).expect("it compiles");
        let path = cache.path(&engine(true), &component);
        (folder, cache, component, path)
    }

    fn files(cache: &CodeCache) -> usize {
        fs::read_dir(&cache.folder).expect("a folder").count()
    }

    #[test]
    fn code_is_found_again_by_the_same_engine_for_the_same_component() {
        let (_folder, cache) = cache();
        let component = wat::parse_str("(component)").expect("a component");
        let other = wat::parse_str("(component (component))").expect("a component");
        let path = cache.path(&engine(true), &component);
        assert!(load(&engine(true), &path).is_none());
        let inode = || fs::metadata(&path).expect("a file").ino();
        cache.compile(&engine(true), &component).expect("it compiles");
        assert!(load(&engine(true), &path).is_some());
        let before = inode();
        cache.compile(&engine(true), &component).expect("it is there");
        assert_eq!(inode(), before, "written again");
        assert_eq!(cache.path(&engine(true), &component), path);
        assert_ne!(cache.path(&engine(false), &component), path);
        assert_ne!(cache.path(&engine(true), &other), path);
        assert_eq!(files(&cache), 1);
    }

    #[test]
    fn what_is_no_code_is_compiled_again() {
        let (_folder, cache, component, path) = with_code();
        let whole = fs::read(&path).expect("a file");
        for damaged in [&b""[..], b"no code", &whole[..whole.len() / 2]] {
            fs::remove_file(&path).expect("it is there");
            fs::write(&path, damaged).expect("it can be written");
            fs::set_permissions(&path, Permissions::from_mode(0o444)).expect("ours");
            cache.compile(&engine(true), &component).expect("it compiles");
            assert_eq!(fs::read(&path).expect("a file"), whole);
        }
    }

    #[test]
    fn what_others_may_write_to_is_not_run() {
        let (_folder, cache, _, path) = with_code();
        let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        allow(&path, 0o666);
        assert!(load(&engine(true), &path).is_none());
        allow(&path, 0o444);
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(load(&engine(true), &link).is_none() && load(&engine(true), &path).is_some());
        let link = cache.folder.with_extension("link");
        std::os::unix::fs::symlink(&cache.folder, &link).expect("a link");
        assert!(CodeCache::open(link).is_err());
        allow(&cache.folder, 0o777);
        assert!(CodeCache::open(cache.folder.clone()).is_err());
    }

    #[test]
    fn what_was_used_least_lately_goes_first() {
        let (_folder, cache) = cache();
        let begin = SystemTime::now() - Duration::from_secs(1_000);
        for (number, end) in [WHOLE, PART, WHOLE, WHOLE, "else"].into_iter().enumerate() {
            let file = File::create(cache.folder.join(format!("{number}.{end}"))).expect("a file");
            file.set_len(100).expect("it can be longer");
            file.set_modified(begin + Duration::from_secs(number as u64)).expect("ours");
        }
        cache.prune(250);
        let left = |name: &str| cache.folder.join(name).exists();
        assert_eq!(["0.code", "1.part", "2.code", "3.code", "4.else"].map(left), [false, false, true, true, true]);
    }
}
