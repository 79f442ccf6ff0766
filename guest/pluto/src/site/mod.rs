//! From a request to what is sent, in three steps.
//!
//! | step | module |
//! |---|---|
//! | lookup: from a path to the file, the redirect or the error that answers it | here |
//! | representation: in which forms it is there, what is known about each, and which of them the client gets | [`representation`], [`digests`] |
//! | response: from what was found to status, fields and content | [`response`] |
//!
//! What is asked for again is kept ([`crate::cache`]).

pub mod digests;
mod opening;
pub mod representation;
pub mod response;

use crate::access;
use crate::cache::{Cache, Keeping};
use crate::http::encoding::Accepted;
use crate::http::media::Media;
use crate::http::request::{Action, Terms};
use crate::http::response::Lines;
use crate::http::status::{Fault, Status};
use crate::http::target::Path;
use crate::options::Options;
use digests::Digests;
use opening::Opening;
use pluto_sdk::{Error, File, Kind, Symlinks, error, now, warn};
use representation::{About, Choice, Content, Resource, Sidecars};
use std::cell::Cell;
use std::rc::Rc;

/// The file that is served for its directory.
const INDEX: &[u8] = b"index.html";

/// Why a directory is asked for again.
const ADD_A_SLASH: &str = "This is a directory: its address ends in a slash.";

/// RFC 9110 §15.5.7: the client has excluded what there is, by `identity;q=0`.
const NOT_ACCEPTABLE: Fault = Fault::soft(Status::NotAcceptable, "This file is not there in an accepted encoding.");

/// How files are found beneath the root.
#[derive(Debug)]
pub struct Site {
    symlinks: Symlinks,
    allow_hidden: bool,
    cache: Cache,
    digests: Digests,
    /// That the system has no file to give.
    exhausted: Seldom,
    /// Errors that should not be.
    failed: Seldom,
}

/// The answer to a request, which may have to wait for a file.
#[derive(Debug)]
pub enum Lookup {
    /// What is known already.
    Known(Found),
    /// What depends on this file, which may be one to keep, and on those beside it.
    Opening(Opening, About, Sidecars, Option<Keeping>),
    /// What depends on the files beside one that is kept.
    Encoding(Rc<Resource>, Sidecars),
}

/// What answers a request, with the fields that the site wants to have in this response besides the server's own.
#[derive(Debug)]
pub struct Answer {
    /// What was found.
    pub found: Found,
    /// Fields that depend on more than the file.
    pub extra: Lines,
}

/// What was found for a request.
#[derive(Debug)]
pub enum Found {
    /// A file.
    File(Rc<Content>),
    /// It is elsewhere.
    Redirect {
        /// One of those that have a `Location`.
        status: Status,
        /// Where: a path on this host, escaped as one.
        location: String,
        /// A sentence for whoever reads the page.
        why: &'static str,
    },
    /// A page that is made for this request.
    Page {
        /// What it says.
        status: Status,
        /// What it is.
        media: Media,
        /// All of it.
        content: Vec<u8>,
    },
    /// The methods that are allowed.
    Options,
    /// An error.
    Fault(Fault),
}

impl Site {
    /// As the operator wants it now: read at the start, and again at each reload. The error is a line for the operator.
    pub async fn load(options: &Options) -> Result<Site, String> {
        Ok(Site::new(options))
    }

    fn new(options: &Options) -> Site {
        Site {
            symlinks: options.symlinks,
            allow_hidden: options.allow_hidden,
            cache: Cache::default(),
            digests: Digests::default(),
            exhausted: Seldom::default(),
            failed: Seldom::default(),
        }
    }

    /// How many files are kept.
    pub fn files_kept(&self) -> usize {
        self.cache.len()
    }

    /// Looks for the answer to a request of a client that accepts these codings. Files are asked for at once, so that
    /// several lookups wait together.
    pub fn look_up(&self, action: Action, accepted: &Accepted) -> Lookup {
        match action {
            Action::Serve(path) if path.is_hidden() && !self.allow_hidden => {
                Lookup::Known(Found::Fault(Fault::NOT_FOUND))
            }
            Action::Serve(path) => self.open(path, accepted),
            Action::Options => Lookup::Known(Found::Options),
            Action::Refuse(fault) => Lookup::Known(Found::Fault(fault)),
        }
    }

    fn open(&self, path: Path, accepted: &Accepted) -> Lookup {
        let is_directory = path.is_directory();
        let mut path = path.into_bytes();
        if is_directory {
            path.extend_from_slice(INDEX);
        }
        if let Some(resource) = self.cache.get(&path) {
            return match resource.choose(accepted) {
                Choice::Content(content) => Lookup::Known(Found::File(content)),
                Choice::None => Lookup::Known(Found::Fault(NOT_ACCEPTABLE)),
                Choice::Unknown => {
                    let sidecars = resource.open_encoded(&path, accepted, self.symlinks);
                    Lookup::Encoding(resource, sidecars)
                }
            };
        }
        let keeping = self.cache.begin(&path);
        let about = About::new(&path);
        let sidecars = Sidecars::open(&path, about, accepted, self.symlinks, |_| true);
        Lookup::Opening(Opening::new(path, self.symlinks, &self.cache), about, sidecars, keeping)
    }

    /// Waits for the answer to a request.
    pub async fn find(&self, lookup: Lookup, terms: &Terms) -> Answer {
        Answer { found: self.found(lookup, terms).await, extra: Lines::default() }
    }

    async fn found(&self, lookup: Lookup, terms: &Terms) -> Found {
        match lookup {
            Lookup::Known(found) => found,
            Lookup::Encoding(resource, sidecars) => {
                resource.learn(sidecars, &self.digests, true).await;
                chosen(&resource, &terms.accepted)
            }
            Lookup::Opening(opening, about, sidecars, keeping) => match opening.file().await {
                // The host opens regular files only; a guest bears any answer.
                Ok(file) if file.metadata().kind == Kind::Regular => {
                    self.represent(file, about, sidecars, keeping, &terms.accepted).await
                }
                Ok(_) => Found::Fault(Fault::NOT_FOUND),
                // There is none when the path ends in a slash, and the directory is called like an index file.
                Err(Error::IsDirectory) => match terms.directory_location() {
                    Some(location) => Found::Redirect { status: Status::MovedPermanently, location, why: ADD_A_SLASH },
                    None => Found::Fault(Fault::NOT_FOUND),
                },
                Err(error) => Found::Fault(self.fault_of(error, terms)),
            },
        }
    }

    async fn represent(
        &self,
        file: File,
        about: About,
        sidecars: Sidecars,
        keeping: Option<Keeping>,
        accepted: &Accepted,
    ) -> Found {
        let keep = keeping.is_some();
        let resource = Rc::new(Resource::new(file, about, &self.digests, keep).await);
        resource.learn(sidecars, &self.digests, keep).await;
        if let Some(keeping) = keeping {
            keeping.keep(Rc::clone(&resource));
        }
        chosen(&resource, accepted)
    }

    /// What a client is told when a file cannot be opened.
    fn fault_of(&self, error: Error, terms: &Terms) -> Fault {
        match error {
            // What is outside of the root, too long, a link that is not followed or no file: nothing of the site.
            Error::NotFound
            | Error::NotDirectory
            | Error::IsDirectory
            | Error::NotRegular
            | Error::NotPermitted
            | Error::Symlink
            | Error::Invalid => Fault::NOT_FOUND,
            Error::AccessDenied => Fault::soft(Status::Forbidden, "This file is not for everybody."),
            Error::Exhausted => {
                if self.exhausted.is_due() {
                    warn!("no file can be opened now: {error} ({})", access::quoted(&terms.line));
                }
                Fault::soft(Status::ServiceUnavailable, "The server is very busy. Please try again in a moment.")
            }
            _ => {
                if self.failed.is_due() {
                    error!("a file cannot be opened: {error} ({})", access::quoted(&terms.line));
                }
                Fault::soft(Status::InternalServerError, "The file could not be read.")
            }
        }
    }
}

/// The representation that a client gets, when everything is known that it depends on.
fn chosen(resource: &Resource, accepted: &Accepted) -> Found {
    match resource.choose(accepted) {
        Choice::Content(content) => Found::File(content),
        Choice::Unknown | Choice::None => Found::Fault(NOT_ACCEPTABLE),
    }
}

/// Something that the operator is told once a second, however often it happens: the access log has the rest.
#[derive(Debug, Default)]
struct Seldom {
    /// The second in which it was told last.
    told: Cell<Option<u64>>,
}

impl Seldom {
    fn is_due(&self) -> bool {
        let second = now() / 1_000_000_000;
        self.told.replace(Some(second)) != Some(second)
    }
}
