//! A cache of compiled code in a folder of the operator, so that a guest that was compiled once
//! starts at once.
//!
//! wasmtime has a cache too, which compresses code and unpacks it at each start. This cache maps a
//! file as it is, as the system does with every program. That saves 9 of the 17 ms from the start
//! of the web server to its first response.

mod seal;

use std::fs::{self, File, Permissions};
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::limits;

/// A folder of compiled code.
#[derive(Clone)]
pub struct CodeCache {
    folder: PathBuf,
}

/// The end of a file's name, of code and of a component that are whole, and of what is being
/// written.
const WHOLE: &str = "code";
const COMPONENT: &str = "component";
const PART: &str = "part";

/// Where components are kept.
const COMPONENTS: &str = "components";

/// How old the time of a file's last use may be.
const USED_AGAIN: Duration = Duration::from_secs(60 * 60);

/// A symbolic link is not followed, and a pipe that nobody writes to is not waited for.
const NO_LINK_NO_WAIT: i32 = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;

impl CodeCache {
    /// The cache in this folder, which is made if need be. What is in it is run as it is: a folder
    /// in which anybody but this user and root may write is an error.
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

    /// The code that was kept for a component.
    pub fn find(&self, engine: &wasmtime::Engine, component: &[u8]) -> CachedCode {
        load(engine, self.path(engine, component))
    }

    /// Puts compiled code into a file of the folder, which is kept only when that is said. An
    /// error is one of the system, or says that the code is too much.
    pub fn put(&self, engine: &wasmtime::Engine, component: &[u8], code: &[u8]) -> Result<(Component, Fresh)> {
        if code.len() as u64 > limits::CODE_KEPT_BYTES_MAX / 2 {
            bail!("the compiled code has {} MiB, more than half of the cache", code.len() >> 20);
        }
        let fresh = self.write(self.path(engine, component), code)?;
        match load(engine, fresh.part.clone()) {
            CachedCode::Whole(component) => Ok((component, fresh)),
            _ => bail!("the file that was just written cannot be read back"),
        }
    }

    /// The component that was made of a core module and kept.
    pub fn find_component(&self, engine: &wasmtime::Engine, module: &[u8]) -> Option<Vec<u8>> {
        let path = self.beside().ok()?.path(engine, module).with_extension(COMPONENT);
        seal::content(&open(&path).filter(seal::is_whole)?).ok()
    }

    /// Puts a component that was made of a core module into a file, as `put` does with code.
    pub fn put_component(&self, engine: &wasmtime::Engine, module: &[u8], component: &[u8]) -> Result<Fresh> {
        let beside = self.beside()?;
        beside.write(beside.path(engine, module).with_extension(COMPONENT), component)
    }

    /// The folder for components, beside that for code.
    fn beside(&self) -> Result<Self> {
        Self::open(self.folder.with_file_name(COMPONENTS))
    }

    /// Writes a file beside the one whose place it may take.
    fn write(&self, path: PathBuf, content: &[u8]) -> Result<Fresh> {
        // Processes in two containers may have the same number.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let part = path.with_extension(format!("{}-{}.{PART}", std::process::id(), now.as_nanos()));
        let fresh = Fresh { cache: self.clone(), part, path };
        write(&fresh.part, content)?;
        Ok(fresh)
    }

    /// A name for the code that this engine makes of a component, and no other engine of another.
    /// wasmtime looks at a file only for its own major version; here the whole version is in the
    /// name.
    fn path(&self, engine: &wasmtime::Engine, component: &[u8]) -> PathBuf {
        let mut digest = Digesting(Sha256::new_with_prefix(component));
        engine.precompile_compatibility_hash().hash(&mut digest);
        seal::FORMAT.hash(&mut digest);
        let name: String = digest.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name).with_extension(WHOLE)
    }

    /// Removes what was used least lately until no more than these bytes are left. A file that is
    /// mapped stays until it is not.
    fn prune(&self, bytes_max: u64) {
        let is_code =
            |path: &Path| path.extension().is_some_and(|end| [WHOLE, COMPONENT, PART].iter().any(|it| end == *it));
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

/// Code, or a component, in a file that goes away when this is dropped, unless it is to be kept.
pub struct Fresh {
    cache: CodeCache,
    part: PathBuf,
    path: PathBuf,
}

impl Fresh {
    /// Keeps it, in place of whatever has its name. It stays usable when that fails.
    pub fn keep(self) {
        if fs::rename(&self.part, &self.path).is_ok() {
            self.cache.prune(limits::CODE_KEPT_BYTES_MAX);
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Where it was kept, there is none of this name any more.
        let _ = fs::remove_file(&self.part);
    }
}

/// What there is under the name of a component's code.
pub enum CachedCode {
    /// Its code.
    Whole(Component),
    /// A file that is not what was written once.
    Damaged(PathBuf),
    /// Nothing that is trusted.
    Nothing,
}

/// Writes a file that is whole once it is renamed, also after a power failure, and never changes.
fn write(part: &Path, code: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(part)?;
    file.write_all(code)?;
    file.write_all(&seal::of(code))?;
    file.set_permissions(Permissions::from_mode(0o444))?;
    file.sync_all()
}

/// The code in a file that was kept for this engine.
#[allow(unsafe_code)]
fn load(engine: &wasmtime::Engine, path: PathBuf) -> CachedCode {
    let Some(file) = open(&path) else { return CachedCode::Nothing };
    if !seal::is_whole(&file) {
        return CachedCode::Damaged(path);
    }
    // The very file that was looked at, whatever bears its name by now.
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file is this user's or root's, and nobody else could have written it or can. Who
    // can is able to run any program as this user. We ourselves write such a file once, from what
    // the compiler has made, and never change it; its seal says that the disk has not either.
    let mapped = unsafe { Component::deserialize_file(engine, &same) };
    // Where nothing may be mapped to be executed (noexec), or there is no /proc, a copy is run.
    mapped.or_else(|_| of_compiler(engine, &seal::content(&file)?)).map_or(CachedCode::Damaged(path), CachedCode::Whole)
}

/// Opens a file that is trusted. Nothing of that name can make it wait, as a pipe would, or do
/// anything, as a device would.
fn open(path: &Path) -> Option<File> {
    let is_trusted_file = |metadata: &fs::Metadata| metadata.is_file() && is_trusted(metadata);
    fs::symlink_metadata(path).ok().filter(is_trusted_file)?;
    let file = File::options().read(true).custom_flags(NO_LINK_NO_WAIT).open(path).ok()?;
    let metadata = file.metadata().ok().filter(is_trusted_file)?;
    mark_used(&file, &metadata);
    Some(file)
}

/// Code that the compiler has made for this engine, and that has been nowhere since but in the
/// memory of this user's processes or in a file with an intact seal.
#[allow(unsafe_code)]
pub fn of_compiler(engine: &wasmtime::Engine, code: &[u8]) -> Result<Component> {
    // SAFETY: as the sentence above says.
    Ok(unsafe { Component::deserialize(engine, code) }?)
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

    fn compiled(component: &[u8]) -> Vec<u8> {
        engine(true).precompile_component(component).expect("it compiles")
    }

    /// With the code of a component in it; the component, and where its code is.
    fn with_code() -> (TempDir, CodeCache, Vec<u8>, PathBuf) {
        let (folder, cache) = cache();
        let component = wat::parse_str("(component)").expect("a component");
        cache.put(&engine(true), &component, &compiled(&component)).expect("there is room").1.keep();
        let path = cache.path(&engine(true), &component);
        (folder, cache, component, path)
    }

    fn is_whole(kept: &CachedCode) -> bool {
        matches!(kept, CachedCode::Whole(_))
    }

    fn files(cache: &CodeCache) -> usize {
        fs::read_dir(&cache.folder).expect("a folder").count()
    }

    #[test]
    fn code_that_is_kept_is_found_again_by_the_same_engine_for_the_same_component() {
        let (_folder, cache) = cache();
        let component = wat::parse_str("(component)").expect("a component");
        let other = wat::parse_str("(component (component))").expect("a component");
        assert!(matches!(cache.find(&engine(true), &component), CachedCode::Nothing));
        let (_, fresh) = cache.put(&engine(true), &component, &compiled(&component)).expect("there is room");
        assert!(matches!(cache.find(&engine(true), &component), CachedCode::Nothing));
        fresh.keep();
        assert!(is_whole(&cache.find(&engine(true), &component)));
        for (optimized, component) in [(false, &component), (true, &other)] {
            assert!(matches!(cache.find(&engine(optimized), component), CachedCode::Nothing));
        }
        assert_eq!(files(&cache), 1);
    }

    #[test]
    fn a_component_that_was_made_is_kept_like_code() {
        let (_folder, cache) = cache();
        let put = || cache.put_component(&engine(true), b"module", b"component").expect("there is room");
        drop(put());
        assert_eq!(cache.find_component(&engine(true), b"module"), None);
        put().keep();
        assert_eq!(cache.find_component(&engine(true), b"module").as_deref(), Some(&b"component"[..]));
        assert_eq!(files(&cache), 0, "it is kept in a folder of its own");
        let path = cache.beside().expect("a folder").path(&engine(true), b"module").with_extension(COMPONENT);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("ours");
        File::options().write(true).open(&path).and_then(|mut file| file.write_all(b"C")).expect("it can be written");
        assert_eq!(cache.find_component(&engine(true), b"module"), None);
    }

    #[test]
    fn code_that_is_not_to_be_kept_leaves_nothing() {
        let (_folder, cache) = cache();
        let component = wat::parse_str("(component)").expect("a component");
        drop(cache.put(&engine(true), &component, &compiled(&component)).expect("there is room"));
        assert!(cache.put(&engine(true), &component, b"no code").is_err());
        assert_eq!(files(&cache), 0);
    }

    #[test]
    fn what_is_damaged_in_any_way_is_seen_and_replaced() {
        let (_folder, cache, component, path) = with_code();
        let whole = fs::read(&path).expect("a file");
        let mut damaged = vec![Vec::new(), b"no code".to_vec(), [&whole[..], b"more"].concat()];
        for step in 0..100 {
            let at = step * whole.len() / 100;
            damaged.push(whole[..at].to_vec());
            for bit in [0, 3, 7] {
                let mut copy = whole.clone();
                copy[at] ^= 1 << bit;
                damaged.push(copy);
            }
            let mut copy = whole.clone();
            copy[at..].iter_mut().take(4096).for_each(|byte| *byte = !*byte);
            damaged.push(copy);
        }
        for damaged in damaged {
            fs::remove_file(&path).expect("it is there");
            fs::write(&path, damaged).expect("it can be written");
            fs::set_permissions(&path, Permissions::from_mode(0o444)).expect("ours");
            assert!(matches!(cache.find(&engine(true), &component), CachedCode::Damaged(_)));
        }
        cache.put(&engine(true), &component, &compiled(&component)).expect("there is room").1.keep();
        assert_eq!(fs::read(&path).expect("a file"), whole);
    }

    #[test]
    fn what_others_may_write_to_is_not_run() {
        let (_folder, cache, component, path) = with_code();
        let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        let find = || is_whole(&cache.find(&engine(true), &component));
        allow(&path, 0o666);
        assert!(!find());
        allow(&path, 0o444);
        assert!(find());
        let elsewhere = path.with_extension("elsewhere");
        fs::rename(&path, &elsewhere).expect("it can be moved");
        std::os::unix::fs::symlink(&elsewhere, &path).expect("a link");
        assert!(!find());
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
