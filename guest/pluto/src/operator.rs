//! What the second port tells the operator: `/metrics` for Prometheus, `/healthz` for who decides whether clients are
//! sent here.

use crate::http::media::Media;
use crate::http::request::Action;
use crate::http::status::{Fault, Status};
use crate::metrics;
use crate::server::Server;
use crate::site::Found;
use pluto_sdk::Error;

/// Plain text.
const TEXT: Media = Media { essence: "text/plain", text: true };

/// What answers a request of the operator.
pub enum Told {
    /// This.
    Known(Found),
    /// The metrics, once the other shards' are known.
    Metrics,
}

/// What answers a request of the operator about a server.
pub fn answer(server: &Server, action: Action) -> Told {
    let path = match action {
        Action::Serve(path) => path.into_bytes(),
        Action::Options => return Told::Known(Found::Options),
        Action::Refuse(fault) => return Told::Known(Found::Fault(fault)),
    };
    Told::Known(match &path[..] {
        b"metrics" if !server.is_alone() => return Told::Metrics,
        b"metrics" => page(Status::Ok, metrics::MEDIA, server.metrics.page(server.metrics_now())),
        b"healthz" if server.is_draining() => page(Status::ServiceUnavailable, TEXT, "draining\n".to_owned()),
        b"healthz" => page(Status::Ok, TEXT, "ok\n".to_owned()),
        b"" => page(Status::Ok, TEXT, "/metrics\n/healthz\n".to_owned()),
        _ => Found::Fault(Fault::NOT_FOUND),
    })
}

/// The metrics of all shards, from what each has counted. When the host has no room to tell that, another time is better: a
/// smaller sum would look as if the server had begun anew.
pub fn metrics(server: &Server, gathered: Result<Vec<Vec<u8>>, Error>) -> Found {
    match gathered {
        Ok(figures) => page(Status::Ok, metrics::MEDIA, server.metrics.page_of_all(server.metrics_now(), &figures)),
        Err(error) => page(Status::ServiceUnavailable, TEXT, format!("the shards' figures cannot be had: {error}\n")),
    }
}

fn page(status: Status, media: Media, content: String) -> Found {
    Found::Page { status, media, content: content.into_bytes() }
}
