//! Tools for recorded runs: they are explained to people, taken apart, and compared with other
//! runs.

pub mod behaviour;
pub mod difference;
pub mod explain;
pub mod extract;
pub mod limits;
pub mod replaying;
pub mod scene;
pub mod sim;
pub mod stage;
pub mod trace_file;
