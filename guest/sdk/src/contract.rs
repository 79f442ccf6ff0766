//! The bindings that wit-bindgen generates from `wit/`. Nothing here is written by hand.
//!
//! Only the shim behind [`main!`](crate::main) calls the four functions, and only on wasm32:
//! natively they have no implementation and panic.

// The ABI is pointers and lengths; the code that reads them is generated, and lives in this file
// only. The contract documents its types, not each field and case.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]

// `wit/` here is a link to the contract of the repository, so that the SDK's package holds its
// text.
wit_bindgen::generate!({
    path: "wit",
    world: "server",
    additional_derives: [PartialEq, Eq],
    pub_export_macro: true,
    default_bindings_module: "pluto_sdk::contract",
    runtime_path: "wit_bindgen::rt",
});

pub use pluto::system::io::{
    Accepted, Answer, Digested, Entry, Error, Handle, Id, IpAddress, Kind, Level, Listen, Loaded, Metadata, Open,
    Opened, Part, Path, Range, Read, Reply, Request, Signal, SocketAddress, Submission, Write,
};
