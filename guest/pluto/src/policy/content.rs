//! What a site says of the content of its files: of which type they are, which of them are
//! encoded, and whether names with a hash never mean another content.

use super::glob::Glob;
use pluto_http::encoding::Coding;
use pluto_http::freshness::{IMMUTABLE, REVALIDATED, has_hashed_name};
use pluto_http::media::{Media, UNKNOWN};
use std::collections::BTreeMap;

/// What a site says of its files. By default nothing, so that the names of files decide.
#[derive(Clone, Debug, Default)]
pub struct ContentRules {
    /// Names with a hash of the content are sent as immutable.
    pub immutable: bool,
    /// Types by extension, without its dot, or by the whole name of a file.
    pub types: BTreeMap<String, Media>,
    /// Files that are encoded. The first that matches decides.
    pub encodings: Vec<EncodingRule>,
}

/// Files that hold another file, encoded, and are sent as that one.
#[derive(Clone, Debug)]
pub struct EncodingRule {
    /// The files' paths.
    pub source: Glob,
    /// What they are encoded in.
    pub coding: Coding,
}

/// What is known of a file by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is, without its coding.
    pub media: Media,
    /// What the file itself is encoded in.
    pub coding: Option<Coding>,
    /// The value of `Cache-Control`.
    pub cache_control: &'static str,
}

impl ContentRules {
    /// What these rules say of the file at a path of the site.
    pub fn describe(&self, path: &[u8]) -> Description {
        let coding = self.coding(path);
        let media = match coding {
            None => self.media(path),
            // `x.wasm.br` is of the type of `x.wasm`, and so is `x.wasm.unityweb`; but `x.svgz`
            // says all of it itself.
            Some(_) => match self.media(without_extension(path)) {
                media if media == UNKNOWN && !Coding::ALL.iter().any(|it| path.ends_with(it.suffix())) => {
                    self.media(path)
                }
                media => media,
            },
        };
        let is_immutable = self.immutable && has_hashed_name(path, &media);
        Description { media, coding, cache_control: if is_immutable { IMMUTABLE } else { REVALIDATED } }
    }

    fn coding(&self, path: &[u8]) -> Option<Coding> {
        if !self.encodings.is_empty() {
            let address = [b"/", path].concat();
            if let Some(rule) = self.encodings.iter().find(|rule| rule.source.is_match(&address)) {
                return Some(rule.coding);
            }
        }
        // The SVG specification: such a file is to be sent with `Content-Encoding: gzip`.
        let is_svgz = path.len() > b".svgz".len() && path[path.len() - b".svgz".len()..].eq_ignore_ascii_case(b".svgz");
        is_svgz.then_some(Coding::Gzip)
    }

    fn media(&self, path: &[u8]) -> Media {
        self.named(path).unwrap_or_else(|| Media::of(path))
    }

    /// The type that the site has named for a file: by its whole name, or by the longest
    /// extension.
    fn named(&self, path: &[u8]) -> Option<Media> {
        if self.types.is_empty() {
            return None;
        }
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let name = std::str::from_utf8(name).ok()?;
        let extensions = name.match_indices('.').filter(|(dot, _)| *dot > 0).map(|(dot, _)| &name[dot + 1..]);
        let found = |key: &str| self.types.iter().find(|(other, _)| other.eq_ignore_ascii_case(key)).map(|(_, it)| it);
        std::iter::once(name).chain(extensions).find_map(found).cloned()
    }
}

/// A path without what stands behind its last dot.
fn without_extension(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'.').map_or(path, |dot| &path[..dot])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> ContentRules {
        let media = |text| Media::parse(text).expect(text);
        let encoded = |source: &str, coding| EncodingRule { source: Glob::new(source).expect(source), coding };
        ContentRules {
            immutable: true,
            types: BTreeMap::from([
                ("unity3d".to_owned(), media("application/vnd.unity")),
                ("tar.gz".to_owned(), media("application/x-gtar")),
                ("Makefile".to_owned(), media("text/x-makefile")),
                ("html".to_owned(), media("text/html; charset=iso-8859-1")),
            ]),
            encodings: vec![
                encoded("/Build/**/*.{data,wasm,js}.br", Coding::Brotli),
                encoded("**/*.data.gz", Coding::Gzip),
                encoded("**/*.wasm.unityweb", Coding::Gzip),
            ],
        }
    }

    #[track_caller]
    fn check(rules: &ContentRules, path: &str, media: &str, coding: Option<Coding>) {
        let found = rules.describe(path.as_bytes());
        assert_eq!((found.media.content_type().concat().as_str(), found.coding), (media, coding), "{path}");
    }

    #[test]
    fn an_encoded_file_is_sent_as_what_it_holds() {
        let rules = rules();
        check(&rules, "Build/x.wasm.br", "application/wasm", Some(Coding::Brotli));
        check(&rules, "Build/x.data.br", "application/octet-stream", Some(Coding::Brotli));
        check(&rules, "Build/x.framework.js.br", "text/javascript; charset=utf-8", Some(Coding::Brotli));
        check(&rules, "a/b.data.gz", "application/octet-stream", Some(Coding::Gzip));
        check(&rules, "x.wasm.br", "application/octet-stream", None);
        check(&rules, "x.js.gz", "application/gzip", None);
        check(&rules, "x.wasm.unityweb", "application/wasm", Some(Coding::Gzip));
        for name in ["x.svgz", "a/X.SVGZ"] {
            check(&ContentRules::default(), name, "image/svg+xml", Some(Coding::Gzip));
        }
        check(&ContentRules::default(), "x.svg", "image/svg+xml", None);
        check(&ContentRules::default(), ".svgz", "application/octet-stream", None);
    }

    #[test]
    fn a_site_names_types() {
        let rules = rules();
        check(&rules, "a.unity3d", "application/vnd.unity", None);
        check(&rules, "a.UNITY3D", "application/vnd.unity", None);
        check(&rules, "b/a.tar.gz", "application/x-gtar", None);
        check(&rules, "a.gz", "application/gzip", None);
        check(&rules, "a/Makefile", "text/x-makefile", None);
        check(&rules, "a.html", "text/html; charset=iso-8859-1", None);
        check(&rules, ".html", "application/octet-stream", None);
        check(&rules, "a.css", "text/css; charset=utf-8", None);
    }

    #[test]
    fn nothing_is_immutable_unless_the_site_says_so() {
        let check = |immutable: bool, path: &str, expected: &str| {
            let rules = ContentRules { immutable, ..ContentRules::default() };
            assert_eq!(rules.describe(path.as_bytes()).cache_control, expected, "{path}");
        };
        check(false, "assets/index-BfT3q_9x.js", REVALIDATED);
        check(true, "assets/index-BfT3q_9x.js", IMMUTABLE);
        check(true, "assets/index-BfT3q_9x.html", REVALIDATED);
        check(true, "style.css", REVALIDATED);
    }
}
