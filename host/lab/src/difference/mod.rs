//! Compares what two guests did. Differences are reported by kind, because one change in a server
//! changes ten thousand answers.

mod lines;
mod stream;

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;

use self::lines::{Change, changes, shown};
use self::stream::{Chunk, chunks, same};
use crate::behaviour::{Behaviour, Closed, Ended, Key, Piece, Seen, Store, Touch};
use crate::limits;
use crate::scene::{Client, Scene};
use pluto_contract::stop::Exit;

pub use self::lines::Sides;

/// How far apart two moments may lie that are taken as one: a virtual second may begin a little
/// earlier than the recorded one did, and an HTTP date tells whole ones.
pub const TOLERANCE: Duration = Duration::from_secs(2);

/// Differences, by kind.
#[derive(Debug, Default)]
pub struct Differences {
    kinds: Vec<Kind>,
    index: HashMap<String, usize>,
    /// Differences of kinds for which there was no room.
    more: u64,
    /// Connections on which something differs.
    pub connections: u64,
    last: Option<usize>,
}

/// Differences that have something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What they have in common.
    pub what: String,
    /// How often it is so.
    pub times: u64,
    /// On how many connections. 0: it belongs to none.
    pub connections: u64,
    /// The first of them.
    pub example: Example,
    last: Option<usize>,
}

/// A difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// The connection, counted from 1 as they were accepted.
    pub connection: Option<u64>,
    /// What the client had sent: the first line of its last segment.
    pub sent: String,
    /// What the first side does.
    pub first: Option<String>,
    /// What the second does.
    pub second: Option<String>,
}

/// Compares two behaviours in one scene. `tolerance` is how far apart HTTP dates, and the ends of
/// connections, may lie.
pub fn compare(
    scene: &Scene,
    store: &Store,
    behaviours: [&Behaviour; 2],
    sides: Sides<'_>,
    tolerance: Duration,
) -> Differences {
    let mut comparison =
        Comparison { scene, store, sides, tolerance, known: HashMap::new(), found: Differences::default() };
    let [first, second] = behaviours;
    let silent = Seen::default();
    for (index, client) in scene.clients.iter().enumerate() {
        let both = [first, second].map(|it| it.clients.get(index).unwrap_or(&silent));
        match both.map(|seen| seen.accepted) {
            [false, false] => {}
            [true, false] => comparison.note(index, &format!("{} does not accept the client", sides.second), None),
            [false, true] => comparison.note(index, &format!("{} does not accept the client", sides.first), None),
            [true, true] => {
                comparison.outputs(index, client, both);
                comparison.ends(index, client, both, [first.end, second.end]);
            }
        }
    }
    comparison.files(behaviours);
    comparison.ended(behaviours);
    comparison.found.sorted()
}

struct Comparison<'a> {
    scene: &'a Scene,
    store: &'a Store,
    sides: Sides<'a>,
    tolerance: Duration,
    /// What came of comparing these answers.
    known: HashMap<[Vec<Piece>; 2], Rc<[Change]>>,
    found: Differences,
}

/// The kind of a difference between answers that are not looked at.
fn too_long() -> String {
    format!("other writes, of more than the {} MiB that are compared by line", limits::STREAM_BYTES_COMPARED_MAX >> 20)
}

/// What a client was sent by each side between two of its segments.
#[derive(Default)]
struct Answers {
    /// What it had sent, up to here.
    boundary: u64,
    pieces: [Vec<Piece>; 2],
}

impl Comparison<'_> {
    fn outputs(&mut self, index: usize, client: &Client, seen: [&Seen; 2]) {
        let [a, b] = seen;
        if a.all_pieces().eq(b.all_pieces()) {
            return;
        }
        let mut different = Vec::new();
        let (mut late, mut segments) = (Answers::default(), 0);
        for answers in answers(client, seen) {
            late.boundary = answers.boundary;
            segments += 1;
            for (late, now) in late.pieces.iter_mut().zip(answers.pieces) {
                late.extend(now);
            }
            // What one side has not sent yet it may send after what the client sends next.
            let is_one_sided = late.pieces.iter().any(Vec::is_empty);
            if is_one_sided && segments < limits::DIFFERENCE_LATE_SEGMENTS_MAX && self.comes_late(client, seen, &late) {
                continue;
            }
            let changes = self.changes(&late.pieces);
            if !changes.is_empty() {
                different.push((std::mem::take(&mut late), changes));
            }
            (late, segments) = (Answers::default(), 0);
        }
        if late.pieces.iter().any(|pieces| !pieces.is_empty()) {
            let changes = self.changes(&late.pieces);
            different.push((late, changes));
        }
        if different.is_empty() || self.is_same(&seen.map(|seen| seen.all_pieces().collect()), client.cut) {
            return;
        }
        for (answers, changes) in different {
            if !(client.cut && answers.pieces.iter().any(Vec::is_empty)) {
                self.count(index, client, answers.boundary, &changes);
            }
        }
    }

    /// Whether the silent side sends the same with what it sends next.
    fn comes_late(&self, client: &Client, seen: [&Seen; 2], late: &Answers) -> bool {
        let silent = usize::from(late.pieces[1].is_empty());
        let outputs = seen[silent].outputs();
        let start = outputs.partition_point(|output| client.boundary(output.taken) <= late.boundary);
        let next = outputs[start..].iter().find(|output| !seen[silent].pieces(output).is_empty());
        let Some(next) = next else { return false };
        let mut pieces = [late.pieces[1 - silent].clone(), seen[silent].pieces(next).to_vec()];
        let (expected, sent) = (self.length(&pieces[0]), self.length(&pieces[1]));
        // A repetition of the same answer looks late as well; then there is more, or less, at the
        // end.
        if sent < expected {
            return self.is_same(&pieces, true);
        }
        while self.length(&pieces[1]) > expected && pieces[1].len() > 1 {
            pieces[1].pop();
        }
        self.is_same(&pieces, true)
    }

    fn length(&self, pieces: &[Piece]) -> u64 {
        let length = |piece: &Piece| match piece {
            Piece::Bytes(key) => self.store.get(*key).len() as u64,
            Piece::File { length, .. } => *length,
        };
        pieces.iter().map(length).fold(0, u64::saturating_add)
    }

    /// Whether both are known to be the same. What is too long to be compared is not.
    fn is_same(&self, pieces: &[Vec<Piece>; 2], cut: bool) -> bool {
        let equal = |content: bool| {
            let [a, b] = pieces.each_ref().map(|pieces| self.chunks(pieces, content));
            a.zip(b).is_some_and(|(a, b)| same(&a, &b, cut, self.tolerance))
        };
        equal(false) || (self.scene.files.have_content() && equal(true))
    }

    /// With what is known of the files' content in the place of files, or without. None of more
    /// than is compared.
    fn chunks(&self, pieces: &[Piece], content: bool) -> Option<Vec<Chunk>> {
        let known = |path: Key, offset: u64, length: u64| {
            if !content || length > pluto_contract::limits::FILE_READ_BYTES_MAX {
                return None;
            }
            self.scene.files.read(self.scene.end, self.store.get(path), offset, length as usize)?.ok()
        };
        chunks(self.store, pieces.iter().copied(), known)
    }

    /// What has changed from one answer to the other; nothing when they are equal.
    fn changes(&mut self, pieces: &[Vec<Piece>; 2]) -> Rc<[Change]> {
        if pieces[0] == pieces[1] {
            return Rc::default();
        }
        if let Some(known) = self.known.get(pieces) {
            return known.clone();
        }
        let changes: Rc<[Change]> = if self.is_same(pieces, false) {
            Rc::default()
        } else {
            let [a, b] = pieces.each_ref().map(|pieces| self.chunks(pieces, false));
            match a.zip(b) {
                Some((a, b)) => changes(self.store, [&a, &b], self.sides, self.tolerance).into(),
                None => [Change { kind: too_long(), first: None, second: None }].into(),
            }
        };
        if self.known.len() >= limits::DIFFERENCE_KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(pieces.clone(), changes.clone());
        changes
    }

    fn count(&mut self, index: usize, client: &Client, boundary: u64, changes: &[Change]) {
        let sent = match boundary {
            0 => "nothing yet".to_owned(),
            end if end > client.bytes.len() as u64 => "the end of its stream".to_owned(),
            end => {
                let segment = client.segment(end);
                let line = segment.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
                shown(line, limits::DIFFERENCE_SENT_CHARS_MAX)
            }
        };
        let mut new = 0;
        for change in changes {
            let example = Example {
                connection: Some(index as u64 + 1),
                sent: sent.clone(),
                first: change.first.clone(),
                second: change.second.clone(),
            };
            new += u64::from(self.found.add(
                &change.kind,
                Some(index),
                example,
                new < limits::DIFFERENCE_KINDS_OF_ONE_MAX as u64,
            ));
        }
    }

    fn note(&mut self, index: usize, what: &str, both: Option<[String; 2]>) {
        let [first, second] = both.map_or([None, None], |both| both.map(Some));
        let example = Example { connection: Some(index as u64 + 1), sent: String::new(), first, second };
        self.found.add(what, Some(index), example, true);
    }

    /// When each side ended the connection, by what the client had sent and by time.
    fn ends(&mut self, index: usize, client: &Client, seen: [&Seen; 2], end: [u64; 2]) {
        if client.cut {
            return;
        }
        let [a, b] = seen.map(|seen| seen.closed);
        let words = || {
            let of = |closed: Option<Closed>| closed.map_or("does not end it".to_owned(), |it| self.when(client, it));
            Some([of(a), of(b)])
        };
        let boundary = |closed: Option<Closed>| closed.map(|it| client.boundary(it.taken));
        let time = |closed: Option<Closed>, end: u64| closed.map_or(end, |it| it.time);
        let apart = Duration::from_nanos(time(a, end[0]).abs_diff(time(b, end[1])));
        let Sides { first, second } = self.sides;
        let what = match (boundary(a), boundary(b)) {
            (Some(a), Some(b)) if a > b => {
                format!("{second} ends the connection before the client sends what {first} still reads")
            }
            (Some(a), Some(b)) if a < b => {
                format!("{first} ends the connection before the client sends what {second} still reads")
            }
            // What a guest does not end is ended with its run.
            _ if apart <= self.tolerance.max(TOLERANCE) => return,
            (Some(_), Some(_)) => "the connection is ended at another time".to_owned(),
            (Some(_), None) => format!("only {first} ends the connection"),
            (None, Some(_)) => format!("only {second} ends the connection"),
            (None, None) => return,
        };
        let words = words();
        self.note(index, &what, words);
    }

    fn when(&self, client: &Client, closed: Closed) -> String {
        let seconds = Duration::from_nanos(closed.time.saturating_sub(self.scene.start)).as_secs_f64();
        format!(
            "ends it after {} of {} bytes of the client, {seconds:.3} s after the start",
            closed.taken.min(client.bytes.len() as u64),
            client.bytes.len()
        )
    }

    fn files(&mut self, behaviours: [&Behaviour; 2]) {
        let [a, b] = behaviours;
        // Of a recording that broke off nobody knows what would have been looked at next.
        let only = |mine: &Behaviour, other: &Behaviour| {
            let mine: Vec<Touch> = mine.files.difference(&other.files).copied().collect();
            if other.ended == Some(Ended::BrokenOff) { Vec::new() } else { mine }
        };
        let (first, second) = (only(a, b), only(b, a));
        for (touches, side, is_first) in [(first, self.sides.first, true), (second, self.sides.second, false)] {
            for touch in touches {
                let (verb, path) = match touch {
                    Touch::Opened(path) => ("opens", path),
                    Touch::Listed(path) => ("lists", path),
                };
                let path = Some(shown(self.store.get(path), limits::DIFFERENCE_SENT_CHARS_MAX));
                let (first, second) = if is_first { (path, None) } else { (None, path) };
                let what = format!("only {side} {verb} the file or folder");
                self.found.add(&what, None, Example { first, second, ..Example::default() }, true);
            }
        }
    }

    fn ended(&mut self, behaviours: [&Behaviour; 2]) {
        let [a, b] = behaviours.map(|it| it.ended.as_ref());
        let is_known = |ended: Option<&Ended>| ended.is_some_and(|ended| *ended != Ended::BrokenOff);
        if a == b || !is_known(a) || !is_known(b) {
            return;
        }
        let [first, second] = [a, b].map(|it| it.map(words));
        self.found.add("the run ends otherwise", None, Example { first, second, ..Example::default() }, true);
    }
}

/// What each side sent, between each two segments of a client, in order.
fn answers(client: &Client, seen: [&Seen; 2]) -> Vec<Answers> {
    let mut all: Vec<Answers> = Vec::new();
    let [mut a, mut b] = seen.map(|seen| seen.outputs().iter().peekable());
    loop {
        let next = [
            a.peek().map(|output| client.boundary(output.taken)),
            b.peek().map(|output| client.boundary(output.taken)),
        ];
        let Some(boundary) = next.into_iter().flatten().min() else { return all };
        if all.last().is_none_or(|last| last.boundary != boundary) {
            all.push(Answers { boundary, ..Answers::default() });
        }
        let last = all.len() - 1;
        if next[0] == Some(boundary)
            && let Some(output) = a.next()
        {
            all[last].pieces[0].extend(seen[0].pieces(output));
        }
        if next[1] == Some(boundary)
            && let Some(output) = b.next()
        {
            all[last].pieces[1].extend(seen[1].pieces(output));
        }
    }
}

fn words(ended: &Ended) -> String {
    match ended {
        Ended::Exit(Exit::Code(code)) => format!("exit code {code}"),
        Ended::Exit(Exit::Trapped) => "a trap".to_owned(),
        Ended::Exit(Exit::Stopped(stop)) => format!("ended by the host: {stop}"),
        Ended::BrokenOff => "the recording broke off".to_owned(),
        Ended::Bounded(why) => format!("ended for the comparison: {why}"),
    }
}

impl Differences {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.more == 0
    }

    /// The kinds, those that come most often first.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Adds one; whether it is the first of its kind. With no room for another kind it is only
    /// counted.
    fn add(&mut self, what: &str, client: Option<usize>, example: Example, has_room: bool) -> bool {
        if client.is_some() && self.last != client {
            self.connections += 1;
            self.last = client;
        }
        let known = self.index.get(what).copied();
        if known.is_none() && !(has_room && self.kinds.len() < limits::DIFFERENCE_KINDS_MAX) {
            self.more += 1;
            return false;
        }
        let index = known.unwrap_or_else(|| {
            self.index.insert(what.to_owned(), self.kinds.len());
            self.kinds.push(Kind { what: what.to_owned(), times: 0, connections: 0, example, last: None });
            self.kinds.len() - 1
        });
        let kind = &mut self.kinds[index];
        kind.times += 1;
        if client.is_some() && kind.last != client {
            kind.connections += 1;
            kind.last = client;
        }
        known.is_none()
    }

    fn sorted(mut self) -> Self {
        self.kinds.sort_by(|a, b| b.times.cmp(&a.times).then_with(|| a.what.cmp(&b.what)));
        self.index.clear();
        self
    }

    /// They, for people.
    pub fn text(&self, sides: Sides<'_>) -> String {
        let mut out = String::new();
        for kind in self.kinds.iter().take(limits::DIFFERENCE_KINDS_TOLD_MAX) {
            let _ = kind.text(&mut out, sides);
        }
        let untold = self.kinds.len().saturating_sub(limits::DIFFERENCE_KINDS_TOLD_MAX);
        if untold > 0 || self.more > 0 {
            let more: u64 =
                self.kinds.iter().skip(limits::DIFFERENCE_KINDS_TOLD_MAX).map(|kind| kind.times).sum::<u64>()
                    + self.more;
            let kinds = if untold > 0 { format!(" of {untold} kinds") } else { String::new() };
            let _ = writeln!(out, "and {more} more differences{kinds}");
        }
        out
    }
}

impl Kind {
    fn text(&self, out: &mut String, sides: Sides<'_>) -> std::fmt::Result {
        let times = if self.times == 1 { "once".to_owned() } else { format!("{} times", self.times) };
        write!(out, "{}: {times}", self.what)?;
        if self.connections > 0 {
            write!(out, ", on {} connection{}", self.connections, if self.connections == 1 { "" } else { "s" })?;
        }
        writeln!(out)?;
        let Example { connection, sent, first, second } = &self.example;
        if let Some(connection) = connection {
            let sent = if sent.is_empty() { String::new() } else { format!(", which had sent `{sent}`") };
            writeln!(out, "  first on connection {connection}{sent}")?;
        }
        let width = sides.first.len().max(sides.second.len()) + 1;
        for (side, line) in [(sides.first, first), (sides.second, second)] {
            if let Some(line) = line {
                writeln!(out, "  {:width$} {line}", format!("{side}:"))?;
            }
        }
        Ok(())
    }
}
