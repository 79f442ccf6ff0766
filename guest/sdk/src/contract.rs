//! The bindings that wit-bindgen generates from `wit/`, on the types of `pluto_contract`.
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
    with: {
        "pluto:system/io@0.3.0/submission": pluto_contract::Submission,
        "pluto:system/io@0.3.0/answer": pluto_contract::Answer,
        "pluto:system/io@0.3.0/request": pluto_contract::Request,
        "pluto:system/io@0.3.0/reply": pluto_contract::Reply,
        "pluto:system/io@0.3.0/listen": pluto_contract::Listen,
        "pluto:system/io@0.3.0/listing": pluto_contract::Listing,
        "pluto:system/io@0.3.0/accepted": pluto_contract::Accepted,
        "pluto:system/io@0.3.0/socket-address": pluto_contract::SocketAddress,
        "pluto:system/io@0.3.0/ip-address": pluto_contract::IpAddress,
        "pluto:system/io@0.3.0/read": pluto_contract::Read,
        "pluto:system/io@0.3.0/write": pluto_contract::Write,
        "pluto:system/io@0.3.0/part": pluto_contract::Part,
        "pluto:system/io@0.3.0/range": pluto_contract::Range,
        "pluto:system/io@0.3.0/open": pluto_contract::Open,
        "pluto:system/io@0.3.0/opened": pluto_contract::Opened,
        "pluto:system/io@0.3.0/metadata": pluto_contract::Metadata,
        "pluto:system/io@0.3.0/kind": pluto_contract::Kind,
        "pluto:system/io@0.3.0/loaded": pluto_contract::Loaded,
        "pluto:system/io@0.3.0/digested": pluto_contract::Digested,
        "pluto:system/io@0.3.0/entry": pluto_contract::Entry,
        "pluto:system/io@0.3.0/signal": pluto_contract::Signal,
        "pluto:system/io@0.3.0/error": pluto_contract::Error,
        "pluto:system/io@0.3.0/level": pluto_contract::Level,
    },
    additional_derives: [PartialEq, Eq],
    pub_export_macro: true,
    default_bindings_module: "pluto_sdk::contract",
    runtime_path: "wit_bindgen::rt",
});

pub use pluto_contract::*;
