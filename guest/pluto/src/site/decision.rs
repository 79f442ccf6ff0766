//! Carries out the plan of a site with a configuration: whether this is a user, the file, what
//! stands in for a missing one, and the fields of the answer.

use super::answer::{Answer, Found};
use super::error_pages;
use super::files::Fetch;
use super::listing::Listed;
use super::logins::Login;
use super::parts::Parts;
use super::plan::{self, Immediate, Plan, Route, UNAUTHORIZED, file_of, first_file_of, moved};
use crate::policy::Policy;
use crate::policy::address::{PAGE, clean};
use crate::policy::hosts::VirtualHost;
use crate::policy::users::{Credentials, Users};
use pluto_http::facts::{Accept, RequestFacts};
use pluto_http::request::RequestContext;
use pluto_http::response::Lines;
use pluto_http::status::{HttpError, Status};
use pluto_http::target::{Path, PathAndQuery};
use pluto_sdk::Error;
use std::rc::Rc;

/// A plan that is being carried out.
#[derive(Debug)]
pub struct Decision {
    site: VirtualHost,
    /// Only some may read what it asks for.
    private: bool,
    /// Who has logged in.
    user: Option<String>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Whether this is a user, before anything else.
    LogIn(PathAndQuery, Credentials, Rc<Users>),
    Routed(Routed),
}

/// Where the request leads.
#[derive(Debug)]
enum Routed {
    /// What is known already, about this.
    Known(Found, Option<PathAndQuery>),
    /// The file that this names, which was asked for.
    File(PathAndQuery, Fetch),
}

const BUSY: HttpError =
    HttpError::soft(Status::ServiceUnavailable, "Too many are logging in. Please try again in a moment.");

impl From<Immediate> for Found {
    fn from(immediate: Immediate) -> Found {
        match immediate {
            Immediate::Options => Found::Options,
            Immediate::Redirect(redirect) => Found::Redirect(redirect),
            Immediate::HttpError(error) => Found::HttpError(error),
        }
    }
}

impl Decision {
    /// Begins: asks for the file, when one is needed and may be read.
    pub fn begin(parts: &Parts, plan: Plan, context: &RequestContext) -> Decision {
        let Plan { site, private, step } = plan;
        let mut user = None;
        let step = match step {
            plan::Step::Route(route) => Step::Routed(follow(parts, &site, route, context)),
            plan::Step::LogIn(resource, credentials, users) => match parts.logins.known(&users, &credentials) {
                Some(login) => {
                    user = login.user(credentials);
                    Step::Routed(logged_in(parts, &site, resource, login, context))
                }
                None => Step::LogIn(resource, credentials, users),
            },
        };
        Decision { site, private, user, step }
    }

    /// Whether the file that it needs is kept; nothing when it needs none.
    pub fn is_kept(&self) -> Option<bool> {
        match &self.step {
            Step::Routed(Routed::File(_, fetch)) => fetch.is_kept(),
            Step::Routed(Routed::Known(..)) | Step::LogIn(..) => None,
        }
    }

    /// Waits for the answer.
    pub async fn answer(self, parts: &Parts, context: &RequestContext) -> Answer {
        let Decision { site, private, mut user, step } = self;
        let routed = match step {
            Step::Routed(routed) => routed,
            Step::LogIn(resource, credentials, users) => {
                let login = parts.logins.verify(&users, &credentials).await;
                user = login.user(credentials);
                logged_in(parts, &site, resource, login, context)
            }
        };
        let (mut answer, resource) = match routed {
            Routed::Known(found, resource) => (Answer::plain(found), resource),
            Routed::File(resource, fetch) => {
                let serving = Serving { parts, site: &site, resource: &resource, private, context };
                (serving.serve(fetch).await, Some(resource))
            }
        };
        let path = resource.as_ref().map(|resource| &resource.path);
        if let Found::HttpError(error) = answer.found {
            // Behind a rule only who may read what is there learns that it is not.
            let query = error_pages::PageQuery { site: &site, path, admitted: private };
            answer.found = parts.error_pages.page(&parts.files, &parts.rules, error, query).await;
        }
        if user.is_some() {
            answer.aside.get_or_insert_default().user = user;
        }
        if let Some(policy) = &site.policy {
            answer.edits = answer.edits.or_else(|| policy.edits_without_file(path.map(Path::bytes)));
            answer.extra = extra(policy, &answer, path, context.facts.as_deref());
        }
        answer
    }
}

/// Where a route leads; a file is asked for.
fn follow(parts: &Parts, site: &VirtualHost, route: Route, context: &RequestContext) -> Routed {
    match route {
        Route::Answer(immediate, resource) => Routed::Known(immediate.into(), resource),
        Route::File(resource) => {
            let path = [&site.folder, &*first_file_of(site, &resource.path)].concat();
            let fetch = parts.files.fetch(path, &context.accepted);
            Routed::File(resource, fetch)
        }
    }
}

/// What comes of a login.
fn logged_in(
    parts: &Parts,
    site: &VirtualHost,
    resource: PathAndQuery,
    login: Login,
    context: &RequestContext,
) -> Routed {
    match login {
        Login::Right => follow(parts, site, plan::route(site, resource), context),
        Login::Wrong => Routed::Known(Found::HttpError(UNAUTHORIZED), Some(resource)),
        Login::Busy => Routed::Known(Found::HttpError(BUSY), Some(resource)),
    }
}

/// A request whose file is served, or what stands in for it.
struct Serving<'a> {
    parts: &'a Parts,
    site: &'a VirtualHost,
    resource: &'a PathAndQuery,
    private: bool,
    context: &'a RequestContext,
}

impl Serving<'_> {
    /// The file, or what stands in for it when it is missing.
    async fn serve(&self, fetch: Fetch) -> Answer {
        let Serving { parts, site, resource, private, context } = *self;
        let path = &resource.path;
        let mut name = first_file_of(site, path).into_owned();
        let mut result = parts.files.wait(fetch, &context.accepted).await.map(Found::from);
        let Some(policy) = &site.policy else {
            return Answer::plain(result.unwrap_or_else(|error| self.unopened(error)));
        };
        if path.is_directory() {
            for index in policy.index().iter().skip(1) {
                if !is_missing(&result) {
                    break;
                }
                name = file_of(path, index).into_owned();
                result = self.file(policy, &name).await;
            }
        }
        if policy.config.clean_urls && !path.is_directory() && is_missing(&result) {
            let page = [path.bytes(), PAGE].concat();
            // What was found first decides whether it is a directory.
            if let Ok(found) = self.file(policy, &page).await {
                (result, name) = (Ok(found), page);
            }
        }
        match result {
            // Only what is there has another address: `/a` for `/a.html`, `/` for `/index`.
            Ok(found) => match self.clean_address(policy, &name).await {
                Some(address) => Answer::plain(Found::Redirect(moved(resource, &address))),
                None => with_edits(policy, &name, private, found),
            },
            Err(Error::NotFound) if path.is_directory() && policy.config.directory_listing => {
                let listed = Listed { folder: &site.folder, policy, resource, context };
                match parts.listings.list(&parts.files, &parts.rules, &parts.failures, listed).await {
                    Ok(answer) => Answer { edits: policy.edits(path.bytes(), private), ..answer },
                    Err(error) => self.stand_in(policy, error).await,
                }
            }
            Err(error) => match self.unopened(error) {
                Found::HttpError(error) => self.stand_in(policy, error).await,
                found => Answer::plain(found),
            },
        }
    }

    /// The clean address of a page, when it was asked for by another one. Nothing when something
    /// else is served there: a file that has the name without the ending, or an index file that is
    /// looked for first.
    async fn clean_address(&self, policy: &Policy, name: &[u8]) -> Option<Path> {
        let address =
            clean(name, policy.index()).filter(|address| policy.config.clean_urls && *address != self.resource.path)?;
        if !address.is_directory() {
            return is_missing(&self.file(policy, address.bytes()).await).then_some(address);
        }
        for index in policy.index() {
            let file = file_of(&address, index);
            if *file == *name {
                return Some(address);
            }
            if !is_missing(&self.file(policy, &file).await) {
                break;
            }
        }
        None
    }

    /// The page of a single-page site for what is missing, when a page is asked for: by a browser
    /// that goes there, or at an address that does not look like a file's.
    async fn stand_in(&self, policy: &Policy, error: HttpError) -> Answer {
        let Serving { resource, private, context, .. } = *self;
        let path = &resource.path;
        // `/a/` for `/a`, where there is no such folder but a page.
        if policy.config.clean_urls
            && error.status == Status::NotFound
            && let Some(name) = path.bytes().strip_suffix(b"/")
            && let Some(address) = Path::from_names(name)
            && self.file(policy, &[name, PAGE].concat()).await.is_ok()
            && is_missing(&self.file(policy, name).await)
        {
            return Answer::plain(Found::Redirect(moved(resource, &address)));
        }
        let last = path.bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let accept = context.facts.as_ref().map_or(Accept::default(), |facts| facts.accept);
        let fallback = policy.config.page_fallback.as_ref().map(|page| page.path.as_slice());
        let Some(page) = fallback.filter(|_| error.status == Status::NotFound) else {
            return Answer::plain(Found::HttpError(error));
        };
        let looks_like_a_file = last.contains(&b'.');
        // A program that asks for data is told that there is none.
        let wants_page = if looks_like_a_file { accept.names_html() } else { !accept.prefers_any_json() };
        let found = match wants_page && policy.may_stand_in(page, path.bytes()) {
            true => self.file(policy, page).await.ok(),
            false => None,
        };
        let mut answer = match found {
            Some(found) => with_edits(policy, page, private, found),
            None => Answer::plain(Found::HttpError(error)),
        };
        // RFC 9110 §12.5.5: what the client accepts has decided.
        answer.extra = Lines::new([("Vary", &b"Accept"[..])]);
        answer
    }

    /// The file of a path beneath the site's folder, when it is one that may be served.
    async fn file(&self, policy: &Policy, path: &[u8]) -> Result<Found, Error> {
        if policy.is_secret(path) {
            return Err(Error::NotFound);
        }
        let fetch = self.parts.files.fetch([&self.site.folder, path].concat(), &self.context.accepted);
        self.parts.files.wait(fetch, &self.context.accepted).await.map(Found::from)
    }

    fn unopened(&self, error: Error) -> Found {
        self.parts.failures.answer(error, self.resource, &self.context.line)
    }
}

/// Whether there is no file; a directory of that name is none.
fn is_missing<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::NotFound | Error::IsDirectory))
}

fn with_edits(policy: &Policy, name: &[u8], private: bool, found: Found) -> Answer {
    Answer { edits: policy.edits(name, private), ..Answer::plain(found) }
}

/// Fields of the answer that depend on more than a file: those of every response, what other
/// sites' pages may read, and how to log in.
fn extra(policy: &Policy, answer: &Answer, path: Option<&Path>, facts: Option<&RequestFacts>) -> Lines {
    let mut lines = Vec::new();
    let preflight = facts.is_some_and(|facts| facts.preflight);
    let place = path.map_or(&b""[..], Path::bytes);
    if let Some(cors) = policy.cors(place) {
        cors.write(facts.and_then(|facts| facts.origin.as_deref()), preflight, &mut lines);
    }
    if let (Some(Status::Unauthorized), Some((rule, _))) = (answer.found.error_status(), policy.guard(place)) {
        lines.extend_from_slice(Lines::new([("WWW-Authenticate", rule.challenge.as_bytes())]).bytes());
    }
    if lines.is_empty() && answer.extra.bytes().is_empty() {
        return policy.always().clone();
    }
    Lines::written(&[policy.always().bytes(), answer.extra.bytes(), &lines].concat())
}
