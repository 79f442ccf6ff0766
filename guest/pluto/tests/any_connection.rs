//! Whole connections, random and tampered with: what must be true of every one of them.

use crate::generate::{self, Exchange, bytes, mutate, pipeline, seeds, send_cut, worlds};
use crate::support::{After, Response, after, responses, send};
use fastrand::Rng;
use http_desync_guardian::request_analyzer::{HttpRequestData, RequestAnalysisResult};
use http_desync_guardian::{ClassificationReason, RequestSafetyTier};
use pluto_sdk::testing::{ClientId, World, run_on_answers};

/// Each request is answered as it should be, and the connection is kept.
#[track_caller]
fn answered(exchanges: &[Exchange], received: &[u8]) {
    let methods: Vec<&str> = exchanges.iter().map(|exchange| exchange.method).collect();
    let found = responses(received, &methods);
    assert_eq!(found.len(), exchanges.len());
    for (exchange, response) in exchanges.iter().zip(found) {
        assert_eq!(response.status, exchange.status, "{}", exchange.bytes.escape_ascii());
        if let Some(content) = &exchange.content {
            assert!(response.content == *content, "{}", exchange.bytes.escape_ascii());
        }
    }
}

#[test]
fn right_requests_are_answered_in_order_however_they_are_cut() {
    worlds(150, |rng, world| {
        let exchanges = pipeline(rng);
        let bytes = bytes(&exchanges);
        let whole = send(world, &[&bytes]);
        let cut = send_cut(rng, world, &bytes);
        answered(&exchanges, world.received(whole));
        assert!(world.received(whole) == world.received(cut), "{}", bytes.escape_ascii());
        for client in [whole, cut] {
            assert_eq!(after(world, client), After::Kept);
            world.client_ends(client);
        }
        world.run_until_idle();
    });
}

/// What only the order of answers can break.
#[test]
fn right_requests_are_answered_in_order_whatever_the_order_of_answers() {
    seeds(60, |rng| {
        let mut world = generate::serve();
        world.shuffle_answers(rng.u64(..));
        let crowd: Vec<(ClientId, Vec<Exchange>)> = (0..4).map(|_| (world.connect(), pipeline(rng))).collect();
        for (client, exchanges) in &crowd {
            world.client_sends(*client, bytes(exchanges));
        }
        world.run_until_idle();
        for (client, exchanges) in &crowd {
            answered(exchanges, world.received(*client));
        }
    });
}

/// A client that takes its responses a little at a time gets the same ones.
#[test]
fn a_slow_reader_gets_the_same_responses() {
    worlds(40, |rng, world| {
        let exchanges = pipeline(rng);
        let client = world.connect();
        world.client_takes(client, 0);
        world.client_sends(client, bytes(&exchanges));
        world.run_until_idle();
        let mut taken = 0;
        while taken < 10_000_000 && after(world, client) == After::Kept {
            let bytes = rng.u64(1..400_000);
            taken += bytes;
            world.client_takes(client, bytes);
            world.run_until_idle();
        }
        answered(&exchanges, world.received(client));
        world.client_ends(client);
        world.run_until_idle();
    });
}

#[test]
fn whatever_is_sent_is_answered_by_whole_responses_and_no_more_than_were_asked_for() {
    worlds(1_500, |rng, world| {
        let sent = tampered(rng);
        let whole = send(world, &[&sent]);
        let cut = send_cut(rng, world, &sent);
        let shown = sent.escape_ascii();
        assert!(world.received(whole) == world.received(cut), "cut otherwise: {shown}");
        assert_eq!(after(world, whole), after(world, cut), "{shown}");
        check(world, whole, &sent);
        for client in [whole, cut] {
            if after(world, client) != After::Closed {
                world.client_ends(client);
                world.run_until_idle();
            }
            // What was not complete has been refused by now.
            check(world, client, &sent);
            assert_eq!(after(world, client), After::Closed, "{shown}");
        }
    });
}

/// Two runs on the same answers send the same requests: nothing but answers has an influence.
#[test]
fn a_run_is_determined_by_its_answers() {
    seeds(8, |rng| {
        let mut world = World::new();
        world.file("index.html", "home");
        world.file("a.txt", "alpha");
        let start = world.now();
        world.start(pluto::main, &crate::support::ARGS);
        world.shuffle_answers(rng.u64(..));
        for _ in 0..10 {
            let sent = tampered(rng);
            let client = send_cut(rng, &mut world, &sent);
            if rng.bool() {
                world.client_resets(client);
            } else {
                world.client_ends(client);
            }
            world.advance(std::time::Duration::from_millis(rng.u64(..30_000)));
        }
        let turns = run_on_answers(pluto::main, &crate::support::ARGS, start, world.batches().to_vec());
        let requests: Vec<_> = turns.into_iter().flat_map(|turn| turn.requests).collect();
        assert!(requests == world.requests(), "the same answers, other requests");
    });
}

/// A detector of request smuggling agrees with what is kept: behind a request whose head it finds
/// ambiguous, nothing is read.
#[test]
fn nothing_that_a_smuggling_detector_warns_of_is_kept() {
    let mut kept = 0;
    worlds(4_000, |rng, world| {
        let mut sent = generate::exchange(rng).bytes;
        mutate(rng, &mut sent);
        let start = sent.iter().take_while(|&&byte| matches!(byte, b'\r' | b'\n')).count();
        let Some(end) = sent[start..].windows(4).position(|four| four == b"\r\n\r\n") else { return };
        let head = &sent[start..start + end + 4];
        let shown = sent.escape_ascii();
        let client = send(world, &[&sent]);
        let first = split(world.received(client)).first().map(|response| response.field("Connection") == Some("close"));
        if first == Some(false) {
            kept += 1;
            let verdict = HttpRequestData::analyze_raw_request(head);
            assert!(is_fair(&verdict), "{:?} {:?}: {shown}", verdict.tier, verdict.message);
        }
        if after(world, client) != After::Closed {
            world.client_ends(client);
            world.run_until_idle();
        }
    });
    assert!(kept > 100, "only {kept} requests were kept");
}

/// Whether the detector lets a request pass. It also warns of names that only look like those of
/// framing fields, for the sake of servers that take one for the other, and of bodies with GET,
/// which are read here like any other.
fn is_fair(verdict: &RequestAnalysisResult) -> bool {
    let message = verdict.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let is_framing = message.contains("\"content-length\"") || message.contains("\"transfer-encoding\"");
    match verdict.reason {
        ClassificationReason::SuspiciousHeader
        | ClassificationReason::GetHeadZeroContentLength
        | ClassificationReason::UndefinedContentLengthSemantics
        | ClassificationReason::UndefinedTransferEncodingSemantics => true,
        ClassificationReason::BadContentLength | ClassificationReason::BadTransferEncoding if !is_framing => true,
        _ => verdict.tier <= RequestSafetyTier::Acceptable,
    }
}

fn tampered(rng: &mut Rng) -> Vec<u8> {
    let mut sent = bytes(&pipeline(rng));
    if rng.u8(..8) == 0 {
        let length = sent.len().min(200);
        sent[..length].iter_mut().for_each(|byte| *byte = rng.u8(..));
    }
    mutate(rng, &mut sent);
    sent
}

/// What is true of every connection: whole responses, no more than could have been asked for, and
/// the last one, and only that, says when the connection ends.
#[track_caller]
fn check(world: &World, client: ClientId, sent: &[u8]) {
    let shown = sent.escape_ascii();
    let found = split(world.received(client));
    // Each request but the last has an empty line; the last may be refused before.
    let asked = sent.windows(4).filter(|four| *four == b"\r\n\r\n").count() + 1;
    assert!(found.len() <= asked, "{} responses to {asked} requests: {shown}", found.len());
    let is_blank = sent.len() <= 8 && sent.chunks(2).all(|pair| pair == b"\r\n");
    assert!(!is_blank || found.is_empty(), "nobody asked: {shown}");
    let closes: Vec<bool> = found.iter().map(|response| response.field("Connection") == Some("close")).collect();
    let ended = after(world, client) != After::Kept;
    assert!(!closes.iter().rev().skip(1).any(|&close| close), "a response behind the last one: {shown}");
    // When the client ends between two requests, nothing is left to be said.
    let last = closes.last().copied().unwrap_or(false);
    assert!(!last || ended, "the connection was to end: {shown}");
    for response in &found {
        let fatal = matches!(response.status, 400 | 408 | 414 | 417 | 431 | 505);
        assert!(!fatal || last, "{} and kept: {shown}", response.status);
        assert!(response.status != 500, "{response:?}: {shown}");
    }
}

/// The responses in what was received, where a response to HEAD is one behind which the next
/// begins, or nothing.
#[track_caller]
fn split(received: &[u8]) -> Vec<Response> {
    let mut methods: Vec<&str> = Vec::new();
    let mut rest = received;
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = std::str::from_utf8(&rest[..end]).expect("text");
        rest = &rest[end + 4..];
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or("0", |length| length);
        let length: usize = length.parse().expect("a number");
        let to_head = rest.is_empty() || rest.starts_with(b"HTTP/1.1 ");
        methods.push(if to_head { "HEAD" } else { "GET" });
        rest = &rest[if to_head { 0 } else { length.min(rest.len()) }..];
    }
    responses(received, &methods)
}
