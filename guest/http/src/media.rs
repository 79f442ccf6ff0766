//! Content types, by the name of a file.
//!
//! What a website is made of stands in this file, with the names of IANA's registry. All else is
//! in `media/types.txt`: the table of Debian's package media-types 10.0.0, which is in the public
//! domain and names a type for an extension as IANA does where IANA does. Where Debian, nginx and
//! browsers disagree, this file decides.

use super::syntax::is_token;
use std::borrow::Cow;

/// A content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Type and subtype; of a type that a site's operator has named, also its parameters.
    pub essence: Cow<'static, str>,
    /// Whether it is text, which is taken to be UTF-8: what a browser must be told, or it guesses.
    pub text: bool,
}

/// What is known about a file of no known type (RFC 9110 §8.3): a browser offers to save it.
pub static UNKNOWN: Media = Media { essence: Cow::Borrowed("application/octet-stream"), text: false };

/// What a page of the server's own is.
pub static HTML: Media = Media { essence: Cow::Borrowed("text/html"), text: true };

/// What a page for programs is that is not JSON.
pub static TEXT: Media = Media { essence: Cow::Borrowed("text/plain"), text: true };

/// What a listing for programs is. Its encoding is always UTF-8 (RFC 8259 §8.1).
pub static JSON: Media = Media { essence: Cow::Borrowed("application/json"), text: false };

/// The longest extension that is looked up.
const EXTENSION_BYTES_MAX: usize = 16;

/// Extensions and their types: a line for each, in the order of the extensions' bytes.
const TYPES: &str = include_str!("media/types.txt");

impl Media {
    /// That of the file with this path or name.
    pub fn of(path: &[u8]) -> Media {
        let name = path.iter().rposition(|&byte| byte == b'/').map_or(path, |slash| &path[slash + 1..]);
        if let Some(essence) = named(name) {
            return Media::known(essence);
        }
        // The dot of a hidden file does not begin an extension.
        match name.iter().rposition(|&byte| byte == b'.') {
            Some(dot) if dot > 0 => Media::of_extension(&name[dot + 1..]),
            _ => UNKNOWN.clone(),
        }
    }

    /// One that somebody has named, with its parameters. The error says what was expected.
    pub fn parse(text: &str) -> Result<Media, String> {
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let is_type = essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind.as_bytes()) && is_token(subtype.as_bytes()));
        if !is_type || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) || text.trim() != text {
            return Err(format!("expected a type as in \"text/plain; charset=utf-8\", found {text:?}"));
        }
        Ok(Media { essence: Cow::Owned(text.to_owned()), text: false })
    }

    /// As the field `Content-Type` has it, in two pieces.
    pub fn content_type(&self) -> [&str; 2] {
        [&self.essence, if self.text { "; charset=utf-8" } else { "" }]
    }

    /// Whether it may be worth encoding: not what is compressed by itself.
    pub fn is_compressible(&self) -> bool {
        let essence = self.essence.split(';').next().unwrap_or_default().trim_end();
        match essence.split_once('/') {
            Some(("image", subtype)) => matches!(subtype, "svg+xml" | "bmp" | "vnd.microsoft.icon" | "x-icon"),
            Some(("video" | "audio", _)) => false,
            Some(("font", subtype)) => !matches!(subtype, "woff" | "woff2"),
            Some(("application", subtype)) => !is_compressed(subtype),
            _ => true,
        }
    }

    fn of_extension(extension: &[u8]) -> Media {
        let mut lower = [0; EXTENSION_BYTES_MAX];
        let Some(lower) = lower.get_mut(..extension.len()) else { return UNKNOWN.clone() };
        lower.copy_from_slice(extension);
        lower.make_ascii_lowercase();
        let Ok(extension) = std::str::from_utf8(lower) else { return UNKNOWN.clone() };
        common(extension).or_else(|| look_up(extension)).map_or_else(|| UNKNOWN.clone(), Media::known)
    }

    fn known(essence: &'static str) -> Media {
        Media { essence: Cow::Borrowed(essence), text: takes_charset(essence) }
    }
}

/// Subtypes of `application` whose files no coding makes smaller.
fn is_compressed(subtype: &str) -> bool {
    subtype.ends_with("+zip")
        || subtype.starts_with("vnd.openxmlformats-officedocument.")
        || subtype.starts_with("vnd.oasis.opendocument.")
        || matches!(
            subtype,
            "gzip"
                | "zip"
                | "zstd"
                | "x-bzip2"
                | "x-xz"
                | "x-lzma"
                | "x-7z-compressed"
                | "x-brotli"
                | "vnd.rar"
                | "pdf"
                | "java-archive"
                | "x-xpinstall"
                | "vnd.android.package-archive"
                | "vnd.debian.binary-package"
                | "x-redhat-package-manager"
        )
}

/// Whether a type of text has the parameter `charset`. XML says its encoding itself (RFC 7303
/// §8.1), as SGML and RTF do; the others are UTF-8 by their definition, and know no parameter.
fn takes_charset(essence: &str) -> bool {
    const WITHOUT: [&str; 11] = [
        "text/xml",
        "text/sgml",
        "text/rtf",
        "text/vtt",
        "text/cache-manifest",
        "text/vnd.in3d.3dml",
        "text/vnd.in3d.spot",
        "text/vnd.ms-mediapackage",
        "text/vnd.trolltech.linguist",
        "text/vnd.wap.si",
        "text/vnd.wap.wml",
    ];
    essence.starts_with("text/")
        && !essence.ends_with("+xml")
        && !WITHOUT.iter().any(|other| other.eq_ignore_ascii_case(essence))
}

/// Files without an extension whose type is agreed on.
fn named(name: &[u8]) -> Option<&'static str> {
    match name {
        // Apple's "Supporting associated domains"; RFC 8414 §3.2, and what it is made after.
        b"apple-app-site-association" | b"oauth-authorization-server" | b"openid-configuration" => {
            Some("application/json")
        }
        _ => None,
    }
}

/// The type of an extension in the large table, whose lines are sorted.
fn look_up(extension: &str) -> Option<&'static str> {
    let mut rest = TYPES;
    while !rest.is_empty() {
        let middle = rest.len() / 2;
        let start = rest.as_bytes()[..middle].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let (line, behind) = rest[start..].split_once('\n')?;
        let (found, essence) = line.split_once(' ')?;
        rest = match extension.cmp(found) {
            std::cmp::Ordering::Less => &rest[..start],
            std::cmp::Ordering::Equal => return Some(essence),
            std::cmp::Ordering::Greater => behind,
        };
    }
    None
}

/// What a website is made of, without a search in the large table; and where that table says what
/// a browser does not like to hear, or nothing.
fn common(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "html" | "htm" => "text/html",
        "css" => "text/css",
        // RFC 9239: one type for all of them. A browser runs no module of another type.
        "js" | "mjs" | "cjs" => "text/javascript",
        "json" | "map" | "topojson" | "har" => "application/json",
        // What is compressed by itself, and said so: see the policy's encodings.
        "svg" | "svgz" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" | "jfif" => "image/jpeg",
        "webp" => "image/webp",
        "apng" => "image/apng",
        "bmp" => "image/bmp",
        "ico" | "cur" => "image/vnd.microsoft.icon",
        "txt" | "text" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "eot" => "application/vnd.ms-fontobject",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        // XML says its encoding itself, and `text/xml` with a charset would contradict it.
        "xml" | "xsl" | "xsd" | "rng" | "plist" => "application/xml",
        "rss" => "application/rss+xml",
        "gpx" => "application/gpx+xml",
        // A segment of a video: TypeScript is not served to browsers.
        "ts" | "m2ts" => "video/mp2t",
        "m4s" => "video/iso.segment",
        "m3u8" => "application/vnd.apple.mpegurl",
        "m4v" => "video/mp4",
        "m4a" | "m4b" => "audio/mp4",
        "wav" => "audio/wav",
        "weba" => "audio/webm",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "br" => "application/octet-stream",
        "zst" | "tzst" => "application/zstd",
        "gz" | "tgz" => "application/gzip",
        "bz2" | "tbz" | "tbz2" => "application/x-bzip2",
        "xz" | "txz" => "application/x-xz",
        "lzma" => "application/x-lzma",
        "war" | "ear" => "application/java-archive",
        "crx" => "application/x-chrome-extension",
        "mobi" => "application/x-mobipocket-ebook",
        "der" => "application/x-x509-ca-cert",
        "asc" => "application/pgp-signature",
        // What it is called for does not fit what these are: programs, disks and parts of others.
        "bin" | "img" | "a" | "o" | "so" | "dll" | "exe" | "bat" | "com" => "application/octet-stream",
        // Programs' sources and what they are set up with are read, not run.
        "rs" | "c" | "h" | "cc" | "cpp" | "hpp" | "cs" | "go" | "java" | "kt" | "swift" | "zig" | "py" | "rb"
        | "pl" | "pm" | "lua" | "sh" | "bash" | "zsh" | "ps1" | "tsx" | "mts" | "cts" | "jsx" | "vue" | "svelte"
        | "scss" | "sass" | "less" | "wat" | "wit" | "php" | "sql" | "diff" | "patch" | "lock" | "log" | "ini"
        | "conf" | "cfg" | "properties" | "env" | "ass" | "ssa" | "srt" | "nfo" | "rst" | "adoc" | "org" => {
            "text/plain"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_by_itself_is_not_encoded() {
        let check = |name: &str, expected: bool| assert_eq!(Media::of(name.as_bytes()).is_compressible(), expected);
        for name in ["a.html", "a.js", "a.svg", "a.json", "a.wasm", "a.ttf", "a.ico", "a", "a.xml", "a.bin"] {
            check(name, true);
        }
        for name in [
            "a.png", "a.jpg", "a.mp4", "a.mp3", "a.woff2", "a.zip", "a.js.gz", "a.zst", "a.pdf", "a.webp", "a.docx",
            "a.odt", "a.epub", "a.apk", "a.jar", "a.tar.xz", "a.7z",
        ] {
            check(name, false);
        }
    }

    /// The table is searched by halves.
    #[test]
    fn every_line_of_the_table_is_found() {
        let lines: Vec<_> = TYPES.lines().map(|line| line.split_once(' ').expect(line)).collect();
        assert!(lines.is_sorted_by(|one, other| one.0 < other.0) && lines.len() > 1_500);
        for (extension, essence) in lines {
            assert_eq!(look_up(extension), Some(essence));
            assert!(extension.len() <= EXTENSION_BYTES_MAX && Media::parse(essence).is_ok(), "{extension}");
            assert_eq!(extension.to_ascii_lowercase(), extension);
        }
        for none in ["", "0", "zzzzzz", "c\u{f6}", "htm1", "a ", " "] {
            assert_eq!(look_up(none), None, "{none}");
        }
    }

    /// Where tables of types are known to disagree, or to be wrong: each as IANA's registry has
    /// it, or else as Debian and nginx do.
    #[test]
    fn types_are_those_of_the_registry() {
        let check = |name: &str, expected: &str| {
            assert_eq!(Media::of(name.as_bytes()).content_type().concat(), expected, "{name}");
        };
        for (name, expected) in [
            ("a.rpm", "application/x-redhat-package-manager"),
            ("a.deb", "application/vnd.debian.binary-package"),
            ("a.apk", "application/vnd.android.package-archive"),
            ("a.aab", "application/octet-stream"),
            ("a.obj", "model/obj"),
            ("a.mtl", "model/mtl"),
            ("a.stl", "model/stl"),
            ("a.gltf", "model/gltf+json"),
            ("a.glb", "model/gltf-binary"),
            ("a.usdz", "model/vnd.usdz+zip"),
            ("a.step", "model/step"),
            ("a.dxf", "image/vnd.dxf"),
            ("a.dwg", "image/vnd.dwg"),
            ("a.xsd", "application/xml"),
            ("a.xsl", "application/xml"),
            ("a.xslt", "application/xslt+xml"),
            ("a.dtd", "application/xml-dtd"),
            ("a.rss", "application/rss+xml"),
            ("a.atom", "application/atom+xml"),
            ("a.kml", "application/vnd.google-earth.kml+xml"),
            ("a.gpx", "application/gpx+xml"),
            ("a.geojson", "application/geo+json"),
            ("a.jsonld", "application/ld+json"),
            ("a.ics", "text/calendar; charset=utf-8"),
            ("a.vcf", "text/vcard; charset=utf-8"),
            ("a.tsv", "text/tab-separated-values; charset=utf-8"),
            ("a.appcache", "text/cache-manifest"),
            ("a.rtf", "application/rtf"),
            ("a.sgml", "text/SGML"),
            ("a.epub", "application/epub+zip"),
            ("a.flac", "audio/flac"),
            ("a.opus", "audio/ogg"),
            ("a.mp3", "audio/mpeg"),
            ("a.weba", "audio/webm"),
            ("a.mkv", "video/x-matroska"),
            ("a.mov", "video/quicktime"),
            ("a.m3u8", "application/vnd.apple.mpegurl"),
            ("a.mpd", "application/dash+xml"),
            ("a.m4s", "video/iso.segment"),
            ("a.jxl", "image/jxl"),
            ("a.heic", "image/heic"),
            ("a.bmp", "image/bmp"),
            ("a.eot", "application/vnd.ms-fontobject"),
            ("a.ttc", "font/collection"),
            ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            ("a.7z", "application/x-7z-compressed"),
            ("a.rar", "application/vnd.rar"),
            ("a.tar", "application/x-tar"),
            ("a.tar.xz", "application/x-xz"),
            ("a.tar.bz2", "application/x-bzip2"),
            ("a.iso", "application/x-iso9660-image"),
            ("a.torrent", "application/x-bittorrent"),
            ("a.exe", "application/octet-stream"),
            ("a.sh", "text/plain; charset=utf-8"),
            ("a.log", "text/plain; charset=utf-8"),
            ("a.mtl.gz", "application/gzip"),
            ("apple-app-site-association", "application/json"),
            (".well-known/apple-app-site-association", "application/json"),
            (".well-known/openid-configuration", "application/json"),
            ("apple-app-site-association.txt", "text/plain; charset=utf-8"),
        ] {
            check(name, expected);
        }
    }

    #[test]
    fn a_type_that_is_named_is_one() {
        for text in ["text/plain", "application/vnd.a+json", "text/plain; charset=iso-8859-1", "a/b;c=\"d e\""] {
            assert_eq!(Media::parse(text).expect(text).content_type().concat(), text);
        }
        for text in
            ["", "text", "/plain", "text/", "text/pl ain", " text/plain", "text/plain\r\nX: y", "\u{e9}/x", "a/b/c"]
        {
            assert!(Media::parse(text).is_err(), "{text}");
        }
        assert!(
            Media::parse("image/png; a=b").expect("a type").is_compressible() == Media::of(b"a.png").is_compressible()
        );
    }

    #[test]
    fn a_content_type_follows_from_the_extension() {
        let check =
            |name: &str, expected: &str| assert_eq!(Media::of(name.as_bytes()).content_type().concat(), expected);
        assert_eq!(Media::of(b"page.html"), HTML);
        check("index.html", "text/html; charset=utf-8");
        check("a.b/c.HTM", "text/html; charset=utf-8");
        check("a.css", "text/css; charset=utf-8");
        check("a.min.js", "text/javascript; charset=utf-8");
        check("a.mjs", "text/javascript; charset=utf-8");
        check("a.json", "application/json");
        check("a.js.map", "application/json");
        check("a.wasm", "application/wasm");
        check("a.webmanifest", "application/manifest+json");
        check("a.md", "text/markdown; charset=utf-8");
        check("a.ts", "video/mp2t");
        check("a.woff", "font/woff");
        check("a.xml", "application/xml");
        check("a.xhtml", "application/xhtml+xml");
        check("a.svg", "image/svg+xml");
        check("a.avif", "image/avif");
        check("a.vtt", "text/vtt");
        check("a.csv", "text/csv; charset=utf-8");
        check("a.mp4", "video/mp4");
        check("a.pdf", "application/pdf");
        check("a.tar.gz", "application/gzip");
        check("Cargo.lock", "text/plain; charset=utf-8");
        for name in ["", "LICENSE", "a.b/LICENSE", ".html", "a/.html", "a.", "a.unknown", "a.\u{e9}", "a.h\0"] {
            check(name, "application/octet-stream");
        }
        check(&format!("a.{}", "html".repeat(100)), "application/octet-stream");
        assert_eq!(Media::of(b"a.\xff"), UNKNOWN);
    }
}
