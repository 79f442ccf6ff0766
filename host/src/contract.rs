//! The bindings that are generated from `wit/`. No other module names generated types.
#![allow(missing_docs, clippy::all)] // generated; the documentation is that of the WIT

pub mod shape;
pub mod versions;

wasmtime::component::bindgen!({
    path: "../wit",
    world: "server",
    imports: { default: trappable },
    additional_derives: [PartialEq, Eq],
});

pub use pluto::system::io::*;

/// The one interface that a guest may import.
pub const INTERFACE: &str = "pluto:system/io@0.2.0";

/// The one function that a guest must export.
pub const ENTRY: &str = "run";

/// How often a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// The first answer is the final one.
    Once,
    /// Only `failed` is a final answer.
    Many,
}

impl Arity {
    /// Returns how often a request is answered.
    pub fn of(request: &Request) -> Self {
        match request {
            Request::Listen(_) | Request::Watch(_) | Request::Signals => Self::Many,
            _ => Self::Once,
        }
    }

    /// Returns whether this is the final answer to a request.
    pub fn is_final(self, reply: &Reply) -> bool {
        match self {
            Self::Once => true,
            Self::Many => matches!(reply, Reply::Failed(_)),
        }
    }
}
