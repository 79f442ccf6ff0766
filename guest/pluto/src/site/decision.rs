//! Decides by a site's policy, in this order: which site, who may read, what is elsewhere, the file, what stands in for
//! a missing one, and the fields of the answer.

use super::{Answer, Found, Lookup, Site};
use crate::limits::PATH_BYTES_MAX;
use crate::policy::users::Credentials;
use crate::policy::{INDEX, PAGE, Policy, clean, redirect};
use crate::site::load::Room;
use crate::site::logins::Login;
use pluto_http::asked::Asked;
use pluto_http::request::{Action, Terms};
use pluto_http::response::Lines;
use pluto_http::status::{Fault, Status};
use pluto_http::target::Path;
use pluto_sdk::Error;
use std::rc::Rc;

/// A request that a site's policy decides on.
#[derive(Debug)]
pub struct Decision {
    room: Room,
    step: Step,
    /// Only some may read what it asks for.
    private: bool,
}

#[derive(Debug)]
enum Step {
    /// What is known already.
    Known(Found),
    /// Whether this is a user, before anything else.
    Login(Path, Credentials),
    /// The file at this path, which was asked for.
    File(Path, Lookup),
}

impl Decision {
    /// Whether the file that it needs is kept; nothing when it needs none.
    pub(super) fn is_kept(&self) -> Option<bool> {
        match &self.step {
            Step::File(_, lookup) => lookup.is_kept(),
            Step::Known(_) | Step::Login(..) => None,
        }
    }
}

const MISDIRECTED: Fault = Fault::soft(Status::MisdirectedRequest, "There is no site of this name here.");
const UNAUTHORIZED: Fault = Fault::soft(Status::Unauthorized, "This is only for those who log in.");
const BUSY: Fault = Fault::soft(Status::ServiceUnavailable, "Too many are logging in. Please try again in a moment.");
const MOVED: &str = "It is at another address.";

impl Site {
    /// Decides what can be decided at once, and asks for the file.
    pub(super) fn consider(&self, action: Action, terms: &Terms) -> Lookup {
        let host = terms.asked.as_ref().and_then(|asked| asked.host.as_deref());
        let Some(room) = self.rooms.find(host) else {
            return Lookup::Known(match action {
                Action::Refuse(fault) => Found::Fault(fault),
                _ => Found::Fault(MISDIRECTED),
            });
        };
        let room = room.clone();
        let known = |found| (Step::Known(found), false);
        let (step, private) = match action {
            Action::Serve(path) => self.admit(&room, path, terms),
            Action::Options => known(Found::Options),
            Action::Refuse(fault) if fault.status == Status::MethodNotAllowed => {
                known(self.elsewhere(&room, terms).unwrap_or(Found::Fault(fault)))
            }
            Action::Refuse(fault) => known(Found::Fault(fault)),
        };
        Lookup::Deciding(Box::new(Decision { room, step, private }))
    }

    /// Where a request is sent that writes: what is elsewhere is so for every method (RFC 9110 §15.4), and 307 and 308 are
    /// there for this. Not beneath a rule for who may read, of which nobody was asked.
    fn elsewhere(&self, room: &Room, terms: &Terms) -> Option<Found> {
        let (policy, asked) = (room.policy.as_ref()?, terms.asked.as_ref()?);
        let is_open = |path: &&Path| {
            path.bytes().len() <= PATH_BYTES_MAX && !self.is_hidden(path) && policy.guard(path.bytes()).is_none()
        };
        redirected(policy, asked.path.as_ref().filter(is_open)?, asked.query.as_deref())
    }

    /// Who may read the path, and what follows. Whether only some may.
    fn admit(&self, room: &Room, path: Path, terms: &Terms) -> (Step, bool) {
        let is_secret = |policy: &Rc<Policy>| policy.is_secret(path.bytes());
        // As in `look_up`; and no rule is tried on a longer path.
        let is_too_long = path.bytes().len() > PATH_BYTES_MAX;
        if is_too_long || self.is_hidden(&path) || room.policy.as_ref().is_some_and(is_secret) {
            return (Step::Known(Found::Fault(Fault::NOT_FOUND)), false);
        }
        let Some((_, users)) = room.policy.as_ref().and_then(|policy| policy.guard(path.bytes())) else {
            return (self.route(room, path, terms), false);
        };
        let value = terms.asked.as_ref().and_then(|asked| asked.authorization.as_deref());
        let step = match value.and_then(Credentials::parse) {
            None => Step::Known(Found::Fault(UNAUTHORIZED)),
            Some(credentials) => match self.logins.known(users, &credentials) {
                Some(Login::Right) => self.route(room, path, terms),
                Some(_) => Step::Known(Found::Fault(UNAUTHORIZED)),
                None => Step::Login(path, credentials),
            },
        };
        (step, true)
    }

    /// What is elsewhere, or the file.
    fn route(&self, room: &Room, path: Path, terms: &Terms) -> Step {
        if let Some(policy) = room.policy.as_ref().filter(|policy| !policy.config.redirects.is_empty()) {
            let query = terms.resource();
            let query = query.as_ref().and_then(|(_, query)| *query);
            if let Some(found) = redirected(policy, &path, query) {
                return Step::Known(found);
            }
        }
        let lookup = self.open([room.folder.as_slice(), path.bytes()].concat(), &terms.accepted);
        Step::File(path, lookup)
    }

    /// Waits for the answer.
    pub(super) async fn decide(&self, decision: Decision, terms: &Terms) -> Answer {
        let Decision { room, step, private } = decision;
        let path = terms.resource().map(|(path, _)| path);
        let step = match step {
            Step::Login(path, credentials) => self.log_in(&room, path, &credentials, terms).await,
            step => step,
        };
        let mut answer = match step {
            Step::Known(found) => Answer::plain(found),
            Step::File(path, lookup) => self.serve(&room, &path, lookup, private, terms).await,
            Step::Login(..) => Answer::plain(Found::Fault(UNAUTHORIZED)),
        };
        if let Found::Fault(fault) = answer.found {
            // Behind a rule only who may read what is there learns that it is not.
            answer.found = self.error_page(fault, &room, private, terms).await;
        }
        if let Some(policy) = &room.policy {
            answer.extra = extra(policy, &answer, path.as_ref(), terms.asked.as_deref());
        }
        answer
    }

    async fn log_in(&self, room: &Room, path: Path, credentials: &Credentials, terms: &Terms) -> Step {
        let Some((_, users)) = room.policy.as_ref().and_then(|policy| policy.guard(path.bytes())) else {
            return Step::Known(Found::Fault(UNAUTHORIZED));
        };
        match self.logins.verify(users, credentials).await {
            Login::Right => self.route(room, path, terms),
            Login::Wrong => Step::Known(Found::Fault(UNAUTHORIZED)),
            Login::Busy => Step::Known(Found::Fault(BUSY)),
        }
    }

    /// The file, or what stands in for it when it is missing.
    async fn serve(&self, room: &Room, path: &Path, lookup: Lookup, private: bool, terms: &Terms) -> Answer {
        let mut name = path.bytes().to_vec();
        if path.is_directory() {
            name.extend_from_slice(INDEX);
        }
        let mut result = self.resolve(lookup, &terms.accepted).await;
        let Some(policy) = &room.policy else {
            return Answer::plain(result.unwrap_or_else(|error| self.unopened(error, terms)));
        };
        let is_missing = |result: &Result<_, Error>| matches!(result, Err(Error::NotFound | Error::IsDirectory));
        if policy.config.clean_urls && !path.is_directory() && is_missing(&result) {
            let page = [path.bytes(), PAGE].concat();
            // What was found first decides whether it is a directory.
            if let Ok(found) = self.file_of(room, policy, &page, terms).await {
                (result, name) = (Ok(found), page);
            }
        }
        match result {
            // Only what is there has another address: `/a` for `/a.html`, `/` for `/index`.
            Ok(found) => match clean(&name).filter(|address| policy.config.clean_urls && *address != path.escape()) {
                Some(address) => Answer::plain(moved(address, terms)),
                None => with_edits(policy, &name, private, found),
            },
            Err(Error::NotFound) if path.is_directory() && policy.config.directory_listing => {
                let listed = self.list(&room.folder, path.bytes(), policy, terms).await;
                match listed.found {
                    Found::Fault(fault) => self.stand_in(room, policy, path, fault, private, terms).await,
                    _ => Answer { edits: policy.edits(path.bytes(), private), ..listed },
                }
            }
            Err(error) => match self.unopened(error, terms) {
                Found::Fault(fault) => self.stand_in(room, policy, path, fault, private, terms).await,
                found => Answer::plain(found),
            },
        }
    }

    /// The page of a single-page site for what is missing, when a page is asked for: by a browser that goes there, or
    /// at an address that does not look like a file's.
    async fn stand_in(
        &self,
        room: &Room,
        policy: &Policy,
        path: &Path,
        fault: Fault,
        private: bool,
        terms: &Terms,
    ) -> Answer {
        // `/a/` for `/a`, where there is no such folder but a page.
        if policy.config.clean_urls
            && fault.status == Status::NotFound
            && let Some(name) = path.bytes().strip_suffix(b"/")
            && let Some(address) = Path::from_names(name)
            && self.file_of(room, policy, &[name, PAGE].concat(), terms).await.is_ok()
        {
            return Answer::plain(moved(address.escape(), terms));
        }
        let last = path.bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let names_html = terms.asked.as_ref().is_some_and(|asked| asked.accept.names_html());
        let Some(page) = policy.config.page_fallback.as_ref().filter(|_| fault.status == Status::NotFound) else {
            return Answer::plain(Found::Fault(fault));
        };
        let looks_like_a_file = last.contains(&b'.');
        let found = match (names_html || !looks_like_a_file) && policy.may_stand_in(page, path.bytes()) {
            true => self.file_of(room, policy, page, terms).await.ok(),
            false => None,
        };
        let mut answer = match found {
            Some(found) => with_edits(policy, page, private, found),
            None => Answer::plain(Found::Fault(fault)),
        };
        if looks_like_a_file {
            // RFC 9110 §12.5.5: what the client accepts has decided.
            answer.extra = Lines::new([("Vary", &b"Accept"[..])]);
        }
        answer
    }

    /// The file of a path beneath a folder, when it is one that may be served.
    async fn file_of(&self, room: &Room, policy: &Policy, path: &[u8], terms: &Terms) -> Result<Found, Error> {
        if policy.is_secret(path) {
            return Err(Error::NotFound);
        }
        let lookup = self.open([&room.folder, path].concat(), &terms.accepted);
        self.resolve(lookup, &terms.accepted).await
    }
}

/// What a rule for redirects says of a path.
fn redirected(policy: &Policy, path: &Path, query: Option<&[u8]>) -> Option<Found> {
    let asked = [b"/", path.bytes()].concat();
    let (status, location) = redirect::find(&policy.config.redirects, &asked, query)?;
    Some(Found::Redirect { status, location, why: MOVED })
}

fn with_edits(policy: &Policy, name: &[u8], private: bool, found: Found) -> Answer {
    Answer { edits: policy.edits(name, private), ..Answer::plain(found) }
}

/// The same thing for good at another address, with the query.
fn moved(address: String, terms: &Terms) -> Found {
    Found::Redirect { status: Status::MovedPermanently, location: terms.with_query(address), why: MOVED }
}

/// Fields of the answer that depend on more than a file: those of every response, what other sites' pages may read, and
/// how to log in.
fn extra(policy: &Policy, answer: &Answer, path: Option<&Path>, asked: Option<&Asked>) -> Lines {
    let mut lines = Vec::new();
    let preflight = asked.is_some_and(|asked| asked.preflight);
    // The line of a request that asks for no file may have been cut.
    let path = asked.and_then(|asked| asked.path.as_ref()).or(path);
    let place = path.map_or(&b""[..], Path::bytes);
    if let Some(cors) = policy.cors(place) {
        cors.write(asked.and_then(|asked| asked.origin.as_deref()), preflight, &mut lines);
    }
    let status = match &answer.found {
        Found::Fault(fault) => Some(fault.status),
        Found::ErrorPage(status, _) => Some(*status),
        _ => None,
    };
    if let (Some(Status::Unauthorized), Some((rule, _))) = (status, policy.guard(place)) {
        lines.extend_from_slice(Lines::new([("WWW-Authenticate", rule.challenge.as_bytes())]).bytes());
    }
    if lines.is_empty() && answer.extra.bytes().is_empty() {
        return policy.always().clone();
    }
    Lines::written(&[policy.always().bytes(), answer.extra.bytes(), &lines].concat())
}
