//! A listing for programs:
//! `[{"name":"a","type":"file","mtime":"2026-11-21T01:02:03Z","size":1,"url":"./a"}]`, which is
//! what nginx and static-web-server write, and the `url` of Caddy. A symbolic link has a `target`:
//! `"directory"`, `"file"`, or `null` when who follows it is answered 404.
//!
//! JSON is UTF-8 (RFC 8259 §8.1), and a name need not be: `name` is to be shown, with U+FFFD for
//! what is no character, and may be that of another entry too. `url`, relative to the directory,
//! is the one to ask for.

use super::item::{Item, ItemKind, Target, push_time, push_url};
use std::fmt::Write;

/// Writes the array.
pub fn write(items: &[Item]) -> String {
    let mut out = String::from("[");
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str("{\"name\":");
        push_string(&mut out, &String::from_utf8_lossy(&item.name));
        let kind = match item.kind {
            ItemKind::Directory => "directory",
            ItemKind::File => "file",
            ItemKind::Link(_) => "symlink",
        };
        // A String takes everything.
        let _ = write!(out, ",\"type\":\"{kind}\",\"mtime\":\"");
        push_time(&mut out, item.modified);
        out.push('"');
        let target = match item.kind {
            ItemKind::Link(Target::Directory) => ",\"target\":\"directory\"",
            ItemKind::Link(Target::File) => ",\"target\":\"file\"",
            ItemKind::Link(Target::Nothing) => ",\"target\":null",
            ItemKind::Link(Target::Unknown) | ItemKind::Directory | ItemKind::File => "",
        };
        out.push_str(target);
        if item.has_size() {
            let _ = write!(out, ",\"size\":{}", item.size);
        }
        out.push_str(",\"url\":\"");
        // Nothing in it is to be escaped again.
        push_url(&mut out, item);
        out.push_str("\"}");
    }
    out.push_str("\n]\n");
    out
}

/// RFC 8259 §7.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            // Also what is harmless in JSON and not in a terminal.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}
