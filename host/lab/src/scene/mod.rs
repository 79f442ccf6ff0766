//! What the world did in a recorded run, without the guest: clients, files and signals, each with
//! its time. Another guest can be put into it: see `sim`.

mod files;

pub use self::files::{Files, Timeline};

use pluto_contract::stop::Exit;
use pluto_contract::{Error, Signal, SocketAddress};

/// A world, as far as a recorded guest has seen it. All times are nanoseconds since the Unix
/// epoch.
#[derive(Debug)]
pub struct Scene {
    /// What the guest was given.
    pub arguments: Vec<String>,
    /// Memory that the guest may have, in bytes.
    pub memory_max: u64,
    /// When the run began.
    pub start: u64,
    /// The time of the last batch.
    pub end: u64,
    /// How many batches there were.
    pub turns: u64,
    /// The ports on which the guest listened: as it asked for them, and as the system gave them.
    pub ports: Vec<(u16, u16)>,
    /// Those who were accepted, in this order.
    pub clients: Vec<Client>,
    /// What is known of files.
    pub files: Files,
    /// What watches have told, in order.
    pub changes: Vec<Change>,
    /// What the operator wanted, in order.
    pub signals: Vec<(u64, Signal)>,
    /// How the recorded run ended; none when the recording broke off.
    pub ended: Option<Exit>,
}

/// A client, from its own side.
#[derive(Debug)]
pub struct Client {
    /// When it was accepted.
    pub connected: u64,
    /// The port to which it came.
    pub port: u16,
    /// Its address.
    pub peer: SocketAddress,
    /// All that it sent.
    pub bytes: Vec<u8>,
    /// The pieces in which that came.
    pub segments: Vec<Segment>,
    /// When it ended its direction.
    pub ended: Option<u64>,
    /// Since when it was gone: reset, or no longer reading.
    pub gone: Option<u64>,
    /// How long it was until it had taken what it was sent: intervals that do not overlap, in
    /// order.
    pub waits: Vec<Wait>,
    /// Nobody knows how much of the last of what was sent it has received.
    pub cut: bool,
}

/// Bytes that came at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// When they came.
    pub time: u64,
    /// Where in the client's bytes they end.
    pub end: usize,
}

/// An interval in which a client took what it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What had happened last before the write.
    pub from: u64,
    /// When the write was done. None: the client never took it.
    pub to: Option<u64>,
    /// Why the write failed, if it did.
    pub error: Option<Error>,
}

/// Something beneath the root has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it was told.
    pub time: u64,
    /// What has changed.
    pub path: Vec<u8>,
    /// Whether it is not there any more.
    pub gone: bool,
}

impl Scene {
    /// A world in which nothing happens yet, for a guest with these arguments and with so many
    /// bytes of memory at most. It begins at `start`: nanoseconds since the Unix epoch.
    pub fn new(arguments: Vec<String>, memory_max: u64, start: u64) -> Self {
        Self {
            arguments,
            memory_max,
            start,
            end: start,
            turns: 0,
            ports: Vec::new(),
            clients: Vec::new(),
            files: Files::default(),
            changes: Vec::new(),
            signals: Vec::new(),
            ended: None,
        }
    }

    /// When the operator asked the guest to stop.
    pub fn stopped(&self) -> Option<u64> {
        self.signals.iter().find(|(_, signal)| *signal == Signal::Stop).map(|(time, _)| *time)
    }
}

impl Client {
    /// One that has come, and nothing more yet.
    pub fn new(connected: u64, port: u16, peer: SocketAddress) -> Self {
        Self {
            connected,
            port,
            peer,
            bytes: Vec::new(),
            segments: Vec::new(),
            ended: None,
            gone: None,
            waits: Vec::new(),
            cut: false,
        }
    }

    /// All that it gives: bytes, and one more for the end of stream.
    pub fn total(&self) -> u64 {
        self.bytes.len() as u64 + u64::from(self.ended.is_some())
    }

    /// The end of the segment in which so much was taken, so that guests which take less at a time
    /// are counted alike.
    pub fn boundary(&self, taken: u64) -> u64 {
        let index = self.segments.partition_point(|segment| (segment.end as u64) < taken);
        match self.segments.get(index) {
            Some(segment) if taken > 0 => segment.end as u64,
            // The end of stream can be read again and again.
            _ => taken.min(self.total()),
        }
    }

    /// The segment that ends so, as bytes. Nothing before the first, and for the end of stream.
    pub fn segment(&self, boundary: u64) -> &[u8] {
        let index = self.segments.partition_point(|segment| (segment.end as u64) < boundary);
        let start = if index == 0 { 0 } else { self.segments[index - 1].end };
        match self.segments.get(index) {
            Some(segment) if boundary > 0 => &self.bytes[start..segment.end],
            _ => &[],
        }
    }

    /// The interval in which a write at that time falls.
    pub fn wait(&self, time: u64) -> Option<&Wait> {
        let index = self.waits.partition_point(|wait| wait.from <= time).checked_sub(1)?;
        Some(&self.waits[index]).filter(|wait| wait.to.is_none_or(|to| time < to))
    }
}
