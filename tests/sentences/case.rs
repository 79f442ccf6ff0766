//! A case of the suite, and plans that several cases use.

use pluto_contract::*;

use super::worlds::{Event, Plan, Run, bytes, range, read, write};

/// Sentences of the contract, and what shows that a world keeps them.
pub struct Case {
    /// The sentences, as wit/system.wit has them.
    pub sentences: &'static [&'static str],
    /// What is there, and what happens.
    pub plan: fn() -> Plan,
    /// Asks the world, and looks at its answers.
    pub script: fn(&mut Run<'_>),
}

pub const CANCELLED: Reply = Reply::Failed(Error::Cancelled);
pub const FOREVER: u64 = u64::MAX;

pub fn nothing() -> Plan {
    Plan::default()
}

pub fn a_client() -> Plan {
    Plan { events: vec![Event::Connects], ..nothing() }
}

pub fn a_file() -> Plan {
    Plan { files: vec![("file", b"0123456789".to_vec())], ..a_client() }
}

/// A client that takes nothing, and a file that no socket takes at once.
pub fn a_deaf_client() -> Plan {
    Plan { files: vec![("large", vec![b'x'; LARGE as usize])], deaf: vec![0], ..a_client() }
}

pub const LARGE: u64 = pluto_contract::limits::BUFFER_BYTES_MAX;

/// More than sockets hold, of a file that is `large`.
pub fn a_large_write(run: &mut Run<'_>, connection: u64) -> u64 {
    let file = run.open("large");
    let parts = (0..4).map(|_| Part::File(range(file, 0, LARGE))).collect();
    run.send(write(connection, parts))
}

/// The requests that name a handle, with this one instead of a right one.
pub fn requests_with(handle: u64, connection: u64) -> Vec<Request> {
    vec![
        read(handle, 1),
        write(handle, bytes("x")),
        write(connection, vec![Part::File(range(handle, 0, 1))]),
        write(connection, vec![Part::Buffer(range(handle, 0, 1))]),
        Request::Shutdown(handle),
        Request::ReadFile(range(handle, 0, 1)),
        Request::Load(range(handle, 0, 1)),
        Request::Digest(handle),
        Request::Close(handle),
    ]
}
