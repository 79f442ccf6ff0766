//! A run explained: the steps of a replay in, what happened out, for people to read as text or as
//! a page.

mod explainer;
pub mod html;
pub mod text;
mod words;

pub use explainer::Explainer;
pub use words::count;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// In which turn; 0 before the guest received for the first time.
    pub turn: u64,
    /// Nanoseconds since the start.
    pub time: u64,
    /// What it concerns.
    pub lane: Lane,
    /// What it is about.
    pub kind: Kind,
    /// On whose side it happened.
    pub mark: Mark,
    /// The request, counted from 1 in the order of sending; 0 for what belongs to none.
    pub request: u64,
    /// It, in words.
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

/// On whose side an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The guest sent a request.
    Sent,
    /// It received an answer.
    Got,
    /// It received an answer that is an error.
    Failed,
    /// It logged.
    Logged,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only what concerns the connection of that number.
    pub connection: Option<u64>,
    /// Not what was before: nanoseconds since the start.
    pub from: u64,
    /// Not what was later: nanoseconds since the start.
    pub to: u64,
}

impl Filter {
    /// Shows everything.
    pub const ALL: Self = Self { connection: None, from: 0, to: u64::MAX };

    /// Whether what concerns this, and happens at this time, is shown.
    pub fn shows(&self, lane: Lane, time: u64) -> bool {
        let here = self.connection.is_none_or(|number| lane == Lane::Connection(number));
        here && (self.from..=self.to).contains(&time)
    }
}
