//! The echo server: a generic TCP server, and a handler that sends back what each client sends.

mod options;

use options::Options;
use pluto_sdk::time::with_timeout;
use pluto_sdk::{Client, Deadline, Error, ServerOptions, debug, serve};
use std::time::Duration;

/// The most clients at once. Each client holds one request of at most [`RECEIVE_BYTES_MAX`], so
/// 10,000 clients hold less than 200 MiB.
const CONNECTIONS_MAX: u32 = 10_000;

/// The most bytes that are read from a client before they are sent back: the host's own limit for
/// one read.
const RECEIVE_BYTES_MAX: u32 = 16 << 10;

/// How long a client may take to receive the rest when the server stops. The host allows 9 s for
/// the whole stop.
const GRACE: Duration = Duration::from_secs(5);

/// How long a client may take to end after its last answer.
const LINGER: Duration = Duration::from_secs(2);

/// Serves until the operator stops the server. The arguments are the port, the root if the host
/// has one (the echo server does not use it), and the options `--once` and `--idle SECONDS`.
pub async fn main(args: Vec<String>) -> Result<(), String> {
    let options = Options::parse(&args)?;
    let server = ServerOptions { port: options.port, connections_max: CONNECTIONS_MAX, shared: true, grace: GRACE };
    serve(server, move |client| handle(client, options))
        .await
        .map_err(|error| format!("cannot serve on port {}: {error}", options.port))
}

pluto_sdk::main!(main);

/// Serves a client from its first byte to its end. The outcome only goes to the log.
async fn handle(client: Client, options: Options) {
    let peer = client.connection.peer();
    match echo(&client, options).await {
        Ok(bytes) => debug!("{peer}: sent back {bytes} bytes"),
        Err(error) => debug!("{peer}: {error}"),
    }
}

/// Sends back what the client sends, until the client ends, is idle too long, or the server stops.
/// With `once`, sends back only the bytes of the first read. Returns the number of bytes.
///
/// The server reads no more from a client until everything is sent. So a client that does not
/// receive delays only itself.
async fn echo(client: &Client, options: Options) -> Result<u64, Error> {
    let mut sent = 0;
    while let Some(bytes) = receive(client, options.idle).await? {
        sent += client.connection.write(vec![bytes.into()]).await?;
        if options.once {
            break;
        }
    }
    finish(client).await;
    Ok(sent)
}

/// Ends our direction, and drops what the client still sends. Closing a connection with unread
/// bytes would reset it, and the client would lose bytes that it has not received yet.
async fn finish(client: &Client) {
    let deadline = Deadline::new();
    deadline.set(LINGER);
    // An error means that the client has gone.
    let _ = deadline.limit(client.connection.shutdown()).await;
    while let Ok(Ok(bytes)) = deadline.limit(client.connection.read(RECEIVE_BYTES_MAX)).await {
        if bytes.is_empty() {
            return;
        }
    }
}

/// Returns the next bytes of a client, or `None` when no more bytes will come.
async fn receive(client: &Client, idle: Option<Duration>) -> Result<Option<Vec<u8>>, Error> {
    let read = client.until_stop(client.connection.read(RECEIVE_BYTES_MAX));
    let received = match idle {
        Some(idle) => with_timeout(idle, read).await.unwrap_or(None),
        None => read.await,
    };
    Ok(received.transpose()?.filter(|bytes| !bytes.is_empty()))
}
