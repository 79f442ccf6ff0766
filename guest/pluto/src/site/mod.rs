//! From a request to what is sent.
//!
//! | step | module |
//! |---|---|
//! | what the operator wants, read | [`load`] |
//! | what is decided before anybody looks at a file | [`plan`] |
//! | a plan of a site with a configuration, carried out | [`decision`] |
//! | who may log in | [`logins`] |
//! | the file, as it is kept ([`crate::store`]) or opened | [`files`], `opening` |
//! | what stands in for a file: a listing, a page for an error | [`listing`], [`error_pages`] |
//! | a file that cannot be opened | [`failures`] |
//! | what answers the request | [`answer`] |
//! | the response: status, fields and content | [`respond`] |
//!
//! [`parts`] has what a site is made of.

pub mod answer;
pub mod decision;
pub mod error_pages;
pub mod failures;
pub mod files;
pub mod listing;
pub mod load;
pub mod logins;
mod opening;
pub mod parts;
pub mod plan;
pub mod respond;

use crate::options::Options;
use crate::policy::address::INDEX;
use crate::policy::hosts::VirtualHost;
use answer::{Answer, Found};
use decision::Decision;
use error_pages::{ErrorPages, Missing};
use failures::Failures;
use files::{Fetch, Fetched, Files};
use listing::Listings;
use logins::Logins;
use parts::Parts;
use plan::{Rules, file_of};
use pluto_http::request::{Action, RequestContext};
use pluto_http::status::{HttpError, Status};
use pluto_http::target::{Path, PathAndQuery};
use pluto_sdk::{Error, error};
use std::rc::Rc;

/// How files are found beneath the root, and what is answered when they are not.
#[derive(Debug)]
pub struct Site {
    parts: Parts,
}

/// The answer to a request, which may have to wait for a file.
#[derive(Debug)]
pub enum Lookup {
    /// What is known already.
    Known(Found),
    /// That there is nothing at this path, which is hidden or too long; without one, at a path
    /// that no file can have. A page of the site's own may say so.
    NotFound(Option<Box<Path>>),
    /// What depends on a file.
    Fetching(Box<Fetching>),
    /// What a site with a configuration decides.
    Deciding(Box<Decision>),
}

/// A file that is fetched for a request.
#[derive(Debug)]
pub struct Fetching {
    resource: PathAndQuery,
    fetch: Fetch,
}

impl Lookup {
    /// The answer, if nothing has to be waited for.
    pub fn at_once(self) -> Result<Answer, Lookup> {
        match self {
            Lookup::Known(found) => Ok(Answer::plain(found)),
            waits => Err(waits),
        }
    }

    /// Whether the file that answers is kept; nothing when it takes no file.
    pub fn is_kept(&self) -> Option<bool> {
        match self {
            Lookup::Known(Found::File(_)) => Some(true),
            Lookup::Known(_) | Lookup::NotFound(_) => None,
            Lookup::Fetching(fetching) => fetching.fetch.is_kept(),
            Lookup::Deciding(decision) => decision.is_kept(),
        }
    }
}

impl Site {
    /// As the operator wants it now: read at the start, and again at each reload. Every problem of
    /// a configuration is logged; the error is a line for the operator.
    pub async fn load(options: &Options) -> Result<Site, String> {
        let sites = load::load(options).await.map_err(|problems| {
            problems.iter().for_each(|problem| error!("{problem}"));
            match problems.len() {
                1 => "the configuration has a problem".to_owned(),
                count => format!("the configuration has {count} problems"),
            }
        })?;
        let sites = Rc::new(sites);
        let parts = Parts {
            rules: Rules::new(Rc::clone(&sites), options.allow_hidden),
            files: Files::new(sites, options),
            logins: Logins::default(),
            listings: Listings::default(),
            error_pages: ErrorPages::default(),
            missing: Missing::default(),
            failures: Failures::default(),
        };
        Ok(Site { parts })
    }

    /// What was read, in a few words.
    pub fn summary(&self) -> String {
        self.parts.rules.summary()
    }

    /// Whether it looks at what a request says besides its target.
    pub fn wants_facts(&self) -> bool {
        !self.parts.rules.is_plain()
    }

    /// How many files are kept.
    pub fn files_kept(&self) -> usize {
        self.parts.files.kept_count()
    }

    /// Looks for the answer to a request. A file is asked for at once, so that several lookups
    /// wait together.
    pub fn look_up(&self, action: Action, context: &RequestContext) -> Lookup {
        if self.wants_facts() {
            return match self.parts.rules.plan(action, context) {
                Ok(plan) => Lookup::Deciding(Box::new(Decision::begin(&self.parts, plan, context))),
                Err(error) => Lookup::Known(Found::HttpError(error)),
            };
        }
        match action {
            Action::Serve(resource) if !self.parts.rules.may_serve(&resource.path) => {
                Lookup::NotFound(Some(Box::new(resource.path)))
            }
            Action::Serve(resource) => self.fetch(resource, context),
            Action::Options => Lookup::Known(Found::Options),
            Action::Refuse(error) if error.status == Status::NotFound => Lookup::NotFound(None),
            Action::Refuse(error) => Lookup::Known(Found::HttpError(error)),
        }
    }

    /// The file that a path names, of a site without a configuration.
    fn fetch(&self, resource: PathAndQuery, context: &RequestContext) -> Lookup {
        let Parts { files, missing, .. } = &self.parts;
        let path = file_of(&resource.path, INDEX);
        let fetch = match files.fetch_kept(&path, &context.accepted) {
            Some(Fetch::Ready(Fetched::Content(content))) => return Lookup::Known(Found::File(content)),
            Some(fetch) => fetch,
            None => match missing.get(&path) {
                Some(found) => return Lookup::Known(found),
                None => files.fetch_anew(path.into_owned(), &context.accepted),
            },
        };
        Lookup::Fetching(Box::new(Fetching { resource, fetch }))
    }

    /// Waits for the answer to a request.
    pub async fn find(&self, lookup: Lookup, context: &RequestContext) -> Answer {
        match lookup {
            Lookup::Known(found) => Answer::plain(found),
            // Boxed, as everything that is rare: a future is as large as the largest that it waits
            // for.
            Lookup::NotFound(path) => Answer::plain(Box::pin(self.not_found(path.as_deref())).await),
            Lookup::Deciding(decision) => Box::pin(decision.answer(&self.parts, context)).await,
            Lookup::Fetching(fetching) => Answer::plain(self.fetched(*fetching, context).await),
        }
    }

    /// Waits for a file of a site without a configuration.
    async fn fetched(&self, Fetching { resource, fetch }: Fetching, context: &RequestContext) -> Found {
        let error = match self.parts.files.wait(fetch, &context.accepted).await {
            Ok(fetched) => return fetched.into(),
            Err(error) => error,
        };
        match self.parts.failures.answer(error, &resource, &context.line) {
            Found::HttpError(HttpError { status: Status::NotFound, .. }) => {
                let found = Box::pin(self.not_found(Some(&resource.path))).await;
                if matches!(error, Error::NotFound | Error::NotDirectory) {
                    self.parts.missing.remember(file_of(&resource.path, INDEX).into_owned(), &found);
                }
                found
            }
            found => found,
        }
    }

    /// What says that there is nothing at a path, of a site without a configuration.
    async fn not_found(&self, path: Option<&Path>) -> Found {
        let Parts { error_pages, files, rules, .. } = &self.parts;
        let query = error_pages::PageQuery { site: &VirtualHost::default(), path, admitted: false };
        error_pages.page(files, rules, HttpError::NOT_FOUND, query).await
    }
}
