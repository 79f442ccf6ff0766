//! The listing of a directory as it is written: a page for people, JSON for programs.

mod html;
mod item;
mod json;

use crate::limits::{LISTING_BYTES_MAX, LISTING_JSON_BYTES_MAX};

pub use item::{Item, ItemKind, Order, Page, Target, after, next_page};

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A page.
    Html,
    /// An array of objects.
    Json,
}

/// Writes a page of the listing of the directory at this path, which ends in a slash unless it is
/// the root. Where the names are too long for a page, it has fewer entries than were given.
pub fn write(path: &[u8], mut page: Page, order: Order, form: Form) -> (Vec<u8>, Option<Vec<u8>>) {
    page.items.sort_by(|a, b| a.name.cmp(&b.name));
    loop {
        let mut items = page.items.clone();
        order.sort(&mut items);
        let (text, bytes_max) = match form {
            Form::Html => (html::write(path, &items, order, &page), LISTING_BYTES_MAX),
            Form::Json => (json::write(&items), LISTING_JSON_BYTES_MAX),
        };
        if text.len() <= bytes_max || items.len() <= 1 {
            return (text.into_bytes(), page.next);
        }
        // The second attempt nearly always fits.
        let fewer = items.len() * bytes_max / text.len() * 9 / 10;
        page.items.truncate(fewer.max(1));
        page.next = page.items.last().map(|item| item.name.clone());
    }
}

#[cfg(test)]
mod tests;
