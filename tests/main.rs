//! Tests of the host, the guests and the tools together: one test binary, with a file for each
//! theme.
//!
//! A new test goes into the file of its theme; a new theme gets a file. What can be tested inside
//! one crate is tested there. These tests run the built command and the built guests, which `cargo
//! xtask test` builds first.

mod admission;
mod attacks;
mod bounds;
mod changes;
mod compat;
mod compression;
mod conformance;
mod connections;
mod contract;
mod determinism;
mod difference;
mod digest;
mod disk;
mod echo;
mod explain;
mod flight;
mod floods;
mod forged;
mod golden;
mod hostile;
mod instructions;
mod kept;
mod logs;
mod memcmp;
mod mutations;
mod operating;
mod parity;
mod recording;
mod replay;
mod roots;
mod sentences;
mod shards;
mod signals;
mod starting;
mod stopping;
mod support;
mod website;
