//! The contract between a host and its guests, in Rust: what `wit/system.wit` says, once.
//!
//! Everything here is independent of what is behind the contract: the live system, a recorded run,
//! or the world of a guest's own tests. It needs neither wasmtime nor the operating system.

mod arity;
pub mod checks;
mod conversions;
mod define;
pub mod limits;
mod message;
mod rules;
pub mod stop;
#[cfg(test)]
mod tests;
mod types;
pub mod versions;
#[cfg(feature = "world")]
pub mod world;

pub use self::arity::Arity;
pub use self::rules::{Expected, Field, ObjectKind};
pub use self::types::*;
