//! The site's policy: what its configuration file says.
//!
//! | module | what is in it |
//! |---|---|
//! | [`config`], [`section`] | the file, read with the place of every problem, and compiled |
//! | [`load`] | reads it, and what it names, from beneath the root |
//! | [`glob`] | which paths a rule is about |
//! | [`redirect`], [`fields`], [`cors`] | what rules say |
//! | [`users`], [`password`], [`base64`] | who may log in |
//! | [`logins`] | who has; how much of the server's time a login takes |
//! | [`listing`] | the pages of directories |
//! | [`hosts`] | which folder is a host's |

pub mod base64;
pub mod config;
pub mod cors;
pub mod fields;
pub mod glob;
pub mod hosts;
pub mod listing;
pub mod load;
pub mod logins;
pub mod password;
pub mod redirect;
pub mod section;
pub mod users;

use crate::http::response::Lines;
use crate::limits::EDITS_KEPT_MAX;
use config::{AuthRule, Config};
use fields::{Edits, Field};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use users::Users;

/// What one site's configuration says, with the files that it names read.
#[derive(Debug)]
pub struct Policy {
    /// What the file says.
    pub config: Config,
    users: BTreeMap<Vec<u8>, Users>,
    /// The path of the file itself.
    file: Vec<u8>,
    always: Lines,
    /// What is changed in the responses with a file, by its path, and whether only some may read it.
    edits: RefCell<BTreeMap<EditsKey, Rc<Edits>>>,
}

/// A path, and whether only some may read it.
type EditsKey = (Vec<u8>, bool);

/// Endings of files that hold another file, compressed.
const ENCODED: [&[u8]; 3] = [b".br", b".gz", b".zst"];

/// The file that is served for its directory.
pub const INDEX: &[u8] = b"index.html";

/// What a page's file ends in, which its address need not.
pub const PAGE: &[u8] = b".html";

impl Policy {
    /// With the users of each file that the configuration names, and the path of the configuration.
    pub fn new(config: Config, users: BTreeMap<Vec<u8>, Users>, file: &str) -> Policy {
        let always = Lines::new(config.always.iter().map(Field::parts));
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

    /// Whether the file of that path is nobody's business: the configuration, and the files of users.
    pub fn is_secret(&self, path: &[u8]) -> bool {
        path == self.file || self.config.secrets().any(|secret| secret == path)
    }

    /// Who may read the path; everybody when there is no rule.
    pub fn guard(&self, path: &[u8]) -> Option<(&AuthRule, &Users)> {
        if self.config.basic_auth.is_empty() {
            return None;
        }
        let names = self.names(path);
        let rule = self.config.basic_auth.iter().find(|rule| names.iter().any(|name| rule.source.is_match(name)))?;
        Some((rule, self.users.get(&rule.users)?))
    }

    /// What is changed in the response with the file of that path, which only some may read when it is private.
    pub fn edits(&self, path: &[u8], private: bool) -> Option<Rc<Edits>> {
        if self.config.fields.is_empty() && !private {
            return None;
        }
        let mut kept = self.edits.borrow_mut();
        let key = (path.to_vec(), private);
        let edits = match kept.get(&key) {
            Some(edits) => Rc::clone(edits),
            None => {
                let names = self.names(path);
                let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
                let edits = Rc::new(Edits::collect(private, &self.config.fields, &names));
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

    /// All paths at which the same file is served, each with its slash: a rule about one of them is about the file.
    fn names(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let mut names = vec![[b"/", path].concat()];
        let plain = ENCODED.iter().find_map(|ending| path.strip_suffix(*ending)).unwrap_or(path);
        if plain.len() < path.len() {
            names.push([b"/", plain].concat());
        }
        match plain.strip_suffix(INDEX) {
            Some(folder) if matches!(folder.last(), None | Some(b'/')) => names.push([b"/", folder].concat()),
            _ if matches!(plain.last(), None | Some(b'/')) => names.push([b"/", plain, INDEX].concat()),
            _ if !self.config.clean_urls => (),
            _ => match plain.strip_suffix(PAGE) {
                Some(address) => names.push([b"/", address].concat()),
                None => names.push([b"/", plain, PAGE].concat()),
            },
        }
        names
    }
}
