//! The site's policy: what its configuration file says. Nothing here waits or reads a file: `site`
//! does that.
//!
//! | module | what is in it |
//! |---|---|
//! | [`config`], [`section`] | the file, read with the place of every problem, and compiled |
//! | [`content`] | what files are: types, encodings, names that never change |
//! | [`glob`] | which paths a rule is about |
//! | [`redirect`], [`fields`], [`cors`] | what rules say |
//! | [`users`], [`password`] | who may log in |
//! | [`address`] | the addresses of pages |
//! | [`hosts`] | the sites that there are, and which folder is a host's |

pub mod address;
pub mod config;
pub mod content;
pub mod cors;
pub mod fields;
pub mod glob;
pub mod hosts;
pub mod password;
pub mod redirect;
pub mod section;
pub mod users;

use crate::limits::EDITS_KEPT_MAX;
use address::PAGE;
use config::{AuthRule, Config};
use cors::Cors;
use fields::{Field, ResponseEdits};
use pluto_http::response::Lines;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use users::Users;

/// What one site's configuration says, with the files that it names read.
#[derive(Debug)]
pub struct Policy {
    /// What the file says.
    pub config: Config,
    users: BTreeMap<Vec<u8>, Rc<Users>>,
    /// The path of the file itself.
    file: Vec<u8>,
    always: Lines,
    /// What is changed in the responses, by what they are.
    edits: RefCell<BTreeMap<EditsKey, Rc<ResponseEdits>>>,
}

/// A path, and what is answered there.
type EditsKey = (Vec<u8>, Answered);

/// What is answered at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answered {
    /// A file.
    File,
    /// A file that only some may read.
    PrivateFile,
    /// Something else.
    NoFile,
}

/// Endings of files that hold another file, compressed.
const ENCODED: [&[u8]; 3] = [b".br", b".gz", b".zst"];

impl Policy {
    /// With the users of each file that the configuration names, and the path of the
    /// configuration.
    pub fn new(config: Config, users: BTreeMap<Vec<u8>, Users>, file: &str) -> Policy {
        let always = Lines::new(config.always.iter().map(Field::parts));
        let users = users.into_iter().map(|(path, users)| (path, Rc::new(users))).collect();
        Policy { config, users, file: file.as_bytes().to_vec(), always, edits: RefCell::default() }
    }

    /// What it says, in numbers.
    pub fn summary(&self) -> String {
        let Config { redirects, fields, basic_auth, error_pages, .. } = &self.config;
        let counts = [
            (redirects.len(), "redirects"),
            (fields.len(), "rules for headers"),
            (basic_auth.len(), "protected areas"),
            (error_pages.len(), "error pages"),
        ];
        counts.map(|(count, what)| format!("{count} {what}")).join(", ")
    }

    /// The names of files that are served for their directory, the first that there is.
    pub fn index(&self) -> &[Vec<u8>] {
        &self.config.index.0
    }

    /// Whether the file of that path is nobody's business: the configuration, and the files of
    /// users.
    pub fn is_secret(&self, path: &[u8]) -> bool {
        path == self.file || self.config.secrets().any(|secret| secret == path)
    }

    /// Who may read the path; everybody when there is no rule.
    pub fn guard(&self, path: &[u8]) -> Option<(&AuthRule, &Rc<Users>)> {
        if self.config.basic_auth.is_empty() {
            return None;
        }
        let names = self.names(path);
        let rule = self.config.basic_auth.iter().find(|rule| names.iter().any(|name| rule.source.is_match(name)))?;
        Some((rule, self.users.get(&rule.users.path)?))
    }

    /// Whether who may read the path may read the file at `other` too, which is to be sent in its
    /// place.
    pub fn may_stand_in(&self, other: &[u8], path: &[u8]) -> bool {
        let rule = |path| self.guard(path).map(|(rule, _)| rule);
        match rule(other) {
            None => true,
            Some(guard) => rule(path).is_some_and(|own| std::ptr::eq(own, guard)),
        }
    }

    /// What pages of other sites may do with what is at the path.
    pub fn cors(&self, path: &[u8]) -> Option<&Cors> {
        let cors = self.config.cors.as_ref()?;
        self.names(path).iter().any(|name| cors.source.is_match(name)).then_some(cors)
    }

    /// What is changed in the response with the file of that path, which only some may read when
    /// it is private.
    pub fn edits(&self, path: &[u8], private: bool) -> Option<Rc<ResponseEdits>> {
        if self.config.fields.is_empty() && !private {
            return None;
        }
        self.edits_of(path, if private { Answered::PrivateFile } else { Answered::File })
    }

    /// What is changed in a response without a file, to a request for that path, or for what no
    /// file can be called: then only rules about all paths hold.
    pub fn edits_without_file(&self, path: Option<&[u8]>) -> Option<Rc<ResponseEdits>> {
        const NOTHING: &[u8] = b"\0";
        let concerns = self.config.fields.iter().any(|rule| rule.every_response);
        if concerns { self.edits_of(path.unwrap_or(NOTHING), Answered::NoFile) } else { None }
    }

    fn edits_of(&self, path: &[u8], answered: Answered) -> Option<Rc<ResponseEdits>> {
        let mut kept = self.edits.borrow_mut();
        let key = (path.to_vec(), answered);
        let edits = match kept.get(&key) {
            Some(edits) => Rc::clone(edits),
            None => {
                let names = self.names(path);
                let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
                let rules = &self.config.fields;
                let edits = Rc::new(match answered {
                    Answered::File => ResponseEdits::of_file(false, rules, &names),
                    Answered::PrivateFile => ResponseEdits::of_file(true, rules, &names),
                    Answered::NoFile => ResponseEdits::without_file(rules, &names),
                });
                if kept.len() >= EDITS_KEPT_MAX {
                    kept.clear();
                }
                kept.insert(key, Rc::clone(&edits));
                edits
            }
        };
        (!edits.is_empty()).then_some(edits)
    }

    /// The fields of every response.
    pub fn always(&self) -> &Lines {
        &self.always
    }

    /// All paths at which the same file is served, each with its slash: a rule about one of them
    /// is about the file.
    fn names(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let plain = ENCODED.iter().find_map(|ending| path.strip_suffix(*ending)).unwrap_or(path);
        let mut names: Vec<Vec<u8>> = Vec::with_capacity(4);
        let mut push = |pieces: &[&[u8]]| {
            let name = [&[&b"/"[..]], pieces].concat().concat();
            if !names.contains(&name) {
                names.push(name);
            }
        };
        push(&[path]);
        push(&[plain]);
        let is_folder = |path: &[u8]| matches!(path.last(), None | Some(b'/'));
        // What the file is called, in the folder or with the ending that the address does without.
        let files: Vec<Vec<u8>> = match () {
            () if is_folder(plain) => self.index().iter().map(|name| [plain, name].concat()).collect(),
            () if self.config.clean_urls && !plain.ends_with(PAGE) => vec![[plain, PAGE].concat()],
            () => vec![plain.to_vec()],
        };
        for file in files {
            push(&[&file]);
            let folders = self.index().iter().filter_map(|name| file.strip_suffix(&name[..]));
            folders.filter(|folder| is_folder(folder)).for_each(|folder| push(&[folder]));
            if self.config.clean_urls
                && let Some(address) = file.strip_suffix(PAGE)
            {
                push(&[address]);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_these_addresses_and_no_others() {
        let check = |clean_urls: bool, path: &str, expected: &[&str]| {
            let config = Config { clean_urls, ..Config::default() };
            let policy = Policy::new(config, BTreeMap::new(), "");
            let mut names = policy.names(path.as_bytes());
            names.sort();
            let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
            assert_eq!(names, expected, "{path}");
        };
        check(false, "", &["/", "/index.html"]);
        check(false, "index.html", &["/", "/index.html"]);
        check(false, "a/", &["/a/", "/a/index.html"]);
        check(false, "a/index.html.gz", &["/a/", "/a/index.html", "/a/index.html.gz"]);
        check(false, "a", &["/a"]);
        check(false, "a.html", &["/a.html"]);
        check(false, "a/myindex.html", &["/a/myindex.html"]);
        check(true, "a", &["/a", "/a.html"]);
        check(true, "a.html.br", &["/a", "/a.html", "/a.html.br"]);
        for path in ["a/", "a/index.html", "a/index"] {
            check(true, path, &["/a/", "/a/index", "/a/index.html"]);
        }
        check(true, "index", &["/", "/index", "/index.html"]);
    }

    #[test]
    fn a_folder_has_the_index_files_that_the_site_names() {
        let check = |clean_urls: bool, path: &str, expected: &[&str]| {
            let index = config::Index(vec![b"home.html".to_vec(), b"index.htm".to_vec()]);
            let config = Config { clean_urls, index, ..Config::default() };
            let policy = Policy::new(config, BTreeMap::new(), "");
            let mut names = policy.names(path.as_bytes());
            names.sort();
            let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
            assert_eq!(names, expected, "{path}");
        };
        check(false, "a/", &["/a/", "/a/home.html", "/a/index.htm"]);
        check(false, "a/index.htm", &["/a/", "/a/index.htm"]);
        check(false, "a/index.html", &["/a/index.html"]);
        check(true, "a/home", &["/a/", "/a/home", "/a/home.html"]);
    }
}
