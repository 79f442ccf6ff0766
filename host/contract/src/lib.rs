//! The contract between a host and its guests, in Rust: what `wit/system.wit` says, once.
//!
//! Everything here is independent of what is behind the contract: the live system, a recorded run,
//! or the world of a guest's own tests. It needs neither wasmtime nor the operating system.

mod arity;
mod conversions;
mod define;
mod message;
#[cfg(test)]
mod tests;
mod types;

pub use self::arity::Arity;
pub use self::types::*;
