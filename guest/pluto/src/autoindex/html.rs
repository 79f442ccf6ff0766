//! A listing for people: one page that loads nothing, in light and dark, for wide screens and
//! narrow ones, sorted by links.

use super::item::{Item, ItemKind, Key, Order, Page, Target, next_page, push_time, push_url};
use pluto_http::page::escape;
use std::fmt::Write;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>"#;

/// The icons are masks, so that they take the colour of what is beside them.
const STYLE: &str = r#"</title>
<style>
:root { color-scheme: light dark; --ink: #1d2129; --soft: #667085; --line: #e6e8ec; --over: #f4f6fa; --link: #1d4ed8; --ground: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #929bab; --line: #2a2f3a; --over: #1c212b; --link: #8fb4ff; --ground: #12151c } }
* { box-sizing: border-box }
body { font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { font-size: 1.3rem; font-weight: 600; margin: 0 0 1.5rem; overflow-wrap: anywhere; line-height: 1.4 }
h1 a { font-weight: 400; color: var(--soft) }
h1 i { font-style: normal; font-weight: 300; color: var(--soft); margin: 0 .3em }
a { color: var(--link); text-decoration: none }
a:hover { text-decoration: underline }
table { width: 100%; border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-bottom: 1px solid var(--line) }
th { font-size: .8rem; font-weight: 500; white-space: nowrap }
th a { color: var(--soft) }
th[aria-sort] a { color: var(--ink); font-weight: 600 }
th[aria-sort] a::after { content: " \2191" }
th[aria-sort=descending] a::after { content: " \2193" }
tbody tr:hover { background: var(--over) }
td { overflow-wrap: anywhere }
td + td, th + th { width: 1%; padding-left: 1.5rem; text-align: right; white-space: nowrap; color: var(--soft); font-variant-numeric: tabular-nums }
td:first-child { padding-left: 2.4rem; position: relative }
td:first-child::before { content: ""; position: absolute; left: .6rem; top: .68rem; width: 1.15rem; height: 1.15rem; background: var(--soft); -webkit-mask: var(--icon) center/contain no-repeat; mask: var(--icon) center/contain no-repeat }
tr { --icon: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23000' stroke-width='1.8' stroke-linejoin='round'%3E%3Cpath d='M6 3h8l5 5v13H6zM14 3v5h5'/%3E%3C/svg%3E") }
.d { --icon: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath d='M3 6a2 2 0 0 1 2-2h4l2.5 2.5H19a2 2 0 0 1 2 2V18a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z'/%3E%3C/svg%3E") }
.d td:first-child::before { background: var(--link); opacity: .75 }
.l { --icon: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23000' stroke-width='1.8' stroke-linecap='round' stroke-linejoin='round'%3E%3Cpath d='M10 14 19 5M12 5h7v7M17 15v5H4V7h5'/%3E%3C/svg%3E") }
.u { --icon: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23000' stroke-width='1.8' stroke-linecap='round' stroke-linejoin='round'%3E%3Cpath d='M8 5 4 9l4 4M4 9h11a5 5 0 0 1 0 10h-3'/%3E%3C/svg%3E") }
p { color: var(--soft); font-size: .85rem; margin: 1rem .6rem }
@media (max-width: 36rem) { body { padding-top: 1.5rem } td:last-child, th:last-child { display: none } td + td, th + th { padding-left: .75rem } }
</style>
"#;

/// Writes a page of a directory: its entries, already sorted, and the way to its other pages.
pub fn write(path: &[u8], items: &[Item], order: Order, page: &Page) -> String {
    let mut out = String::with_capacity(HEAD.len() + STYLE.len() + 600 + 220 * items.len());
    let shown = visible(&String::from_utf8_lossy(path));
    out.push_str(HEAD);
    out.push('/');
    out.push_str(&escape(&shown));
    out.push_str(STYLE);
    push_breadcrumbs(&mut out, &shown);
    out.push_str("<table>\n<thead><tr>");
    for (key, name, label) in [(Key::Name, "name", "Name"), (Key::Size, "size", "Size"), (Key::Date, "date", "Changed")]
    {
        push_heading(&mut out, order, key, name, label);
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    if !path.is_empty() {
        out.push_str("<tr class=\"u\"><td><a href=\"../\">..</a></td><td></td><td></td></tr>\n");
    }
    items.iter().for_each(|item| push_row(&mut out, item));
    out.push_str("</tbody>\n</table>\n<p>");
    let is_whole = page.after.is_empty() && page.next.is_none();
    let _ = match items.len() {
        0 if is_whole => write!(out, "This directory is empty."),
        0 => write!(out, "There are no more entries."),
        1 => write!(out, "1 entry, its time in UTC"),
        count => write!(out, "{count} entries, times in UTC"),
    };
    out.push_str("</p>\n");
    if !is_whole {
        push_pages(&mut out, order, page);
    }
    out
}

/// Links to the first page and to the next one.
fn push_pages(out: &mut String, order: Order, page: &Page) {
    out.push_str("<p>");
    if !page.after.is_empty() {
        let _ = write!(out, "<a href=\"{}\" rel=\"first\">First page</a>", escape(&format!("?{}", order.query())));
    }
    if let Some(next) = &page.next {
        let between = if page.after.is_empty() { "" } else { " &middot; " };
        let _ = write!(out, "{between}<a href=\"{}\" rel=\"next\">Next page</a>", escape(&next_page(next, order)));
    }
    out.push_str("</p>\n");
}

/// Every directory above is a link; relative ones, so that they hold behind any proxy.
fn push_breadcrumbs(out: &mut String, path: &str) {
    let names: Vec<&str> = path.split_terminator('/').collect();
    out.push_str("<h1>");
    for (index, name) in ["Home"].iter().chain(&names).enumerate() {
        let above = names.len() - index;
        if index > 0 {
            out.push_str("<i>/</i>");
        }
        let _ = match above {
            0 => write!(out, "{}", escape(name)),
            _ => write!(out, "<a href=\"{}\">{}</a>", "../".repeat(above), escape(name)),
        };
    }
    out.push_str("</h1>\n");
}

/// A link that sorts by a column; the other way round when it is sorted by that already.
fn push_heading(out: &mut String, order: Order, key: Key, name: &str, label: &str) {
    let (now, next) = match (order.key == key, order.descending) {
        (false, _) => ("", "asc"),
        (true, false) => (" aria-sort=\"ascending\"", "desc"),
        (true, true) => (" aria-sort=\"descending\"", "asc"),
    };
    let _ = write!(out, "<th{now}><a href=\"?sort={name}&amp;order={next}\">{label}</a></th>");
}

fn push_row(out: &mut String, item: &Item) {
    let class = match item.kind {
        ItemKind::Directory => " class=\"d\"",
        ItemKind::File => "",
        ItemKind::Link(_) => " class=\"l\"",
    };
    let slash = if item.is_directory() { "/" } else { "" };
    let shown = escape(&visible(&String::from_utf8_lossy(&item.name))).into_owned();
    let _ = write!(out, "<tr{class}><td>");
    if item.kind == ItemKind::Link(Target::Nothing) {
        let _ = write!(out, "<s>{shown}</s> leads nowhere");
    } else {
        out.push_str("<a href=\"");
        push_url(out, item);
        let _ = write!(out, "\">{shown}{slash}</a>");
    }
    out.push_str("</td><td>");
    if item.has_size() {
        push_size(out, item.size);
    }
    out.push_str("</td><td><time datetime=\"");
    let mut time = String::new();
    push_time(&mut time, item.modified);
    let _ = writeln!(out, "{time}\">{} {}</time></td></tr>", &time[..10], &time[11..16]);
}

/// Control characters, and those that turn the direction of what follows, as a picture of
/// themselves: a name must not look like another one.
fn visible(name: &str) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    name.chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect()
}

/// A size in bytes, with three digits and the unit.
fn push_size(out: &mut String, bytes: u64) {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        let _ = write!(out, "{bytes} B");
        return;
    }
    // In tenths of the unit, rounded.
    let (mut unit, mut scale) = (0, 1_000_u128);
    while (u128::from(bytes) * 10 + scale / 2) / scale >= 9_995 {
        unit += 1;
        scale *= 1_000;
    }
    let tenths = (u128::from(bytes) * 10 + scale / 2) / scale;
    let _ = match tenths {
        0..100 => write!(out, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
        _ => write!(out, "{} {}", (tenths + 5) / 10, UNITS[unit]),
    };
}

#[cfg(test)]
mod tests {
    use super::push_size;

    #[test]
    fn a_size_is_rounded() {
        let check = |bytes: u64, expected: &str| {
            let mut out = String::new();
            push_size(&mut out, bytes);
            assert_eq!(out, expected);
        };
        check(0, "0 B");
        check(999, "999 B");
        check(1_000, "1.0 kB");
        check(1_049, "1.0 kB");
        check(1_050, "1.1 kB");
        check(9_949, "9.9 kB");
        check(9_999, "10 kB");
        check(999_449, "999 kB");
        check(999_450, "1.0 MB");
        check(1_234_567_890, "1.2 GB");
        check(u64::MAX, "18 EB");
    }
}
