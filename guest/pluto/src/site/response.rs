//! From what was found to the response: status, fields, and what content follows.

use super::Found;
use crate::cache::Content;
use crate::http::page;
use crate::http::response::{self, Envelope};
use crate::http::status::Status;
use std::rc::Rc;

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
    /// So many bytes of a file, from its beginning.
    File(Rc<Content>),
}

/// Writes the response to a request for which this was found.
pub fn write(out: &mut Vec<u8>, envelope: &Envelope<'_>, found: Found) -> Response {
    match found {
        Found::File(file) => write_file(out, envelope, file),
        Found::Redirect { status, location, why } => {
            written(status, page::write_redirect(out, envelope, status, &location, why))
        }
        Found::Options => {
            response::write_options(out, envelope);
            written(Status::NoContent, 0)
        }
        Found::Page { status, media, content } => {
            written(status, page::write_made(out, envelope, status, media, &content))
        }
        Found::Fault(fault) => written(fault.status, page::write_fault(out, envelope, fault)),
    }
}

fn written(status: Status, bytes: u64) -> Response {
    Response { status, bytes, body: Body::Written }
}

fn write_file(out: &mut Vec<u8>, envelope: &Envelope<'_>, file: Rc<Content>) -> Response {
    response::write_ok(out, envelope, file.fields());
    // In answer to HEAD the file is closed with the write, as in answer to GET.
    let bytes = if envelope.content { file.length() } else { 0 };
    Response { status: Status::Ok, bytes, body: Body::File(file) }
}
