//! Tools for recorded runs: they are explained to people, taken apart, and compared with other
//! runs.

pub mod difference;
pub mod explain;
pub mod extract;
pub mod replaying;
pub mod stage;
