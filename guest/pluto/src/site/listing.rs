//! Listings: which entries of a directory are shown, and how much of them is on its way at once.

use super::answer::{Answer, Aside, Found};
use super::failures::{Failures, is_nothing};
use super::files::Files;
use super::plan::Rules;
use crate::autoindex::{self, Form, Item, ItemKind, Order, Page, Target};
use crate::limits::{
    LISTING_ENTRIES_MAX, LISTING_JSON_ENTRIES_MAX, LISTING_LINKS_AT_ONCE, LISTING_LINKS_MAX, LISTING_REST_NANOS,
    LISTINGS_BYTES_MAX, LISTINGS_WAITING_MAX,
};
use crate::policy::Policy;
use crate::queue::Queue;
use crate::store::budget::Budget;
use pluto_http::facts::Accept;
use pluto_http::media::{HTML, JSON};
use pluto_http::request::RequestContext;
use pluto_http::response::Lines;
use pluto_http::status::{HttpError, Status};
use pluto_http::target::{Path, PathAndQuery};
use pluto_sdk::fs::{list_page, open};
use pluto_sdk::{Entry, Error, Kind, Symlinks, now, sleep};
use std::time::Duration;

/// What all listings together take.
#[derive(Debug)]
pub struct Listings {
    /// One is made at a time, and then there is a rest: the largest takes more time than a
    /// thousand files.
    queue: Queue,
    /// For what is on its way.
    budget: Budget,
}

impl Default for Listings {
    fn default() -> Listings {
        Listings { queue: Queue::default(), budget: Budget::new(LISTINGS_BYTES_MAX) }
    }
}

/// A shorter rest is none: a timer costs as much.
const LISTING_REST_MIN: Duration = Duration::from_millis(1);

/// Too much of it at once.
const BUSY: HttpError =
    HttpError::soft(Status::ServiceUnavailable, "Too many directories are being listed. Please try again.");

/// What is listed, and how.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The folder of the site.
    pub folder: &'a [u8],
    /// What it says of what is nobody's business.
    pub policy: &'a Policy,
    /// The directory beneath it: a path that ends in a slash or is that of the root.
    pub resource: &'a PathAndQuery,
    /// Of the request.
    pub context: &'a RequestContext,
}

impl Listings {
    /// The listing of a directory.
    pub async fn list(
        &self,
        files: &Files,
        rules: &Rules,
        failures: &Failures,
        listed: Listed<'_>,
    ) -> Result<Answer, HttpError> {
        let Listed { folder, policy, resource, context } = listed;
        let error_of = |error| failures.error(error, &context.line);
        let path = resource.path.bytes();
        let full = [folder, path].concat();
        let directory = full.strip_suffix(b"/").unwrap_or(&full);
        // What is opened is a directory, or none; through a link only where those are followed,
        // which a listing always does.
        if !directory.is_empty() {
            match open(directory.to_vec(), files.symlinks()).await {
                Err(Error::IsDirectory) => (),
                Ok(_) => return Err(HttpError::NOT_FOUND),
                Err(error) => return Err(error_of(error)),
            }
        }
        let place = self.queue.enter(LISTINGS_WAITING_MAX).ok_or(BUSY)?;
        place.wait().await;
        let accept = context.facts.as_ref().map_or(Accept::default(), |facts| facts.accept);
        let (form, media) = if accept.prefers_json() { (Form::Json, &JSON) } else { (Form::Html, &HTML) };
        let begin = now();
        let after = autoindex::after(resource.query.as_deref());
        let (entries, next) = read(directory, &after, form).await.map_err(error_of)?;
        let rest = Duration::from_nanos((LISTING_REST_NANOS * entries.len() as u64).max(now() - begin));
        let item = |entry| item(entry, path, files.symlinks(), rules, policy);
        let mut items: Vec<Item> = entries.into_iter().filter_map(item).collect();
        follow_links(&full, &mut items).await;
        let order = Order::parse(resource.query.as_deref());
        let (content, next) = autoindex::write(path, Page { items, after, next }, order, form);
        if rest > LISTING_REST_MIN {
            // An error means that the server is ending.
            let _ = sleep(rest).await;
        }
        let reservation = Some(self.budget.reserve(content.len()).ok_or(BUSY)?);
        let aside = Some(Box::new(Aside { reservation, user: None }));
        // RFC 8288: where a program goes on.
        let link = next.map(|next| format!("<{}>; rel=\"next\"", autoindex::next_page(&next, order)));
        let link = link.iter().map(|link| ("Link", link.as_bytes()));
        let extra = Lines::new([("Vary", &b"Accept"[..])].into_iter().chain(link));
        Ok(Answer { found: Found::Page { status: Status::Ok, media, content }, extra, edits: None, aside })
    }
}

/// The entries of a directory after a name, as many as a listing of this form shows at once; and
/// the name after which there are more.
async fn read(directory: &[u8], after: &[u8], form: Form) -> Result<(Vec<Entry>, Option<Vec<u8>>), Error> {
    let entries_max = match form {
        Form::Html => LISTING_ENTRIES_MAX,
        Form::Json => LISTING_JSON_ENTRIES_MAX,
    };
    // One more, to know whether there are more.
    let wanted = u32::try_from(entries_max + 1).unwrap_or(u32::MAX);
    let mut entries = list_page(directory.to_vec(), after, wanted).await?;
    if entries.len() <= entries_max {
        return Ok((entries, None));
    }
    entries.truncate(entries_max);
    let next = entries.last().map(|entry| entry.name.clone());
    Ok((entries, next))
}

/// Finds out where the links in a directory lead, of which there may be many: some at a time, and
/// of no more than so many.
async fn follow_links(directory: &[u8], items: &mut [Item]) {
    let mut links: Vec<&mut Item> =
        items.iter_mut().filter(|item| matches!(item.kind, ItemKind::Link(_))).take(LISTING_LINKS_MAX).collect();
    for links in links.chunks_mut(LISTING_LINKS_AT_ONCE) {
        let opening: Vec<_> =
            links.iter().map(|item| open([directory, &item.name].concat(), Symlinks::Follow)).collect();
        for (item, opening) in links.iter_mut().zip(opening) {
            let target = match opening.await {
                Ok(file) => {
                    (item.size, item.modified) = (file.metadata().size, file.metadata().modified);
                    Target::File
                }
                Err(Error::IsDirectory) => Target::Directory,
                Err(error) if is_nothing(error) => Target::Nothing,
                Err(_) => Target::Unknown,
            };
            item.kind = ItemKind::Link(target);
        }
    }
}

/// What is shown of an entry of the directory at a path: nothing of what is not served either.
fn item(entry: Entry, path: &[u8], symlinks: Symlinks, rules: &Rules, policy: &Policy) -> Option<Item> {
    let full = [path, &entry.name].concat();
    let kind = match entry.metadata.kind {
        Kind::Directory => ItemKind::Directory,
        Kind::Regular => ItemKind::File,
        Kind::Symlink if symlinks == Symlinks::Follow => ItemKind::Link(Target::Unknown),
        Kind::Symlink | Kind::Other => return None,
    };
    // A path that cannot be asked for is that of no file.
    let shown = Path::from_names(&full)?;
    if rules.is_hidden(&shown) || policy.is_secret(&full) {
        return None;
    }
    Some(Item { name: entry.name, kind, size: entry.metadata.size, modified: entry.metadata.modified })
}
