//! Listings: which entries of a directory are shown, and how much of them is on its way at once.

use super::{Answer, Found, Site};
use crate::autoindex::{self, Form, Item, ItemKind, Order};
use crate::limits::{
    LISTING_ENTRIES_MAX, LISTING_REST_NANOS, LISTING_TOO_LARGE_MILLIS, LISTINGS_BYTES_MAX, LISTINGS_TOO_LARGE_KEPT_MAX,
    LISTINGS_WAITING_MAX,
};
use crate::policy::Policy;
use crate::queue::Queue;
use pluto_http::asked::Accept;
use pluto_http::media::{HTML, JSON};
use pluto_http::request::Terms;
use pluto_http::response::Lines;
use pluto_http::status::{Fault, Status};
use pluto_http::target::Path;
use pluto_sdk::fs::{list, open};
use pluto_sdk::{Entry, Error, Kind, Symlinks, now, sleep};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// What all listings together take.
#[derive(Debug, Default)]
pub struct Listings {
    /// One is made at a time, and then there is a rest: the largest takes more time than a thousand files.
    queue: Queue,
    /// Bytes on their way.
    bytes: Rc<Cell<usize>>,
    /// Directories that had too many entries, and when: to find that out takes longer than any listing.
    too_large: RefCell<BTreeMap<Vec<u8>, u64>>,
}

impl Listings {
    fn is_too_large(&self, directory: &[u8]) -> bool {
        let since = self.too_large.borrow().get(directory).copied();
        since.is_some_and(|since| now().saturating_sub(since) < LISTING_TOO_LARGE_MILLIS * 1_000_000)
    }

    /// That a directory has too many entries, as is told to who asked.
    fn remember_too_large(&self, directory: &[u8]) -> Fault {
        let mut too_large = self.too_large.borrow_mut();
        if too_large.len() >= LISTINGS_TOO_LARGE_KEPT_MAX {
            too_large.clear();
        }
        too_large.insert(directory.to_vec(), now());
        TOO_LARGE
    }
}

/// A part of what there is of something, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    taken: Rc<Cell<usize>>,
    size: usize,
}

impl Share {
    /// So much more, unless all together would be more than may be taken.
    pub fn take(of: &Rc<Cell<usize>>, size: usize, max: usize) -> Option<Share> {
        let sum = of.get() + size;
        (sum <= max).then(|| {
            of.set(sum);
            Share { taken: Rc::clone(of), size }
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.taken.set(self.taken.get() - self.size);
    }
}

/// A shorter rest is none: a timer costs as much.
const LISTING_REST_MIN: Duration = Duration::from_millis(1);

/// Too much of it at once.
const BUSY: Fault = Fault::soft(Status::ServiceUnavailable, "Too many directories are being listed. Please try again.");

/// More entries than are listed, or names too long for a page.
const TOO_LARGE: Fault =
    Fault::soft(Status::InternalServerError, "This directory has more entries than can be listed.");

impl Site {
    /// The listing of a directory beneath a folder of the root, at a path that ends in a slash or is that of the root.
    pub(super) async fn list(&self, folder: &[u8], path: &[u8], policy: &Policy, terms: &Terms) -> Answer {
        match self.listed(folder, path, policy, terms).await {
            Ok(answer) => answer,
            Err(fault) => Answer::plain(Found::Fault(fault)),
        }
    }

    async fn listed(&self, folder: &[u8], path: &[u8], policy: &Policy, terms: &Terms) -> Result<Answer, Fault> {
        let full = [folder, path].concat();
        let directory = full.strip_suffix(b"/").unwrap_or(&full);
        // What is opened is a directory, or none; through a link only where those are followed, which a listing always does.
        if !directory.is_empty() {
            match open(directory.to_vec(), self.symlinks).await {
                Err(Error::IsDirectory) => (),
                Ok(_) => return Err(Fault::NOT_FOUND),
                Err(error) => return Err(self.fault_of(error, terms)),
            }
        }
        let place = self.listings.queue.enter(LISTINGS_WAITING_MAX).ok_or(BUSY)?;
        place.wait().await;
        if self.listings.is_too_large(directory) {
            return Err(TOO_LARGE);
        }
        let entries = list(directory.to_vec()).await.map_err(|error| match error {
            Error::TooLarge => self.listings.remember_too_large(directory),
            error => self.fault_of(error, terms),
        })?;
        if entries.len() > LISTING_ENTRIES_MAX {
            return Err(self.listings.remember_too_large(directory));
        }
        let rest = Duration::from_nanos(LISTING_REST_NANOS * entries.len() as u64);
        let items: Vec<Item> = entries.into_iter().filter_map(|entry| self.item(path, entry, policy)).collect();
        let accept = terms.asked.as_ref().map_or(Accept::default(), |asked| asked.accept);
        let (form, media) = if accept.prefers_json() { (Form::Json, JSON) } else { (Form::Html, HTML) };
        let order = Order::parse(terms.resource().and_then(|(_, query)| query));
        let content = autoindex::write(path, items, order, form);
        if rest > LISTING_REST_MIN {
            // An error means that the server is ending.
            let _ = sleep(rest).await;
        }
        let content = content.ok_or(TOO_LARGE)?;
        let share = Share::take(&self.listings.bytes, content.len(), LISTINGS_BYTES_MAX).ok_or(BUSY)?;
        let extra = Lines::new([("Vary", &b"Accept"[..])]);
        Ok(Answer { found: Found::Page { status: Status::Ok, media, content }, extra, edits: None, share: Some(share) })
    }

    /// What is shown of an entry: nothing of what is not served either.
    fn item(&self, path: &[u8], entry: Entry, policy: &Policy) -> Option<Item> {
        let full = [path, &entry.name].concat();
        let kind = match entry.metadata.kind {
            Kind::Directory => ItemKind::Directory,
            Kind::Regular => ItemKind::File,
            Kind::Symlink if self.symlinks == Symlinks::Follow => ItemKind::Link,
            Kind::Symlink | Kind::Other => return None,
        };
        // A path that cannot be asked for is that of no file.
        let asked = Path::from_names(&full)?;
        if self.is_hidden(&asked) || policy.is_secret(&full) {
            return None;
        }
        Some(Item { name: entry.name, kind, size: entry.metadata.size, modified: entry.metadata.modified })
    }
}
