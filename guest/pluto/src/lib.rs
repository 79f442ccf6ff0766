//! A web server that serves the files beneath its root, as a guest of pluto-host. What HTTP says
//! is in [`pluto_http`].
//!
//! | module | what is in it |
//! |---|---|
//! | [`connection`] | one client's conversation: the thin shell around it |
//! | [`server`] | what the conversations share, and a reload replaces |
//! | [`outbox`] | responses that are gathered for one write |
//! | [`site`] | from a request to the file, redirect or error that answers it, and to the response |
//! | [`store`] | what is kept of files |
//! | [`autoindex`] | the pages of directories |
//! | [`scarcity`] | what is done when the host has no descriptor for another file |
//! | [`queue`] | who waits for what is done one at a time |
//! | [`metrics`] | what is counted, and the page that tells it |
//! | [`operator`] | what answers on the second port |
//! | [`access`] | the line of the access log |
//! | [`networks`] | whose word about a client is believed |
//! | [`policy`] | what the site's configuration file says |
//! | [`options`] | the command line |
//! | [`limits`] | every limit, with its reason |

pub mod access;
pub mod autoindex;
pub mod connection;
pub mod limits;
pub mod metrics;
pub mod networks;
pub mod operator;
pub mod options;
pub mod outbox;
pub mod policy;
pub mod queue;
pub mod scarcity;
pub mod server;
pub mod site;
pub mod store;

use limits::METRICS_CONNECTIONS_MAX;
use options::Command;
use pluto_sdk::{Error, ListenError, ServerOptions, info, spawn};
use server::Server;
use site::Site;
use std::rc::Rc;
use std::time::Duration;

pluto_sdk::main!(main);

/// Serves until the operator says stop. The arguments are the granted port, the root as the
/// operator named it, and options. The error is a line for the operator.
pub async fn main(args: Vec<String>) -> Result<(), String> {
    let options = match options::parse(&args)? {
        Command::Serve(options) => options,
        Command::Check(options) => {
            let site = Site::load(&options).await?;
            info!("the configuration is right: {}", site.summary());
            return Ok(());
        }
        Command::Help => {
            options::help().iter().for_each(|line| info!("{line}"));
            return Ok(());
        }
    };
    info!("serving {}", options.root);
    let metrics_port = options.metrics_port;
    let limits = ServerOptions {
        port: options.port,
        connections_max: u32::try_from(options.connections).unwrap_or(u32::MAX),
        shared: true,
        grace: Duration::from_secs(options.grace_seconds),
    };
    let site = Site::load(&options).await?;
    let server = Rc::new(Server::new(options, site));
    let (reloading, counting) = (Rc::clone(&server), Rc::clone(&server));
    let listening = pluto_sdk::Server::new(limits)
        .on_reload(move || {
            let server = Rc::clone(&reloading);
            async move { server.reload().await }
        })
        .on_log_lost(move |lines| counting.metrics.lost_log_lines(lines));
    let listening = match metrics_port {
        None => listening,
        Some(port) => {
            let operator = Rc::new(Server::operator(Rc::clone(&server)));
            let (draining, sharing) = (Rc::clone(&server), Rc::clone(&server));
            spawn(async move { sharing.share_figures().await });
            listening
                .secondary_listener(port, METRICS_CONNECTIONS_MAX, move |client| {
                    connection::converse(client, Rc::clone(&operator))
                })
                .on_stop(move || draining.drain())
        }
    };
    let serving = Rc::clone(&server);
    let served = listening.run(move |client| connection::converse(client, Rc::clone(&serving))).await;
    if metrics_port.is_some() {
        server.share_last_figures().await;
    }
    served.map_err(|failed| match failed {
        ListenError { port, error: Error::NotPermitted } if Some(port) == metrics_port => {
            format!(
                "port {port} was not granted for metrics: give the host --grant-port {port}, before the guest's file"
            )
        }
        failed => failed.to_string(),
    })
}
