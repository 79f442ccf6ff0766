//! HTTP/1.1 for servers as a pure state machine: bytes and facts in, decisions and bytes out.
//! Nothing here waits, reads a clock or opens a file: the crate has no dependency that could.
//!
//! | bytes in | module |
//! |---|---|
//! | the bytes of a connection, cut into requests | [`inbound`] |
//! | one head: which bytes may stand where | [`head`], [`syntax`] |
//! | one head: what it means | [`request`], [`method`], [`authority`] |
//! | where the request goes, and the path in it | [`target`] |
//! | what a policy looks at besides | [`facts`] |
//! | who it comes from, when proxies pass it on | [`forwarded`] |
//! | where a body ends | [`body`] |
//! | under which conditions a response is wanted, and which part | [`conditional`], [`range`] |
//! | which codings the client accepts | [`encoding`] |
//!
//! | bytes out | module |
//! |---|---|
//! | status codes and errors | [`status`] |
//! | response heads | [`response`] |
//! | the pages of errors and redirects | [`page`] |
//! | content types | [`media`] |
//! | what tells two states of a representation apart | [`validator`] |
//! | how long it may be kept | [`freshness`] |
//! | several parts in one response | [`multipart`] |
//! | dates | [`date`] |
//! | numbers as a fixed count of digits | [`decimal`] |
//!
//! [`limits`] has every limit, with its reason.

pub mod authority;
pub mod body;
pub mod conditional;
pub mod date;
pub mod decimal;
pub mod encoding;
pub mod facts;
pub mod forwarded;
pub mod freshness;
pub mod head;
pub mod inbound;
pub mod limits;
pub mod media;
pub mod method;
pub mod multipart;
pub mod page;
pub mod range;
pub mod request;
pub mod response;
pub mod status;
pub mod syntax;
pub mod target;
pub mod validator;
