//! The files that the servers serve.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::workspace::{Result, folder, output};

/// A site to serve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// Files of several sizes.
    Sizes,
    /// The Rust documentation, which comes with the toolchain.
    Documentation,
    /// So many small files in one folder for each thousand.
    Many(u32),
}

/// When the files of ours were last changed, so that a request can ask for newer ones: 1 January
/// 2020.
const MODIFIED_SECONDS: u64 = 1_577_836_800;

const SIZES: [(&str, usize); 4] =
    [("1k.bin", 1 << 10), ("10k.bin", 10 << 10), ("100k.bin", 100 << 10), ("10m.bin", 10 << 20)];

impl Site {
    /// Its folder, with everything in it.
    pub(crate) fn make(self) -> Result<PathBuf> {
        let failed = |error: std::io::Error| format!("cannot make the files to serve: {error}");
        match self {
            Site::Sizes => {
                let root = folder().join("sizes");
                for (name, size) in SIZES {
                    write(&root.join(name), size).map_err(failed)?;
                }
                Ok(root)
            }
            Site::Documentation => {
                let sysroot = output("rustc", &["--print", "sysroot"]).ok_or("there is no rustc")?;
                let root = Path::new(&sysroot).join("share/doc/rust/html");
                if root.is_dir() {
                    Ok(root)
                } else {
                    Err("the toolchain has no documentation: rustup component add rust-docs".into())
                }
            }
            Site::Many(count) => {
                let root = folder().join(format!("many-{count}"));
                for number in 0..count {
                    let path = root.join(format!("{}/{number}.html", number / 1_000));
                    if !path.exists() {
                        write(&path, 1 << 10).map_err(failed)?;
                    }
                }
                Ok(root)
            }
        }
    }

    /// The paths of its files, as a request has them; in an order that has nothing to do with
    /// their names, and is always the same.
    pub(crate) fn paths(root: &Path) -> Vec<String> {
        let (mut folders, mut paths) = (vec![root.to_path_buf()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_file() => paths.push(entry.path()),
                    _ => {}
                }
            }
        }
        let mut paths: Vec<String> = paths
            .iter()
            .filter_map(|path| path.strip_prefix(root).ok()?.to_str().map(|path| format!("/{path}")))
            .filter(|path| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)))
            .filter(|path| !path.contains("/."))
            .collect();
        paths.sort_by_cached_key(|path| {
            path.bytes().fold(14_695_981_039_346_656_037_u64, |hash, byte| {
                // FNV-1a.
                (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
            })
        });
        paths
    }
}

fn write(path: &Path, size: usize) -> std::io::Result<()> {
    if path.metadata().is_ok_and(|it| it.len() == size as u64) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    // No compressible text, no zeros: what a file system would leave out.
    let mut state = 88_172_645_463_325_252_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    file.write_all(&bytes[..size])?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED_SECONDS))
}
