//! Files are scarce when the host has no descriptor for another one.
//!
//! A client that reads slowly holds the files that it is being sent. Usually it has `--write-seconds` for each piece of them. When
//! another client needs a file and the host has none left, those that have taken nothing for `SCARCE_WRITE_SECONDS` are
//! given up, and the other waits for what they give back: it is not refused while somebody who reads nothing is served.
//!
//! There is one host, so there is one scarcity for all sites and ports of a guest.

use crate::limits::{PIPELINE_MAX, SCARCE_OPEN_MILLIS, SCARCE_WRITE_SECONDS};
use pluto_sdk::{now, sleep};
use std::cell::RefCell;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

thread_local! {
    static HOLDERS: RefCell<Holders> = const { RefCell::new(Holders::new()) };
}

/// The writes that are under way and hold files of their own.
struct Holders {
    /// Each in its place.
    writes: Vec<Option<Holder>>,
    /// The places that are free.
    free: Vec<usize>,
    /// When a file was last wanted in vain: nanoseconds since the Unix epoch.
    wanted: Option<u64>,
    /// When a write last ended: nanoseconds since the Unix epoch.
    ended: Option<u64>,
}

struct Holder {
    /// Nanoseconds since the Unix epoch.
    began: u64,
    waker: Waker,
    /// It is to end.
    given_up: bool,
}

/// Others need the files that a write holds, and its client takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp;

impl Holders {
    const fn new() -> Holders {
        Holders { writes: Vec::new(), free: Vec::new(), wanted: None, ended: None }
    }

    /// Gives up the writes that have taken too long for times like these.
    fn give_up(&mut self, now: u64) {
        self.wanted = Some(now);
        for write in self.writes.iter_mut().flatten() {
            if now.saturating_sub(write.began) >= SCARCE_WRITE_SECONDS * 1_000_000_000 && !write.given_up {
                write.given_up = true;
                write.waker.wake_by_ref();
            }
        }
    }
}

/// Waits for a write that holds files of its own, unless it is given up for others.
pub async fn holding<F: Future>(write: F) -> Result<F::Output, GivenUp> {
    let mut write = pin!(write);
    let mut place = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = write.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let place = place.get_or_insert_with(|| Place::new(cx.waker()));
        if place.is_given_up() { Poll::Ready(Err(GivenUp)) } else { Poll::Pending }
    })
    .await
}

/// Waits a moment for a file that somebody may give back. Whether that is worth it: nobody gives back what nobody holds.
pub async fn moment() -> bool {
    let is_worth_it = HOLDERS.with_borrow_mut(|holders| {
        holders.give_up(now());
        // What was held until now may be given back only just then.
        holders.writes.len() > holders.free.len() || is_lately(holders.ended)
    });
    if is_worth_it {
        sleep(Duration::from_millis(SCARCE_OPEN_MILLIS)).await;
    }
    is_worth_it
}

/// Whether something was so short a time ago that files may still be scarce.
fn is_lately(time: Option<u64>) -> bool {
    time.is_some_and(|time| now().saturating_sub(time) < SCARCE_WRITE_SECONDS * 1_000_000_000)
}

/// How many files a client may have at once: one, if another was wanted in vain lately.
pub fn files_at_once() -> usize {
    let wanted = HOLDERS.with_borrow(|holders| holders.wanted);
    if is_lately(wanted) { 1 } else { PIPELINE_MAX }
}

/// A write's place among the holders, until it is dropped.
struct Place(usize);

impl Place {
    fn new(waker: &Waker) -> Place {
        HOLDERS.with_borrow_mut(|holders| {
            let holder = Some(Holder { began: now(), waker: waker.clone(), given_up: false });
            if let Some(place) = holders.free.pop() {
                holders.writes[place] = holder;
                return Place(place);
            }
            holders.writes.push(holder);
            Place(holders.writes.len() - 1)
        })
    }

    fn is_given_up(&self) -> bool {
        HOLDERS.with_borrow(|holders| holders.writes[self.0].as_ref().is_some_and(|holder| holder.given_up))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        HOLDERS.with_borrow_mut(|holders| {
            holders.writes[self.0] = None;
            holders.free.push(self.0);
            holders.ended = Some(now());
        });
    }
}
