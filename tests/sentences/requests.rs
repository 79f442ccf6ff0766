//! Sentences of all requests, and of those that need neither a client nor a file.

use pluto_contract::*;

use super::case::{CANCELLED, Case, FOREVER, a_file, nothing, requests_with};
use super::worlds::{failed, range, read};

/// Their cases.
pub const CASES: &[Case] = &[
    Case {
        sentences: &[
            "One final answer.",
            "Errors are values.",
            "Every request gets exactly one final answer; then its id is free again.",
            "`listen`, `watch` and `signals` get any number of answers before it.",
            "For these three `failed` is the final answer; for every other request the first answer is.",
            "Whatever goes wrong with a request is answered `failed`.",
            "End a pending request.",
            "Answered `done`, whether or not it was still pending; the request itself is answered `failed(cancelled)` \
             unless its final answer is already on its way.",
            "Ended by `cancel` or `close`.",
        ],
        plan: a_file,
        script: |run| {
            let listen = run.listen(10);
            run.happen();
            let connection = run.accept(listen);
            let pending = [
                run.send(read(connection, 9)),
                run.send(Request::Sleep(FOREVER)),
                run.send(Request::Watch(b"file".to_vec())),
                run.send(Request::Signals),
                listen,
            ];
            pending.iter().for_each(|id| run.nothing_for(*id));
            for id in pending {
                assert_eq!(run.ask(Request::Cancel(id)), Reply::Done);
                assert_eq!(run.answer(id), CANCELLED);
                assert_eq!(run.ask(Request::Cancel(id)), Reply::Done, "it is not pending any more");
                run.nothing_for(id);
            }
            assert_eq!(run.ask(Request::Cancel(777)), Reply::Done, "it was never sent");
        },
    },
    Case {
        sentences: &[
            "Handles are numbers of one guest**, checked at each use and never given out twice.",
            "A handle that is forged, closed or of another kind is answered `failed(bad-handle)`.",
            "Chosen by the host; never 0 and never given out twice in one run.",
            "No such handle now, or one of another kind.",
        ],
        plan: a_file,
        script: |run| {
            let connection = run.meet();
            let (file, closed) = (run.open("file"), run.open("file"));
            let buffer = run.load(file, 10);
            assert_eq!(run.ask(Request::Close(closed)), Reply::Done);
            for handle in [0, closed, FOREVER, file + (1 << 40)] {
                for request in requests_with(handle, connection) {
                    assert_eq!(run.ask(request.clone()), failed(Error::BadHandle), "{request:?}");
                }
            }
            let objects =
                [(connection, ObjectKind::Connection), (file, ObjectKind::File), (buffer, ObjectKind::Buffer)];
            for (handle, kind) in objects {
                for request in requests_with(handle, connection) {
                    let fits = |(named, wanted): &(u64, Option<ObjectKind>)| {
                        *named != handle || wanted.is_none_or(|wanted| wanted == kind)
                    };
                    if !request.handles().iter().all(fits) {
                        assert_eq!(run.ask(request.clone()), failed(Error::BadHandle), "{request:?}, a {kind:?}");
                    }
                }
            }
            let mut seen = vec![connection, file, buffer, closed];
            for _ in 0..100 {
                let handle = run.open("file");
                assert!(handle != 0 && !seen.contains(&handle), "{handle} again");
                seen.push(handle);
                assert_eq!(run.ask(Request::Close(handle)), Reply::Done);
            }
        },
    },
    Case {
        sentences: &["Order.", "The requests of one `send` are taken in their order."],
        plan: a_file,
        script: |run| {
            let file = run.open("file");
            let sent = [
                run.send(Request::Post(b"first".to_vec())),
                run.send(Request::Gather),
                run.send(Request::Post(b"second".to_vec())),
                run.send(Request::Gather),
                run.send(Request::Close(file)),
                run.send(Request::ReadFile(range(file, 0, 1))),
            ];
            let gathered = |left: &str| Reply::Gathered(vec![left.into()]);
            let expected = [Reply::Done, gathered("first"), Reply::Done, gathered("second"), Reply::Done];
            assert_eq!(sent.map(|id| run.answer(id)), [&expected[..], &[failed(Error::BadHandle)]].concat()[..]);
        },
    },
    Case {
        sentences: &[
            "Time moves only at `receive`.",
            "Wait: nanoseconds from the time of the last batch.",
            "Answered `elapsed`, never early.",
            "Never goes back.",
        ],
        plan: nothing,
        script: |run| {
            run.ask(Request::Sleep(0));
            let begin = run.time;
            let millis = [30, 10, 20];
            let sleeps = millis.map(|millis| run.send(Request::Sleep(millis * 1_000_000)));
            for place in [1, 2, 0] {
                assert_eq!(run.answer(sleeps[place]), Reply::Elapsed);
                assert!(run.time >= begin + millis[place] * 1_000_000, "{} ms end early", millis[place]);
            }
        },
    },
    Case {
        sentences: &["Be told what the operator wants."],
        plan: nothing,
        script: |run| {
            let most: Vec<u64> =
                (0..pluto_contract::limits::SIGNAL_REQUESTS_MAX).map(|_| run.send(Request::Signals)).collect();
            assert_eq!(run.ask(Request::Signals), failed(Error::Exhausted));
            assert_eq!(run.ask(Request::Cancel(most[0])), Reply::Done);
            let again = run.send(Request::Signals);
            run.nothing_for(again);
        },
    },
    Case {
        sentences: &[
            "Leave bytes for the shards of this server, in place of what this one has left before; such as what it has \
             counted.",
            "Answered `done`; with more than `post_bytes_max` `failed(too-large)`.",
            "Take what each shard has left.",
            "Answered `gathered`.",
            "What each shard has left last, in the order of the shards, this one among them: so there are as many as there \
             are shards.",
            "Empty for one that has left nothing.",
        ],
        plan: nothing,
        script: |run| {
            assert_eq!(run.ask(Request::Gather), Reply::Gathered(vec![Vec::new()]));
            for left in ["first", "second"] {
                assert_eq!(run.ask(Request::Post(left.into())), Reply::Done);
                assert_eq!(run.ask(Request::Gather), Reply::Gathered(vec![left.into()]));
            }
            let too_large = vec![0; pluto_contract::limits::POST_BYTES_MAX + 1];
            assert_eq!(run.ask(Request::Post(too_large)), failed(Error::TooLarge));
            assert_eq!(run.ask(Request::Gather), Reply::Gathered(vec![b"second".to_vec()]));
        },
    },
];
