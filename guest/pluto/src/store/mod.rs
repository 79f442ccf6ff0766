//! What is kept of files.

pub mod cache;
pub mod compression;
pub mod digests;
pub mod generations;
mod gzip;
pub mod representation;
