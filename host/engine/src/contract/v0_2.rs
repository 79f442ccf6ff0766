//! The contract as guests of 0.2.0 import it, translated to the contract of today.
//!
//! The replies are the same. Two requests had fewer fields: a `listen` was always shared, and a
//! `list` asked for all entries. Where a directory has more than `list_entries_max` entries, such
//! a guest gets the first ones; the host of 0.2.0 answered `failed(too-large)`.

use pluto_contract::{Handle, Id, Listing, Open, Path, Range, Read, Write};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The interface as these guests import it.
pub const INTERFACE: &str = "pluto:system/io@0.2.0";

/// The contract of that version.
pub const DOCUMENT: &str = include_str!("../../../../wit/released/0.2.0.wit");

/// The record `submission` of 0.2.0.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
#[repr(C)]
pub struct Submission {
    id: Id,
    request: Request,
}

/// The variant `request` of 0.2.0.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub enum Request {
    #[component(name = "listen")]
    Listen(Listen),
    #[component(name = "read")]
    Read(Read),
    #[component(name = "write")]
    Write(Write),
    #[component(name = "shutdown")]
    Shutdown(Handle),
    #[component(name = "close")]
    Close(Handle),
    #[component(name = "open")]
    Open(Open),
    #[component(name = "read-file")]
    ReadFile(Range),
    #[component(name = "load")]
    Load(Range),
    #[component(name = "list")]
    List(Path),
    #[component(name = "watch")]
    Watch(Path),
    #[component(name = "sleep")]
    Sleep(u64),
    #[component(name = "signals")]
    Signals,
    #[component(name = "cancel")]
    Cancel(Id),
    #[component(name = "digest")]
    Digest(Handle),
    #[component(name = "post")]
    Post(Vec<u8>),
    #[component(name = "gather")]
    Gather,
}

/// The record `listen` of 0.2.0.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
#[repr(C)]
pub struct Listen {
    port: u16,
    #[component(name = "connections-max")]
    connections_max: u32,
}

impl From<Submission> for pluto_contract::Submission {
    fn from(Submission { id, request }: Submission) -> Self {
        use pluto_contract::Request as Now;
        let request = match request {
            Request::Listen(Listen { port, connections_max }) => {
                Now::Listen(pluto_contract::Listen { port, connections_max, shared: true })
            }
            Request::Read(read) => Now::Read(read),
            Request::Write(write) => Now::Write(write),
            Request::Shutdown(handle) => Now::Shutdown(handle),
            Request::Close(handle) => Now::Close(handle),
            Request::Open(open) => Now::Open(open),
            Request::ReadFile(range) => Now::ReadFile(range),
            Request::Load(range) => Now::Load(range),
            Request::List(path) => Now::List(Listing::all(path)),
            Request::Watch(path) => Now::Watch(path),
            Request::Sleep(nanoseconds) => Now::Sleep(nanoseconds),
            Request::Signals => Now::Signals,
            Request::Cancel(id) => Now::Cancel(id),
            Request::Digest(handle) => Now::Digest(handle),
            Request::Post(bytes) => Now::Post(bytes),
            Request::Gather => Now::Gather,
        };
        Self { id, request }
    }
}
