//! The least that `wasmtime serve` can be asked to do: it answers every request with 1 KiB.

use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// What is sent.
const CONTENT: [u8; 1 << 10] = [b'x'; 1 << 10];

struct Server;

wasi::http::proxy::export!(Server);

impl Guest for Server {
    fn handle(_: IncomingRequest, answer: ResponseOutparam) {
        let length = CONTENT.len().to_string().into_bytes();
        let fields = Fields::from_list(&[("content-length".to_owned(), length)]).expect("a valid field");
        let response = OutgoingResponse::new(fields);
        let body = response.body().expect("taken once");
        ResponseOutparam::set(answer, Ok(response));
        let stream = body.write().expect("taken once");
        // A client that is gone reads nothing.
        let _ = stream.blocking_write_and_flush(&CONTENT);
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
