//! Sends the time to each client, once a second, until the client leaves or the operator stops the
//! guest.

use pluto_sdk::{Client, ServerOptions, now, serve, sleep};
use std::time::Duration;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// The guest: its first argument is the port.
pub async fn main(args: Vec<String>) -> Result<(), String> {
    let port = args.first().and_then(|port| port.parse().ok()).ok_or("expected a port as the first argument")?;
    let options = ServerOptions { port, connections_max: 1_000, shared: true, grace: Duration::from_secs(5) };
    serve(options, tell_time).await.map_err(|error| format!("cannot listen on port {port}: {error}"))
}

pluto_sdk::main!(main);

async fn tell_time(client: Client) {
    loop {
        let line = format!("{}\n", now() / NANOSECONDS_PER_SECOND);
        let written = client.connection.write(vec![line.into_bytes().into()]).await;
        let waited = client.until_stop(sleep(Duration::from_secs(1))).await;
        if written.is_err() || waited.is_none() {
            return;
        }
    }
}
