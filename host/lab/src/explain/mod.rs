//! Explains a run: turns the steps of a replay into events, which people read as text or as a
//! page.

mod explainer;
pub mod html;
pub mod text;
mod words;

pub use explainer::Explainer;
pub use words::count;

/// One event of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The turn of the event. 0 before the guest received for the first time.
    pub turn: u64,
    /// Nanoseconds since the start.
    pub time: u64,
    /// The lane of the event: what it concerns.
    pub lane: Lane,
    /// The kind of the event.
    pub kind: Kind,
    /// The side on which the event happened.
    pub mark: Mark,
    /// The request, counted from 1 in the order of sending; 0 for what belongs to none.
    pub request: u64,
    /// The event in words.
    pub text: String,
}

/// What an event concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Listening, signals, and what concerns nothing in particular.
    Host,
    /// What the guest said.
    Log,
    /// Sleeping.
    Timers,
    /// Files, folders and buffers.
    Files,
    /// The connection of that number.
    Connection(u64),
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Connections that come.
    Listen,
    /// Bytes that a client sent.
    Read,
    /// Bytes that a client was sent.
    Write,
    /// Connections that end.
    Close,
    /// Files.
    File,
    /// Time.
    Timer,
    /// The operator's signals, cancelling.
    Control,
    /// What the guest said.
    Log,
}

/// The side on which an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The guest sent a request.
    Sent,
    /// The guest received an answer.
    Got,
    /// The guest received an answer that is an error.
    Failed,
    /// The guest logged a line.
    Logged,
}

/// A filter of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only what concerns the connection of that number.
    pub connection: Option<u64>,
    /// The earliest time that is shown: nanoseconds since the start.
    pub from: u64,
    /// The latest time that is shown: nanoseconds since the start.
    pub to: u64,
}

impl Filter {
    /// Shows everything.
    pub const ALL: Self = Self { connection: None, from: 0, to: u64::MAX };

    /// Returns whether an event in this lane at this time is shown.
    pub fn shows(&self, lane: Lane, time: u64) -> bool {
        let here = self.connection.is_none_or(|number| lane == Lane::Connection(number));
        here && (self.from..=self.to).contains(&time)
    }
}
