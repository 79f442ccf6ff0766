//! Tasks, and waiting for several things at once.

use crate::support::{answer, id_of, lines, list, requests, start};
use pluto_sdk::testing::{Reply, Request};
use pluto_sdk::{Either, Task, fs, info, join, race, spawn};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn a_task_gives_its_output() {
    let (_guest, turn) = start(|| async {
        let task = spawn(async { 7 });
        assert!(!task.is_finished(), "it is polled later");
        info!("{:?}", task.await);
    });
    assert_eq!(lines(&turn), ["Some(7)"]);
}

#[test]
fn a_task_that_nobody_awaits_goes_on() {
    let (_guest, turn) = start(|| async {
        drop(spawn(async {
            info!("task");
            let _ = fs::list("task").await;
        }));
        let _ = fs::list("main").await;
    });
    assert_eq!(requests(&turn), [list("main"), list("task")]);
    assert_eq!(lines(&turn), ["task"]);
}

#[test]
fn a_cancelled_task_gives_none_and_drops_what_it_holds() {
    let (mut guest, turn) = start(|| async {
        let task = spawn(async {
            let _ = fs::list("task").await;
        });
        let _ = fs::list("main").await;
        task.cancel();
        task.cancel();
        assert!(task.is_finished());
        info!("{:?}", task.await);
    });
    let (task, main) = (id_of(&turn, &list("task")), id_of(&turn, &list("main")));
    let turn = answer(&mut guest, &[(main, Reply::Listed(Vec::new()))]);
    assert_eq!(lines(&turn), ["None"]);
    assert_eq!(requests(&turn), [Request::Cancel(task)]);
}

#[test]
fn a_task_that_was_never_polled_can_be_cancelled() {
    let (_guest, turn) = start(|| async {
        let task = spawn(async { info!("never") });
        task.cancel();
        let next = spawn(async { info!("next") });
        info!("{:?} {:?}", task.await, next.await);
    });
    assert_eq!(lines(&turn), ["next", "None Some(())"]);
}

#[test]
fn a_task_that_cancels_itself_ends_where_it_waits_next() {
    let (_guest, turn) = start(|| async {
        let own: Rc<RefCell<Option<Task<()>>>> = Rc::default();
        let shared = Rc::clone(&own);
        *own.borrow_mut() = Some(spawn(async move {
            shared.borrow().as_ref().inspect(|task| task.cancel());
            info!("still here");
            let _ = fs::list("").await;
            info!("never");
        }));
        let _ = spawn(async {}).await;
        info!("{:?}", own.borrow().as_ref().map(Task::is_finished));
    });
    assert_eq!(lines(&turn), ["still here", "Some(true)"]);
}

#[test]
fn stale_handles_and_wakers_do_not_touch_a_later_task() {
    let (mut guest, turn) = start(|| async {
        let old = spawn(async {});
        let _ = fs::list("1").await;
        let new = spawn(async { fs::list("2").await.is_ok() });
        let _ = fs::list("3").await;
        old.cancel();
        info!("{:?}", new.await);
    });
    let turn = answer(&mut guest, &[(id_of(&turn, &list("1")), Reply::Listed(Vec::new()))]);
    let (two, three) = (id_of(&turn, &list("2")), id_of(&turn, &list("3")));
    assert_eq!(lines(&answer(&mut guest, &[(three, Reply::Listed(Vec::new()))])), Vec::<&str>::new());
    assert_eq!(lines(&answer(&mut guest, &[(two, Reply::Listed(Vec::new()))])), ["Some(true)"]);
}

#[test]
fn tasks_run_in_the_order_in_which_they_became_ready() {
    let (mut guest, turn) = start(|| async {
        for path in ["a", "b", "c"] {
            drop(spawn(async move {
                let _ = fs::list(path).await;
                info!("{path}");
            }));
        }
        std::future::pending::<()>().await;
    });
    let ids = ["c", "a", "b"].map(|path| (id_of(&turn, &list(path)), Reply::Listed(Vec::new())));
    let turn = answer(&mut guest, &ids);
    assert_eq!(lines(&turn)[..3], ["c", "a", "b"]);
}

#[test]
fn join_waits_for_both_in_any_order() {
    for order in [["a", "b"], ["b", "a"]] {
        let (mut guest, turn) = start(|| async {
            let (a, b) = join(fs::list("a"), fs::list("b")).await;
            info!("{} {}", a.is_ok(), b.is_err());
        });
        let reply = |path| if path == "a" { Reply::Listed(Vec::new()) } else { Reply::Failed(pluto_sdk::Error::Io) };
        let first = answer(&mut guest, &[(id_of(&turn, &list(order[0])), reply(order[0]))]);
        assert!(first.logs.is_empty());
        let second = answer(&mut guest, &[(id_of(&turn, &list(order[1])), reply(order[1]))]);
        assert_eq!(lines(&second), ["true true"]);
    }
}

#[test]
fn race_gives_the_first_and_cancels_the_other() {
    for (answered, winner, loser) in [(&["a"][..], "left", "b"), (&["b"], "right", "a"), (&["b", "a"], "left", "")] {
        let (mut guest, turn) = start(|| async {
            match race(fs::list("a"), fs::list("b")).await {
                Either::Left(_) => info!("left"),
                Either::Right(_) => info!("right"),
            }
        });
        let answers: Vec<_> = answered.iter().map(|path| (id_of(&turn, &list(path)), Reply::Listed(vec![]))).collect();
        let end = answer(&mut guest, &answers);
        assert_eq!(lines(&end), [winner]);
        let cancelled: Vec<Request> =
            if loser.is_empty() { vec![] } else { vec![Request::Cancel(id_of(&turn, &list(loser)))] };
        assert_eq!(requests(&end), cancelled);
    }
}
