//! Turns the steps of a replay into events.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hashbrown::HashMap;

use super::words::{Detail, Name, Words, count, span};
use super::{Event, Filter, Kind, Lane, Mark};
use crate::limits;
use pluto_contract::Arity;
use pluto_contract::stop::Exit;
use pluto_contract::{Answer, Field, Level, Reply, Request, Submission};
use pluto_messages::{level_name, printable};
use pluto_trace::replay::{Outcome, Step};
use pluto_trace::{Header, KeyFrame, Turn};

/// Makes events of steps. Only what is shown is put into words: that is most of the work.
pub struct Explainer {
    words: Words,
    filter: Filter,
    start: u64,
    turn: u64,
    time: u64,
    requests: u64,
    /// What of it was before: where the telling begins.
    begin: Begin,
    /// Of the content of connections: received, sent.
    bytes: [u64; 2],
    /// By id.
    pending: HashMap<u64, Pending>,
    /// What their words take of memory.
    words_bytes: usize,
    end: Option<Exit>,
}

/// The turns, nanoseconds and requests that are not told.
#[derive(Default)]
struct Begin {
    turn: u64,
    time: u64,
    requests: u64,
}

struct Pending {
    number: u64,
    /// In words, while its answer may be shown.
    what: Cow<'static, str>,
    lane: Lane,
    kind: Kind,
    /// Whether only a failure is its final answer.
    arity: Arity,
}

impl Pending {
    /// What its words take of memory; those of this program take none.
    fn bytes(&self) -> usize {
        if let Cow::Owned(words) = &self.what { words.capacity() } else { 0 }
    }
}

impl Explainer {
    /// Explains the run described by `header`, limited to `filter`. Without `data`, payloads and
    /// names are replaced by their lengths.
    pub fn new(header: &Header, detail: Detail, filter: Filter) -> Self {
        Self {
            words: Words::new(detail),
            filter,
            start: header.start,
            turn: 0,
            time: 0,
            requests: 0,
            begin: Begin::default(),
            bytes: [0; 2],
            pending: HashMap::new(),
            words_bytes: 0,
            end: None,
        }
    }

    /// A turn that is not told: what was accepted and opened in it gets its numbers all the same.
    pub fn skip(&mut self, turn: &Turn) {
        for answer in &turn.answers {
            self.words.learn(&answer.reply);
        }
    }

    /// The telling begins here.
    pub fn resume(&mut self, key: &KeyFrame) {
        (self.turn, self.requests) = (key.turn, key.requests);
        self.time = key.time.saturating_sub(self.start);
        self.begin = Begin { turn: self.turn, time: self.time, requests: self.requests };
        self.words.begin_late();
        let before = |(id, arity): &(u64, Arity)| {
            let what = "a request from before the recording begins".into();
            (*id, Pending { number: 0, what, lane: Lane::Host, kind: Kind::Control, arity: *arity })
        };
        self.pending = key.pending.iter().map(before).collect();
    }

    /// Tells what happened in a step: what the guest did in the turn before, then what it
    /// received. One event after the other: a turn can have a million, and each is longer in
    /// words.
    pub fn step(&mut self, step: &Step, mut tell: impl FnMut(Event)) {
        step.log.iter().filter_map(|(level, line)| self.log(*level, line)).for_each(&mut tell);
        step.sent.iter().filter_map(|submission| self.request(submission)).for_each(&mut tell);
        if step.end.is_some() {
            self.end.clone_from(&step.end);
            return;
        }
        self.turn = step.turn;
        self.time = self.time.max(step.time.saturating_sub(self.start));
        step.answers.iter().filter_map(|answer| self.answer(answer)).for_each(tell);
    }

    /// Returns the number of connections.
    pub fn connections(&self) -> u64 {
        self.words.connections()
    }

    /// Describes the run in names and values.
    pub fn about(&self, header: &Header) -> Vec<(&'static str, String)> {
        let digest: String = header.guest_sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let arguments: Vec<String> = header.arguments.iter().map(|argument| self.words.line(argument)).collect();
        let arguments =
            if self.words.tells_data() { arguments.join(" ") } else { format!("{}, left out", arguments.len()) };
        let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(header.start);
        let start = humantime::format_rfc3339_micros(start).to_string();
        let engine = printable(&header.engine);
        vec![("guest", format!("sha256 {digest}")), ("engine", engine), ("arguments", arguments), ("start", start)]
    }

    /// Returns the totals in names and values.
    pub fn totals(&self) -> Vec<(&'static str, String)> {
        let [received, sent] = self.bytes.map(|bytes| count(bytes, "byte"));
        let begin = &self.begin;
        let mut totals = vec![
            ("duration", span(self.time - begin.time)),
            ("turns", (self.turn - begin.turn).to_string()),
            ("requests", (self.requests - begin.requests).to_string()),
            ("connections", self.connections().to_string()),
            ("from clients", received),
            ("to clients", sent),
        ];
        if begin.turn > 0 {
            totals.insert(0, ("told from", format!("turn {}, after {}", begin.turn, span(begin.time))));
        }
        totals
    }

    /// Says how the run ended.
    pub fn ending(&self, outcome: &Outcome) -> String {
        if let Some(error) = &outcome.error {
            return format!("what follows cannot be read: {error}");
        }
        if outcome.divergence.is_some() {
            return "what follows is not known: from here on the replay is another run than was recorded".to_owned();
        }
        match &self.end {
            Some(Exit::Code(code)) if outcome.ended => format!("the guest ended with exit code {code}"),
            Some(Exit::Trapped) if outcome.ended => "the guest trapped".to_owned(),
            Some(Exit::Stopped(stop)) if outcome.ended => format!("the host ended the guest: {stop}"),
            _ => "the trace breaks off here: the host was killed, could write no more, or was asked for it meanwhile"
                .to_owned(),
        }
    }

    fn event(&self, place: (Lane, Kind), mark: Mark, request: u64, text: impl FnOnce() -> String) -> Option<Event> {
        let (lane, kind) = place;
        let (turn, time) = (self.turn, self.time);
        self.filter.shows(lane, time).then(|| Event { turn, time, lane, kind, mark, request, text: text() })
    }

    fn log(&self, level: Level, line: &str) -> Option<Event> {
        let text = || format!("{}: {}", level_name(level), self.words.line(line));
        self.event((Lane::Log, Kind::Log), Mark::Logged, 0, text)
    }

    fn request(&mut self, submission: &Submission) -> Option<Event> {
        let request = &submission.request;
        self.words.meet(request);
        let (mut lane, kind) = self.place(request);
        let target = if let Request::Cancel(id) = request { self.pending.get(id) } else { None };
        lane = target.map_or(lane, |it| it.lane);
        let what = match (request, target) {
            _ if self.time > self.filter.to => String::new(),
            (Request::Cancel(_), None) => "cancel nothing pending".to_owned(),
            (_, None) => self.words.request(request),
            (_, Some(target)) => format!("cancel #{}, {}", target.number, target.what),
        };
        self.requests += 1;
        let number = self.requests;
        let text = || format!("{what}{}", self.words.details(request));
        let event = self.event((lane, kind), Mark::Sent, number, text);
        let arity = Arity::of(request);
        let what = if self.words_bytes > limits::EXPLAIN_WORDS_BYTES_MAX {
            "a request, of so many that they are not all told".into()
        } else {
            Cow::Owned(what)
        };
        let pending = Pending { number, what, lane, kind, arity };
        self.words_bytes += pending.bytes();
        let replaced = self.pending.insert(submission.id, pending);
        self.words_bytes -= replaced.map_or(0, |it| it.bytes());
        event
    }

    fn answer(&mut self, answer: &Answer) -> Option<Event> {
        let learnt = self.words.learn(&answer.reply);
        let reply = || self.words.reply(&answer.reply);
        let failed = matches!(answer.reply, Reply::Failed(_));
        let mark = if failed { Mark::Failed } else { Mark::Got };
        let Some(request) = self.pending.get(&answer.id) else {
            let text = || format!("an answer to nothing pending -> {}", reply());
            return self.event((Lane::Host, Kind::Control), mark, 0, text);
        };
        match &answer.reply {
            Reply::Data(bytes) if request.kind == Kind::Read => self.bytes[0] += bytes.len() as u64,
            Reply::Written(bytes) => self.bytes[1] += bytes,
            _ => {}
        }
        let lane = if let Some(Name::Connection(number)) = learnt { Lane::Connection(number) } else { request.lane };
        let text = || format!("{} -> {}", request.what, reply());
        let event = self.event((lane, request.kind), mark, request.number, text);
        if request.arity.is_final(&answer.reply) {
            let done = self.pending.remove(&answer.id);
            self.words_bytes -= done.map_or(0, |done| done.bytes());
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
            Request::Sleep(_) => (Lane::Timers, Kind::Timer),
            other => match other.fields().first() {
                Some(Field::Handle(handle, _)) if of(*handle) != Lane::Files => (of(*handle), Kind::Control),
                Some(Field::Handle(..) | Field::Path(_)) => (Lane::Files, Kind::File),
                _ => (Lane::Host, Kind::Control),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::text::Text;
    use pluto_contract::{
        Accepted, Error, IpAddress, Kind as FileKind, Listen, Metadata, Open, Opened, Part, Range, Read, SocketAddress,
        Write,
    };
    use pluto_trace::replay::Divergence;

    const CONNECTION: u64 = 1 << 40;
    const FILE: u64 = 77;

    fn header() -> Header {
        Header::new(b"guest", 1 << 20, vec!["80".to_owned(), "secret/".to_owned()], 1_784_635_200_000_000_000)
    }

    fn step(turn: u64, micros: u64, sent: Vec<(u64, Request)>, answers: Vec<(u64, Reply)>) -> Step {
        let sent = sent.into_iter().map(|(id, request)| Submission { id, request }).collect();
        let answers = answers.into_iter().map(|(id, reply)| Answer { id, reply }).collect();
        Step { turn, sent, log: Vec::new(), time: header().start + 1_000 * micros, answers, end: None }
    }

    /// A client asks for a file.
    fn visit() -> Vec<Step> {
        let listen = Request::Listen(Listen { port: 80, connections_max: 9, shared: true });
        let read = || Request::Read(Read { connection: CONNECTION, bytes_max: 16 << 10 });
        let open = Request::Open(Open { path: b"secret.txt".to_vec(), follow_symlinks: false });
        let file = Range { handle: FILE, offset: 0, length: 20 };
        let parts = vec![Part::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Part::File(file)];
        let peer = SocketAddress { address: IpAddress::Ipv4((127, 0, 0, 1)), port: 5_000 };
        let metadata = Metadata { kind: FileKind::Regular, size: 20, modified: 0, changed: 0, inode: 5 };
        let mut last = step(5, 2_000_000, vec![(9, Request::Cancel(7)), (5, Request::Close(99))], vec![]);
        last.end = Some(Exit::Code(0));
        last.log = vec![(Level::Warn, "secret\n".to_owned())];
        vec![
            step(1, 10, vec![(7, listen)], vec![(7, Reply::Accepted(Accepted { connection: CONNECTION, peer }))]),
            step(2, 1_500, vec![(8, read())], vec![(8, Reply::Data(b"GET /secret.txt HTTP/1.1\r\n\r\n".to_vec()))]),
            step(3, 1_600, vec![(8, open)], vec![(8, Reply::Opened(Opened { file: FILE, metadata }))]),
            step(
                4,
                2_000_000,
                vec![
                    (8, Request::Write(Write { connection: CONNECTION, parts, ends: false })),
                    (9, Request::Close(FILE)),
                    (6, read()),
                ],
                vec![
                    (9, Reply::Done),
                    (8, Reply::Written(39)),
                    (6, Reply::Failed(Error::Disconnected)),
                    (6, Reply::Done),
                ],
            ),
            last,
        ]
    }

    fn check(filter: &Filter, detail: Detail, expected: &str) {
        let (header, mut out) = (header(), Vec::new());
        let mut explainer = Explainer::new(&header, detail, filter.clone());
        let mut text = Text::new(&mut out);
        for step in visit() {
            explainer.step(&step, |event| text.event(&event).expect("memory"));
        }
        assert_eq!(String::from_utf8_lossy(&out).trim_start(), expected);
    }

    const ALL: Filter = Filter::ALL;

    #[test]
    fn a_run_is_told_turn_by_turn() {
        check(
            &ALL,
            Detail::Beginnings,
            r#"turn 0 at 0 µs
  sent #1 listen on port 80, at most 9 connections

turn 1 at 10 µs
  got  #1 listen on port 80 -> connection 1 from 127.0.0.1:5000
  sent #2 read of connection 1

turn 2 at 1.5 ms
  got  #2 read of connection 1 -> 28 bytes "GET /secret.txt HTTP/1.1\r\n\r\n"
  sent #3 open "secret.txt"

turn 3 at 1.6 ms
  got  #3 open "secret.txt" -> file 1, 20 bytes
  sent #4 write to connection 1: 19 bytes "HTTP/1.1 200 OK\r\n\r\n" + file 1 [0..20]
  sent #5 close file 1
  sent #6 read of connection 1

turn 4 at 2 s
  got  #5 close file 1 -> done
  got  #4 write to connection 1 -> 39 bytes sent
  got  #6 read of connection 1 -> failed: disconnected
  got  an answer to nothing pending -> done
  log  warn: secret\n
  sent #7 cancel #1, listen on port 80
  sent #8 close handle 99, which was never given out
"#,
        );
    }

    #[test]
    fn a_connection_and_a_time_are_told_alone() {
        check(
            &Filter { connection: Some(1), from: 10_000, to: 1_600_000 },
            Detail::Beginnings,
            r#"turn 1 at 10 µs
  got  #1 listen on port 80 -> connection 1 from 127.0.0.1:5000
  sent #2 read of connection 1

turn 2 at 1.5 ms
  got  #2 read of connection 1 -> 28 bytes "GET /secret.txt HTTP/1.1\r\n\r\n"

turn 3 at 1.6 ms
  sent #4 write to connection 1: 19 bytes "HTTP/1.1 200 OK\r\n\r\n" + file 1 [0..20]
  sent #6 read of connection 1
"#,
        );
        check(&Filter { connection: Some(2), ..ALL }, Detail::Beginnings, "");
    }

    #[test]
    fn without_data_there_are_lengths() {
        check(
            &Filter { from: 1_500_000, ..ALL },
            Detail::Lengths,
            r"turn 2 at 1.5 ms
  got  #2 read of connection 1 -> 28 bytes
  sent #3 open a name of 10 bytes

turn 3 at 1.6 ms
  got  #3 open a name of 10 bytes -> file 1, 20 bytes
  sent #4 write to connection 1: 19 bytes + file 1 [0..20]
  sent #5 close file 1
  sent #6 read of connection 1

turn 4 at 2 s
  got  #5 close file 1 -> done
  got  #4 write to connection 1 -> 39 bytes sent
  got  #6 read of connection 1 -> failed: disconnected
  got  an answer to nothing pending -> done
  log  warn: 7 bytes
  sent #7 cancel #1, listen on port 80
  sent #8 close handle 99, which was never given out
",
        );
        let header = header();
        let about = Explainer::new(&header, Detail::Lengths, ALL).about(&header);
        assert_eq!(
            about[2..],
            [("arguments", "2, left out".to_owned()), ("start", "2026-07-21T12:00:00.000000Z".to_owned())]
        );
    }

    #[test]
    fn the_end_and_the_totals_are_told() {
        let mut explainer = Explainer::new(&header(), Detail::Beginnings, Filter { connection: Some(9), to: 1, ..ALL });
        for step in visit() {
            explainer.step(&step, |event| panic!("nothing of it is shown: {event:?}"));
        }
        let totals: Vec<String> = explainer.totals().iter().map(|(name, value)| format!("{name} {value}")).collect();
        let expected =
            ["duration 2 s", "turns 4", "requests 8", "connections 1", "from clients 28 bytes", "to clients 39 bytes"];
        assert_eq!(totals, expected);
        let whole = Outcome { ended: true, ..Outcome::default() };
        assert_eq!(explainer.ending(&whole), "the guest ended with exit code 0");
        assert_eq!(
            explainer.ending(&Outcome::default()),
            "the trace breaks off here: the host was killed, could write no more, or was asked for it meanwhile"
        );
        let divergence = Some(Divergence::WentOn(Exit::Trapped));
        assert!(explainer.ending(&Outcome { divergence, ..whole }).contains("another run"));
    }
}
