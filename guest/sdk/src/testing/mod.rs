//! A guest without a host: a function from answers to requests.
//!
//! [`Guest`] is the bare function, for a test that states both sides; [`World`] is a small system
//! in memory that answers a guest, for a test that states what clients see. Both run the very code
//! that the component runs, and are deterministic.

mod guest;
mod shuffle;
mod world;

pub use crate::contract::{self, Answer, Outcome, Reply, Request, Submission};
pub use guest::{Guest, Turn, run_on_answers};
pub use world::{ClientId, World, limits};
