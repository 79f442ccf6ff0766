//! Responses on their way to a client, gathered for one write.

use crate::access::Access;
use crate::limits::{
    GATHER_BYTES_MAX, GATHER_LOGGED_BYTES_MAX, GATHER_PARTS_MAX, GATHER_RESPONSES_MAX, PIECE_BYTES_MAX,
    PIECE_BYTES_MIN, PIECE_FAST_MILLIS, PIECE_SLOW_MILLIS,
};
use crate::scarcity;
use crate::store::budget::Reservation;
use crate::store::representation::{Content, Piece};
use pluto_sdk::Part;
use std::rc::Rc;

/// What the next write of a connection will send: heads and pages as bytes, content as ranges of
/// files.
#[derive(Debug, Default)]
pub struct Outbox {
    parts: Vec<Part>,
    /// Bytes behind the last part.
    own: Vec<u8>,
    /// Bytes of the server's own in the parts.
    own_before: usize,
    /// Bytes of files in the parts.
    content: u64,
    /// Some of these come from files that are kept open for it.
    holds_files: bool,
    /// Files to give up as soon as the write is made, which keeps them alive itself.
    files: Vec<Rc<Content>>,
    /// How many of them are this client's alone.
    unshared: usize,
    /// Responses to log when the write is answered.
    accesses: Vec<Access>,
    /// What they hold, in bytes.
    logged: usize,
    /// What large pages take of what there is for all of them, until the write is answered.
    reservations: Vec<Reservation>,
}

/// What one write sends.
#[derive(Debug)]
pub struct Gathered {
    /// All of it.
    pub parts: Vec<Part>,
    /// How many bytes of files are among it.
    pub content: u64,
    /// Whether some of these come from files that the write keeps open.
    pub holds_files: bool,
}

/// Parts of the usual write: a head, and the content of a file.
const PARTS_USUAL: usize = 2;

/// Parts of a write with as many responses as there can be.
const PARTS_OF_MANY: usize = PARTS_USUAL * GATHER_RESPONSES_MAX;

/// Responses in the usual write.
const RESPONSES_USUAL: usize = 1;

impl Outbox {
    /// The server's own bytes: to write a head, and a page, behind what is there.
    pub fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Adds a range of a file, which may be empty.
    pub fn push_range(&mut self, file: &Content, offset: u64, length: u64) {
        if length == 0 {
            return;
        }
        self.holds_files |= file.is_open();
        match file.piece(offset, length) {
            Piece::Part(part) => {
                self.flush_own();
                push(&mut self.parts, part, PARTS_USUAL, PARTS_OF_MANY);
                self.content += length;
            }
            Piece::Bytes(bytes) => self.own.extend_from_slice(bytes),
        }
    }

    /// How much of this content the next write has room for, when it may send a piece of so many
    /// bytes.
    pub fn room(&self, file: &Content, piece: u64) -> u64 {
        match file.is_own() {
            true => GATHER_BYTES_MAX.saturating_sub(self.own_before + self.own.len()) as u64,
            false => piece.saturating_sub(self.content),
        }
    }

    /// Adds the end of a response: what it was, and its file, when it has one.
    pub fn end_response(&mut self, access: Access, file: Option<Rc<Content>>) {
        self.logged += access.weight();
        push(&mut self.accesses, access, RESPONSES_USUAL, GATHER_RESPONSES_MAX);
        if let Some(file) = file {
            self.unshared += usize::from(Rc::strong_count(&file) == 1);
            push(&mut self.files, file, RESPONSES_USUAL, GATHER_RESPONSES_MAX);
        }
    }

    /// Keeps what a large page takes until it is sent.
    pub fn hold(&mut self, reservation: Option<Reservation>) {
        self.reservations.extend(reservation);
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.own.is_empty()
    }

    /// Whether enough has gathered, when so much content may be sent in one piece.
    pub fn is_full(&self, piece: u64) -> bool {
        self.content >= piece
            || self.own_before + self.own.len() >= GATHER_BYTES_MAX
            || self.accesses.len() >= GATHER_RESPONSES_MAX
            || self.logged >= GATHER_LOGGED_BYTES_MAX
            || self.parts.len() >= GATHER_PARTS_MAX
            || self.unshared >= scarcity::files_at_once()
    }

    /// Takes out all that has gathered, to write it.
    pub fn take(&mut self) -> Gathered {
        self.flush_own();
        self.own_before = 0;
        Gathered {
            parts: std::mem::take(&mut self.parts),
            content: std::mem::take(&mut self.content),
            holds_files: std::mem::take(&mut self.holds_files),
        }
    }

    /// The write is made: gives up the files that end with it.
    pub fn release_files(&mut self) {
        self.files.clear();
        self.unshared = 0;
    }

    /// The responses that end with the write that was made.
    pub fn accesses(&self) -> &[Access] {
        &self.accesses
    }

    /// The write is answered, and its responses logged.
    pub fn forget_accesses(&mut self) {
        self.accesses.clear();
        self.logged = 0;
        self.reservations.clear();
    }

    /// Gives back what the usual responses do not need, while a client is idle. Nothing is to be
    /// sent.
    pub fn shrink(&mut self) {
        if self.accesses.capacity() > RESPONSES_USUAL {
            *self = Outbox::default();
        }
    }

    fn flush_own(&mut self) {
        if !self.own.is_empty() {
            self.own_before += self.own.len();
            let own = std::mem::take(&mut self.own);
            push(&mut self.parts, Part::Bytes(own), PARTS_USUAL, PARTS_OF_MANY);
        }
    }
}

/// Adds to a list that has room for what is usual, and then for many at once: one that grows as
/// lists do is either mostly empty, for as long as a client is connected, or grows several times.
fn push<T>(list: &mut Vec<T>, item: T, usual: usize, many: usize) {
    if list.len() == list.capacity() {
        let capacity = if list.is_empty() { usual } else { many };
        list.reserve_exact(capacity.saturating_sub(list.len()));
    }
    list.push(item);
}

/// How much content the next write may send, when one of `piece` bytes took so long: a fast client
/// is asked rarely whether it still reads, and a slow one is not taken for a stalled one.
pub fn next_piece(piece: u64, nanoseconds: u64) -> u64 {
    match nanoseconds / 1_000_000 {
        millis if millis < PIECE_FAST_MILLIS => (piece * 2).min(PIECE_BYTES_MAX),
        millis if millis > PIECE_SLOW_MILLIS => (piece / 2).max(PIECE_BYTES_MIN),
        _ => piece,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_grow_for_a_fast_client_and_shrink_for_a_slow_one() {
        let check = |piece: u64, millis: u64, next: u64| assert_eq!(next_piece(piece, millis * 1_000_000), next);
        check(PIECE_BYTES_MIN, 0, 2 * PIECE_BYTES_MIN);
        check(PIECE_BYTES_MAX, 999, PIECE_BYTES_MAX);
        check(PIECE_BYTES_MAX, 1_000, PIECE_BYTES_MAX);
        check(PIECE_BYTES_MAX, 8_000, PIECE_BYTES_MAX);
        check(PIECE_BYTES_MAX, 8_001, PIECE_BYTES_MAX / 2);
        check(PIECE_BYTES_MIN, 60_000, PIECE_BYTES_MIN);
    }

    #[test]
    fn own_bytes_gather_until_there_are_enough() {
        let mut outbox = Outbox::default();
        assert!(outbox.is_empty() && !outbox.is_full(1));
        outbox.own().extend_from_slice(&[b'a'; GATHER_BYTES_MAX - 1]);
        assert!(!outbox.is_empty() && !outbox.is_full(1));
        outbox.own().push(b'a');
        assert!(outbox.is_full(1));
        outbox.flush_own();
        assert!(outbox.is_full(1), "also those in the parts count");
        assert_eq!(outbox.take().parts.len(), 1);
        assert!(outbox.is_empty() && !outbox.is_full(1));
    }
}
