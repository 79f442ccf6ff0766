//! How long a response may be used again without asking (RFC 9111).

use super::media::{HTML, Media};

/// A browser keeps the file, and asks each time whether it is still current (RFC 9111 §5.2.2.4).
/// The answer is mostly 304, which costs a few microseconds. `public` would add nothing but that
/// shared caches may keep what somebody had to log in for (RFC 9111 §3.5, §5.2.2.9).
pub const REVALIDATED: &str = "no-cache";

/// A name that carries a hash of its content never means another content (RFC 8246). A year is
/// what RFC 2616 called forever.
pub const IMMUTABLE: &str = "max-age=31536000, immutable";

/// Whether a build tool has put a hash of the content into the name of this file. A page is never
/// such a file: its address is what people know.
///
/// | tool | name |
/// |---|---|
/// | Vite, Rollup | `assets/index-BfT3q_9x.js`: eight characters of base64url |
/// | esbuild | `app-5QXJ2VTZ.js`: eight characters of base32 |
/// | webpack | `main.3f9a01bc22e1d4a5b6c7.js`, `3f9a01bc22e1d4a5b6c7.png`: 20 hexadecimal digits |
/// | Parcel, Create React App | `index.3f9a01bc.js`: eight hexadecimal digits |
/// | Next.js | `main-3f9a01bc22e1d4a5.js`, `css/3f9a01bc22e1d4a5.css`: 16 of them |
/// | Hugo | `main.min.` and 64 of them, `photo_hu_3f9a01bc22e1d4a5.jpg` |
///
/// A hash is random, and a word, a date or a version is not. Hashes that happen to look like one
/// of these are not recognised: then the file is asked for again, which is the safe mistake.
pub fn has_hashed_name(path: &[u8], media: &Media) -> bool {
    let (folders, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => path.split_at(slash + 1),
        None => (&path[..0], path),
    };
    let mut pieces: Vec<&[u8]> = name.split(|&byte| byte == b'.').collect();
    // What encodes another file, or maps it to its sources, is called like it.
    while pieces.len() > 2 && matches!(pieces.last(), Some(&(b"br" | b"gz" | b"zst" | b"map"))) {
        pieces.pop();
    }
    let Some((extension, pieces)) = pieces.split_last() else { return false };
    if *media == HTML || !is_built(extension) {
        return false;
    }
    let place = match folders.split(|&byte| byte == b'/').any(is_build_folder) {
        true if matches!(*extension, b"js" | b"mjs" | b"css") => Place::BuiltCode,
        true => Place::Built,
        false => Place::Anywhere,
    };
    pieces.iter().enumerate().any(|(index, piece)| {
        // Vite and esbuild put the hash right before the extension, the others before any dot.
        let is_last = index + 1 == pieces.len();
        let has_short_hash = behind_dash(piece, SHORT).is_some_and(|run| is_base32(run) || is_base64url(run, place));
        is_hexadecimal_name(piece, index) || is_hugo_image(piece) || (is_last && has_short_hash)
    })
}

/// Types that build tools give such names to. A document, a playlist or an archive is called by
/// people.
fn is_built(extension: &[u8]) -> bool {
    const EXTENSIONS: [&str; 24] = [
        "js", "mjs", "cjs", "css", "wasm", "woff", "woff2", "ttf", "otf", "eot", "svg", "png", "jpg", "jpeg", "gif",
        "webp", "avif", "ico", "mp4", "webm", "mp3", "m4a", "ogg", "data",
    ];
    EXTENSIONS.iter().any(|other| other.as_bytes() == extension)
}

/// Folders that Vite, Astro, Nuxt and `SvelteKit` write, in which nearly every name has a hash.
fn is_build_folder(folder: &[u8]) -> bool {
    matches!(folder, b"assets" | b"_astro" | b"_nuxt" | b"_app")
}

/// The digits of a short hash: what Vite, Rollup, esbuild and Parcel write.
const SHORT: usize = 8;

/// The last characters of a piece, so many, when a dash is before them.
fn behind_dash(piece: &[u8], length: usize) -> Option<&[u8]> {
    let (before, run) = piece.split_at_checked(piece.len().checked_sub(length)?)?;
    before.ends_with(b"-").then_some(run)
}

/// Whether a piece of a name, the first or one behind a dot, is a hexadecimal hash or ends in one.
fn is_hexadecimal_name(piece: &[u8], index: usize) -> bool {
    // Next.js marks fonts that are preloaded: `c9a5bc6a7c948fb0-s.p.woff2`.
    let piece = piece.strip_suffix(b"-s").unwrap_or(piece);
    let run = piece.iter().rposition(|&byte| byte == b'-').map_or(piece, |dash| &piece[dash + 1..]);
    // As a whole, a short one is a name like any other, unless it stands between dots.
    let is_long_enough = run.len() > SHORT || index > 0 || run.len() < piece.len();
    is_long_enough && is_hexadecimal(run)
}

/// `photo_hu3f9a…_11674_600x400_resize.jpg` and `photo_hu_3f9a01bc22e1d4a5.jpg`, as Hugo calls
/// the images that it has made of others.
fn is_hugo_image(piece: &[u8]) -> bool {
    const MARK: &[u8] = b"_hu";
    piece.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).any(|(at, _)| {
        let rest = &piece[at + MARK.len()..];
        let rest = rest.strip_prefix(b"_").unwrap_or(rest);
        let run = rest.split(|&byte| byte == b'_').next().unwrap_or_default();
        run.len() > SHORT && is_hexadecimal(run)
    })
}

/// A hash in small hexadecimal digits, of a length that the tools write. A short one may not look
/// like a date, nor like a word with a number behind it: `2024dec2`, `facade01`.
fn is_hexadecimal(run: &[u8]) -> bool {
    const LENGTHS: [usize; 8] = [SHORT, 16, 20, 32, 40, 64, 96, 128];
    let is_hash = LENGTHS.contains(&run.len())
        && run.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && run.iter().any(u8::is_ascii_digit)
        && run.iter().any(u8::is_ascii_alphabetic);
    is_hash && (run.len() > SHORT || (!has_year(run) && changes(run) >= 2))
}

/// A hash of capitals and digits, as esbuild writes it (RFC 4648 §6). `DSC24567` is the picture of
/// a camera.
fn is_base32(run: &[u8]) -> bool {
    run.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')) && changes(run) >= 2 && !has_year(run)
}

/// Where a file is: how probable it is that a tool has named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A script or style in a folder that a tool writes.
    BuiltCode,
    /// Another file in such a folder.
    Built,
    /// Any other.
    Anywhere,
}

/// A hash of base64url, as Rollup writes it (RFC 4648 §5).
fn is_base64url(run: &[u8], place: Place) -> bool {
    let is_run = run.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let has = |is: fn(&u8) -> bool| run.iter().any(is);
    if !is_run || has_year(run) || !has(u8::is_ascii_uppercase) {
        return false;
    }
    if !has(u8::is_ascii_lowercase) {
        return place == Place::BuiltCode && changes(run) >= 3;
    }
    match place {
        Place::BuiltCode => words(run) + if has_odd_word(run) { 2 } else { 0 } >= 4,
        Place::Built => words(run) >= 4,
        // A dash within it more probably stands between words.
        Place::Anywhere => words(run) >= 5 && !run.contains(&b'-'),
    }
}

/// In how many places a letter follows a digit, or a digit a letter.
fn changes(run: &[u8]) -> usize {
    run.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count()
}

/// Whether there is a year of this time in it, as in a date.
fn has_year(run: &[u8]) -> bool {
    run.windows(4).any(|digits| matches!(digits, [b'1', b'9', ..] | [b'2', b'0', ..]) && is_number(digits))
}

fn is_number(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit)
}

/// The words (`Small`, `small`, `CAPITALS`) and numbers that a run is made of, if it is made of
/// such: names have few in so few characters, and hashes many.
fn words(run: &[u8]) -> usize {
    word_starts(run).count()
}

/// Where words and numbers begin.
fn word_starts(run: &[u8]) -> impl Iterator<Item = usize> {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    (0..run.len()).filter(move |&at| {
        let here = class(run[at]);
        let before = at.checked_sub(1).map(|before| class(run[before]));
        // A capital begins the word whose small letters follow it.
        let begins_small = here == 2 && run.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let goes_on = before == Some(here) && !begins_small || (before, here) == (Some(2), 1);
        here != 3 && !goes_on
    })
}

/// Whether a word in it has three consonants in a row that are not its first: few words have.
fn has_odd_word(run: &[u8]) -> bool {
    let is_consonant = |byte: &u8| {
        byte.is_ascii_alphabetic() && !matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
    };
    let starts: Vec<usize> = word_starts(run).collect();
    let is_odd = |at: usize| run[at..at + 3].iter().all(is_consonant) && (at..at + 3).all(|at| !starts.contains(&at));
    (0..run.len().saturating_sub(2)).any(is_odd)
}

#[cfg(test)]
mod tests;
