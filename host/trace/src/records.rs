//! Encodes records as bytes, and decodes them.

use super::codec::{ANSWER_BYTES_MIN, Facts, MemoryBudget, put_answer, read_answer};
use super::wire::{Malformed, Reader, put_bytes, put_halves, put_number};
use super::{End, Exit, KeyFrame, Record, Sent};
use crate::limits;
use pluto_contract::Answer;
use pluto_contract::Arity;
use pluto_contract::stop::StopReason;

const TURN: u8 = 0;
const END: u8 = 1;
const KEY_FRAME: u8 = 2;
const CUT: u8 = 3;

/// The state that a record depends on: the records before it in its block.
#[derive(Default)]
pub(super) struct Context {
    facts: Facts,
    /// The time of the last turn. 0 at the beginning of a block, so that the first time is
    /// absolute.
    time: u64,
    /// The memory that the turn which is being read may still take.
    budget: MemoryBudget,
}

/// A record, or the beginning of a turn, whose answers are read one after the other.
pub(super) enum Head {
    /// A summary of what the guest had sent, the time, and the number of answers that follow.
    Turn { sent: Sent, time: u64, answers: usize },
    /// Any other record.
    Whole(Record),
}

impl Context {
    /// Adds a turn's encoding.
    pub(super) fn put_turn(&mut self, out: &mut Vec<u8>, sent: Sent, time: u64, answers: &[Answer]) {
        out.push(TURN);
        put_sent(out, sent);
        put_number(out, time.wrapping_sub(self.time));
        self.time = time;
        put_number(out, answers.len() as u64);
        answers.iter().for_each(|answer| put_answer(out, &mut self.facts, answer));
    }

    /// Reads a record, or the part of a turn before its answers.
    pub(super) fn head(&mut self, reader: &mut Reader<'_>) -> Result<Head, Malformed> {
        Ok(Head::Whole(match reader.byte()? {
            TURN => {
                let sent = read_sent(reader)?;
                self.time = self.time.wrapping_add(reader.number()?);
                let answers = reader.length(ANSWER_BYTES_MIN, limits::TRACE_TURN_ANSWERS_MAX)?;
                self.budget = MemoryBudget::default();
                return Ok(Head::Turn { sent, time: self.time, answers });
            }
            END => Record::End(End { sent: read_sent(reader)?, exit: read_exit(reader)? }),
            KEY_FRAME => Record::KeyFrame(read_key_frame(reader)?),
            CUT => Record::Cut(reader.number()?),
            _ => return Err(Malformed::Case),
        }))
    }

    /// Reads the next answer of a turn.
    pub(super) fn answer(&mut self, reader: &mut Reader<'_>) -> Result<Answer, Malformed> {
        read_answer(reader, &mut self.facts, &mut self.budget)
    }
}

/// Adds an end's encoding.
pub(super) fn put_end(out: &mut Vec<u8>, end: &End) {
    out.push(END);
    put_sent(out, end.sent);
    put_exit(out, &end.exit);
}

/// Adds the encoding of a cut, which stands in the place of this many turns.
pub(super) fn put_cut(out: &mut Vec<u8>, turns: u64) {
    out.push(CUT);
    put_number(out, turns);
}

/// Encodes a key frame, which is the only record of its block.
pub(super) fn put_key_frame(key: &KeyFrame) -> Vec<u8> {
    let mut out = vec![KEY_FRAME];
    put_number(&mut out, key.turn);
    put_number(&mut out, key.time);
    put_sent(&mut out, key.sent);
    put_number(&mut out, key.requests);
    put_number(&mut out, key.pending.len() as u64);
    for (id, arity) in &key.pending {
        put_halves(&mut out, *id);
        out.push((*arity == Arity::Many).into());
    }
    put_bytes(&mut out, &key.image);
    out
}

fn read_key_frame(reader: &mut Reader<'_>) -> Result<KeyFrame, Malformed> {
    let (turn, time) = (reader.number()?, reader.number()?);
    let (sent, requests) = (read_sent(reader)?, reader.number()?);
    // A pending request takes at least an id of two numbers, and its arity.
    let length = reader.length(3, pluto_contract::limits::REQUESTS_PENDING_MAX)?;
    let mut pending = Vec::with_capacity(length);
    for _ in 0..length {
        let id = reader.halves()?;
        let arity = match reader.byte()? {
            0 => Arity::Once,
            1 => Arity::Many,
            _ => return Err(Malformed::Case),
        };
        pending.push((id, arity));
    }
    Ok(KeyFrame { turn, time, sent, requests, pending, image: reader.bytes()?.to_vec() })
}

fn put_sent(out: &mut Vec<u8>, sent: Sent) {
    put_number(out, sent.count);
    if sent.count > 0 {
        out.extend(sent.hash.to_le_bytes());
    }
}

fn read_sent(reader: &mut Reader<'_>) -> Result<Sent, Malformed> {
    let count = reader.number()?;
    if count == 0 {
        return Ok(Sent::default());
    }
    let hash = reader.take(8)?.try_into().map_err(|_| Malformed::Short)?;
    Ok(Sent { count, hash: u64::from_le_bytes(hash) })
}

fn put_exit(out: &mut Vec<u8>, exit: &Exit) {
    match exit {
        Exit::Code(code) => out.extend([0, *code]),
        Exit::Trapped => out.push(1),
        Exit::Stopped(stop) => {
            out.push(2);
            put_stop(out, stop);
        }
    }
}

fn read_exit(reader: &mut Reader<'_>) -> Result<Exit, Malformed> {
    Ok(match reader.byte()? {
        0 => Exit::Code(reader.byte()?),
        1 => Exit::Trapped,
        2 => Exit::Stopped(read_stop(reader)?),
        _ => return Err(Malformed::Case),
    })
}

fn put_stop(out: &mut Vec<u8>, stop: &StopReason) {
    match stop {
        StopReason::Asked => out.push(0),
        StopReason::StopTooSlow => out.push(1),
        StopReason::TurnTooLong => out.push(2),
        StopReason::Memory { wanted, limit } => {
            out.push(3);
            put_number(out, *wanted);
            put_number(out, *limit);
        }
        StopReason::Tables { wanted } => {
            out.push(4);
            put_number(out, *wanted);
        }
        StopReason::RequestsPending => out.push(5),
        StopReason::DuplicateId(id) => {
            out.push(6);
            put_number(out, *id);
        }
        StopReason::NothingPending => out.push(7),
        StopReason::AnswersEnded => out.push(8),
        StopReason::System(what) => {
            out.push(9);
            put_bytes(out, &what.as_bytes()[..what.floor_char_boundary(limits::TRACE_WORDS_BYTES_MAX)]);
        }
        StopReason::PortTaken(port) => {
            out.push(10);
            put_number(out, (*port).into());
        }
    }
}

fn read_stop(reader: &mut Reader<'_>) -> Result<StopReason, Malformed> {
    Ok(match reader.byte()? {
        0 => StopReason::Asked,
        1 => StopReason::StopTooSlow,
        2 => StopReason::TurnTooLong,
        3 => StopReason::Memory { wanted: reader.number()?, limit: reader.number()? },
        4 => StopReason::Tables { wanted: reader.number()? },
        5 => StopReason::RequestsPending,
        6 => StopReason::DuplicateId(reader.number()?),
        7 => StopReason::NothingPending,
        8 => StopReason::AnswersEnded,
        9 => StopReason::System(reader.short_text(limits::TRACE_WORDS_BYTES_MAX)?.to_owned()),
        10 => StopReason::PortTaken(reader.small()?),
        _ => return Err(Malformed::Case),
    })
}
