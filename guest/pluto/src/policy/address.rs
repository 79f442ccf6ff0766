//! The addresses of pages: without the ending of their files.

use pluto_http::target::Path;

/// What a page's file ends in, which its address need not.
pub const PAGE: &[u8] = b".html";

/// The file that is served for its directory, unless the site names others.
pub const INDEX: &[u8] = b"index.html";

/// The address of a page's file without its ending, when it has one: `/a` for `a.html`, `/` for
/// `index.html` where files of that name are served for their directory.
pub fn clean(file: &[u8], index: &[Vec<u8>]) -> Option<Path> {
    let address = file.strip_suffix(PAGE)?;
    let is_folder = |path: &[u8]| matches!(path.last(), None | Some(b'/'));
    let folder = index.iter().find_map(|name| file.strip_suffix(&name[..]).filter(|folder| is_folder(folder)));
    match folder {
        Some(folder) => Path::from_names(folder),
        // `/.html` is no page of another name.
        None if is_folder(address) => None,
        None => Path::from_names(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_clean_address() {
        let check = |index: &[&str], path: &str, expected: Option<&str>| {
            let index: Vec<_> = index.iter().map(|name| name.as_bytes().to_vec()).collect();
            let found = clean(path.as_bytes(), &index).map(|path| path.escape());
            assert_eq!(found.as_deref(), expected, "{path}");
        };
        let usual = ["index.html"];
        check(&usual, "a.html", Some("/a"));
        check(&usual, "a b/c.html", Some("/a%20b/c"));
        check(&usual, "index.html", Some("/"));
        check(&usual, "a/index.html", Some("/a/"));
        check(&usual, "a/myindex.html", Some("/a/myindex"));
        check(&usual, "a.htm", None);
        check(&usual, "a/.html", None);
        check(&usual, ".html", None);
        check(&usual, "a/", None);
        let other = ["home.html", "index.htm"];
        check(&other, "a/home.html", Some("/a/"));
        check(&other, "a/index.html", Some("/a/index"));
        check(&other, "a/index.htm", None);
    }
}
