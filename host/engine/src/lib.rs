//! Guests on wasmtime: which are admitted, how code is compiled and kept, how a guest runs in a
//! world.
//!
//! No other crate of the host knows wasmtime. What a guest asks goes through the [`exchange`] to a
//! world (`pluto_contract::world::World`), and nothing here can tell which world that is.

pub mod admission;
pub mod census;
pub mod code_cache;
mod codegen;
pub mod compile;
pub mod contract;
pub mod engine;
pub mod exchange;
pub mod guest;
mod guest_version;
mod imports;
pub mod limits;
pub mod script;
mod snapshot;
mod toolchain;
pub mod trap;
mod turn;
