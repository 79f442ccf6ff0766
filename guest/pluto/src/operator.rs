//! What the second port tells the operator: `/metrics` for Prometheus, `/healthz` for who decides whether clients are
//! sent here.

use crate::http::media::Media;
use crate::http::request::Action;
use crate::http::status::{Fault, Status};
use crate::metrics;
use crate::server::Server;
use crate::site::Found;

/// Plain text.
const TEXT: Media = Media { essence: "text/plain", text: true };

/// What answers a request of the operator about a server.
pub fn answer(server: &Server, action: Action) -> Found {
    let path = match action {
        Action::Serve(path) => path.into_bytes(),
        Action::Options => return Found::Options,
        Action::Refuse(fault) => return Found::Fault(fault),
    };
    match &path[..] {
        b"metrics" => page(Status::Ok, metrics::MEDIA, server.metrics.page(server.metrics_now())),
        b"healthz" if server.is_draining() => page(Status::ServiceUnavailable, TEXT, "draining\n".to_owned()),
        b"healthz" => page(Status::Ok, TEXT, "ok\n".to_owned()),
        b"" => page(Status::Ok, TEXT, "/metrics\n/healthz\n".to_owned()),
        _ => Found::Fault(Fault::NOT_FOUND),
    }
}

fn page(status: Status, media: Media, content: String) -> Found {
    Found::Page { status, media, content: content.into_bytes() }
}
