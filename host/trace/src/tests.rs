//! Both forms say the same, and both readers bear any input: no panic, and no more memory than a
//! small multiple of what they read. The inputs are made by a generator with fixed seeds, so that
//! a failure comes again.

use xxhash_rust::xxh3::xxh3_64;

use super::binary::{TraceError, TraceReader};
use super::codec::{ERRORS, KINDS, SIGNALS};
use super::text::{Text, TextError, TextWriter};
use super::{Contract, End, Exit, Header, KeyFrame, Record, Sent, Turn};
use pluto_contract::Arity;
use pluto_contract::stop::StopReason;
use pluto_contract::{
    Accepted, Answer, Digested, Entry, IpAddress, Loaded, Metadata, Opened, Reply, Signal, SocketAddress,
};

/// SplitMix64: small, and good enough to choose damage.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Small numbers and those at the edges, as often as any others.
    fn number(&mut self) -> u64 {
        let number = self.next();
        self.pick(&[number, number % 100, 0, u64::MAX, number >> 33, 1 << (number % 64)])
    }

    fn bytes(&mut self) -> Vec<u8> {
        let texts: [&[u8]; 6] = [
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"caf\xe9",
            "caf\u{e9} \u{202e}".as_bytes(),
            b"\"\\#'",
            &[b'x'; 300],
        ];
        self.pick(&texts).to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn sent(&mut self) -> Sent {
        let some = Sent { count: self.number().max(1), hash: self.next() };
        self.pick(&[Sent::default(), some, Sent::UNKNOWN])
    }

    fn metadata(&mut self) -> Metadata {
        let (modified, changed) = (self.number() as i64, self.number() as i64);
        Metadata { kind: self.pick(&KINDS), size: self.number(), modified, changed, inode: self.number() }
    }

    fn peer(&mut self) -> SocketAddress {
        let octets = self.next().to_be_bytes();
        let v4 = IpAddress::Ipv4((octets[0], octets[1], octets[2], octets[3]));
        let v6 = IpAddress::Ipv6((0x2001, 0xdb8, 0, 0, 0, octets[4].into(), 0, 1));
        let mapped = IpAddress::Ipv6((0, 0, 0, 0, 0, 0xffff, 0x7f00, 1));
        SocketAddress { address: self.pick(&[v4, v6, mapped]), port: self.next() as u16 }
    }

    fn reply(&mut self) -> Reply {
        match self.below(14) {
            0 => Reply::Listening(self.next() as u16),
            1 => Reply::Accepted(Accepted { connection: self.number(), peer: self.peer() }),
            2 => Reply::Data(self.bytes()),
            3 => Reply::Written(self.number()),
            4 => Reply::Done,
            5 => Reply::Opened(Opened { file: self.number(), metadata: self.metadata() }),
            6 => Reply::Loaded(Loaded { buffer: self.number(), length: self.number() }),
            7 => {
                let entries = 0..self.below(4);
                Reply::Listed(entries.map(|_| Entry { name: self.bytes(), metadata: self.metadata() }).collect())
            }
            8 => Reply::Changed(self.bytes()),
            9 => Reply::Elapsed,
            10 => Reply::Signal(match self.pick(&SIGNALS) {
                Signal::LogLost(_) => Signal::LogLost(self.number()),
                signal => signal,
            }),
            11 => {
                let Metadata { size, modified, changed, .. } = self.metadata();
                Reply::Digested(Digested { digest: (self.next(), self.number()), size, modified, changed })
            }
            12 => Reply::Gathered((0..self.below(4)).map(|_| self.bytes()).collect()),
            _ => Reply::Failed(self.pick(&ERRORS)),
        }
    }

    fn turn(&mut self) -> Turn {
        let answers = 0..self.below(6);
        let answers = answers.map(|_| Answer { id: self.number(), reply: self.reply() }).collect();
        Turn { sent: self.sent(), time: self.number(), answers }
    }

    fn key_frame(&mut self) -> KeyFrame {
        let pending = 0..self.below(4);
        let pending = pending.map(|_| (self.number(), self.pick(&[Arity::Once, Arity::Many]))).collect();
        let image = self.bytes().repeat(self.below(3));
        let (turn, time, requests) = (self.number(), self.number(), self.number());
        KeyFrame { turn, time, sent: self.sent(), requests, pending, image }
    }

    fn record(&mut self) -> Record {
        if self.below(4) == 0 { Record::KeyFrame(self.key_frame()) } else { Record::Turn(self.turn()) }
    }

    fn end(&mut self) -> End {
        let stops = [
            StopReason::Asked,
            StopReason::StopTooSlow,
            StopReason::TurnTooLong,
            StopReason::Memory { wanted: self.number(), limit: self.number() },
            StopReason::Tables { wanted: self.number() },
            StopReason::RequestsPending,
            StopReason::DuplicateId(self.number()),
            StopReason::NothingPending,
            StopReason::AnswersEnded,
            StopReason::System(self.text()),
            StopReason::PortTaken(self.next() as u16),
        ];
        let stopped = Exit::Stopped(self.pick(&stops));
        End { sent: self.sent(), exit: self.pick(&[Exit::Code(self.0 as u8), Exit::Trapped, stopped]) }
    }

    fn trace(&mut self) -> Text {
        let mut header = Header::new(GUEST, self.number(), vec![self.text(), self.text()], self.number());
        header.engine = self.text();
        header.limits.truncate(self.below(6));
        if self.below(3) == 0 {
            (header.contract, header.host) = (Contract::Source(Header::digest(&self.0.to_le_bytes())), String::new());
        }
        let mut records: Vec<Record> = (0..self.below(8)).map(|_| self.record()).collect();
        if self.below(4) == 0 {
            records.insert(0, Record::Cut(self.number()));
        }
        if self.below(2) == 0 {
            records.push(Record::End(self.end()));
        }
        Text { header, records }
    }
}

const GUEST: &[u8] = b"no guest, but bytes like those of one, of one, of one";

fn read_binary(mut bytes: &[u8]) -> Result<Text, TraceError> {
    let mut reader = TraceReader::open(&mut bytes)?;
    let mut records = Vec::new();
    while let Some(record) = reader.record()? {
        records.push(record);
    }
    Ok(Text { header: reader.header, records })
}

fn write_text(trace: &Text) -> String {
    let mut text = Vec::new();
    let mut writer = TextWriter::new(&mut text, &trace.header).expect("a vector takes all");
    trace.records.iter().for_each(|record| writer.record(record).expect("a vector takes all"));
    String::from_utf8(text).expect("the text form is text")
}

#[test]
fn every_trace_comes_back_from_both_forms() {
    for seed in 0..2_000 {
        let trace = Random(seed).trace();
        let binary = trace.to_binary(GUEST).expect("it packs");
        assert_eq!(read_binary(&binary).expect("it is whole"), trace, "seed {seed}");
        let text = write_text(&trace);
        assert_eq!(Text::parse(text.as_bytes()).expect("it is whole"), trace, "seed {seed}:\n{text}");
    }
}

#[test]
fn indentation_comments_and_breaks_of_strings_mean_nothing() {
    let loose = "# By hand.\npluto-trace 1 # the version\n\n  guest  sha256 GUEST\r\ncontract sha256 GUEST\n\
        engine \"\"\nmemory-max 1\nargument \"# none\"\nstart 5\nturn +1 sent ?\n0.1 data \"a#\" \"b\"#c\n # then\n\"\"\n\"d\"\nturn -3 sent 0\n\
        0.2 data\nend exit 0 sent 0";
    let loose = loose.replace("GUEST", &"0F".repeat(32));
    let trace = Text::parse(loose.as_bytes()).expect("understood");
    assert_eq!(trace.header.arguments, ["# none"]);
    let answers = |id, data: &[u8]| vec![Answer { id, reply: Reply::Data(data.to_vec()) }];
    let first = Turn { sent: Sent::UNKNOWN, time: 6, answers: answers(1, b"a#bd") };
    let second = Turn { sent: Sent::default(), time: 3, answers: answers(2, b"") };
    let end = End { sent: Sent::default(), exit: Exit::Code(0) };
    assert_eq!(trace.records, [Record::Turn(first), Record::Turn(second), Record::End(end)]);
}

#[test]
fn an_error_says_where_and_what() {
    let sound = write_text(&Text {
        header: Header::new(GUEST, 1, vec!["8000".to_owned()], 0),
        records: vec![Record::Turn(Turn {
            sent: Sent::UNKNOWN,
            time: 1,
            answers: vec![Answer { id: 3, reply: Reply::Done }],
        })],
    });
    let lines = sound.lines().count();
    for (from, to, line, expected, found) in [
        ("pluto-trace 2", "pluto-trace 3", 1, "1 or 2, the versions", "`3`"),
        ("guest sha256", "guest sha1", 2, "`sha256`", "`sha1`"),
        ("memory-max 1", "memory-max much", lines - 4, "a number of bytes", "`much`"),
        ("\"8000\"", "\"8000", lines - 3, "a quote at the end", "`\"8000`"),
        ("start 0", "start 0 0", lines - 2, "the end of the line", "`0`"),
        ("turn +1", "turn 1", lines - 1, "such as +1234", "`1`"),
        ("turn +1", "turn -1", lines - 1, "such as +1234", "`-1`"),
        ("turn +1 sent ?", "turn +1", lines - 1, "`sent`", "the end of the line"),
        ("sent ?", "sent 3", lines - 1, "16 hexadecimal digits", "the end of the line"),
        ("0.3 done", "0.3 dome", lines, "listening, accepted", "`dome`"),
        ("0.3 done", "0.4294967296 done", lines, "an id, such as 0.3", "`0.4294967296`"),
        ("0.3 done", "done", lines, "`turn`, `end`", "`done`"),
        ("0.3 done", "0.3 failed badly", lines, "one of not-permitted, bad-handle", "`badly`"),
        ("0.3 done", "end trapped sent 0\n0.3 done", lines + 1, "the run has ended", "`0.3`"),
        ("start 0\n", "", lines - 2, "`start`", "`turn`"),
    ] {
        assert!(sound.contains(from), "{from:?}");
        let error = Text::parse(sound.replace(from, to).as_bytes()).expect_err(to);
        let TextError { line: at, expected: wanted, found: there } = &error;
        assert!(*at == line && wanted.contains(expected) && there == found, "{to:?}: {error}");
    }
    let error = Text::parse(b"pluto-trace 1\n\n# caf\xe9").expect_err("no UTF-8");
    assert_eq!((error.line, error.found.as_str()), (3, "the byte \\xe9"));
    assert_eq!(Text::parse(b"").expect_err("nothing").line, 1);
}

/// Damages bytes: flips, cuts, doublings, splices, and numbers in place of others.
fn damage(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let until = bytes.len().min(at + random.below(40));
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..until)),
            3 => bytes.extend_from_within(at..until),
            4 => {
                let (from, length) = (random.below(other.len()), random.below(60));
                let piece = &other[from..other.len().min(from + length)];
                drop(bytes.splice(at..until, piece.iter().copied()));
            }
            // The largest numbers of LEB128 that fit 64 and 32 bits, and one that fits nothing.
            5 => {
                let number = random.pick::<&[u8]>(&[
                    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                    b"\xff\xff\xff\xff\x0f",
                    &[0xff; 12],
                ]);
                drop(bytes.splice(at..bytes.len().min(at + 1), number.iter().copied()));
            }
            _ => {
                let number = random.pick::<&[u8]>(&[
                    b"18446744073709551615",
                    b"-1",
                    b"4294967296",
                    b"\"",
                    b"\n",
                    b"\\",
                    b"#",
                    b"0.0",
                ]);
                drop(bytes.splice(at..until.min(at + 3), number.iter().copied()));
            }
        }
    }
}

/// Where the blocks of a sound trace lie.
fn payloads(binary: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut at = 10;
    let mut found = Vec::new();
    while at < binary.len() {
        let length = u32::from_le_bytes(binary[at..at + 4].try_into().expect("four bytes")) as usize;
        found.push(at + 16..at + 16 + length);
        at += 16 + length;
    }
    found
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let check = (xxh3_64(&length) as u32).to_le_bytes();
    [&length[..], &check, &xxh3_64(payload).to_le_bytes(), payload].concat()
}

/// Memory that a trace holds, about.
fn weight(trace: &Text) -> usize {
    let answer = |answer: &Answer| match &answer.reply {
        Reply::Data(bytes) | Reply::Changed(bytes) => bytes.len(),
        Reply::Listed(entries) => entries.iter().map(|entry| entry.name.len() + size_of::<Entry>()).sum(),
        _ => 0,
    };
    let record = |record: &Record| match record {
        Record::Turn(turn) => turn.answers.iter().map(|it| answer(it) + size_of::<Answer>()).sum(),
        Record::KeyFrame(key) => key.image.len() + key.pending.len() * size_of::<(u64, Arity)>(),
        Record::Cut(_) | Record::End(_) => 0,
    };
    trace.records.iter().map(|it| record(it) + size_of::<Record>()).sum()
}

/// An entry of two bytes takes 72 in memory: the worst that a list can do.
const WEIGHT_FACTOR: usize = 100;

#[test]
fn any_file_is_borne_by_the_binary_reader() {
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut binary = random.trace().to_binary(GUEST).expect("it packs");
        let other = random.trace().to_binary(GUEST).expect("it packs");
        if random.below(4) == 0 {
            damage(&mut random, &mut binary, &other);
        } else {
            // Behind the checksum.
            let block = random.pick(&payloads(&binary));
            let mut payload = binary[block.clone()].to_vec();
            damage(&mut random, &mut payload, &other);
            binary.splice(block.start - 16..block.end, frame(&payload));
        }
        if let Ok(trace) = read_binary(&binary) {
            assert!(weight(&trace) <= WEIGHT_FACTOR * binary.len(), "seed {seed}");
        }
    }
}

#[test]
fn any_text_is_borne_by_the_parser() {
    let (mut sound, mut refused) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut text = write_text(&random.trace()).into_bytes();
        let other = write_text(&random.trace()).into_bytes();
        damage(&mut random, &mut text, &other);
        match Text::parse(&text) {
            Ok(trace) => {
                sound += 1;
                assert!(weight(&trace) <= WEIGHT_FACTOR * text.len(), "seed {seed}");
                assert_eq!(Text::parse(write_text(&trace).as_bytes()), Ok(trace), "seed {seed}");
            }
            Err(error) => {
                refused += 1;
                let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
                assert!((1..=lines + 1).contains(&error.line), "seed {seed}: {error}");
            }
        }
    }
    assert!(sound > 1_000 && refused > 1_000, "{sound} sound and {refused} refused: the damage is well chosen");
}

/// Each of these says that much follows, and little does.
#[test]
fn a_length_is_not_believed() {
    let trace = Text { header: Header::new(GUEST, 1, vec![], 0), records: Vec::new() };
    let sound = trace.to_binary(GUEST).expect("it packs");
    let with = |payload: &[u8]| [&sound[..], &frame(payload)].concat();
    // A turn without requests at time 0 with 2^32-1 answers, one with a list as long, one with as
    // much data.
    for payload in [
        &b"\0\0\0\xff\xff\xff\xff\x0f"[..],
        b"\0\0\0\x01\0\0\x07\xff\xff\xff\xff\x0f",
        b"\0\0\0\x01\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        // A key frame with as many pending requests, and one with as long an image.
        b"\x02\0\0\0\0\xff\xff\xff\xff\x0f",
        b"\x02\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ] {
        assert!(matches!(read_binary(&with(payload)), Err(TraceError::Malformed(..))), "{payload:?}");
    }
    let mut long = with(b"\0\0\0\0");
    long[sound.len()..sound.len() + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(read_binary(&long), Err(TraceError::Damaged(_))), "no block is so long");
}

/// A guest that is small when it is packed, and larger than one may be.
#[test]
fn a_guest_that_is_too_large_is_not_unpacked() {
    let zeros = vec![0; crate::limits::GUEST_BYTES_MAX as usize + 1];
    let trace = Text { header: Header::new(GUEST, 1, vec![], 0), records: Vec::new() };
    let bomb = trace.to_binary(&zeros).expect("it packs");
    assert!(bomb.len() < 100_000, "{} bytes", bomb.len());
    assert!(matches!(read_binary(&bomb), Err(TraceError::Malformed(..))));
    let trace = Text { header: Header::new(&zeros[1..], 1, vec![], 0), records: Vec::new() };
    let largest = trace.to_binary(&zeros[1..]).expect("it packs");
    assert_eq!(read_binary(&largest).ok(), Some(trace));
}

/// What `explain` says that it tells of is what it runs.
#[test]
fn a_guest_that_the_header_does_not_name_is_refused() {
    let trace = Text { header: Header::new(GUEST, 1, vec![], 0), records: Vec::new() };
    let forged = trace.to_binary(b"another guest").expect("it packs");
    let expected = (Header::digest(GUEST), Header::digest(b"another guest"));
    match read_binary(&forged) {
        Err(TraceError::OtherGuest { named, found }) => assert_eq!((named, found), expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_frame_has_its_own_block_and_a_cut_is_first() {
    let trace = Text { header: Header::new(GUEST, 1, vec![], 0), records: Vec::new() };
    let sound = trace.to_binary(GUEST).expect("it packs");
    let with = |payloads: &[&[u8]]| {
        let frames: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        read_binary(&[&sound[..], &frames].concat())
    };
    let (turn, key, cut) = (&b"\0\0\0\0"[..], &b"\x02\0\0\0\0\0\0"[..], &b"\x03\x07"[..]);
    for payloads in [&[turn, key, turn][..], &[cut, turn, key], &[&[cut, turn].concat(), key]] {
        assert!(with(payloads).is_ok(), "{payloads:?}");
    }
    for payloads in [&[&[turn, key].concat()[..]][..], &[&[key, turn].concat()], &[turn, cut], &[&[turn, cut].concat()]]
    {
        assert!(matches!(with(payloads), Err(TraceError::Malformed(..))), "{payloads:?}");
    }
    let late = "turn +0 sent 0\ncut 7\n";
    assert!(Text::parse(format!("{}{late}", write_text(&trace)).as_bytes()).is_err());
}

#[test]
fn nothing_follows_the_end() {
    let end = Record::End(End { sent: Sent::default(), exit: Exit::Trapped });
    let mut trace = Text { header: Header::new(GUEST, 1, vec![], 0), records: vec![end.clone()] };
    assert!(read_binary(&trace.to_binary(GUEST).expect("it packs")).is_ok());
    trace.records.push(end);
    assert!(matches!(read_binary(&trace.to_binary(GUEST).expect("it packs")), Err(TraceError::Malformed(..))));
}
