//! The clients of a scene: what they sent, and how they took what they were sent.

use std::cell::RefCell;
use std::rc::Rc;

use pluto_sim::{Clients, Input, Output, Port, Taken};

use super::seen::Seen;
use crate::scene::{Client, Scene};
use pluto_contract::{Error, SocketAddress};

/// The recorded clients.
pub struct RecordedClients {
    scene: Rc<Scene>,
    /// For each port that clients came to: from which client on nobody is accepted yet.
    next: Vec<(u16, usize)>,
    /// How far each client is read, by its number.
    progress: Vec<Progress>,
    seen: Rc<RefCell<Seen>>,
}

/// How far the guest has read what a client sent.
#[derive(Clone, Default)]
struct Progress {
    /// In bytes.
    read: usize,
    /// The segment in which that is.
    segment: usize,
}

/// What a client gives next.
enum Next {
    /// Bytes, up to here.
    Bytes(usize),
    End,
    Gone,
}

impl RecordedClients {
    pub fn new(scene: Rc<Scene>, seen: Rc<RefCell<Seen>>) -> Self {
        let progress = vec![Progress::default(); scene.clients.len()];
        Self { scene, next: Vec::new(), progress, seen }
    }

    /// The number of the next client that comes to a port.
    fn next(&mut self, port: u16) -> Option<usize> {
        let start = self.next.iter().find(|(of, _)| *of == port).map_or(0, |(_, next)| *next);
        let next = self.scene.clients[start..].iter().position(|client| client.port == port)? + start;
        self.set_next(port, next);
        Some(next)
    }

    fn set_next(&mut self, port: u16, next: usize) {
        match self.next.iter_mut().find(|(of, _)| *of == port) {
            Some((_, known)) => *known = next,
            None => self.next.push((port, next)),
        }
    }
}

impl Clients for RecordedClients {
    fn arrival(&mut self, port: Port) -> Option<u64> {
        self.next(port.given).map(|next| self.scene.clients[next].connected)
    }

    fn accept(&mut self, port: Port) -> Option<(usize, SocketAddress)> {
        let client = self.next(port.given)?;
        self.set_next(port.given, client + 1);
        self.seen.borrow_mut().observer.accepts(client);
        Some((client, self.scene.clients[client].peer))
    }

    fn read(&mut self, client: usize, now: u64, bytes_max: usize) -> Input {
        let (progress, client) = (&mut self.progress[client], &self.scene.clients[client]);
        match progress.next(client) {
            Some((time, _)) if time > now => Input::Later(Some(time)),
            Some((_, Next::Bytes(end))) => {
                let start = progress.read;
                progress.read = end.min(start + bytes_max);
                Input::Bytes(client.bytes[start..progress.read].to_vec())
            }
            Some((_, Next::End)) => Input::End,
            Some((_, Next::Gone)) => Input::Failed(Error::Disconnected),
            None => Input::Later(None),
        }
    }

    /// A write takes as long as writes took at its time. A client that never took one is waited
    /// for until the guest gives up, or the client is gone.
    fn write(&mut self, client: usize, now: u64, output: &mut Output) -> Taken {
        let client = &self.scene.clients[client];
        if is_gone(client, now) {
            return Taken::Failed(Error::Disconnected);
        }
        let wait = client.wait(output.since);
        match wait.map(|wait| (wait.to, wait.error)) {
            Some((to, _)) if to.is_none_or(|to| to > now) => Taken::Later(to.into_iter().chain(client.gone).min()),
            Some((_, Some(error))) => Taken::Failed(error),
            _ => {
                output.skip();
                Taken::All
            }
        }
    }

    fn shutdown(&mut self, client: usize, now: u64) -> Result<(), Error> {
        if is_gone(&self.scene.clients[client], now) { Err(Error::Disconnected) } else { Ok(()) }
    }
}

/// Whether a client was reset by this time.
fn is_gone(client: &Client, now: u64) -> bool {
    client.gone.is_some_and(|gone| gone <= now)
}

impl Progress {
    /// What the client gives next, and when it did. None: it is silent for ever.
    fn next(&mut self, client: &Client) -> Option<(u64, Next)> {
        while client.segments.get(self.segment).is_some_and(|segment| segment.end <= self.read) {
            self.segment += 1;
        }
        if let Some(segment) = client.segments.get(self.segment) {
            return Some((segment.time, Next::Bytes(segment.end)));
        }
        let (ended, gone) = (client.ended.map(|time| (time, Next::End)), client.gone.map(|time| (time, Next::Gone)));
        // A client may have ended its direction and be reset later.
        ended.or(gone)
    }
}
