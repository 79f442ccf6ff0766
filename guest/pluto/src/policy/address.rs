//! The addresses of pages: without the ending of their files.

use pluto_http::target::Path;

/// What a page's file ends in, which its address need not.
pub const PAGE: &[u8] = b".html";

/// The address of a page's file without its ending, when it has one: `/a` for `a.html`, `/` for
/// `index.html`.
pub fn clean(file: &[u8]) -> Option<String> {
    let address = file.strip_suffix(PAGE)?;
    let address = match address.strip_suffix(b"index") {
        Some(folder) if matches!(folder.last(), None | Some(b'/')) => folder,
        // `/.html` is no page of another name.
        _ if matches!(address.last(), None | Some(b'/')) => return None,
        _ => address,
    };
    Some(Path::from_names(address)?.escape())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_clean_address() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(clean(path.as_bytes()).as_deref(), expected, "{path}");
        };
        check("a.html", Some("/a"));
        check("a b/c.html", Some("/a%20b/c"));
        check("index.html", Some("/"));
        check("a/index.html", Some("/a/"));
        check("a/myindex.html", Some("/a/myindex"));
        check("a.htm", None);
        check("a/.html", None);
        check(".html", None);
        check("a/", None);
    }
}
