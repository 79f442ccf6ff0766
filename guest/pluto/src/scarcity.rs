//! Files are scarce when the host has no descriptor for another one.
//!
//! A client that reads slowly holds the files that it is being sent. Usually it has
//! `--write-seconds` for each piece of them. When another client needs a file and the host has
//! none left, the writes that hold files and have taken `SCARCE_WRITE_SECONDS` are given up, and
//! the other client waits for what they give back. It is not refused while somebody who reads
//! nothing is served.
//!
//! There is one host, so there is one scarcity for all sites and ports of a guest.

use crate::limits::{PIPELINE_MAX, SCARCE_OPEN_MILLIS, SCARCE_WRITE_SECONDS};
use pluto_sdk::{Deadline, now, sleep};
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

/// A time that has not come yet.
const NEVER: u64 = 0;

thread_local! {
    static HOLDERS: RefCell<Holders> = const { RefCell::new(Holders { places: Vec::new(), free: Vec::new() }) };
    /// When a file was last wanted in vain: nanoseconds since the Unix epoch, or [`NEVER`].
    static WANTED: Cell<u64> = const { Cell::new(NEVER) };
    /// When a write that held files last ended: nanoseconds since the Unix epoch, or [`NEVER`].
    static ENDED: Cell<u64> = const { Cell::new(NEVER) };
}

/// The connections that have written from files.
struct Holders {
    /// Each in its place.
    places: Vec<Option<Rc<Write>>>,
    /// The places that are free.
    free: Vec<u32>,
}

/// What others see of a connection's write.
#[derive(Debug, Default)]
struct Write {
    deadline: Deadline,
    /// When the write that holds files began: nanoseconds since the Unix epoch. [`NEVER`], while
    /// none is under way.
    began: Cell<u64>,
}

/// The deadline of a connection. While a write that holds files waits under it, others can bring
/// it forward.
#[derive(Debug, Default)]
pub struct Holder {
    write: Rc<Write>,
    /// Its place among the holders, once it has written from a file.
    place: Option<u32>,
}

impl Deref for Holder {
    type Target = Deadline;

    fn deref(&self) -> &Deadline {
        &self.write.deadline
    }
}

impl Holder {
    /// A write that holds files begins.
    pub fn begin(&mut self) {
        self.write.began.set(now());
        if self.place.is_none() {
            self.place = Some(HOLDERS.with_borrow_mut(|holders| holders.take_place(&self.write)));
        }
    }

    /// The write has ended, if one was under way.
    pub fn end(&self) {
        if self.write.began.replace(NEVER) != NEVER {
            ENDED.set(now());
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.end();
        if let Some(place) = self.place {
            HOLDERS.with_borrow_mut(|holders| holders.leave(place));
        }
    }
}

impl Holders {
    fn take_place(&mut self, write: &Rc<Write>) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            // There are no more than CONNECTIONS_MAX.
            self.places.len() as u32 - 1
        });
        self.places[place as usize] = Some(Rc::clone(write));
        place
    }

    fn leave(&mut self, place: u32) {
        self.places[place as usize] = None;
        self.free.push(place);
    }

    /// Gives up the writes that have taken too long for times like these. Returns whether any is
    /// under way.
    fn give_up(&self, now: u64) -> bool {
        let mut is_any = false;
        for write in self.places.iter().flatten().filter(|write| write.began.get() != NEVER) {
            is_any = true;
            if now.saturating_sub(write.began.get()) >= SCARCE_WRITE_SECONDS * 1_000_000_000 {
                write.deadline.set(Duration::ZERO);
            }
        }
        is_any
    }
}

/// Waits a moment for a file that somebody may give back. Whether that is worth it: nobody gives
/// back what nobody holds.
pub async fn moment() -> bool {
    WANTED.set(now());
    let is_held = HOLDERS.with_borrow(|holders| holders.give_up(now()));
    // What was held until now may be given back only just then.
    let is_worth_it = is_held || is_lately(ENDED.get());
    if is_worth_it {
        sleep(Duration::from_millis(SCARCE_OPEN_MILLIS)).await;
    }
    is_worth_it
}

/// Whether something was so short a time ago that files may still be scarce.
fn is_lately(time: u64) -> bool {
    time != NEVER && now().saturating_sub(time) < SCARCE_WRITE_SECONDS * 1_000_000_000
}

/// How many files a client may have at once: one, if another was wanted in vain lately.
pub fn files_at_once() -> usize {
    if is_lately(WANTED.get()) { 1 } else { PIPELINE_MAX }
}
