//! A run explained: the steps of a replay in, what happened out, for people to read as text or as a page.

pub mod html;
pub mod text;
mod words;

use std::time::{Duration, SystemTime};

use hashbrown::HashMap;

use super::{Header, How};
use crate::backend::replay::{Outcome, Step};
use crate::contract::{Answer, Level, Reply, Request, Submission};
use words::{Name, Words, count, span};

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
    /// Whether an event is shown.
    pub fn shows(&self, event: &Event) -> bool {
        let here = self.connection.is_none_or(|number| event.lane == Lane::Connection(number));
        here && (self.from..=self.to).contains(&event.time)
    }
}

/// Makes events of steps.
pub struct Explainer {
    words: Words,
    start: u64,
    turn: u64,
    time: u64,
    requests: u64,
    bytes: [u64; 2],
    /// By id.
    pending: HashMap<u64, Pending>,
    end: Option<How>,
}

struct Pending {
    number: u64,
    what: String,
    lane: Lane,
    kind: Kind,
    /// Whether only a failure is its final answer.
    many: bool,
}

impl Explainer {
    /// Explains the run that began so, with what was sent and named (`data`), or with the lengths only.
    pub fn new(header: &Header, data: bool) -> Self {
        let (words, pending) = (Words::new(data), HashMap::new());
        Self { words, start: header.start, turn: 0, time: 0, requests: 0, bytes: [0; 2], pending, end: None }
    }

    /// What happened in a step: what the guest did in the turn before, then what it received.
    pub fn step(&mut self, step: &Step) -> Vec<Event> {
        let mut events: Vec<Event> = step.log.iter().map(|(level, line)| self.log(*level, line)).collect();
        events.extend(step.sent.iter().map(|submission| self.request(submission)));
        if step.end.is_some() {
            self.end.clone_from(&step.end);
            return events;
        }
        self.turn = step.turn;
        self.time = self.time.max(step.time.saturating_sub(self.start));
        events.extend(step.answers.iter().map(|answer| self.answer(answer)));
        events
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.words.connections()
    }

    /// What the run was, in names and values.
    pub fn about(&self, header: &Header, data: bool) -> Vec<(&'static str, String)> {
        let digest: String = header.guest_sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let arguments: Vec<String> = header.arguments.iter().map(|argument| self.words.line(argument)).collect();
        let arguments = if data { arguments.join(" ") } else { format!("{}, left out", arguments.len()) };
        let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(header.start);
        let start = humantime::format_rfc3339_micros(start).to_string();
        vec![("guest", format!("sha256 {digest}")), ("arguments", arguments), ("start", start)]
    }

    /// How much there was of everything, in names and values.
    pub fn totals(&self) -> Vec<(&'static str, String)> {
        let [received, sent] = self.bytes.map(|bytes| count(bytes, "byte"));
        vec![
            ("duration", span(self.time)),
            ("turns", self.turn.to_string()),
            ("requests", self.requests.to_string()),
            ("connections", self.connections().to_string()),
            ("from clients", received),
            ("to clients", sent),
        ]
    }

    /// How the run ended.
    pub fn ending(&self, outcome: &Outcome) -> String {
        if let Some(error) = &outcome.error {
            return format!("what follows cannot be read: {error}");
        }
        if outcome.divergence.is_some() {
            return "what follows is not known: from here on the replay is another run than was recorded".to_owned();
        }
        match &self.end {
            Some(How::Exit(code)) if outcome.ended => format!("the guest ended with exit code {code}"),
            Some(How::Trapped) if outcome.ended => "the guest trapped".to_owned(),
            Some(How::Stopped(stop)) if outcome.ended => format!("the host ended the guest: {stop}"),
            _ => "the trace breaks off here: the host was killed".to_owned(),
        }
    }

    fn event(&self, lane: Lane, kind: Kind, mark: Mark, request: u64, text: String) -> Event {
        Event { turn: self.turn, time: self.time, lane, kind, mark, request, text }
    }

    fn log(&self, level: Level, line: &str) -> Event {
        let level = match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        };
        self.event(Lane::Log, Kind::Log, Mark::Logged, 0, format!("{level}: {}", self.words.line(line)))
    }

    fn request(&mut self, submission: &Submission) -> Event {
        let (mut what, rest) = self.words.request(&submission.request);
        let (mut lane, kind) = self.place(&submission.request);
        if let Request::Cancel(id) = &submission.request {
            let target = self.pending.get(id);
            what = target.map_or("cancel nothing pending".to_owned(), |it| format!("cancel #{}, {}", it.number, it.what));
            lane = target.map_or(lane, |it| it.lane);
        }
        self.requests += 1;
        let number = self.requests;
        let event = self.event(lane, kind, Mark::Sent, number, format!("{what}{rest}"));
        let many = matches!(submission.request, Request::Listen(_) | Request::Watch(_) | Request::Signals);
        self.pending.insert(submission.id, Pending { number, what, lane, kind, many });
        event
    }

    fn answer(&mut self, answer: &Answer) -> Event {
        let learnt = self.words.learn(&answer.reply);
        let reply = self.words.reply(&answer.reply);
        let failed = matches!(answer.reply, Reply::Failed(_));
        let mark = if failed { Mark::Failed } else { Mark::Got };
        let Some(request) = self.pending.get(&answer.id) else {
            let text = format!("an answer to nothing pending -> {reply}");
            return self.event(Lane::Host, Kind::Control, mark, 0, text);
        };
        match &answer.reply {
            Reply::Data(bytes) if request.kind == Kind::Read => self.bytes[0] += bytes.len() as u64,
            Reply::Written(bytes) => self.bytes[1] += bytes,
            _ => {}
        }
        let lane = if let Some(Name::Connection(number)) = learnt { Lane::Connection(number) } else { request.lane };
        let event = self.event(lane, request.kind, mark, request.number, format!("{} -> {reply}", request.what));
        if failed || !request.many {
            self.pending.remove(&answer.id);
        }
        event
    }

    fn place(&self, request: &Request) -> (Lane, Kind) {
        let of = |handle: u64| match self.words.name(handle) {
            Some(Name::Connection(number)) => Lane::Connection(number),
            Some(Name::File(_) | Name::Buffer(_)) => Lane::Files,
            None => Lane::Host,
        };
        match request {
            Request::Listen(_) => (Lane::Host, Kind::Listen),
            Request::Read(read) => (of(read.connection), Kind::Read),
            Request::Write(write) => (of(write.connection), Kind::Write),
            Request::Shutdown(handle) | Request::Close(handle) => match of(*handle) {
                Lane::Files => (Lane::Files, Kind::File),
                lane => (lane, Kind::Close),
            },
            Request::Open(_) | Request::ReadFile(_) | Request::Load(_) | Request::List(_) | Request::Watch(_) => {
                (Lane::Files, Kind::File)
            }
            Request::Sleep(_) => (Lane::Timers, Kind::Timer),
            Request::Signals | Request::Cancel(_) => (Lane::Host, Kind::Control),
        }
    }
}
