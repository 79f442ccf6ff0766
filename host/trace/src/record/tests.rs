//! Recordings whose disk does what no disk should. What pipes do is in `tests/recording.rs`.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::BackgroundWriter;
use crate::Sent;
use crate::limits;
use pluto_contract::{Answer, Reply};

/// A file that takes a write when it is told to, and all when nobody tells it any more.
struct Stalls(Receiver<()>);

impl Write for Stalls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was told, each test under a lock of its own: `tell` is a function without a place of its
/// own.
macro_rules! told {
    () => {{
        static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let tell: fn(&str) = |what| TOLD.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
        (tell, || TOLD.lock().unwrap_or_else(PoisonError::into_inner).concat())
    }};
}

fn patience(seconds: u64) -> Duration {
    // What a busy machine adds.
    Duration::from_secs(seconds + 10)
}

fn large_turn(writer: &mut BackgroundWriter, number: u64) {
    let bytes = vec![7; pluto_contract::limits::ANSWER_BYTES_QUEUED_MAX];
    let answers = [Answer { id: 1, reply: Reply::Data(bytes) }];
    writer.add_large(number, number, pluto_contract::limits::ANSWER_BYTES_QUEUED_MAX, |block| {
        block.turn(Sent::default(), 1, &answers);
    });
}

#[test]
fn a_disk_that_stalls_as_the_file_is_opened_keeps_neither_the_start_nor_the_end() {
    let ((tell, told), (open, opened), begin) = (told!(), channel::<()>(), Instant::now());
    let writer = BackgroundWriter::file(
        b"beginning".to_vec(),
        move || {
            let _ = opened.recv();
            Ok(io::sink())
        },
        tell,
    );
    let writer = writer.expect("it may begin later");
    assert!(begin.elapsed() < patience(1) && told().contains("takes no data yet"), "{:?}: {}", begin.elapsed(), told());
    let begin = Instant::now();
    drop(writer);
    let limit = patience(limits::TRACE_STALL_SECONDS_MAX);
    assert!(
        begin.elapsed() < limit && told().contains("the end of the trace is missing"),
        "{:?}: {}",
        begin.elapsed(),
        told()
    );
    drop(open);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_and_told_once() {
    let (tell, told) = told!();
    let writer = BackgroundWriter::file(Vec::new(), || Err::<io::Sink, _>("no such folder".to_owned()), tell);
    assert_eq!((writer.err().as_deref(), told().as_str()), (Some("no such folder"), ""));
}

/// Each large turn waits for the one before it: as long as the disk takes something, all of them
/// come.
#[test]
fn large_turns_wait_for_a_slow_disk_and_no_longer_than_is_said() {
    let ((tell, told), (go, wait)) = (told!(), channel());
    let mut writer = BackgroundWriter::file(Vec::new(), || Ok(Stalls(wait)), tell).expect("it begins");
    let pieces = pluto_contract::limits::ANSWER_BYTES_QUEUED_MAX / limits::TRACE_BLOCK_BYTES + 1;
    let feed = |count: usize| (0..count).for_each(|_| go.send(()).expect("it is written to"));
    large_turn(&mut writer, 1);
    feed(pieces);
    large_turn(&mut writer, 2);
    assert_eq!(told(), "");
    let begin = Instant::now();
    large_turn(&mut writer, 3);
    let limit = patience(limits::TRACE_STALL_SECONDS_MAX);
    assert!(begin.elapsed() < limit && told().contains("was not written within"), "{:?}: {}", begin.elapsed(), told());
    assert_eq!(told().matches("recording has ended").count(), 1);
    // Nobody waits for what has failed.
    let begin = Instant::now();
    drop(writer);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}
