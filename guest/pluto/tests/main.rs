//! The server as clients see it: the native guest in a world of its own. One binary, a file for
//! each theme.
//!
//! A new test goes where its rule stands: what one request is answered (`requests`), which file a
//! path names (`paths`), under which conditions and in which parts it is sent (`conditional`), in
//! which encoding (`encodings`), what the server compresses itself (`compression`), when a
//! connection is kept, closed or given up (`connections`), several requests at once
//! (`pipelining`), files that are kept (`cache`), what a client can make the server spend
//! (`costs`) and hold (`memory`), what the operator sees (`operator`), what the site's
//! configuration says (`policy`) and what is wrong with it (`checks`), who may log in (`logins`),
//! and what must be true of anything that a client can send (`any_connection`, `any_path`), also
//! in the eyes of another client (`independent`); `generate` makes that up. A error that was
//! found in use gets a test with its story; those of the server that this one descends from are
//! in `original`.

mod any_connection;
mod any_path;
mod cache;
mod checks;
mod compression;
mod conditional;
mod connections;
mod costs;
mod encodings;
mod generate;
mod hand;
mod independent;
mod logins;
mod memory;
mod metrics;
mod operator;
mod original;
mod paths;
mod pipelining;
mod policy;
mod reload;
mod requests;
mod support;
