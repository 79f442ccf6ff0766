//! Content types, by the extension of a file's name.

/// A content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// Type and subtype.
    pub essence: &'static str,
    /// Whether it is text, which is taken to be UTF-8: what a browser must be told, or it guesses.
    pub text: bool,
}

/// What is known about a file of no known type (RFC 9110 §8.3): a browser offers to save it.
pub const UNKNOWN: Media = Media { essence: "application/octet-stream", text: false };

/// What a page of the server's own is.
pub const HTML: Media = Media { essence: "text/html", text: true };

/// What a listing for programs is. Its encoding is always UTF-8 (RFC 8259 §8.1).
pub const JSON: Media = Media { essence: "application/json", text: false };

/// The longest extension that is looked up.
const EXTENSION_BYTES_MAX: usize = 16;

impl Media {
    /// That of the file with this path or name.
    pub fn of(path: &[u8]) -> Media {
        let name = path.iter().rposition(|&byte| byte == b'/').map_or(path, |slash| &path[slash + 1..]);
        // The dot of a hidden file does not begin an extension.
        match name.iter().rposition(|&byte| byte == b'.') {
            Some(dot) if dot > 0 => Media::of_extension(&name[dot + 1..]),
            _ => UNKNOWN,
        }
    }

    /// As the field `Content-Type` has it, in two pieces.
    pub fn content_type(self) -> [&'static str; 2] {
        [self.essence, if self.text { "; charset=utf-8" } else { "" }]
    }

    /// Whether it may be worth encoding: not what is compressed by itself.
    pub fn is_compressible(self) -> bool {
        match self.essence.split_once('/') {
            Some(("image", subtype)) => matches!(subtype, "svg+xml" | "bmp" | "vnd.microsoft.icon" | "x-icon"),
            Some(("video" | "audio", _)) => false,
            Some(("font", subtype)) => !matches!(subtype, "woff" | "woff2"),
            Some(("application", subtype)) => !matches!(
                subtype,
                "gzip" | "zip" | "zstd" | "x-bzip2" | "x-xz" | "x-7z-compressed" | "x-brotli" | "vnd.rar" | "pdf"
            ),
            _ => true,
        }
    }

    fn of_extension(extension: &[u8]) -> Media {
        let mut lower = [0; EXTENSION_BYTES_MAX];
        let Some(lower) = lower.get_mut(..extension.len()) else { return UNKNOWN };
        lower.copy_from_slice(extension);
        lower.make_ascii_lowercase();
        let Ok(extension) = std::str::from_utf8(lower) else { return UNKNOWN };
        let essence = common(extension).or_else(|| mime_guess::from_ext(extension).first_raw());
        essence.map_or(UNKNOWN, |essence| Media { essence, text: essence.starts_with("text/") })
    }
}

/// What a website is made of, without a search in the large table; and where that table says what
/// a browser does not like to hear, or nothing. Checked against IANA's registry, which is what the
/// names are from.
fn common(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "html" | "htm" => "text/html",
        "css" => "text/css",
        // RFC 9239: one type for all of them. A browser runs no module of another type.
        "js" | "mjs" | "cjs" => "text/javascript",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/vnd.microsoft.icon",
        "txt" | "text" => "text/plain",
        "md" | "markdown" => "text/markdown",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        // XML says its encoding itself, and `text/xml` with a charset would contradict it.
        "xml" | "xsl" => "application/xml",
        // A segment of a video: TypeScript is not served to browsers.
        "ts" | "m2ts" => "video/mp2t",
        "m3u8" => "application/vnd.apple.mpegurl",
        "m4a" => "audio/mp4",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "br" => "application/octet-stream",
        "zst" => "application/zstd",
        "gz" | "tgz" => "application/gzip",
        // Programs' sources are read, not run.
        "rs" | "c" | "h" | "py" | "sh" | "tsx" | "mts" | "cts" | "jsx" | "wat" | "php" | "lock" => "text/plain",
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
        for name in ["a.png", "a.jpg", "a.mp4", "a.mp3", "a.woff2", "a.zip", "a.js.gz", "a.zst", "a.pdf", "a.webp"] {
            check(name, false);
        }
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
        check("a.vtt", "text/vtt; charset=utf-8");
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
