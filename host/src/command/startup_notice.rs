//! The message when a server begins to listen, written once for all shards.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::descriptors::descriptors_of_host;
use super::report::report;

/// Tells the operator the server's address, as soon as every shard listens. From then on clients
/// meet all shards.
pub struct StartupNotice {
    /// The name of the folder or guest that is served.
    what: String,
    /// The address for clients.
    address: SocketAddr,
    shards: usize,
    /// The most connections, files and buffers that each shard may hold at once.
    handles_max: usize,
    begin: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The shards that listen.
    listening: HashSet<usize>,
    /// Whether the operator was told.
    is_told: bool,
    /// Further notes for the operator, which follow the message.
    notes: Vec<String>,
    /// Further addresses where the first shard listens, which follow the message.
    further: BTreeSet<SocketAddr>,
}

impl StartupNotice {
    /// Creates the notice of a server that began to start at `begin`. `note` is written once the
    /// server serves.
    pub fn new(
        what: String,
        address: SocketAddr,
        shards: usize,
        handles_max: usize,
        begin: Instant,
        note: Option<String>,
    ) -> Self {
        let state = State { notes: note.into_iter().collect(), ..State::default() };
        Self { what, address, shards, handles_max, begin, state: Mutex::new(state) }
    }

    /// Takes note that a shard listens at an address, for this many clients. Returns whether that
    /// is the address for clients.
    pub fn listening(&self, shard: usize, address: SocketAddr, clients: u32) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first_port = address == self.address;
        if is_first_port {
            let is_new = state.listening.insert(shard);
            if is_new && shard == 1 {
                state.notes.extend(fewer_clients(clients as usize, self.handles_max, self.shards));
            }
        } else if shard == 1 {
            state.further.insert(address);
        }
        if !state.is_told && state.listening.len() == self.shards {
            state.is_told = true;
            report(&serving(&self.what, self.address, self.shards, self.begin));
        }
        if state.is_told {
            state.notes.drain(..).for_each(|note| report(&note));
        }
        // One shard has nobody to wait for.
        if state.is_told || self.shards == 1 {
            std::mem::take(&mut state.further).into_iter().for_each(|address| report(&also_listening(address)));
        }
        is_first_port
    }
}

fn serving(what: &str, address: SocketAddr, shards: usize, begin: Instant) -> String {
    let (host, reach) = reach(address);
    let shards = if shards == 1 { String::new() } else { format!(" by {shards} shards") };
    format!("serving {what} at http://{host}/ ({reach}){shards}, ready in {:.0?}", begin.elapsed())
}

/// Returns the note that fewer clients can be connected than the guest would take. Both numbers
/// are for each shard.
fn fewer_clients(wanted: usize, handles_max: usize, shards: usize) -> Option<String> {
    let most = pluto_contract::limits::clients_max(handles_max);
    // The inverse of `clients_max`.
    let handles = wanted
        .saturating_mul(pluto_contract::limits::HANDLES_FOR_FILES_SHARE)
        .div_ceil(pluto_contract::limits::HANDLES_FOR_FILES_SHARE - 1);
    let advice = if handles > pluto_contract::limits::HANDLES_MAX {
        "the host has no handles for more".to_owned()
    } else {
        let descriptors = (handles * shards) as u64 + descriptors_of_host(shards);
        format!("raise `ulimit -Hn` to {descriptors} for all")
    };
    let (most, wanted) = (most.saturating_mul(shards), wanted.saturating_mul(shards));
    (most < wanted).then(|| {
        format!(
            "note: at most {most} clients can be connected at once, while the server would accept {wanted}: {advice}"
        )
    })
}

fn also_listening(address: SocketAddr) -> String {
    let (host, reach) = reach(address);
    format!("also listening on {host} ({reach})")
}

/// Returns how an address is reached from this machine, and who else can reach it.
fn reach(address: SocketAddr) -> (String, &'static str) {
    let ip = address.ip();
    if ip.is_loopback() {
        (address.to_string(), "this machine only")
    } else if ip.is_unspecified() {
        (format!("localhost:{}", address.port()), "every network of this machine")
    } else {
        (address.to_string(), "the network of this address")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_more_clients_than_descriptors_allow_is_told_how_many_are_needed() {
        assert_eq!(fewer_clients(750, 1_000, 1), None);
        let note = fewer_clients(50_000, 19_936, 1).expect("fewer");
        assert!(note.contains("14952 clients") && note.contains("raise `ulimit -Hn` to 66731"), "{note}");
        assert_eq!(fewer_clients(50_000, 66_731 - 64, 1), None);
        let note = fewer_clients(25_000, 9_000, 2).expect("fewer");
        assert!(note.contains("13500 clients can be connected at once, while the server would accept 50000"), "{note}");
        assert!(
            fewer_clients(usize::MAX, pluto_contract::limits::HANDLES_MAX, 1)
                .is_some_and(|note| note.contains("no handles for more"))
        );
    }

    #[test]
    fn the_startup_line_says_who_can_reach_the_server() {
        for (address, url, reach) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000/", "this machine only"),
            ("[::1]:80", "http://[::1]:80/", "this machine only"),
            ("0.0.0.0:80", "http://localhost:80/", "every network"),
            ("192.0.2.1:80", "http://192.0.2.1:80/", "the network of this address"),
        ] {
            let line = serving("html/", address.parse().expect("an address"), 1, Instant::now());
            assert!(line.contains(url) && line.contains(reach), "{line}");
        }
    }
}
