//! What is made of recorded runs: told to people, taken apart, and compared with other runs.

pub mod difference;
pub mod explain;
pub mod extract;
pub mod replaying;
pub mod stage;
