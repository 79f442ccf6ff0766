//! Files that cannot be opened: what the client is told, and what the operator is.

use super::answer::Found;
use super::plan::to_directory;
use crate::access;
use pluto_http::status::{HttpError, Status};
use pluto_http::target::PathAndQuery;
use pluto_sdk::{Error, error, now, warn};
use std::cell::Cell;

/// Tells the operator at most once a second of each kind.
#[derive(Debug, Default)]
pub struct Failures {
    /// That the system has no file to give.
    exhausted: RateLimit,
    /// Errors that should not be.
    unexpected: RateLimit,
}

impl Failures {
    /// What answers a request for a file that cannot be opened. `line` is the request's, for the
    /// log.
    pub fn answer(&self, error: Error, resource: &PathAndQuery, line: &[u8]) -> Found {
        match error {
            // There is none when the path ends in a slash, and the directory is called like an
            // index file.
            Error::IsDirectory => {
                to_directory(resource).map_or(Found::HttpError(HttpError::NOT_FOUND), Found::Redirect)
            }
            error => Found::HttpError(self.error(error, line)),
        }
    }

    /// What a client is told when a file cannot be opened.
    pub fn error(&self, error: Error, line: &[u8]) -> HttpError {
        match error {
            error if is_nothing(error) => HttpError::NOT_FOUND,
            Error::AccessDenied => HttpError::soft(Status::Forbidden, "This file is not for everybody."),
            Error::Exhausted => {
                if self.exhausted.allows_now() {
                    warn!("no file can be opened now: {error} ({})", access::quoted(line));
                }
                HttpError::soft(Status::ServiceUnavailable, "The server is very busy. Please try again in a moment.")
            }
            _ => {
                if self.unexpected.allows_now() {
                    error!("a file cannot be opened: {error} ({})", access::quoted(line));
                }
                HttpError::soft(Status::InternalServerError, "The file could not be read.")
            }
        }
    }
}

/// Whether this means that there is nothing of the site: what is outside of the root, too long, a
/// link that is not followed, or no file.
pub fn is_nothing(error: Error) -> bool {
    matches!(
        error,
        Error::NotFound
            | Error::NotDirectory
            | Error::IsDirectory
            | Error::NotRegular
            | Error::NotPermitted
            | Error::Symlink
            | Error::Invalid
    )
}

/// Allows something once a second, however often it happens: the access log has the rest.
#[derive(Debug, Default)]
struct RateLimit {
    /// The second in which it was allowed last.
    allowed: Cell<Option<u64>>,
}

impl RateLimit {
    fn allows_now(&self) -> bool {
        let second = now() / 1_000_000_000;
        self.allowed.replace(Some(second)) != Some(second)
    }
}
