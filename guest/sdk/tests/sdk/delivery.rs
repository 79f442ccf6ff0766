//! Which answers reach whom. Most of these are facts of the original, whose two loops disagreed
//! about some of them.

use crate::support::{accepted, answer, id_of, lines, list, requests, start};
use pluto_sdk::contract::{Kind, Loaded, Metadata, Opened};
use pluto_sdk::net::{Listen, Listened};
use pluto_sdk::request::{answers, handle};
use pluto_sdk::testing::{Guest, Outcome, Reply, Request, Turn};
use pluto_sdk::{Error, Symlinks, error, fs, info, listen, race, signals, spawn};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

const LISTEN: Listen = Listen { port: 8000, connections_max: 10, shared: true };

fn listen_request() -> Request {
    Request::Listen(pluto_sdk::contract::Listen { port: 8000, connections_max: 10, shared: true })
}

/// Lists one directory after the other, and says what came.
async fn lists() {
    for path in ["a", "b", "c"] {
        match fs::list(path).await {
            Ok(entries) => info!("{path}: {}", entries.len()),
            Err(error) => info!("{path}: {error}"),
        }
    }
}

#[track_caller]
fn changes_nothing(turn: &Turn) {
    assert_eq!(*turn, Turn::default());
}

#[test]
fn an_answer_for_an_id_that_was_not_issued_is_ignored() {
    let (mut guest, turn) = start(lists);
    let id = id_of(&turn, &list("a"));
    for forged in [0, 1, id + 1, id + (1 << 32), id.wrapping_sub(1 << 32), u64::MAX, u64::from(u32::MAX)] {
        changes_nothing(&answer(&mut guest, &[(forged, Reply::Listed(Vec::new()))]));
        changes_nothing(&answer(&mut guest, &[(forged, Reply::Failed(Error::Io))]));
    }
    assert_eq!(lines(&answer(&mut guest, &[(id, Reply::Listed(Vec::new()))])), ["a: 0"]);
}

#[test]
fn a_duplicate_and_a_late_answer_leave_the_requests_unchanged() {
    let (mut guest, turn) = start(lists);
    let first = id_of(&turn, &list("a"));
    // Twice in one batch: the first counts.
    let turn = answer(&mut guest, &[(first, Reply::Listed(Vec::new())), (first, Reply::Failed(Error::Io))]);
    assert_eq!(lines(&turn), ["a: 0"]);
    let second = id_of(&turn, &list("b"));
    assert_ne!(first, second, "a name is not used again while an answer to the first might come");
    changes_nothing(&answer(&mut guest, &[(first, Reply::Failed(Error::Io))]));
    assert_eq!(lines(&answer(&mut guest, &[(second, Reply::Listed(Vec::new()))])), ["b: 0"]);
}

#[test]
fn an_answer_of_the_wrong_kind_leaves_the_requests_unchanged() {
    let (mut guest, turn) = start(lists);
    let id = id_of(&turn, &list("a"));
    let metadata = Metadata { kind: Kind::Regular, size: 1, modified: 0, changed: 0, inode: 1 };
    for reply in [
        Reply::Done,
        Reply::Data(vec![1]),
        Reply::Written(1),
        Reply::Elapsed,
        Reply::Changed(Vec::new()),
        Reply::Listening(1),
        accepted(1),
        Reply::Opened(Opened { file: 1, metadata }),
        Reply::Loaded(Loaded { buffer: 1, length: 1 }),
        Reply::Signal(pluto_sdk::Signal::Pause),
        Reply::Signal(pluto_sdk::Signal::Stop),
    ] {
        changes_nothing(&answer(&mut guest, &[(id, reply)]));
    }
    assert_eq!(
        lines(&answer(&mut guest, &[(id, Reply::Failed(Error::NotFound))])),
        [format!("a: {}", Error::NotFound)]
    );
}

#[test]
fn requests_go_out_at_once_in_one_batch_in_their_order() {
    let (_guest, turn) = start(|| async {
        let first = fs::list("first");
        drop(spawn(async {
            let _ = fs::list("third").await;
        }));
        let second = fs::list("second");
        let _ = (second.await, first.await);
    });
    assert_eq!(requests(&turn), [list("first"), list("second"), list("third")]);
}

#[test]
fn a_request_that_is_dropped_is_cancelled_and_its_answer_ignored() {
    let (mut guest, turn) = start(|| async {
        let dropped = fs::list("dropped");
        let _ = fs::list("first").await;
        drop(dropped);
        let _ = fs::list("second").await;
        info!("end");
    });
    let (dropped, first) = (id_of(&turn, &list("dropped")), id_of(&turn, &list("first")));
    let turn = answer(&mut guest, &[(first, Reply::Listed(Vec::new()))]);
    assert_eq!(requests(&turn), [Request::Cancel(dropped), list("second")]);
    let cancel = id_of(&turn, &Request::Cancel(dropped));
    changes_nothing(&answer(&mut guest, &[(cancel, Reply::Done), (dropped, Reply::Failed(Error::Cancelled))]));
    changes_nothing(&answer(&mut guest, &[(dropped, Reply::Listed(Vec::new()))]));
    let turn = answer(&mut guest, &[(id_of(&turn, &list("second")), Reply::Listed(Vec::new()))]);
    assert_eq!((lines(&turn), turn.outcome), (vec!["end"], Some(Outcome::Exit(0))));
}

/// An answer that comes too late for the one who asked may bring a handle, which nobody else would
/// give back.
#[test]
fn a_handle_that_nobody_takes_is_given_back() {
    let metadata = Metadata { kind: Kind::Regular, size: 1, modified: 0, changed: 0, inode: 1 };
    let opened = Reply::Opened(Opened { file: 7, metadata });
    let open = Request::Open(pluto_sdk::contract::Open { path: b"x".to_vec(), follow_symlinks: false });
    // Dropped before the answer has come, and after.
    for answered_first in [false, true] {
        let (mut guest, turn) = start(|| async {
            let file = fs::open("x", Symlinks::Refuse);
            let _ = fs::list("").await;
            drop(file);
            let _ = fs::list("").await;
        });
        let (file, first) = (id_of(&turn, &open), id_of(&turn, &list("")));
        let listed = (first, Reply::Listed(Vec::new()));
        let closes = if answered_first {
            answer(&mut guest, &[(file, opened.clone()), listed])
        } else {
            let cancelled = answer(&mut guest, &[listed]);
            id_of(&cancelled, &Request::Cancel(file));
            answer(&mut guest, &[(file, opened.clone())])
        };
        id_of(&closes, &Request::Close(7));
    }
}

#[test]
fn what_a_client_may_not_know_is_closed_once() {
    let (mut guest, turn) = start(|| async {
        let Ok(mut listener) = listen(Listen { port: 8000, connections_max: 10, shared: true }).await else { return };
        let Ok(connection) = listener.accept().await else { return };
        let read = connection.read(10);
        drop(connection);
        drop(read);
        let _ = fs::list("").await;
    });
    let listening = id_of(&turn, &listen_request());
    let turn = answer(&mut guest, &[(listening, Reply::Listening(8000)), (listening, accepted(5))]);
    let read = Request::Read(pluto_sdk::contract::Read { connection: 5, bytes_max: 10 });
    let cancel = Request::Cancel(id_of(&turn, &read));
    assert_eq!(requests(&turn), [read, Request::Close(5), cancel, list("")]);
}

/// A guest whose handler counts connections, and which is told to go on by answers to its `list`s.
fn counting(cancel: bool, break_at: usize) -> (Guest, Turn) {
    start(move || async move {
        let mut count = 0;
        let handler = handle(LISTEN, move |answer| {
            if let Ok(Listened::Accepted(_)) = &answer {
                count += 1;
            }
            info!("{}: {count}", if answer.is_ok() { "ok" } else { "failed" });
            if count == break_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let _ = fs::list("").await;
        if cancel {
            handler.cancel();
            let _ = fs::list("").await;
        } else {
            handler.detach();
            let _ = fs::list("").await;
        }
    })
}

#[test]
fn a_handler_keeps_its_own_memory_and_is_called_for_each_answer() {
    let (mut guest, turn) = counting(false, 100);
    let id = id_of(&turn, &listen_request());
    let turn = answer(&mut guest, &[(id, Reply::Listening(8000)), (id, accepted(1)), (id, accepted(2))]);
    assert_eq!(lines(&turn), ["ok: 0", "ok: 1", "ok: 2"]);
    assert_eq!(lines(&answer(&mut guest, &[(id, accepted(3))])), ["ok: 3"]);
}

/// The original's two loops disagreed here: the extracted one called a disconnected handler again.
#[test]
fn a_handler_that_was_cancelled_is_not_called_again() {
    let (mut guest, turn) = counting(true, 100);
    let (id, go) = (id_of(&turn, &listen_request()), id_of(&turn, &list("")));
    let turn = answer(&mut guest, &[(id, accepted(1)), (go, Reply::Listed(Vec::new()))]);
    assert_eq!(lines(&turn), ["ok: 1"]);
    id_of(&turn, &Request::Cancel(id));
    let turn = answer(&mut guest, &[(id, accepted(2)), (id, Reply::Failed(Error::Cancelled)), (id, accepted(3))]);
    assert!(turn.logs.is_empty());
    assert_eq!(requests(&turn), [Request::Close(2)], "the client is not left hanging; after the end nothing counts");
}

#[test]
fn a_handler_that_breaks_is_not_called_again() {
    let (mut guest, turn) = counting(false, 2);
    let id = id_of(&turn, &listen_request());
    let turn = answer(&mut guest, &[(id, accepted(1)), (id, accepted(2)), (id, accepted(3))]);
    assert_eq!(lines(&turn), ["ok: 1", "ok: 2"]);
    id_of(&turn, &Request::Cancel(id));
    id_of(&turn, &Request::Close(3));
}

#[test]
fn a_handler_that_cancels_itself_is_not_called_again_and_dropped() {
    let (mut guest, turn) = start(|| async {
        let memory = Rc::new(());
        let (held, own) = (Rc::clone(&memory), Rc::new(Cell::new(None)));
        let shared = Rc::clone(&own);
        own.set(Some(handle(LISTEN, move |_| {
            info!("called");
            drop(shared.take());
            assert_eq!(Rc::strong_count(&held), 2, "a handler that runs is still there");
            ControlFlow::Continue(())
        })));
        let _ = fs::list("").await;
        assert_eq!(Rc::strong_count(&memory), 1);
        let _ = fs::list("").await;
    });
    let (id, go) = (id_of(&turn, &listen_request()), id_of(&turn, &list("")));
    let listed = (go, Reply::Listed(Vec::new()));
    let turn = answer(&mut guest, &[(id, Reply::Listening(8000)), (id, accepted(1)), listed]);
    assert_eq!(lines(&turn), ["called"]);
    assert_eq!(requests(&turn), [Request::Cancel(id), Request::Close(1), list("")]);
}

#[test]
fn after_the_final_answer_a_handler_is_not_called_again() {
    let (mut guest, turn) = counting(true, 100);
    let (id, go) = (id_of(&turn, &listen_request()), id_of(&turn, &list("")));
    let turn = answer(&mut guest, &[(id, Reply::Failed(Error::AddressInUse)), (id, accepted(1))]);
    assert_eq!(lines(&turn), ["failed: 0"]);
    assert!(turn.requests.is_empty());
    let turn = answer(&mut guest, &[(go, Reply::Listed(Vec::new()))]);
    assert_eq!(requests(&turn), [list("")], "nothing is left to cancel");
}

#[test]
fn a_handler_may_do_what_a_task_may() {
    let (mut guest, turn) = start(|| async {
        let handler = handle(LISTEN, |answer| {
            drop(spawn(async move {
                let _ = fs::list("from a task of the handler").await;
                drop(answer);
            }));
            ControlFlow::Continue(())
        });
        let _ = fs::list("").await;
        drop(handler);
    });
    let id = id_of(&turn, &listen_request());
    assert_eq!(requests(&answer(&mut guest, &[(id, accepted(1))])), [list("from a task of the handler")]);
}

#[test]
fn a_stream_gives_its_answers_in_order_then_the_final_one_then_none() {
    let (mut guest, turn) = start(|| async {
        let mut stream = answers(LISTEN);
        while let Some(answer) = stream.next().await {
            match answer {
                Ok(Listened::Port(port)) => info!("port {port}"),
                Ok(Listened::Accepted(connection)) => info!("{}", connection.peer()),
                Err(error) => info!("{error}"),
            }
        }
        assert!(stream.next().await.is_none());
    });
    let id = id_of(&turn, &listen_request());
    let failed = Reply::Failed(Error::Exhausted);
    let turn = answer(&mut guest, &[(id, Reply::Listening(8000)), (id, accepted(1)), (id, failed)]);
    assert_eq!(lines(&turn), ["port 8000", "10.0.0.1:40000", "over a limit for all requests together"]);
    assert_eq!(turn.outcome, Some(Outcome::Exit(0)));
}

#[test]
fn a_listener_keeps_connections_until_they_are_accepted_and_closes_the_rest() {
    let (mut guest, turn) = start(|| async {
        let Ok(mut listener) = listen(Listen { port: 8000, connections_max: 10, shared: true }).await else { return };
        let _ = fs::list("").await;
        let first = listener.accept().await;
        drop(listener);
        let _ = fs::list("").await;
        drop(first);
    });
    let id = id_of(&turn, &listen_request());
    let turn = answer(&mut guest, &[(id, Reply::Listening(8000)), (id, accepted(1)), (id, accepted(2))]);
    let turn = answer(&mut guest, &[(id_of(&turn, &list("")), Reply::Listed(Vec::new()))]);
    assert_eq!(requests(&turn), [Request::Cancel(id), Request::Close(2), list("")]);
}

#[test]
fn what_fails_once_fails_again() {
    let (mut guest, turn) = start(|| async {
        let mut signals = signals();
        for _ in 0..2 {
            info!("{:?}", signals.next().await);
        }
    });
    let turn = answer(&mut guest, &[(id_of(&turn, &Request::Signals), Reply::Failed(Error::NotPermitted))]);
    assert_eq!(lines(&turn), ["Err(Error::NotPermitted)", "Err(Error::NotPermitted)"]);
}

#[test]
fn an_error_of_main_is_logged_and_ends_the_guest_with_1() {
    let (_guest, turn) = Guest::start(async |args: Vec<String>| Err::<(), _>(args.join(" ")), &["not", "good"], 0);
    assert_eq!(lines(&turn), ["not good"]);
    assert_eq!(turn.outcome, Some(Outcome::Exit(1)));
}

#[test]
fn after_its_end_a_guest_does_nothing() {
    let (mut guest, turn) = start(|| async {
        drop(spawn(async {
            let _ = fs::list("never").await;
        }));
        error!("over");
    });
    assert_eq!((lines(&turn), requests(&turn)), (vec!["over"], vec![]));
    let turn = answer(&mut guest, &[(1 << 32, Reply::Listed(Vec::new()))]);
    assert_eq!(turn, Turn { outcome: Some(Outcome::Exit(0)), ..Turn::default() });
}

/// The host would have to end it for a `receive` that nothing can answer.
#[test]
fn a_guest_that_waits_for_nothing_says_so_and_ends() {
    let (_guest, turn) = start(std::future::pending);
    assert_eq!(lines(&turn), ["the guest waits, but no request of it is pending: it can never go on"]);
    assert_eq!(turn.outcome, Some(Outcome::Exit(1)));
}

#[test]
fn guests_in_one_thread_know_nothing_of_each_other() {
    let (mut one, turn_one) = start(lists);
    let (mut other, turn_other) = start(lists);
    assert_eq!(turn_one, turn_other);
    let id = id_of(&turn_one, &list("a"));
    assert_eq!(lines(&answer(&mut one, &[(id, Reply::Failed(Error::Io))])), ["a: an error of the system"]);
    drop(one);
    assert_eq!(lines(&answer(&mut other, &[(id, Reply::Listed(Vec::new()))])), ["a: 0"]);
}

#[test]
fn a_guest_that_panics_leaves_the_thread_to_others() {
    let panicked = std::panic::catch_unwind(|| {
        start(|| async {
            let _connection = race(fs::list("x"), std::future::ready(())).await;
            panic!("a bug of the guest");
        })
    });
    assert!(panicked.is_err());
    let (_guest, turn) = start(lists);
    assert_eq!(requests(&turn), [list("a")]);
}

#[test]
#[should_panic(expected = "outside of a guest")]
fn a_request_outside_of_a_guest_is_refused() {
    drop(fs::list(""));
}
