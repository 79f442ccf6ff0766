//! From what was found to the response: status, fields, and what content follows.

use super::answer::{Found, Redirect};
use crate::store::representation::Content;
use pluto_http::conditional::{Conditions, Verdict};
use pluto_http::multipart::Multipart;
use pluto_http::page;
use pluto_http::range::{Ranges, Selection};
use pluto_http::request::RequestContext;
use pluto_http::response::{self, Envelope};
use pluto_http::status::{HttpError, Status};
use std::ops::Range;
use std::rc::Rc;

/// RFC 9110 §15.5.13.
const PRECONDITION_FAILED: HttpError =
    HttpError::soft(Status::PreconditionFailed, "The file is not, or no longer, as the request expects it.");

/// A response whose head is written, with its page where the server has made one.
#[derive(Debug)]
pub struct Response {
    /// What it says.
    pub status: Status,
    /// How many bytes of content it has in all.
    pub bytes: u64,
    /// What is still to be sent of it.
    pub body: Body,
}

/// The content that follows a head.
#[derive(Debug)]
pub enum Body {
    /// All of it stands behind the head already; mostly there is none.
    Written,
    /// A part of a file, or all of it.
    File(Rc<Content>, Range<u64>),
    /// Several parts of a file.
    Parts(Rc<Content>, Multipart),
}

/// Writes the response to a request for which this was found, at this time in nanoseconds since
/// the Unix epoch.
pub fn write(out: &mut Vec<u8>, envelope: &Envelope<'_>, found: Found, context: &RequestContext, now: u64) -> Response {
    match found {
        Found::File(file) => match &context.conditions {
            None => write_whole(out, envelope, file),
            Some(conditions) => write_conditionally(out, envelope, file, conditions, now),
        },
        Found::Redirect(Redirect { status, location, why }) => {
            written(status, page::write_redirect(out, envelope, status, &location, why))
        }
        Found::Options => {
            response::write_options(out, envelope);
            written(Status::NoContent, 0)
        }
        Found::Page { status, media, content } => {
            written(status, page::write_made(out, envelope, status, media, &content))
        }
        Found::ErrorPage(status, file) => {
            page::write_error_head(out, envelope, status, file.media(), file.length());
            let bytes = if envelope.content { file.length() } else { 0 };
            Response { status, bytes, body: Body::File(file, 0..bytes) }
        }
        Found::HttpError(error) => written(error.status, page::write_error(out, envelope, error)),
    }
}

fn written(status: Status, bytes: u64) -> Response {
    Response { status, bytes, body: Body::Written }
}

fn write_whole(out: &mut Vec<u8>, envelope: &Envelope<'_>, file: Rc<Content>) -> Response {
    response::write_ok(out, envelope, file.fields());
    // In answer to HEAD the file is closed with the write, as in answer to GET.
    let bytes = if envelope.content { file.length() } else { 0 };
    Response { status: Status::Ok, bytes, body: Body::File(file, 0..bytes) }
}

fn write_conditionally(
    out: &mut Vec<u8>,
    envelope: &Envelope<'_>,
    file: Rc<Content>,
    conditions: &Conditions,
    now: u64,
) -> Response {
    match conditions.evaluate(file.validators(), now / 1_000_000_000) {
        Verdict::Perform(None) => write_whole(out, envelope, file),
        Verdict::Perform(Some(ranges)) => write_ranges(out, envelope, file, ranges, now),
        Verdict::NotModified => {
            response::write_not_modified(out, envelope, file.fields());
            Response { status: Status::NotModified, bytes: 0, body: Body::File(file, 0..0) }
        }
        Verdict::Failed => written(Status::PreconditionFailed, page::write_error(out, envelope, PRECONDITION_FAILED)),
    }
}

fn write_ranges(out: &mut Vec<u8>, envelope: &Envelope<'_>, file: Rc<Content>, ranges: &Ranges, now: u64) -> Response {
    let status = Status::PartialContent;
    match ranges.select(file.length()) {
        Selection::Whole => write_whole(out, envelope, file),
        Selection::Part(part) => {
            response::write_part(out, envelope, file.fields(), &part, file.length());
            Response { status, bytes: part.end - part.start, body: Body::File(file, part) }
        }
        // Several parts of what is encoded: a field that says so would be taken to speak of all
        // that is between them.
        Selection::Parts(_) if file.coding().is_some() => write_whole(out, envelope, file),
        Selection::Parts(parts) => {
            let multipart = Multipart::new(parts, file.media().clone(), file.length(), now);
            response::write_parts(out, envelope, file.fields(), &multipart);
            Response { status, bytes: multipart.content_length(), body: Body::Parts(file, multipart) }
        }
        Selection::Unsatisfiable => {
            written(Status::RangeNotSatisfiable, page::write_unsatisfiable(out, envelope, file.length()))
        }
    }
}
