//! The bindings that are generated from `wit/`. No other module names generated types.
#![allow(missing_docs, clippy::all)] // generated; the documentation is that of the WIT

pub mod io;
pub mod shape;

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "server",
    with: { "pluto:system/io": io },
    additional_derives: [PartialEq, Eq],
});

pub use self::io::Host;

/// The one interface that a guest may import.
pub const INTERFACE: &str = "pluto:system/io@0.2.0";

/// The one function that a guest must export.
pub const ENTRY: &str = "run";
