//! A run as a page: one file that contains everything it needs and fetches nothing.
//!
//! The page contains the events as JSON without any `<`, so that nothing that a client sent can
//! end the element around it. The page's script shows them as text only.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Event, Lane};

/// The page, around the place of the data.
const TEMPLATE: &str = include_str!("../explain.html");
const PLACE: &str = "{{data}}";

/// The page of a run: names and values for its heading, how it ended, what happened, and how much
/// of that was left out.
pub fn page(about: &[(&'static str, String)], ending: &str, events: &[Event], left_out: u64) -> String {
    let (before, after) = TEMPLATE.split_once(PLACE).expect("the template has a place for the data");
    let data = data(about, ending, events, left_out);
    [before, &data, after].concat()
}

fn data(about: &[(&'static str, String)], ending: &str, events: &[Event], left_out: u64) -> String {
    let lanes: Vec<Lane> = events.iter().map(|event| event.lane).collect::<BTreeSet<_>>().into_iter().collect();
    let mut out = String::from("{\"about\":");
    list(&mut out, about, |out, (name, value)| list(out, [*name, value.as_str()], text));
    out.push_str(",\"ending\":");
    text(&mut out, ending);
    let _ = write!(out, ",\"left_out\":{left_out},\"lanes\":");
    list(&mut out, &lanes, |out, lane| text(out, &label(*lane)));
    out.push_str(",\"events\":");
    list(&mut out, events, |out, event| {
        let lane = lanes.binary_search(&event.lane).unwrap_or_default();
        let Event { turn, time, kind, mark, request, .. } = event;
        let _ = write!(out, "[{turn},{time},{lane},{},{},{request},", *kind as u8, *mark as u8);
        text(out, &event.text);
        out.push(']');
    });
    out.push('}');
    out
}

fn label(lane: Lane) -> String {
    match lane {
        Lane::Host => "host".to_owned(),
        Lane::Log => "log".to_owned(),
        Lane::Timers => "timers".to_owned(),
        Lane::Files => "files".to_owned(),
        Lane::Connection(number) => format!("connection {number}"),
    }
}

fn list<T>(out: &mut String, items: impl IntoIterator<Item = T>, put: impl Fn(&mut String, T)) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put(out, item);
    }
    out.push(']');
}

/// A JSON string (RFC 8259 section 7), without the characters that mean something in HTML.
fn text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Mark};
    use super::*;

    fn event(text: &str) -> Event {
        let (lane, kind, mark) = (Lane::Connection(7), Kind::Read, Mark::Got);
        Event { turn: 3, time: 1_500, lane, kind, mark, request: 4, text: text.to_owned() }
    }

    #[test]
    fn events_are_rows_of_numbers_and_a_text() {
        assert_eq!(
            data(&[("turns", "3".to_owned())], "\"ok\"", &[event("a")], 2),
            "{\"about\":[[\"turns\",\"3\"]],\"ending\":\"\\\"ok\\\"\",\"left_out\":2,\
             \"lanes\":[\"connection 7\"],\"events\":[[3,1500,0,1,1,4,\"a\"]]}"
        );
    }

    #[test]
    fn nothing_in_the_data_ends_its_element() {
        let hostile = ["</script><script>alert(1)</script>", "<!--<script", "]]>&lt;\u{2028}\u{1}", PLACE];
        let before = page(&[], "", &[], 0);
        for text in hostile {
            let page = page(&[("arguments", text.to_owned())], text, &[event(text)], 0);
            for mark in ["<", ">", "&", "\u{2028}", "\u{1}"] {
                assert_eq!(page.matches(mark).count(), before.matches(mark).count(), "{mark:?} of {text:?}");
            }
        }
    }

    #[test]
    fn the_page_fetches_nothing() {
        for foreign in ["http:", "https:", "src=", "href=", "url(", "@import", "fetch(", ".innerHTML", "eval("] {
            assert!(!TEMPLATE.contains(foreign), "{foreign:?} in the template");
        }
        assert!(TEMPLATE.contains("default-src 'none'"));
    }
}
