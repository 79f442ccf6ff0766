//! The echo server: a generic TCP server, and a handler that sends back what each client sends.

mod options;

use options::Options;
use pluto_sdk::time::with_timeout;
use pluto_sdk::{Client, Deadline, Error, ServerOptions, debug, serve};
use std::time::Duration;

/// Clients at once. Each holds one request, of at most [`RECEIVE_BYTES_MAX`]: 10,000 of them stay
/// below 200 MiB.
const CONNECTIONS_MAX: u32 = 10_000;

/// What is taken from a client before it is sent back: the host's own limit for one read.
const RECEIVE_BYTES_MAX: u32 = 16 << 10;

/// How long a client may take to receive the rest when the server stops; below the 9 s that the
/// host allows.
const GRACE: Duration = Duration::from_secs(5);

/// How long a client may take to end after its last answer.
const LINGER: Duration = Duration::from_secs(2);

/// Serves until the operator says stop. Arguments: the port, the root if the host was given one
/// (it is not used), and the options `--once` and `--idle SECONDS`.
pub async fn main(args: Vec<String>) -> Result<(), String> {
    let options = Options::parse(&args)?;
    let server = ServerOptions { port: options.port, connections_max: CONNECTIONS_MAX, shared: true, grace: GRACE };
    serve(server, move |client| handle(client, options))
        .await
        .map_err(|error| format!("cannot serve on port {}: {error}", options.port))
}

pluto_sdk::main!(main);

/// A client from its first byte to its end. How it ends matters to nobody but a reader of the log.
async fn handle(client: Client, options: Options) {
    let peer = client.connection.peer();
    match echo(&client, options).await {
        Ok(bytes) => debug!("{peer}: sent back {bytes} bytes"),
        Err(error) => debug!("{peer}: {error}"),
    }
}

/// Sends back what the client sends, until it ends, is idle too long, or the server stops; with
/// `once`, only what the first read gives. Returns how many bytes that were.
///
/// Nothing more is read while something is not sent: a client that does not receive makes itself
/// wait, and nobody else.
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

/// Ends our direction, and drops what the client still sends: closing with bytes unread would
/// reset the connection, and the client would lose what it has not received yet.
async fn finish(client: &Client) {
    let deadline = Deadline::new();
    deadline.set(LINGER);
    // An error means that the client is gone.
    let _ = deadline.limit(client.connection.shutdown()).await;
    while let Ok(Ok(bytes)) = deadline.limit(client.connection.read(RECEIVE_BYTES_MAX)).await {
        if bytes.is_empty() {
            return;
        }
    }
}

/// The next bytes of a client; `None` when there will be none.
async fn receive(client: &Client, idle: Option<Duration>) -> Result<Option<Vec<u8>>, Error> {
    let read = client.until_stop(client.connection.read(RECEIVE_BYTES_MAX));
    let received = match idle {
        Some(idle) => with_timeout(idle, read).await.unwrap_or(None),
        None => read.await,
    };
    Ok(received.transpose()?.filter(|bytes| !bytes.is_empty()))
}
