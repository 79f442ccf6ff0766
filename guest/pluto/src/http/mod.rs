//! HTTP/1.1 as a pure state machine: bytes and facts in, decisions and bytes out. No type of the SDK appears here, and
//! nothing waits.
//!
//! | bytes in | module |
//! |---|---|
//! | the bytes of a connection, cut into requests | [`inbound`] |
//! | one head: which bytes may stand where | [`head`], [`syntax`] |
//! | one head: what it means | [`request`], [`authority`] |
//! | where the request goes, and the path in it | [`target`] |
//! | where a body ends | [`body`] |
//!
//! | bytes out | module |
//! |---|---|
//! | status codes and faults | [`status`] |
//! | response heads | [`response`] |
//! | the pages of errors and redirects | [`page`] |
//! | content types | [`media`] |
//! | dates | [`date`] |
//!
//! Room is left for what comes: a field that a request must remember (validators, ranges, accepted encodings) is read
//! in `request::Fields` and kept in [`request::Terms`]; what a representation is (its validators, its encoding) is
//! said by [`response::Representation`] and written by [`response::Fields`]; and what is chosen from the two is a
//! module of its own between them.

pub mod authority;
pub mod body;
pub mod date;
pub mod head;
pub mod inbound;
pub mod media;
pub mod page;
pub mod request;
pub mod response;
pub mod status;
pub mod syntax;
pub mod target;
