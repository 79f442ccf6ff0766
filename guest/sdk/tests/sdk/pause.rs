//! Pause and resume: the guest's code never notices.

use crate::support::{SECOND, START, answer, answer_at, id_of, lines, list, requests, start};
use pluto_sdk::testing::{Outcome, Reply, Request};
use pluto_sdk::{Error, Signal, fs, info, signals, sleep, spawn};
use std::time::Duration;

#[test]
fn a_pause_comes_with_what_is_outstanding_and_resuming_goes_on() {
    let (mut guest, turn) = start(|| async {
        let mut signals = signals();
        let _ = fs::list("first").await;
        let second = fs::list("second");
        info!("{:?}", signals.next().await);
        info!("{}", second.await.is_ok());
    });
    let (told, first) = (id_of(&turn, &Request::Signals), id_of(&turn, &list("first")));
    let turn = answer(&mut guest, &[(told, Reply::Signal(Signal::Pause)), (first, Reply::Listed(Vec::new()))]);
    assert_eq!(turn.outcome, Some(Outcome::Paused));
    assert_eq!(requests(&turn), [list("second")]);
    assert!(turn.logs.is_empty(), "the guest is not told");
    let second = id_of(&turn, &list("second"));
    let turn = answer(&mut guest, &[(second, Reply::Listed(Vec::new())), (told, Reply::Signal(Signal::Reload))]);
    assert_eq!(lines(&turn), ["Ok(Signal::Reload)", "true"]);
    assert_eq!(turn.outcome, Some(Outcome::Exit(0)));
}

#[test]
fn a_guest_can_be_paused_again_and_again() {
    let (mut guest, turn) = start(|| async {
        let mut signals = signals();
        while signals.next().await == Ok(Signal::Reload) {}
    });
    let told = id_of(&turn, &Request::Signals);
    for _ in 0..3 {
        let turn = answer(&mut guest, &[(told, Reply::Signal(Signal::Pause))]);
        assert_eq!(turn.outcome, Some(Outcome::Paused));
        assert_eq!(answer(&mut guest, &[(told, Reply::Signal(Signal::Reload))]).outcome, None);
    }
    assert_eq!(answer(&mut guest, &[(told, Reply::Signal(Signal::Stop))]).outcome, Some(Outcome::Exit(0)));
}

#[test]
fn an_end_in_the_turn_of_a_pause_is_an_end() {
    let (mut guest, turn) = start(|| async {
        let _signals = signals();
        let _ = fs::list("").await;
    });
    let (told, go) = (id_of(&turn, &Request::Signals), id_of(&turn, &list("")));
    let turn = answer(&mut guest, &[(told, Reply::Signal(Signal::Pause)), (go, Reply::Listed(Vec::new()))]);
    assert_eq!(turn.outcome, Some(Outcome::Exit(0)));
}

#[test]
fn timers_outlive_a_pause() {
    let (mut guest, turn) = start(|| async {
        let mut signals = signals();
        drop(spawn(async move { signals.next().await }));
        sleep(Duration::from_secs(10)).await;
        info!("woken");
    });
    let (told, timer) = (id_of(&turn, &Request::Signals), id_of(&turn, &Request::Sleep(10 * SECOND)));
    let turn = answer(&mut guest, &[(told, Reply::Signal(Signal::Pause))]);
    assert_eq!(turn.outcome, Some(Outcome::Paused));
    let turn = answer_at(&mut guest, START + 3600 * SECOND, &[(timer, Reply::Elapsed)]);
    assert_eq!(lines(&turn), ["woken"]);
}

#[test]
fn a_guest_that_has_not_asked_is_not_paused() {
    let (mut guest, turn) = start(|| async {
        let _ = fs::list("").await;
    });
    let id = id_of(&turn, &list(""));
    for id in [id, id + 1, 0] {
        let turn = answer(&mut guest, &[(id, Reply::Signal(Signal::Pause))]);
        assert_eq!(turn.outcome, None);
    }
    assert_eq!(answer(&mut guest, &[(id, Reply::Failed(Error::Io))]).outcome, Some(Outcome::Exit(0)));
}
