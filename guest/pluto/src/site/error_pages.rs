//! Pages of the site's own for errors: those that the configuration names, and `404.html`, in the
//! folder of what is missing or the nearest one above.

use super::answer::Found;
use super::files::{Fetched, Files};
use super::plan::Rules;
use crate::limits::{
    ERROR_PAGE_FOLDERS_MAX, ERROR_PAGES_KEPT_MAX, KEPT_PATH_BYTES_MAX, MISSING_KEPT_MAX, MISSING_KEPT_MILLIS,
};
use crate::policy::hosts::VirtualHost;
use crate::store::representation::Content;
use crate::store::two_generation_map::TwoGenerationMap;
use pluto_http::encoding::Accepted;
use pluto_http::status::{HttpError, Status};
use pluto_http::target::Path;
use pluto_sdk::now;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// The page for what is missing, unless the configuration names another.
const NOT_FOUND_PAGE: &[u8] = b"404.html";

/// Where the pages of folders were found lately: without it each request for what is missing would
/// look again.
#[derive(Debug, Default)]
pub struct ErrorPages(RefCell<BTreeMap<Vec<u8>, Known>>);

#[derive(Debug)]
struct Known {
    /// Nanoseconds since the Unix epoch.
    since: u64,
    page: Option<Vec<u8>>,
}

impl ErrorPages {
    fn get(&self, folder: &[u8]) -> Option<Option<Vec<u8>>> {
        let known = self.0.borrow();
        let known = known.get(folder)?;
        (now().saturating_sub(known.since) < MISSING_KEPT_MILLIS * 1_000_000).then(|| known.page.clone())
    }

    fn set(&self, folder: Vec<u8>, page: Option<Vec<u8>>) {
        let mut known = self.0.borrow_mut();
        if known.len() >= ERROR_PAGES_KEPT_MAX {
            known.clear();
        }
        known.insert(folder, Known { since: now(), page });
    }
}

/// Paths that were found to name nothing, with the page that says so: for a tenth of a second who
/// asks again is told at once. A file that appears meanwhile is seen after that.
#[derive(Debug)]
pub struct Missing(RefCell<TwoGenerationMap<Vec<u8>, Rc<NotFound>>>);

/// A path that names nothing.
#[derive(Debug)]
struct NotFound {
    /// Nanoseconds since the Unix epoch.
    since: u64,
    /// The site's own page, for as long as anybody else holds it. None when it has none.
    page: Option<Weak<Content>>,
}

impl Default for Missing {
    fn default() -> Missing {
        Missing(RefCell::new(TwoGenerationMap::new(MISSING_KEPT_MAX)))
    }
}

impl Missing {
    /// What answers a request for that path, if it was found to name nothing a moment ago.
    pub fn get(&self, path: &[u8]) -> Option<Found> {
        let known = self.0.borrow_mut().get(path)?;
        if now().saturating_sub(known.since) >= MISSING_KEPT_MILLIS * 1_000_000 {
            return None;
        }
        Some(match &known.page {
            None => Found::HttpError(HttpError::NOT_FOUND),
            Some(page) => Found::ErrorPage(Status::NotFound, page.upgrade()?),
        })
    }

    /// Remembers that a path names nothing, by what is answered.
    pub fn remember(&self, path: Vec<u8>, found: &Found) {
        let page = match found {
            Found::HttpError(HttpError::NOT_FOUND) => None,
            Found::ErrorPage(Status::NotFound, page) => Some(Rc::downgrade(page)),
            _ => return,
        };
        if path.len() <= KEPT_PATH_BYTES_MAX {
            let forgotten = self.0.borrow_mut().insert(path, Rc::new(NotFound { since: now(), page }));
            drop(forgotten);
        }
    }
}

/// Whose page an error has, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct PageQuery<'a> {
    /// The site.
    pub site: &'a VirtualHost,
    /// What was asked for, if a file can be called so.
    pub path: Option<&'a Path>,
    /// The client is one of who may read it.
    pub admitted: bool,
}

impl ErrorPages {
    /// What answers a request with an error. An error page that cannot be had is replaced by the
    /// built-in one, so that no error leads to another.
    pub async fn page(&self, files: &Files, rules: &Rules, error: HttpError, query: PageQuery<'_>) -> Found {
        match self.own_page(files, rules, error.status, query).await {
            Some(content) => Found::ErrorPage(error.status, content),
            None => Found::HttpError(error),
        }
    }

    async fn own_page(
        &self,
        files: &Files,
        rules: &Rules,
        status: Status,
        query: PageQuery<'_>,
    ) -> Option<Rc<Content>> {
        let PageQuery { site, path, admitted } = query;
        let named = site.policy.as_ref().and_then(|policy| policy.config.error_pages.get(&status.code()));
        // What the operator names is for everybody: there is no other way to have a page for those
        // who are to log in.
        if let (Some(page), Some(policy)) = (named, &site.policy) {
            if policy.is_secret(&page.path) {
                return None;
            }
            return file(files, [&site.folder, page.path.as_slice()].concat()).await;
        }
        if status != Status::NotFound {
            return None;
        }
        // What is asked for beneath a hidden folder must not be told from what is not there.
        let shown = path.filter(|path| !rules.is_hidden(path)).map_or(&b""[..], Path::bytes);
        let (page, content) = self.nearest(files, &site.folder, parent(shown)).await?;
        // The nearest one is a file like any other.
        let page = &page[site.folder.len()..];
        let may_read = site.policy.as_ref().is_none_or(|policy| match admitted {
            true => policy.may_stand_in(page, shown),
            false => policy.guard(page).is_none(),
        });
        may_read.then_some(content)
    }

    /// The page of the folder, or of the nearest one above, with its path.
    async fn nearest(&self, files: &Files, site: &[u8], folder: &[u8]) -> Option<(Vec<u8>, Rc<Content>)> {
        let key = [site, folder].concat();
        if let Some(known) = self.get(&key) {
            let page = known?;
            return file(files, page.clone()).await.map(|content| (page, content));
        }
        let mut found = None;
        for folder in above(folder) {
            let page = [site, folder, NOT_FOUND_PAGE].concat();
            if let Some(content) = file(files, page.clone()).await {
                found = Some((page, content));
                break;
            }
        }
        self.set(key, found.as_ref().map(|(page, _)| page.clone()));
        found
    }
}

async fn file(files: &Files, path: Vec<u8>) -> Option<Rc<Content>> {
    // As it is: nobody looks for an error in several codings.
    let accepted = Accepted::default();
    match files.wait(files.fetch(path, &accepted), &accepted).await {
        Ok(Fetched::Content(content)) => Some(content),
        Ok(Fetched::NotAcceptable) | Err(_) => None,
    }
}

/// The folder of a path: all before its last name, which may be empty.
fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1)]
}

/// A folder and those above it, the nearest first: at most so many, and always the root.
fn above(folder: &[u8]) -> impl Iterator<Item = &[u8]> {
    let up = |folder: &&[u8]| folder.strip_suffix(b"/").map(|folder| parent(folder).len());
    let chain = std::iter::successors(Some(folder), move |here| up(here).map(|length| &folder[..length]));
    let near = chain.take_while(|folder| !folder.is_empty()).take(ERROR_PAGE_FOLDERS_MAX - 1);
    near.chain(std::iter::once(&folder[..0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_through_from_the_nearest_up() {
        let check = |path: &str, expected: &[&str]| {
            let found: Vec<_> = above(parent(path.as_bytes())).map(String::from_utf8_lossy).collect();
            assert_eq!(found, expected, "{path}");
        };
        check("", &[""]);
        check("a", &[""]);
        check("a/", &["a/", ""]);
        check("a/b/c", &["a/b/", "a/", ""]);
        let deep = "a/".repeat(100);
        assert_eq!(above(deep.as_bytes()).count(), ERROR_PAGE_FOLDERS_MAX);
        assert_eq!(above(deep.as_bytes()).last(), Some(&b""[..]));
    }
}
