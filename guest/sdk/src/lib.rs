//! What a guest of pluto-host is written with: typed requests, an async executor over the two
//! calls that carry them, and a way to test a guest without a host.
//!
//! A guest can send requests, receive answers, read the time and write to the log, and nothing
//! else (`wit/system.wit`). Here each kind of request is a type with its own answer type, so that
//! an ill-matched handler does not compile, and waiting for an answer is `.await`. Everything runs
//! in one thread: state that tasks share is an `Rc<RefCell<_>>` or a `Cell`.
//!
//! ```
//! use pluto_sdk::{Client, Error, ServerOptions, info, serve};
//! use std::time::Duration;
//!
//! /// Sends back the first bytes of each client.
//! async fn greeter(args: Vec<String>) -> Result<(), Error> {
//!     let port = args.first().and_then(|port| port.parse().ok()).ok_or(Error::Invalid)?;
//!     serve(ServerOptions { port, connections_max: 1_000, shared: true, grace: Duration::from_secs(5) }, greet).await
//! }
//!
//! async fn greet(client: Client) {
//!     if let Ok(bytes) = client.connection.read(4_096).await {
//!         info!("{} sent {} bytes", client.connection.peer(), bytes.len());
//!         // An error means that the client is gone, which ends the handler anyway.
//!         let _ = client.connection.write(vec![bytes.into()]).await;
//!     }
//! }
//!
//! pluto_sdk::main!(greeter);
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`request`] | the typed core: [`ask`], [`handle`](request::handle), [`answers`](request::answers) |
//! | [`net`] | [`listen`], [`Listener`], [`Connection`], [`Part`] |
//! | [`fs`] | [`fs::open`], [`fs::list`], [`fs::watch`], [`File`], [`Buffer`] |
//! | [`time`] | [`now`], [`sleep`], [`with_timeout`], [`Deadline`] |
//! | [`task`] | [`spawn`], [`join`], [`race`] |
//! | [`mod@log`] | [`error!`], [`warn!`], [`info!`], [`debug!`] |
//! | [`mod@signals`] | what the operator wants |
//! | [`shards`] | [`post`], [`gather`]: what the shards of a server leave for each other |
//! | [`server`] | [`serve`]: what every TCP server needs |
//! | `testing` | a guest as a function from answers to requests, and a small world that answers it |
//! | [`contract`] | the generated bindings |
//!
//! Two features, off by default, replace something for the whole guest. Both make a server faster:
//!
//! | feature | what it does |
//! |---|---|
//! | `allocator` | gives small blocks of memory out again at once: a sixth fewer instructions for a request of the web server |
//! | `memcmp` | compares bytes eight at a time: a twelfth fewer for a long path |

pub mod contract;
mod executor;
pub mod fs;
pub mod log;
#[cfg(any(all(target_arch = "wasm32", feature = "allocator"), test))]
mod memory;
pub mod net;
pub mod request;
pub mod server;
pub mod shards;
pub mod signals;
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))] // only the component sends
mod slices;
pub mod task;
pub mod time;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod component;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

/// Nothing in the SDK names it: a linker that has the crate takes `memcmp` from there.
#[cfg(all(target_arch = "wasm32", feature = "memcmp"))]
extern crate pluto_memcmp as _;

/// What allocates in a guest that asks for it.
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
#[global_allocator]
static MEMORY: memory::Recycler<std::alloc::System> = memory::Recycler::new(std::alloc::System);

pub use contract::{Entry, Error, Kind, Level, Metadata, Signal};
pub use fs::{Buffer, File, Symlinks};
pub use net::{Connection, Listen, Listener, Part, listen};
pub use request::{Ask, AskMany, Handler, Pending, ask};
pub use server::{Client, ListenError, Server, ServerOptions, serve};
pub use shards::{gather, post};
pub use signals::{Signals, signals};
pub use task::{Either, Task, join, race, spawn};
pub use time::{Deadline, Elapsed, now, sleep, with_timeout};

/// Makes an async function the `main` of a guest: `pluto_sdk::main!(path::to::main);`, once in the
/// crate.
///
/// The function is `async fn(Vec<String>) -> Result<(), E>` with `E: Display`. Its arguments are
/// the granted port, the root as the operator named it (when there is one), and the guest's own.
/// `Ok` ends the guest with exit code 0; an `Err` is logged at level error and ends it with 1.
/// What other tasks have not finished by then is dropped.
///
/// For `wasm32` this exports the component's `run`; in a native build it exports nothing.
#[macro_export]
macro_rules! main {
    ($main:path) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)] // The generated export: the one symbol that the host calls.
        const _: () = {
            struct Component;

            impl $crate::contract::Guest for Component {
                fn run(args: ::std::vec::Vec<::std::string::String>) -> $crate::contract::Outcome {
                    $crate::component::run($main, args)
                }
            }

    $crate::contract::export!(Component with_types_in $crate::contract);
        };

        // So that a native build checks the path, and does not call a private `main` unused.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            let _ = $main;
        };
    };
}
