//! Helpers that several themes use.

pub mod binary;
pub mod frames;
pub mod guests;
pub mod host;
pub mod http;
pub mod memory;
pub mod site;
pub mod slow_disk;
pub mod traces;
