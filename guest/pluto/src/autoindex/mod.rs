//! The listing of a directory as it is written: a page for people, JSON for programs.

mod html;
mod item;
mod json;

use crate::limits::{LISTING_BYTES_MAX, LISTING_ENTRIES_MAX};

pub use item::{Item, ItemKind, Order, Target};

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A page.
    Html,
    /// An array of objects.
    Json,
}

/// Writes a listing of the directory at this path, which ends in a slash unless it is the root;
/// nothing when it has more entries, or takes more bytes, than are sent.
pub fn write(path: &[u8], mut items: Vec<Item>, order: Order, form: Form) -> Option<Vec<u8>> {
    if items.len() > LISTING_ENTRIES_MAX {
        return None;
    }
    order.sort(&mut items);
    let text = match form {
        Form::Html => html::write(path, &items, order),
        Form::Json => json::write(&items),
    };
    (text.len() <= LISTING_BYTES_MAX).then(|| text.into_bytes())
}

#[cfg(test)]
mod tests;
