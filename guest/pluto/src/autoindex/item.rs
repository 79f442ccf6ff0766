//! The entries of a listing, their order, and how their addresses and times are written.

use std::fmt::Write;

/// An entry of a directory that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name, which need not be UTF-8.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: ItemKind,
    /// In bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since the Unix epoch.
    pub modified: i64,
}

impl Item {
    /// Whether its address has a slash at its end.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.kind, ItemKind::Directory | ItemKind::Link(Target::Directory))
    }

    /// Whether its size is known.
    pub(super) fn has_size(&self) -> bool {
        matches!(self.kind, ItemKind::File | ItemKind::Link(Target::File))
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link(Target),
}

/// Where a symbolic link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// To a directory.
    Directory,
    /// To a file, whose size and time the entry has.
    File,
    /// To nothing that is served: who follows it is answered 404.
    Nothing,
    /// That was not looked at.
    Unknown,
}

/// A part of a directory, which a listing shows.
#[derive(Debug)]
pub struct Page {
    /// The entries, in any order.
    pub items: Vec<Item>,
    /// The name after which the page begins. Empty: it is the first one.
    pub after: Vec<u8>,
    /// The name after which the next page begins; none when this is the last one.
    pub next: Option<Vec<u8>>,
}

/// How a listing is sorted: by `?sort=name|size|date&order=asc|desc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    pub(super) key: Key,
    pub(super) descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Name,
    Size,
    Date,
}

impl Order {
    /// That which a query asks for; by name when it asks for none. What is not known is ignored,
    /// as in every query.
    pub fn parse(query: Option<&[u8]>) -> Order {
        let mut order = Order { key: Key::Name, descending: false };
        for pair in query.unwrap_or_default().split(|&byte| byte == b'&') {
            match pair {
                b"sort=name" => order.key = Key::Name,
                b"sort=size" => order.key = Key::Size,
                b"sort=date" => order.key = Key::Date,
                b"order=desc" => order.descending = true,
                b"order=asc" => order.descending = false,
                _ => (),
            }
        }
        order
    }

    /// As a query, with another key or direction than the usual one.
    pub(super) fn query(self) -> &'static str {
        match (self.key, self.descending) {
            (Key::Name, false) => "",
            (Key::Name, true) => "sort=name&order=desc&",
            (Key::Size, false) => "sort=size&",
            (Key::Size, true) => "sort=size&order=desc&",
            (Key::Date, false) => "sort=date&",
            (Key::Date, true) => "sort=date&order=desc&",
        }
    }

    /// Directories first; what is equal, by name.
    pub(super) fn sort(self, items: &mut [Item]) {
        items.sort_by_cached_key(|item| {
            let chosen: i128 = match self.key {
                Key::Name => 0,
                Key::Size => item.size.into(),
                Key::Date => item.modified.into(),
            };
            let directed = if self.descending { -chosen } else { chosen };
            (!item.is_directory(), directed, item.name.to_ascii_lowercase(), item.name.clone())
        });
        if self.key == Key::Name && self.descending {
            let directories = items.partition_point(Item::is_directory);
            let (above, below) = items.split_at_mut(directories);
            above.reverse();
            below.reverse();
        }
    }
}

/// The name after which a listing begins, as `?after=NAME` asks for it. Empty without it.
pub fn after(query: Option<&[u8]>) -> Vec<u8> {
    let pairs = query.unwrap_or_default().split(|&byte| byte == b'&');
    let Some(mut rest) = pairs.filter_map(|pair| pair.strip_prefix(b"after=")).next_back() else { return Vec::new() };
    let mut name = Vec::new();
    while let [byte, tail @ ..] = rest {
        let decoded = match tail {
            [high, low, ..] if *byte == b'%' => hexadecimal(*high).zip(hexadecimal(*low)),
            _ => None,
        };
        match decoded {
            Some((high, low)) => {
                name.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                name.push(*byte);
                rest = tail;
            }
        }
    }
    name
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The address of the page that begins after this name, relative to the directory.
pub fn next_page(after: &[u8], order: Order) -> String {
    let mut out = format!("?{}after=", order.query());
    push_name(&mut out, after);
    out
}

/// The address of an entry, relative to its directory (RFC 3986 §4.2): `./`, for a name with a
/// colon would be an address with a scheme; a path of one segment (§3.3), with nothing in it that
/// HTML or JSON would take for its own; and the slash of a directory.
pub(super) fn push_url(out: &mut String, item: &Item) {
    out.push_str("./");
    push_name(out, &item.name);
    if item.is_directory() {
        out.push('/');
    }
}

/// A name with everything escaped that would mean something in an address.
fn push_name(out: &mut String, name: &[u8]) {
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~!$()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// A time as `2026-11-21T01:02:03Z`. One before 1970 is taken for its beginning.
pub(super) fn push_time(out: &mut String, nanoseconds: i64) {
    let seconds = u64::try_from(nanoseconds).unwrap_or(0) / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    // A String takes everything.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
}

/// Year, month and day of a day, counted from 1970-01-01; by years that begin in March, so that a
/// leap day ends one.
pub(super) fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let civil_month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(civil_month <= 2), civil_month, day - (153 * month + 2) / 5 + 1)
}
