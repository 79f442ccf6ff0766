//! The bytes that a client sends, cut into requests. Bodies are dropped on the way, so that one is
//! never read as the next request.

use super::body::{Dropper, Progress};
use super::head::{Head, Limits, Scanner};
use super::request::{LoggedFields, Request, WantedFields, line_bytes_kept};
use super::status::{HttpError, Status};
use crate::limits::{IDLE_BUFFER_BYTES_MAX, LINE_BUFFER_BYTES_MAX, READ_BYTES};

/// Cuts one connection's bytes into requests. It holds as many bytes as the largest head has, at
/// most.
#[derive(Debug)]
pub struct Inbound {
    /// What has come and is not used up: everything from `start`.
    buffer: Vec<u8>,
    start: usize,
    scanner: Scanner,
    /// A request whose body has not yet ended. Boxed, as what is rare: a client has this for as
    /// long as it is connected.
    held: Option<Box<(Request, Dropper)>>,
    /// `next_request` has nothing until more has come.
    hungry: bool,
    over: bool,
    head_bytes_max: usize,
    body_bytes_max: u64,
    logs: WantedFields,
    wants_facts: bool,
}

/// What the client is in the middle of, when there is no request to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// Sending a head.
    Head,
    /// Sending a body.
    Body,
    /// Nothing that matters: the last request has come.
    Over,
}

impl Inbound {
    /// For a new connection, with heads within these limits, on which bodies of at most so many
    /// bytes are dropped.
    pub fn new(head: Limits, body_bytes_max: u64) -> Inbound {
        Inbound {
            buffer: Vec::new(),
            start: 0,
            scanner: Scanner::new(head),
            head_bytes_max: head.bytes,
            held: None,
            hungry: true,
            over: false,
            body_bytes_max,
            logs: WantedFields::default(),
            wants_facts: false,
        }
    }

    /// Whether the requests that are taken from now on keep what a site's policy looks at.
    pub fn set_wants_facts(&mut self, wants_facts: bool) {
        self.wants_facts = wants_facts;
    }

    /// Keeps these fields of each request for the access log.
    pub fn log_fields(self, logs: WantedFields) -> Inbound {
        Inbound { logs, ..self }
    }

    /// How many bytes to read next: what one read takes, but no more than the largest head has in
    /// all. At least 1 when `next_request` has nothing more, for a head that is too long has been
    /// refused by then.
    pub fn room(&self) -> u32 {
        let room = self.head_bytes_max.saturating_sub(self.buffer.len() - self.start);
        u32::try_from(room).map_or(READ_BYTES, |room| room.clamp(1, READ_BYTES))
    }

    /// Takes bytes that the client sent: `room` at most. To be called when `next_request` has
    /// nothing more.
    pub fn feed(&mut self, bytes: Vec<u8>) {
        if self.start == self.buffer.len() {
            self.buffer = bytes;
        } else {
            // Moves less than the last read brought, or nothing: `start` is 0 until a request has
            // been used up.
            self.buffer.drain(..self.start);
            let length = self.buffer.len() + bytes.len();
            // Twice as much each time would end at twice the largest head.
            let capacity = if length > IDLE_BUFFER_BYTES_MAX { self.head_bytes_max } else { IDLE_BUFFER_BYTES_MAX };
            self.buffer.reserve_exact(capacity.max(length) - self.buffer.len());
            self.buffer.extend_from_slice(&bytes);
        }
        self.start = 0;
        self.hungry = false;
    }

    /// Whether something has come that is not used up.
    pub fn has_more(&self) -> bool {
        self.start < self.buffer.len()
    }

    /// Whether `next_request` may have one.
    pub fn may_have_request(&self) -> bool {
        !self.hungry
    }

    /// Whether `next_request` needs more bytes; never so behind the last request.
    pub fn is_hungry(&self) -> bool {
        self.hungry && !self.over
    }

    /// The next request, when it has come with its body.
    pub fn next_request(&mut self) -> Option<Request> {
        if self.hungry {
            return None;
        }
        let request = self.cut_request();
        // Known already when nothing is left, which spares a look at no bytes.
        self.hungry = request.is_none() || !self.has_more();
        request
    }

    fn cut_request(&mut self) -> Option<Request> {
        if self.over {
            return None;
        }
        if self.held.is_none() {
            let bytes = &self.buffer[self.start..];
            match self.scanner.scan(bytes) {
                Ok(false) => return None,
                Ok(true) => (),
                Err(error) => return Some(self.refuse(error)),
            }
            let head = self.scanner.head(bytes);
            let (mut request, framing) = Request::read(head, self.wants_facts);
            request.context.logged = self.logged(head);
            request.context.line = self.take_head();
            match Dropper::new(framing, self.body_bytes_max) {
                None => return Some(self.finish(request)),
                Some(dropper) => self.held = Some(Box::new((request, dropper))),
            }
        }
        self.drop_body()
    }

    /// What the client is in the middle of.
    pub fn phase(&self) -> Phase {
        match self.held {
            _ if self.over => Phase::Over,
            Some(_) => Phase::Body,
            None if self.scanner.has_begun() => Phase::Head,
            None => Phase::Idle,
        }
    }

    /// The client was too slow: the request that it was in the middle of, refused.
    pub fn time_out(&mut self) -> Option<Request> {
        self.interrupt(HttpError::fatal(Status::RequestTimeout, "The request took too long to arrive."))
    }

    /// The client sends no more: the request that it was in the middle of, refused.
    pub fn end(&mut self) -> Option<Request> {
        self.interrupt(HttpError::bad("The request ended before it was complete."))
    }

    /// Gives back what is not needed while the client is idle: it may stay so for long, and has
    /// sent some empty lines at most.
    pub fn shrink(&mut self) {
        if self.buffer.capacity() == 0 {
            return;
        }
        if self.start == self.buffer.len() {
            // The next read brings a buffer of its own.
            self.buffer = Vec::new();
            self.start = 0;
        } else if self.buffer.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.buffer.shrink_to_fit();
        }
    }

    /// Uses up the head of a request, which has just been scanned, and keeps its line.
    fn take_head(&mut self) -> Vec<u8> {
        let line = self.scanner.line();
        let head_bytes = self.scanner.length();
        self.scanner.reset();
        let line = line.start..line.start + line_bytes_kept(line.len());
        let is_all = self.start == 0 && line.start == 0 && head_bytes == self.buffer.len();
        if is_all && self.buffer.capacity() <= LINE_BUFFER_BYTES_MAX {
            // Nothing else is in the buffer: it is the request's now.
            self.buffer.truncate(line.end);
            return std::mem::take(&mut self.buffer);
        }
        let kept = self.buffer[self.start..][line].to_vec();
        self.start += head_bytes;
        kept
    }

    fn drop_body(&mut self) -> Option<Request> {
        let mut held = self.held.take()?;
        let (request, dropper) = &mut *held;
        match dropper.take(&self.buffer[self.start..]) {
            Ok(Progress::More) => {
                self.start = self.buffer.len();
                self.held = Some(held);
                return None;
            }
            Ok(Progress::Done(length)) => self.start += length,
            // Answered all the same, but the connection ends.
            Ok(Progress::TooMuch) => request.context.persistent = false,
            Err(error) => request.fail(error),
        }
        Some(self.finish(held.0))
    }

    fn interrupt(&mut self, error: HttpError) -> Option<Request> {
        let request = match (self.phase(), self.held.take()) {
            (Phase::Body, Some(mut held)) => {
                held.0.fail(error);
                Some(self.finish(held.0))
            }
            (Phase::Head, None) => Some(self.refuse(error)),
            _ => None,
        };
        self.over = true;
        request
    }

    fn refuse(&mut self, error: HttpError) -> Request {
        let head = self.scanner.head(&self.buffer[self.start..]);
        let mut request = Request::refused(head, error);
        request.context.logged = self.logged(head);
        self.finish(request)
    }

    /// What is kept of a head for the access log.
    fn logged(&self, head: Head<'_>) -> Option<Box<LoggedFields>> {
        (self.logs != WantedFields::default()).then(|| Box::new(LoggedFields::read(head, self.logs)))
    }

    /// What follows the last request is never looked at.
    fn finish(&mut self, request: Request) -> Request {
        self.over = !request.context.persistent;
        request
    }
}

#[cfg(test)]
mod tests;
