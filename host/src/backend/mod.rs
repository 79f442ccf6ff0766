//! The worlds behind the seam.

pub mod live;
pub mod record;
pub mod replay;
pub mod script;
pub mod sim;
