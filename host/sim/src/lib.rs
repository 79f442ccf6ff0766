//! A world on virtual time: it answers a guest's requests by the rules of the contract, without
//! sockets, files or a clock.
//!
//! [`World`] keeps the rules. Its [`Clients`] say who comes, what they send and how they take what
//! they are sent; its [`Files`] say what is beneath the root. The tests of guests use a
//! [`Scripted`] set of clients and a [`Tree`] of files. The host's tools take both from a
//! recording.
//!
//! Nothing here knows the engine or the operating system. The same requests at the same times give
//! the same answers.

mod clients;
mod connection;
mod content;
mod files;
mod folder;
mod network;
mod reactor;
mod scripted;
#[cfg(test)]
mod tests;
mod tree;
mod world;

pub use self::clients::{CHOSEN_PORT, Clients, Input, Port, Taken};
pub use self::content::{Content, Output};
pub use self::files::{Change, Files};
pub use self::scripted::{ClientId, Scripted};
pub use self::tree::{NodeKind, SYMLINKS_MAX, Tree};
pub use self::world::World;
