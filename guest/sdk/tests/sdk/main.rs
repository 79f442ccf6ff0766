//! The SDK from a guest author's side. One binary, a file for each theme; a new test goes to the
//! theme whose promise it holds, a new theme gets a file.

mod delivery;
mod pause;
mod server;
mod support;
mod tasks;
mod time;
mod world;
