//! How long a response may be used again without asking (RFC 9111).

use super::media::{HTML, Media};

/// A page is asked for each time (RFC 9111 §5.2.2.4), and mostly answered by 304: what it refers
/// to may have changed.
const REVALIDATED: &str = "no-cache";

/// What is not named by its content: a week. `public` would add nothing but that shared caches may
/// keep what somebody had to log in for, at a proxy in front, say (RFC 9111 §3.5, §5.2.2.9).
const WEEK: &str = "max-age=604800";

/// A name that carries a hash of its content never means another one (RFC 8246). A year is what
/// RFC 2616 called forever.
const IMMUTABLE: &str = "max-age=31536000, immutable";

/// The least digits of a hash in a name. Vite and Rollup write 8 of base64url, webpack 20 of
/// hexadecimal, rustdoc and esbuild 8. A hash that happens to be all digits or all letters is
/// asked for again after a week: the safe mistake.
const HASH_CHARS_MIN: usize = 8;

/// The value of `Cache-Control` for the file of this path.
pub fn cache_control(path: &[u8], media: Media) -> &'static str {
    if media == HTML {
        REVALIDATED
    } else if has_hash(path) {
        IMMUTABLE
    } else {
        WEEK
    }
}

/// Whether the name carries a hash before its extensions: `index-BfT3q_9x.js` as Vite writes it,
/// `main.3f9a01bc22.css` as webpack does, `rustdoc-ac92e1bbe349e143.css` or
/// `search-1f3a5cb0.js.gz`: behind a `-` or a `.` and before a `.`, letters, digits, `-` and `_`,
/// at least eight, among them a digit and, so that no date or version is taken for one, a letter.
fn has_hash(path: &[u8]) -> bool {
    let name = path.iter().rposition(|&byte| byte == b'/').map_or(path, |slash| &path[slash + 1..]);
    let pieces: Vec<&[u8]> = name.split(|&byte| byte == b'.').collect();
    let Some((_extension, before)) = pieces.split_last() else { return false };
    before.iter().enumerate().any(|(index, piece)| {
        // The first piece is a name, and behind one of its dashes there may be a hash; each other
        // may be one as a whole.
        let behind_dash = piece.iter().enumerate().filter(|(_, byte)| **byte == b'-').map(|(at, _)| at + 1);
        behind_dash.chain((index > 0).then_some(0)).any(|at| is_hash(&piece[at..]))
    })
}

fn is_hash(run: &[u8]) -> bool {
    run.len() >= HASH_CHARS_MIN
        && run.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && run.iter().any(u8::is_ascii_digit)
        && run.iter().any(u8::is_ascii_alphabetic)
        && looks_random(run)
}

/// A word with a number in it is no hash: `bootstrap5`, `version-2`. In a hash digits and letters
/// alternate, or capitals stand among small letters.
fn looks_random(run: &[u8]) -> bool {
    let class = |byte: &u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    run.windows(2).filter(|pair| class(&pair[0]) != class(&pair[1])).count() >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_revalidated_and_a_hash_lasts() {
        let check = |path: &str, expected: &str| {
            let path = path.as_bytes();
            assert_eq!(cache_control(path, Media::of(path)), expected, "{}", String::from_utf8_lossy(path));
        };
        for page in ["index.html", "a/b.htm", "index-BfT3q_9x.html"] {
            check(page, REVALIDATED);
        }
        for hashed in [
            "assets/index-BfT3q_9x.js",
            "assets/index-C-T3q_9x.css",
            "main.3f9a01bc22e1d4.chunk.js",
            "main.3f9a01bc.css",
            "static.files/rustdoc-ac92e1bbe349e143.css",
            "static.files/FiraSans-Italic-81dc35de.woff2",
            "app-5QXJ2VTZ.js.map",
            "search-1f3a5cb0.js",
        ] {
            check(hashed, IMMUTABLE);
        }
        for plain in [
            "style.css",
            "report-20240229.pdf",
            "bootstrap5.min.js",
            "jquery-3.7.1.min.js",
            "my-bootstrap5.js",
            "photo-of-2024.jpg",
            "a-3f9a01b.js",
            "3f9a01bc22e1d4.js",
            "3f9a01bc22e1d4/style.css",
            "x-3f9a01bc22e1d4",
            "x.3f9a01bc22e1d4",
            "",
            "-.-",
        ] {
            check(plain, WEEK);
        }
    }
}
