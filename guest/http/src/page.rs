//! The pages of errors and redirects: responses whose content the server writes itself.

use super::media::{HTML, Media};
use super::method::ALLOW;
use super::response::{Envelope, ResponseHead};
use super::status::{HttpError, Status};
use std::borrow::Cow;

/// Seconds after which a client may come again when the server has no more of something.
const RETRY_AFTER: &[u8] = b"2";

/// What every page begins with. It stands for itself, and loads nothing.
const BEGIN: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>"#;

/// What stands between the title and the heading.
const STYLE: &str = "</title>
<style>
:root { color-scheme: light dark }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0 }
h1 span { font-weight: 300; opacity: .6; margin-right: .4em }
p { margin: .6rem 0 0; overflow-wrap: anywhere }
</style>
<h1><span>";

/// Writes an error, with the page or, in answer to HEAD, without. How many bytes of content that
/// were.
pub fn write_error(out: &mut Vec<u8>, envelope: &Envelope<'_>, error: HttpError) -> u64 {
    finish(error_head(out, envelope, error.status), envelope, error.status, error.why)
}

/// Writes the head of an error whose page is a file of the site's own, so long and of this type.
/// It is the page of many addresses and of none, so that nothing is said of the file itself.
pub fn write_error_head(out: &mut Vec<u8>, envelope: &Envelope<'_>, status: Status, media: &Media, length: u64) {
    error_head(out, envelope, status).media(media).content_length(length).finish(envelope);
}

fn error_head<'a>(out: &'a mut Vec<u8>, envelope: &Envelope<'_>, status: Status) -> ResponseHead<'a> {
    let head = ResponseHead::new(out, status, envelope);
    match status {
        // RFC 9110 §15.5.6.
        Status::MethodNotAllowed => head.field("Allow", ALLOW.as_bytes()),
        // RFC 9110 §15.6.4.
        Status::ServiceUnavailable => head.field("Retry-After", RETRY_AFTER),
        _ => head,
    }
}

/// Writes a redirect to a path on this host, which is already escaped as one. The page says why,
/// and not where: escaped, an address of ampersands is five times as long, and no browser shows
/// the page.
pub fn write_redirect(
    out: &mut Vec<u8>,
    envelope: &Envelope<'_>,
    status: Status,
    location: &str,
    why: &'static str,
) -> u64 {
    let head = ResponseHead::new(out, status, envelope).field("Location", location.as_bytes());
    finish(head, envelope, status, why)
}

/// Writes that none of the ranges is there of a representation of this length, in bytes (RFC 9110
/// §15.5.17). How many bytes of content that were.
pub fn write_unsatisfiable(out: &mut Vec<u8>, envelope: &Envelope<'_>, length: u64) -> u64 {
    let status = Status::RangeNotSatisfiable;
    let content_range = [b"bytes */", itoa::Buffer::new().format(length).as_bytes()].concat();
    let head = ResponseHead::new(out, status, envelope).field("Content-Range", &content_range);
    finish(head, envelope, status, "The file is shorter than the part that was asked for.")
}

/// Writes a page that is made for this request, and so is not to be kept by anybody. How many
/// bytes of content that were.
pub fn write_made(out: &mut Vec<u8>, envelope: &Envelope<'_>, status: Status, media: &Media, content: &[u8]) -> u64 {
    let head = ResponseHead::new(out, status, envelope).field("Cache-Control", b"no-store").media(media);
    let out = head.content_length(content.len() as u64).finish(envelope);
    if !envelope.content {
        return 0;
    }
    out.extend_from_slice(content);
    content.len() as u64
}

/// Text as HTML content or as an attribute in quotes.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Ends a head, and writes the page behind it. The message is the server's own, and HTML as it is.
/// How many bytes of content that were.
fn finish(head: ResponseHead<'_>, envelope: &Envelope<'_>, status: Status, message: &'static str) -> u64 {
    let title = status.title();
    let (code, reason) = title.split_at(3);
    let page = [BEGIN, title, STYLE, code, "</span>", &reason[1..], "</h1>\n<p>", message, "</p>\n"];
    let length = page.iter().map(|piece| piece.len()).sum::<usize>();
    let out = head.media(&HTML).content_length(length as u64).finish(envelope);
    if !envelope.content {
        return 0;
    }
    out.reserve_exact(length);
    page.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    length as u64
}

#[cfg(test)]
mod tests {
    use super::super::date::Date;
    use super::super::response::{Lines, Persistence};
    use super::*;

    /// Head and content of what was written, and how much content was said to be.
    fn split(written: u64, out: &[u8]) -> (String, String) {
        let text = String::from_utf8_lossy(out);
        let (head, content) = text.split_once("\r\n\r\n").expect("the end of the head");
        assert_eq!(written, content.len() as u64);
        (head.to_owned(), content.to_owned())
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        let check = |error: HttpError, fields: &[&str]| {
            let (mut full, mut bare) = (Vec::new(), Vec::new());
            let (date, extra) = (Date::at(0), Lines::default());
            let envelope = Envelope { date: &date, persistence: Persistence::Kept, content: true, extra: &extra };
            let written = write_error(&mut full, &envelope, error);
            let (head, content) = split(written, &full);
            assert!(head.starts_with(error.status.line().trim_end()));
            assert!(head.contains(&format!("Content-Length: {}", content.len())), "{head}");
            assert!(content.contains(&format!("<title>{}</title>", error.status.title())));
            assert!(content.contains(error.why));
            for field in
                ["Content-Type: text/html; charset=utf-8", "X-Content-Type-Options: nosniff"].iter().chain(fields)
            {
                assert!(head.split("\r\n").any(|line| line == *field), "{field} in {head}");
            }
            assert_eq!(write_error(&mut bare, &Envelope { content: false, ..envelope }, error), 0);
            assert_eq!(bare, format!("{head}\r\n\r\n").as_bytes(), "HEAD gets the same without the content");
        };
        check(HttpError::NOT_FOUND, &[]);
        check(HttpError::soft(Status::MethodNotAllowed, "no"), &["Allow: GET, HEAD, OPTIONS"]);
        check(HttpError::soft(Status::ServiceUnavailable, "no"), &["Retry-After: 2"]);
    }

    #[test]
    fn a_redirect_says_its_address_once() {
        let mut out = Vec::new();
        let location = "/a/?b=\"><script>&'";
        let (date, extra) = (Date::at(0), Lines::default());
        let envelope = Envelope { date: &date, persistence: Persistence::Kept, content: true, extra: &extra };
        let written = write_redirect(&mut out, &envelope, Status::MovedPermanently, location, "It is elsewhere.");
        let (head, content) = split(written, &out);
        assert!(head.contains(&format!("\r\nLocation: {location}\r\n")), "{head}");
        assert!(content.contains("<title>301 Moved Permanently</title>"), "{content}");
        assert!(!content.contains("<script>") && !content.contains("?b="));
    }
}
