//! The bindings of `wit/`, and the only place that names generated types.
#![allow(missing_docs, clippy::all)] // generated; the documentation is that of the WIT

wasmtime::component::bindgen!({
    path: "../wit",
    world: "server",
    imports: { default: trappable },
    additional_derives: [PartialEq, Eq],
});

pub use pluto::system::io::*;

/// The one interface that a guest may import.
pub const INTERFACE: &str = "pluto:system/io@0.1.0";

/// The contract itself, whose digest a trace names.
pub const SOURCE: &str = include_str!("../../wit/system.wit");

/// The one function that a guest must export.
pub const ENTRY: &str = "run";
