//! The web server.
pub mod http;
pub mod limits;
