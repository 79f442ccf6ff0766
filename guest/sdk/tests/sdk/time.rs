//! Time, timers and deadlines: what waits how long, and what that costs in requests.

use crate::support::{SECOND, START, answer_at, id_of, lines, list, requests, seconds, start};
use pluto_sdk::testing::{Reply, Request};
use pluto_sdk::{Deadline, Elapsed, fs, info, join, now, race, sleep, spawn, with_timeout};
use std::rc::Rc;
use std::time::Duration;

fn sleep_request(seconds: u64) -> Request {
    Request::Sleep(seconds * SECOND)
}

#[test]
fn time_is_that_of_the_last_batch_and_never_goes_back() {
    let (mut guest, turn) = start(|| async {
        for _ in 0..4 {
            info!("{}", now() - START);
            let _ = fs::list("").await;
        }
    });
    let mut seen: Vec<String> = lines(&turn).iter().map(|&line| line.to_owned()).collect();
    let mut id = id_of(&turn, &list(""));
    for time in [5, 3, 9] {
        let turn = answer_at(&mut guest, START + time, &[(id, Reply::Listed(Vec::new()))]);
        seen.extend(lines(&turn).iter().map(|&line| line.to_owned()));
        id = id_of(&turn, &list(""));
    }
    assert_eq!(seen, ["0", "5", "5", "9"]);
}

#[test]
fn a_sleep_is_never_over_early() {
    let (mut guest, turn) = start(|| async {
        sleep(seconds(10)).await;
        info!("{}", (now() - START) / SECOND);
    });
    let first = id_of(&turn, &sleep_request(10));
    // A host that answers early is asked again, for the rest.
    let turn = answer_at(&mut guest, START + 4 * SECOND, &[(first, Reply::Elapsed)]);
    assert!(turn.logs.is_empty());
    let rest = id_of(&turn, &sleep_request(6));
    assert_eq!(lines(&answer_at(&mut guest, START + 11 * SECOND, &[(rest, Reply::Elapsed)])), ["11"]);
}

#[test]
fn a_sleep_of_nothing_is_over_at_once() {
    let (_guest, turn) = start(|| async { sleep(Duration::ZERO).await });
    assert!(turn.requests.is_empty() && turn.outcome.is_some());
}

#[test]
fn timers_that_are_due_fire_with_any_batch() {
    let (mut guest, turn) = start(|| async {
        drop(spawn(async {
            sleep(seconds(1)).await;
            info!("woken");
        }));
        let _ = fs::list("").await;
        let _ = fs::list("").await;
    });
    let turn = answer_at(&mut guest, START + SECOND, &[(id_of(&turn, &list("")), Reply::Listed(Vec::new()))]);
    assert_eq!(lines(&turn), ["woken"]);
}

/// However many timers there are, the host has one, for the earliest.
#[test]
fn one_sleep_is_pending_at_most() {
    let (mut guest, turn) = start(|| async {
        drop(spawn(sleep(seconds(30))));
        drop(spawn(sleep(seconds(20))));
        sleep(seconds(25)).await;
        drop(spawn(sleep(seconds(100))));
        sleep(seconds(1)).await;
        sleep(seconds(50)).await;
    });
    assert_eq!(requests(&turn), [sleep_request(20)]);
    // An earlier one replaces it; a later one does not.
    let mut at = START + 20 * SECOND;
    let turn = answer_at(&mut guest, at, &[(id_of(&turn, &sleep_request(20)), Reply::Elapsed)]);
    assert_eq!(requests(&turn), [sleep_request(5)]);
    at += 5 * SECOND;
    let turn = answer_at(&mut guest, at, &[(id_of(&turn, &sleep_request(5)), Reply::Elapsed)]);
    assert_eq!(requests(&turn), [sleep_request(1)]);
    at += SECOND;
    let turn = answer_at(&mut guest, at, &[(id_of(&turn, &sleep_request(1)), Reply::Elapsed)]);
    assert_eq!(requests(&turn), [sleep_request(4)]);
}

#[test]
fn an_earlier_timer_replaces_the_pending_sleep() {
    let (mut guest, turn) = start(|| async {
        drop(spawn(sleep(seconds(10))));
        let _ = fs::list("").await;
        sleep(seconds(1)).await;
        info!("woken");
    });
    let first = id_of(&turn, &sleep_request(10));
    let turn = answer_at(&mut guest, START, &[(id_of(&turn, &list("")), Reply::Listed(Vec::new()))]);
    assert_eq!(requests(&turn), [Request::Cancel(first), sleep_request(1)]);
    let second = id_of(&turn, &sleep_request(1));
    let cancelled = (first, Reply::Failed(pluto_sdk::Error::Cancelled));
    let turn = answer_at(&mut guest, START + SECOND, &[cancelled, (second, Reply::Elapsed)]);
    assert_eq!(lines(&turn), ["woken"]);
}

#[test]
fn a_timeout_drops_what_is_late() {
    let (mut guest, turn) = start(|| async {
        let answer = with_timeout(seconds(5), fs::list("")).await;
        assert_eq!(answer, Err(Elapsed));
        info!("{Elapsed}");
    });
    let (slow, timer) = (id_of(&turn, &list("")), id_of(&turn, &sleep_request(5)));
    let turn = answer_at(&mut guest, START + 5 * SECOND, &[(timer, Reply::Elapsed)]);
    assert_eq!(lines(&turn), ["the time is over"]);
    assert_eq!(requests(&turn), [Request::Cancel(slow)]);
}

#[test]
fn what_is_ready_together_with_its_timeout_is_not_late() {
    let (mut guest, turn) = start(|| async {
        let answer = with_timeout(seconds(5), fs::list("a")).await;
        let deadline = Deadline::new();
        deadline.set(seconds(0));
        let limited = deadline.limit(async { 1 }).await;
        info!("{} {limited:?}", answer.is_ok());
    });
    let (slow, timer) = (id_of(&turn, &list("a")), id_of(&turn, &sleep_request(5)));
    let both = [(timer, Reply::Elapsed), (slow, Reply::Listed(Vec::new()))];
    assert_eq!(lines(&answer_at(&mut guest, START + 9 * SECOND, &both)), ["true Ok(1)"]);
}

#[test]
fn a_deadline_is_disarmed_until_it_is_set_and_after_it_is_cleared() {
    let (_guest, turn) = start(|| async {
        let deadline = Deadline::new();
        assert!(!deadline.passed());
        deadline.set(Duration::ZERO);
        assert!(deadline.passed());
        assert_eq!(deadline.limit(std::future::pending::<()>()).await, Err(Elapsed));
        deadline.clear();
        assert!(!deadline.passed());
        let _ = deadline.limit(fs::list("")).await;
    });
    assert_eq!(requests(&turn), [list("")], "a disarmed deadline makes no request");
}

/// The case of a keep-alive connection: a deadline for each request, and no request of the SDK for
/// any of them.
#[test]
fn setting_a_deadline_later_makes_no_request() {
    let (mut guest, turn) = start(|| async {
        let deadline = Deadline::new();
        for _ in 0..5 {
            deadline.set(seconds(10));
            if deadline.limit(fs::list("")).await.is_err() {
                info!("passed at {}", (now() - START) / SECOND);
                return;
            }
        }
    });
    let timer = id_of(&turn, &sleep_request(10));
    let mut id = id_of(&turn, &list(""));
    for second in 1..=3 {
        let turn = answer_at(&mut guest, START + second * SECOND, &[(id, Reply::Listed(Vec::new()))]);
        assert_eq!(requests(&turn), [list("")]);
        id = id_of(&turn, &list(""));
    }
    // The timer of the first one fires early for the last, which was set at second 3, and is made
    // again.
    let turn = answer_at(&mut guest, START + 10 * SECOND, &[(timer, Reply::Elapsed)]);
    assert_eq!(requests(&turn), [sleep_request(3)]);
    let timer = id_of(&turn, &sleep_request(3));
    let turn = answer_at(&mut guest, START + 13 * SECOND, &[(timer, Reply::Elapsed)]);
    assert_eq!(lines(&turn), ["passed at 13"]);
    assert_eq!(requests(&turn), [Request::Cancel(id)]);
}

#[test]
fn a_deadline_can_be_brought_forward_while_something_waits_under_it() {
    // Whether it was set before or not.
    for set_before in [true, false] {
        let (mut guest, turn) = start(move || async move {
            let deadline = Rc::new(Deadline::new());
            if set_before {
                deadline.set(seconds(60));
            }
            let shared = Rc::clone(&deadline);
            let sooner = async move {
                let _ = fs::list("").await;
                shared.set(seconds(2));
            };
            let (limited, ()) = join(deadline.limit(std::future::pending::<()>()), sooner).await;
            info!("{limited:?} after {}", (now() - START) / SECOND);
        });
        let go = id_of(&turn, &list(""));
        let turn = answer_at(&mut guest, START + SECOND, &[(go, Reply::Listed(Vec::new()))]);
        let timer = id_of(&turn, &sleep_request(2));
        let turn = answer_at(&mut guest, START + 3 * SECOND, &[(timer, Reply::Elapsed)]);
        assert_eq!(lines(&turn), ["Err(Elapsed) after 3"]);
    }
}

#[test]
fn a_dropped_timer_wakes_nobody() {
    let (mut guest, turn) = start(|| async {
        let _ = race(sleep(seconds(1)), fs::list("")).await;
        let _ = fs::list("").await;
    });
    let (timer, id) = (id_of(&turn, &sleep_request(1)), id_of(&turn, &list("")));
    let turn = answer_at(&mut guest, START, &[(id, Reply::Listed(Vec::new()))]);
    assert_eq!(requests(&turn), [list("")]);
    let turn = answer_at(&mut guest, START + SECOND, &[(timer, Reply::Elapsed)]);
    assert!(turn.requests.is_empty() && turn.logs.is_empty());
}

#[test]
fn a_wait_beyond_all_time_is_a_wait() {
    let (_guest, turn) = start(|| async {
        let _ = with_timeout(Duration::MAX, fs::list("")).await;
    });
    assert!(turn.outcome.is_none());
    assert_eq!(requests(&turn), [list("")]);
}
