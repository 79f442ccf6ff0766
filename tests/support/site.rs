//! Sites to serve: the Rust documentation of this toolchain where it is installed, and a small one
//! with odd names.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

/// The Rust documentation: 51,906 files in 1.95. None where rustup was told not to install it.
pub fn rust_documentation() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    let folder = Path::new(sysroot.trim()).join("share/doc/rust/html");
    folder.join("index.html").exists().then_some(folder)
}

/// A small site with names, sizes and depths that are easily got wrong. It lives as long as the
/// test.
pub fn odd() -> &'static Path {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = TempDir::new().expect("a folder");
        let names = [
            "index.html",
            "a b.html",
            "100%.css",
            "ä/ö/ü.js",
            "quote'\".svg",
            "semi;colon=1.png",
            "q?uestion#.txt",
            "plus+and&.json",
            "tilde~.woff2",
            "no-extension",
            "deep/er/and/deeper/x.xml",
            "UPPER.HTML",
            "dots...txt",
            ".well-known/security.txt",
            "empty.html",
            "sub/index.html",
        ];
        // Around the sizes at which the host changes its way: one buffer, copied or sent by the
        // system, one turn.
        let sizes = [1, 1_023, 1_024, 16_384, 32_767, 32_768, 32_769, 65_536, 524_287, 524_289, 3_000_000];
        for (index, name) in names.iter().enumerate() {
            write(folder.path(), name, if *name == "empty.html" { 0 } else { 100 + index });
        }
        for size in sizes {
            write(folder.path(), &format!("size/{size}.bin"), size);
        }
        folder
    });
    FOLDER.path()
}

fn write(folder: &Path, name: &str, size: usize) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
    let bytes: Vec<u8> = (0..size as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
    fs::write(path, bytes).expect("a file");
}

/// All files beneath a folder that a web server shows, in the order of their names: not those
/// whose names begin with a dot, but for `.well-known`.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") && name != ".well-known" {
                continue;
            }
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// The path of a file as a client asks for it.
pub fn url(folder: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(folder).expect("it is in the folder");
    let mut url = String::new();
    for byte in b"/".iter().chain(relative.as_os_str().as_bytes()) {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => url.push(char::from(*byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// The type that a browser needs for a file, for the endings that a website is made of.
pub fn content_type(file: &Path) -> Option<&'static str> {
    Some(match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        _ => return None,
    })
}
