//! The sentences of wit/system.wit, each shown on every world: the live one on io_uring, on the
//! io_uring of older kernels and on epoll, the world of a recorded run, and the world of guests'
//! tests.
//!
//! When a world breaks a rule, the test names the world and the rule's sentences. A sentence that
//! is new or was changed must be covered here, or stand in `sentences/uncovered.txt`.

mod case;
mod clients;
mod files;
mod live;
mod requests;
mod sdk;
mod simulated;
mod worlds;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pluto_live::DriverChoice;

use self::case::Case;
use self::live::LiveWorld;
use self::sdk::SdkWorld;
use self::simulated::SimulatedWorld;
use self::worlds::{Plan, Run, Subject};

fn cases() -> impl Iterator<Item = &'static Case> {
    requests::CASES.iter().chain(clients::CASES).chain(files::CASES)
}

/// Runs all cases in a world, and names the sentences that it breaks.
fn holds(name: &str, world: impl Fn(&Plan) -> Box<dyn Subject>) {
    let broken: Vec<String> = cases()
        .filter_map(|case| {
            let plan = (case.plan)();
            let mut world = world(&plan);
            let result = catch_unwind(AssertUnwindSafe(|| {
                (case.script)(&mut Run::new(&mut *world, plan));
                world.finish();
            }));
            let why = result.err()?;
            let why = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
            Some(format!("{}\n    {}", case.sentences.join("\n"), why.unwrap_or("it panicked")))
        })
        .collect();
    assert!(broken.is_empty(), "{name} breaks {} rules:\n\n{}", broken.len(), broken.join("\n\n"));
}

#[test]
fn the_live_world_on_io_uring() {
    holds("io_uring", |plan| Box::new(LiveWorld::new(DriverChoice::IoUring, plan)));
}

#[test]
fn the_live_world_on_an_older_io_uring() {
    holds("io_uring of older kernels", |plan| Box::new(LiveWorld::new(DriverChoice::OldIoUring, plan)));
}

#[test]
fn the_live_world_on_epoll() {
    holds("epoll", |plan| Box::new(LiveWorld::new(DriverChoice::Poll, plan)));
}

#[test]
fn the_world_of_a_recorded_run() {
    holds("the simulated world", |plan| Box::new(SimulatedWorld::new(plan)));
}

#[test]
fn the_world_of_guests_own_tests() {
    holds("the world of the SDK", |plan| Box::new(SdkWorld::new(plan)));
}

const WIT: &str = include_str!("../wit/system.wit");
/// How many sentences are not covered. Lower it when there are fewer.
const UNCOVERED_COUNT: usize = 78;
const UNCOVERED: &str = include_str!("sentences/uncovered.txt");

/// The sentences of the documentation in the WIT, in their order.
fn sentences() -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in WIT.lines() {
        let text = line.trim().strip_prefix("///").map(str::trim).unwrap_or_default();
        if text.is_empty() || text.starts_with("- ") {
            paragraphs.push(String::new());
        }
        if let Some(paragraph) = paragraphs.last_mut().filter(|_| !text.is_empty()) {
            paragraph.push_str(if paragraph.is_empty() { "" } else { " " });
            paragraph.push_str(text.trim_start_matches("- "));
        }
    }
    let ends = |paragraph: &String| paragraph.replace(".** ", ". ").replace(". ", ".\n");
    let lines: Vec<String> = paragraphs.iter().map(ends).collect();
    let sentences = lines.iter().flat_map(|lines| lines.lines());
    sentences.map(|it| it.trim_start_matches("**").trim_end_matches("**").to_owned()).collect()
}

#[test]
fn every_sentence_is_covered_or_known_not_to_be() {
    let sentences = sentences();
    let covered: Vec<&str> = cases().flat_map(|case| case.sentences).copied().collect();
    let uncovered: Vec<&str> = UNCOVERED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut wrong = Vec::new();
    for sentence in &sentences {
        match (covered.contains(&&**sentence), uncovered.contains(&&**sentence)) {
            (false, false) => wrong.push(format!("new, and not covered: {sentence}")),
            (true, true) => wrong.push(format!("covered now, so take it off the list: {sentence}")),
            _ => {}
        }
    }
    assert_eq!(uncovered.len(), UNCOVERED_COUNT, "of sentences/uncovered.txt: the list can only become shorter");
    let gone = covered.iter().chain(&uncovered).filter(|it| !sentences.iter().any(|sentence| sentence == **it));
    wrong.extend(gone.map(|sentence| format!("not in wit/system.wit any more: {sentence}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
