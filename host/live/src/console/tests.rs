//! What lines of the log look like, and what becomes of them.

use std::time::Duration;

use super::lines::is_json_object;
use super::*;

#[test]
fn a_line_stays_one_line_and_moves_no_cursor() {
    let mut out = String::new();
    text_line(&mut out, Level::Warn, "a\r\nb\u{1b}[2J \"ü\"");
    assert_eq!(out, "warn: a\\r\\nb\\u001b[2J \"ü\"\n");
}

#[test]
fn an_object_stands_in_json_as_one_and_what_only_looks_like_one_does_not() {
    for (message, written) in [
        (r#"{"a":[1.5,null,"\u0007"]}"#, r#"{"a":[1.5,null,"\u0007"]}"#),
        (r#"{"a":1}} {"#, r#""{\"a\":1}} {""#),
        (r#"{"a":1"#, r#""{\"a\":1""#),
        ("{\n}", r#""{\n}""#),
        ("[1]", r#""[1]""#),
        ("", r#""""#),
    ] {
        let mut out = String::new();
        json_line(&mut out, 0, None, Level::Info, message);
        let expected = format!(r#"{{"time":"1970-01-01T00:00:00.000000Z","level":"info","message":{written}}}"#) + "\n";
        assert_eq!(out, expected);
    }
    let deep = "{\"a\":".repeat(100_000);
    assert!(!is_json_object(&deep), "and none is too deep to look at");
}

#[test]
fn what_shards_say_alike_at_their_start_is_told_once_and_json_names_the_shard() {
    let output = output(&tempfile::tempfile().expect("a file"));
    let [mut first, mut second] = [1, 2].map(|shard| {
        let console = Console::new(Format::Json, Verbosity::Info);
        console.on(&output).of_shard(shard)
    });
    for console in [&mut first, &mut second] {
        console.line(0, Level::Info, "serving");
        console.line(0, Level::Info, "");
        console.line(0, Level::Info, "");
        console.has_started();
        console.line(0, Level::Info, "a client");
    }
    second.line(0, Level::Info, "serving");
    let said = |console: &mut Console| {
        let lines = std::mem::take(&mut console.lines);
        let lines = lines.lines().map(|line| line.split_once("Z\",").expect("a time").1.to_owned());
        lines.collect::<Vec<_>>()
    };
    let line = |shard, message| format!(r#""shard":{shard},"level":"info","message":"{message}"}}"#);
    assert_eq!(said(&mut first), [line(1, "serving"), line(1, ""), line(1, ""), line(1, "a client")]);
    assert_eq!(said(&mut second), [line(2, "a client"), line(2, "serving")]);
}

#[test]
fn json_is_escaped() {
    let mut out = String::new();
    json_line(&mut out, 1_784_635_200_123_456_789, None, Level::Info, "say \"\\\u{7f}\"\n");
    assert_eq!(
        out,
        "{\"time\":\"2026-07-21T12:00:00.123456Z\",\"level\":\"info\",\"message\":\"say \\\"\\\\\\u007f\\\"\\n\"}\n"
    );
}

/// What standard output would be, on another descriptor.
fn output(descriptor: &std::fs::File) -> Arc<Output> {
    let descriptor = descriptor.try_clone().expect("another descriptor");
    Arc::new(Output::on(stream::Stream::start("test", descriptor, |_| ()).expect("a thread")))
}

const LOG: Source = Source::Log { shard: None, format: Format::Text, has_warnings: true };
const OTHER: Source = Source::Log { shard: Some(2), format: Format::Json, has_warnings: true };

/// A stream to a pipe that nobody reads, which has taken as many lines of this source as it can.
fn full_stream(source: Source) -> (std::io::PipeReader, stream::Stream, u64) {
    let (reader, pipe) = std::io::pipe().expect("a pipe");
    let stream = stream::Stream::start("test", pipe, |_| ()).expect("a thread");
    let mut taken = 0;
    while stream.append(source, 1_000_000_000, &"line\n".repeat(100)).lost == 0 {
        taken += 100;
    }
    (reader, stream, taken)
}

#[test]
fn a_stream_takes_no_more_than_its_limit_and_keeps_room_for_messages_of_the_host() {
    let (_reader, stream, taken) = full_stream(LOG);
    // Besides what waits there is what the pipe has taken.
    let most = (limits::LOG_BYTES_WAITING_MAX + (64 << 10)) as u64 / 5;
    assert!(taken <= most && taken > most * 8 / 10, "{taken}");
    assert_eq!(stream.append(LOG, 0, "a\nb\n").lost, 2);
    assert_eq!(stream.append(OTHER, 0, &"c".repeat(600)).lost, 0, "no whole line");
    assert_eq!(stream.append(Source::Host, 0, "pluto-host: a message\n").lost, 0);
    let lost: u64 = (0..)
        .map(|_| stream.append(Source::Host, 0, &"message\n".repeat(1_000)).lost)
        .find(|lost| *lost > 0)
        .expect("a limit");
    assert!(lost < 1_000, "as many as fit are taken");
    let (left, why) = stream.finish(std::time::Instant::now()).expect("nobody reads");
    assert!(left > most / 2 && why == loss::Why::Slow, "{left}");
}

#[test]
fn what_is_lost_is_told_in_its_place_once_there_is_room() {
    use std::io::Read;
    let (mut reader, stream, taken) = full_stream(LOG);
    assert_eq!(stream.append(LOG, 2_000_000_000, "a\nb\n").lost, 2);
    assert_eq!(stream.append(OTHER, 3_000_000_000, &"c\n".repeat(500)).lost, 500);
    let reading = std::thread::spawn(move || {
        let (mut text, mut piece) = (Vec::new(), [0; 1 << 16]);
        // What another has lost may be told behind it.
        while !text.windows(5).any(|line| line == b"\nend\n") {
            let count = reader.read(&mut piece).expect("it is written");
            text.extend(&piece[..count]);
        }
        String::from_utf8(text).expect("text")
    });
    while stream.append(LOG, 4_000_000_000, "end\n").lost > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(stream.finish(std::time::Instant::now() + Duration::from_secs(20)), None);
    let text = reading.join().expect("it reads");
    assert_eq!(text.lines().filter(|line| *line == "line").count() as u64 / 100, taken / 100);
    let told = text.lines().find(|line| line.starts_with("warn: ")).expect("it stands before what follows");
    assert!(told.contains(" lines of the log were lost from 1970-01-01T00:00:01.000Z to 1970-01-01T00:00:0"), "{told}");
}
