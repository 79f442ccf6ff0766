//! Answers every request with the same page, and then closes the connection.

use pluto_sdk::{Client, Error, ServerOptions, serve};
use std::time::Duration;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\nHello, world!\n";

async fn main(args: Vec<String>) -> Result<(), Error> {
    let port = args.first().and_then(|port| port.parse().ok()).ok_or(Error::Invalid)?;
    serve(ServerOptions { port, connections_max: 1_000, shared: true, grace: Duration::from_secs(5) }, answer).await
}

async fn answer(client: Client) {
    let _request = client.connection.read(16 << 10).await;
    let _written = client.connection.write(vec![ANSWER.as_bytes().to_vec().into()]).await;
}

pluto_sdk::main!(main);
