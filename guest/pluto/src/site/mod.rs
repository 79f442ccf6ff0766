//! From a request to what is sent, in three steps.
//!
//! | step | module |
//! |---|---|
//! | lookup: from a path to the file, the redirect or the error that answers it | here |
//! | the same for a site with a policy | `decision`, [`listing`] |
//! | a page for an error | `error_pages` |
//! | representation: in which forms it is there, what is known about each, and which of them the client gets | [`crate::store::representation`], [`crate::store::digests`] |
//! | a form that the server makes itself | [`crate::store::compression`] |
//! | response: from what was found to status, fields and content | [`respond`] |
//!
//! What is asked for again is kept ([`crate::store::cache`]).

mod decision;
mod error_pages;
pub mod listing;
pub mod load;
pub mod logins;
mod opening;
pub mod respond;

use crate::access;
use crate::limits::PATH_BYTES_MAX;
use crate::options::Options;
use crate::policy::INDEX;
use crate::policy::fields::Edits;
use crate::site::load::{FILE, Room, Rooms, load};
use crate::site::logins::Logins;
use crate::store::cache::{Cache, Keeping, Kept};
use crate::store::compression::Compressor;
use crate::store::digests::Digests;
use crate::store::representation::{About, Choice, Content, Reading, Resource, Sidecars};
use decision::Decision;
use error_pages::{ErrorPages, Missing};
use listing::{Listings, Share};
use opening::Opening;
use pluto_http::encoding::Accepted;
use pluto_http::media::Media;
use pluto_http::request::{Action, Terms};
use pluto_http::response::Lines;
use pluto_http::status::{Fault, Status};
use pluto_http::target::Path;
use pluto_sdk::{Error, File, Kind, Symlinks, error, now, warn};
use std::cell::Cell;
use std::rc::Rc;

/// Why a directory is asked for again.
const ADD_A_SLASH: &str = "This is a directory: its address ends in a slash.";

/// RFC 9110 §15.5.7: the client has excluded what there is, by `identity;q=0`.
const NOT_ACCEPTABLE: Fault = Fault::soft(Status::NotAcceptable, "This file is not there in an accepted encoding.");

/// How files are found beneath the root.
#[derive(Debug)]
pub struct Site {
    symlinks: Symlinks,
    allow_hidden: bool,
    rooms: Rooms,
    logins: Logins,
    listings: Listings,
    error_pages: ErrorPages,
    missing: Missing,
    cache: Cache,
    digests: Digests,
    /// With `--compress`.
    compressor: Option<Compressor>,
    /// That the system has no file to give.
    exhausted: Seldom,
    /// Errors that should not be.
    failed: Seldom,
}

/// The answer to a request, which may have to wait for a file.
#[derive(Debug)]
pub enum Lookup {
    /// What is known already, but for the page of what is missing.
    Known(Found),
    /// That there is nothing, with the page that says so.
    Missing(Found),
    /// What depends on a file. Boxed, as what waits for the host: an answer that is known is moved quickly.
    Opening(Box<Wanted>),
    /// What depends on the files beside one that is kept under this path.
    Encoding(Rc<Resource>, Box<Beside>),
    /// What a policy decides.
    Deciding(Box<Decision>),
}

/// The files beside one that is kept under this path.
#[derive(Debug)]
pub struct Beside {
    path: Vec<u8>,
    sidecars: Sidecars,
}

/// A file that is being opened for a request.
#[derive(Debug)]
pub struct Wanted {
    opening: Opening,
    about: About,
    /// Those beside it.
    sidecars: Sidecars,
    /// When it is one to keep.
    keeping: Option<Keeping>,
}

impl Wanted {
    /// Waits for the file; to be called once.
    async fn file(&mut self) -> Result<File, Error> {
        let opened = match self.opening.file().await {
            // The host opens regular files only; a guest bears any answer.
            Ok(file) if file.metadata().kind != Kind::Regular => Err(Error::NotRegular),
            opened => opened,
        };
        if opened.is_err()
            && let Some(keeping) = self.keeping.take()
        {
            keeping.forget();
        }
        opened
    }
}

impl Lookup {
    /// The answer, if nothing has to be waited for: also no page of the site's own for what is missing.
    pub fn at_once(self) -> Result<Answer, Lookup> {
        match self {
            Lookup::Known(Found::Fault(fault)) if fault.status == Status::NotFound => {
                Err(Lookup::Known(Found::Fault(fault)))
            }
            Lookup::Known(found) | Lookup::Missing(found) => Ok(Answer::plain(found)),
            waits => Err(waits),
        }
    }

    /// Whether the file that answers is kept; nothing when it takes no file.
    pub fn is_kept(&self) -> Option<bool> {
        match self {
            Lookup::Known(Found::File(_)) | Lookup::Encoding(..) => Some(true),
            Lookup::Known(_) | Lookup::Missing(_) => None,
            Lookup::Opening(..) => Some(false),
            Lookup::Deciding(decision) => decision.is_kept(),
        }
    }
}

/// What answers a request, with the fields that the site wants to have in this response besides the server's own.
#[derive(Debug)]
pub struct Answer {
    /// What was found.
    pub found: Found,
    /// Fields that depend on more than the file.
    pub extra: Lines,
    /// What the site's policy changes in a head that is no error's.
    pub edits: Option<Rc<Edits>>,
    /// What a large page takes of what there is for all of them.
    pub share: Option<Share>,
}

impl Answer {
    /// Without anything of the site's own.
    pub fn plain(found: Found) -> Answer {
        Answer { found, extra: Lines::default(), edits: None, share: None }
    }
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
    /// An error, with a page of the site's own.
    ErrorPage(Status, Rc<Content>),
    /// An error.
    Fault(Fault),
}

impl Site {
    /// As the operator wants it now: read at the start, and again at each reload. Every problem of a configuration is
    /// logged; the error is a line for the operator.
    pub async fn load(options: &Options) -> Result<Site, String> {
        let rooms = load(options).await.map_err(|problems| {
            problems.iter().for_each(|problem| error!("{problem}"));
            match problems.len() {
                1 => "the configuration has a problem".to_owned(),
                count => format!("the configuration has {count} problems"),
            }
        })?;
        Ok(Site {
            symlinks: options.symlinks,
            allow_hidden: options.allow_hidden,
            rooms,
            logins: Logins::default(),
            listings: Listings::default(),
            error_pages: ErrorPages::default(),
            missing: Missing::default(),
            cache: Cache::default(),
            digests: Digests::default(),
            compressor: options.compress.then(|| Compressor::new(options.symlinks)),
            exhausted: Seldom::default(),
            failed: Seldom::default(),
        })
    }

    /// What was read, in a few words.
    pub fn summary(&self) -> String {
        self.rooms.summary()
    }

    /// Whether it looks at what a request says besides its target.
    pub fn asks(&self) -> bool {
        !matches!(&self.rooms, Rooms::One(Room { policy: None, .. }))
    }

    /// How many files are kept.
    pub fn files_kept(&self) -> usize {
        self.cache.len()
    }

    /// Looks for the answer to a request. A file is asked for at once, so that several lookups wait together.
    pub fn look_up(&self, action: Action, terms: &Terms) -> Lookup {
        if self.asks() {
            return self.consider(action, terms);
        }
        match action {
            // No file has a longer path, and the request is not to hold it twice.
            Action::Serve(path) if self.is_hidden(&path) || path.bytes().len() > PATH_BYTES_MAX => {
                Lookup::Known(Found::Fault(Fault::NOT_FOUND))
            }
            Action::Serve(path) => {
                let path = with_index(path.into_bytes());
                if let Some(kept) = self.kept(&path, &terms.accepted) {
                    return kept;
                }
                match self.missing.get(&path) {
                    Some(found) => Lookup::Missing(found),
                    None => self.begin(path, &terms.accepted),
                }
            }
            Action::Options => Lookup::Known(Found::Options),
            Action::Refuse(fault) => Lookup::Known(Found::Fault(fault)),
        }
    }

    /// Whether the path is treated as that of nothing. Configurations and users are never served, wherever they are.
    fn is_hidden(&self, path: &Path) -> bool {
        path.is_hidden() && (!self.allow_hidden || is_ours(path))
    }

    /// Opens the file of a path, which for that of a directory is its index, and those beside it.
    fn open(&self, path: Vec<u8>, accepted: &Accepted) -> Lookup {
        let path = with_index(path);
        self.kept(&path, accepted).unwrap_or_else(|| self.begin(path, accepted))
    }

    /// What is known of a file that is kept; one that is due is asked for.
    fn kept(&self, path: &[u8], accepted: &Accepted) -> Option<Lookup> {
        let resource = match self.cache.get(path) {
            Kept::Fresh(resource) => resource,
            Kept::Due(keeping) => return Some(self.ask(path.to_vec(), Some(keeping), accepted)),
            Kept::Nothing => return None,
        };
        Some(match resource.choose(accepted) {
            Choice::Content(content) => Lookup::Known(Found::File(content)),
            Choice::None => Lookup::Known(Found::Fault(NOT_ACCEPTABLE)),
            Choice::Unknown => {
                let sidecars = resource.open_encoded(path, accepted, self.symlinks);
                Lookup::Encoding(resource, Box::new(Beside { path: path.to_vec(), sidecars }))
            }
        })
    }

    /// Asks for a file of which nothing is kept.
    fn begin(&self, path: Vec<u8>, accepted: &Accepted) -> Lookup {
        let keeping = self.cache.begin(&path);
        self.ask(path, keeping, accepted)
    }

    /// Asks for a file, and for those beside it.
    fn ask(&self, path: Vec<u8>, keeping: Option<Keeping>, accepted: &Accepted) -> Lookup {
        let known = keeping.as_ref().and_then(Keeping::known);
        let about = known.as_ref().map_or_else(|| About::new(&path), |known| known.about());
        let is_wanted = |coding| accepted.takes(coding) || known.as_ref().is_some_and(|known| known.knows(coding));
        let sidecars = Sidecars::open(&path, about, self.symlinks, is_wanted);
        let opening = Opening::new(path, self.symlinks, &self.cache);
        Lookup::Opening(Box::new(Wanted { opening, about, sidecars, keeping }))
    }

    /// Waits for the answer to a request.
    pub async fn find(&self, lookup: Lookup, terms: &Terms) -> Answer {
        let mut nothing = None;
        let found = match lookup {
            Lookup::Known(found) => found,
            Lookup::Missing(found) => return Answer::plain(found),
            // Boxed, as everything that is rare: a future is as large as the largest that it waits for.
            Lookup::Deciding(decision) => return Box::pin(self.decide(*decision, terms)).await,
            Lookup::Opening(mut wanted) => match wanted.file().await {
                Ok(file) => Box::pin(self.opened(*wanted, file, &terms.accepted)).await,
                Err(error) => {
                    let Wanted { opening, .. } = *wanted;
                    let is_nothing = matches!(error, Error::NotFound | Error::NotDirectory);
                    nothing = is_nothing.then(|| opening.into_path());
                    self.unopened(error, terms)
                }
            },
            lookup => {
                let found = self.resolve(lookup, &terms.accepted).await;
                found.unwrap_or_else(|error| self.unopened(error, terms))
            }
        };
        let Found::Fault(fault @ Fault { status: Status::NotFound, .. }) = found else { return Answer::plain(found) };
        let found = Box::pin(self.error_page(fault, &Room::default(), false, terms)).await;
        if let Some(path) = nothing {
            self.missing.remember(path, &found);
        }
        Answer::plain(found)
    }

    /// Waits for a file, in a coding that the client accepts.
    async fn resolve(&self, lookup: Lookup, accepted: &Accepted) -> Result<Found, Error> {
        match lookup {
            Lookup::Known(found) => Ok(found),
            Lookup::Encoding(resource, beside) => {
                let Beside { path, sidecars } = *beside;
                let reading = Reading { digests: &self.digests, keep: true, distrust: false };
                Box::pin(resource.learn(sidecars, reading)).await;
                self.cache.reweigh(&path, &resource);
                Ok(self.choose(&resource, accepted).await)
            }
            Lookup::Opening(mut wanted) => {
                let file = wanted.file().await?;
                Ok(Box::pin(self.opened(*wanted, file, accepted)).await)
            }
            // A decision is never part of another, and what is known to be missing is answered by its page.
            Lookup::Deciding(_) | Lookup::Missing(_) => Err(Error::NotFound),
        }
    }

    /// Looks at a file that was opened, keeps it when it is to be kept, and waits for what is beside it.
    async fn opened(&self, wanted: Wanted, file: File, accepted: &Accepted) -> Found {
        let Wanted { opening, about, sidecars, keeping } = wanted;
        let keeping = keeping.and_then(|keeping| keeping.confirm(&file));
        let reading = Reading {
            digests: &self.digests,
            keep: keeping.is_some(),
            distrust: keeping.as_ref().is_some_and(Keeping::distrusts),
        };
        let resource = match keeping.as_ref().and_then(Keeping::known) {
            Some(known) => known,
            None => {
                let mut resource = Resource::new(file, about, reading).await;
                if self.compressor.is_some() {
                    resource = resource.compressible(opening.into_path());
                }
                Rc::new(resource)
            }
        };
        resource.learn(sidecars, reading).await;
        if let Some(keeping) = keeping {
            keeping.keep(&resource);
        }
        self.choose(&resource, accepted).await
    }

    /// What answers a request for a file that cannot be opened.
    fn unopened(&self, error: Error, terms: &Terms) -> Found {
        match error {
            // There is none when the path ends in a slash, and the directory is called like an index file.
            Error::IsDirectory => match terms.directory_location() {
                Some(location) => Found::Redirect { status: Status::MovedPermanently, location, why: ADD_A_SLASH },
                None => Found::Fault(Fault::NOT_FOUND),
            },
            error => Found::Fault(self.fault_of(error, terms)),
        }
    }

    /// The representation that a client gets, when it is known what is beside the file.
    async fn choose(&self, resource: &Resource, accepted: &Accepted) -> Found {
        let mut choice = resource.choose(accepted);
        if matches!(choice, Choice::Unknown)
            && let Some(compressor) = &self.compressor
        {
            // Boxed, as it is rare.
            choice = match Box::pin(resource.compress(compressor)).await {
                Some(content) => Choice::Content(content),
                None => resource.choose_uncompressed(accepted),
            };
        }
        match choice {
            Choice::Content(content) => Found::File(content),
            Choice::Unknown | Choice::None => Found::Fault(NOT_ACCEPTABLE),
        }
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

/// The path of a file: for that of a directory its index.
fn with_index(mut path: Vec<u8>) -> Vec<u8> {
    if matches!(path.last(), None | Some(b'/')) {
        path.extend_from_slice(INDEX);
    }
    path
}

/// Whether a path is that of a configuration or of users.
fn is_ours(path: &Path) -> bool {
    let name = path.bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    name == FILE.as_bytes() || name == b".htpasswd"
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
