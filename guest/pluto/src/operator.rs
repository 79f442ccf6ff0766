//! What the second port tells the operator: `/metrics` for Prometheus, `/healthz` for who decides
//! whether clients are sent here.

use crate::metrics::{self, Metrics};
use crate::site::answer::Found;
use pluto_http::media::{Media, TEXT};
use pluto_http::request::Action;
use pluto_http::status::{HttpError, Status};
use pluto_sdk::Error;

/// A server as the operator is told of it, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ServerStatus<'a> {
    /// What it has counted.
    pub metrics: &'a Metrics,
    /// What it knows without counting.
    pub now: metrics::Now,
    /// Whether it is known to be the only shard.
    pub is_alone: bool,
}

/// The answer to a request of the operator.
pub enum Reply {
    /// It is ready.
    Ready(Found),
    /// It is the page of metrics, once the figures of the other shards are gathered.
    GatherMetrics,
}

/// Answers a request of the operator about a server.
pub fn answer(server: ServerStatus<'_>, action: Action) -> Reply {
    let path = match action {
        Action::Serve(resource) => resource.path.into_bytes(),
        Action::Options => return Reply::Ready(Found::Options),
        Action::Refuse(error) => return Reply::Ready(Found::HttpError(error)),
    };
    Reply::Ready(match &path[..] {
        b"metrics" if !server.is_alone => return Reply::GatherMetrics,
        b"metrics" => page(Status::Ok, &metrics::MEDIA, server.metrics.page(server.now)),
        b"healthz" if server.now.draining => page(Status::ServiceUnavailable, &TEXT, "draining\n".to_owned()),
        b"healthz" => page(Status::Ok, &TEXT, "ok\n".to_owned()),
        b"" => page(Status::Ok, &TEXT, "/metrics\n/healthz\n".to_owned()),
        _ => Found::HttpError(HttpError::NOT_FOUND),
    })
}

/// The metrics of all shards, from what each has counted. When the host has no room to tell that,
/// another time is better: a smaller sum would look as if the server had begun anew.
pub fn metrics(server: ServerStatus<'_>, gathered: Result<Vec<Vec<u8>>, Error>) -> Found {
    match gathered {
        Ok(figures) => page(Status::Ok, &metrics::MEDIA, server.metrics.page_of_all(server.now, &figures)),
        Err(error) => page(Status::ServiceUnavailable, &TEXT, format!("the shards' figures cannot be had: {error}\n")),
    }
}

fn page(status: Status, media: &'static Media, content: String) -> Found {
    Found::Page { status, media, content: content.into_bytes() }
}
