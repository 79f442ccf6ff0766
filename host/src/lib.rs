//! Runs a server that is a WebAssembly component. The component can do four things: send requests,
//! receive answers, read the time, and log. ARCHITECTURE.md is the map of the code.

pub mod admission;
pub mod backend;
pub mod behaviour;
pub mod census;
pub mod checkpoints;
pub mod cli;
pub mod code_cache;
mod codegen;
pub mod command;
pub mod compile;
pub mod console;
pub mod contract;
pub mod engine;
pub mod engine_kind;
pub mod exchange;
pub mod guest;
mod guest_version;
pub mod image;
mod imports;
pub mod lab;
pub mod limits;
pub mod messages;
pub mod run_limits;
pub mod scene;
mod snapshot;
pub mod stop;

pub mod trace;
pub mod trap;
mod turn;
pub mod world;
