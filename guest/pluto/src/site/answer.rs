//! What answers a request, before it is written as a response.

use crate::policy::fields::ResponseEdits;
use crate::store::budget::Reservation;
use crate::store::representation::Content;
use pluto_http::media::Media;
use pluto_http::response::Lines;
use pluto_http::status::{HttpError, Status};
use std::rc::Rc;

/// What answers a request, with the fields that the site wants to have in this response besides
/// the server's own.
#[derive(Debug)]
pub struct Answer {
    /// What was found.
    pub found: Found,
    /// Fields that depend on more than the file.
    pub extra: Lines,
    /// What the site's policy changes in the head.
    pub edits: Option<Rc<ResponseEdits>>,
    /// What few answers have.
    pub aside: Option<Box<Aside>>,
}

/// What few answers have.
#[derive(Debug, Default)]
pub struct Aside {
    /// What a large page takes of what there is for all of them.
    pub reservation: Option<Reservation>,
    /// Who has logged in.
    pub user: Option<String>,
}

impl Answer {
    /// Without anything of the site's own.
    pub fn plain(found: Found) -> Answer {
        Answer { found, extra: Lines::default(), edits: None, aside: None }
    }
}

/// What was found for a request.
#[derive(Debug)]
pub enum Found {
    /// A file.
    File(Rc<Content>),
    /// It is elsewhere.
    Redirect(Redirect),
    /// A page that is made for this request.
    Page {
        /// What it says.
        status: Status,
        /// What it is.
        media: &'static Media,
        /// All of it.
        content: Vec<u8>,
    },
    /// The methods that are allowed.
    Options,
    /// An error, with a page of the site's own.
    ErrorPage(Status, Rc<Content>),
    /// An error.
    HttpError(HttpError),
}

impl Found {
    /// The status, when it is an error's.
    pub fn error_status(&self) -> Option<Status> {
        match self {
            Found::HttpError(error) => Some(error.status),
            Found::ErrorPage(status, _) => Some(*status),
            Found::File(_) | Found::Redirect(_) | Found::Page { .. } | Found::Options => None,
        }
    }
}

/// Where something is that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// One of those that have a `Location`.
    pub status: Status,
    /// Where: escaped as an address.
    pub location: String,
    /// A sentence for whoever reads the page.
    pub why: &'static str,
}
