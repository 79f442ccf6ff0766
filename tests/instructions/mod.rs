//! What a request costs in instructions: a guard that noise does not disturb.
//!
//! Clients of `mixes` talk to a guest in the world of the SDK's tests, in batches as a busy server
//! has them. The answers that the guest gets become a trace, and `pluto-host replay` runs the
//! trace under callgrind. This covers everything of a live server except the system calls. Every
//! call of the allocator has one price, so that neither the clock nor the network nor other
//! programs matter. The cost of a request is the difference between a longer and a shorter trace,
//! divided by the difference in requests; so the start does not count. `instructions.toml` holds
//! the counts, and why they changed.
//!
//! `cargo xtask count` runs this test. `cargo test` alone does not, because the test needs
//! valgrind and takes most of a minute. A new kind of work that must stay cheap should get a mix.

mod baseline;
mod callgrind;
mod mixes;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use crate::support::guests;
use baseline::{Baseline, Verdict};
use callgrind::{Cost, Folder};
use mixes::{MIXES, Mix};

/// Takes only the mixes with this word in their name.
const ONLY: &str = "PLUTO_COUNT_ONLY";

/// Writes what is counted into the file, with this reason.
const UPDATE: &str = "PLUTO_COUNT_UPDATE";

/// How many are counted at once. The counts do not depend on it.
const AT_ONCE: usize = 2;

#[test]
#[ignore = "it wants valgrind and a minute: `cargo xtask count` runs it"]
fn no_request_costs_more_than_it_did() {
    let only = std::env::var(ONLY).unwrap_or_default();
    let mixes: Vec<&Mix> = MIXES.iter().filter(|mix| mix.name.contains(&only)).collect();
    assert!(!mixes.is_empty(), "no mix has {only:?} in its name; there are: {:?}", MIXES.map(|mix| mix.name));
    let counted = count(&mixes);
    let mut baseline = Baseline::read();
    let mut failed = false;
    println!("\ninstructions for each request          guest    host     all   before");
    for mix in mixes {
        let cost = counted[mix.name];
        let verdict = baseline.judge(mix.name, cost);
        failed |= verdict.is_failure();
        println!("{:<34} {:>9} {:>7} {:>7} {verdict}", mix.name, cost.guest, cost.host, cost.all());
    }
    if let Ok(why) = std::env::var(UPDATE) {
        baseline.update(&counted, &why);
        println!("written: {}", baseline::PATH);
        return;
    }
    if let Some(note) = baseline.other_compilers() {
        println!("{note}");
    }
    assert!(
        !failed,
        "requests cost more instructions than {} says (above). Make them cheaper; or, when what they do is worth it, write \
         the new counts down with the reason: cargo xtask count --update \"REASON\"",
        baseline::PATH
    );
    if counted.iter().any(|(name, cost)| matches!(baseline.judge(name, *cost), Verdict::Less(_))) {
        println!("Some cost less than before: hold on to it by cargo xtask count --update \"REASON\"");
    }
}

/// Counts the mixes, several at once.
fn count(mixes: &[&Mix]) -> BTreeMap<&'static str, Cost> {
    let folder = Folder::new();
    ["pluto", "echo"].iter().for_each(|guest| folder.warm(guest));
    let (waiting, counted) = (Mutex::new(mixes.to_vec()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(mix) = next(&waiting) {
                    let cost = cost(mix, &folder);
                    counted.lock().expect("nobody has failed").insert(mix.name, cost);
                }
            });
        }
    });
    counted.into_inner().expect("nobody has failed")
}

fn next<'a>(waiting: &Mutex<Vec<&'a Mix>>) -> Option<&'a Mix> {
    waiting.lock().expect("nobody has failed").pop()
}

/// What a request of a mix costs.
fn cost(mix: &Mix, folder: &Folder) -> Cost {
    let guest = fs::read(guests::built(mix.guest)).expect("it is built");
    let place = MIXES.iter().position(|it| it.name == mix.name).expect("it is one of them");
    let [short, long] = mix.traces(&guest).map(|trace| {
        let name = format!("{place:02}-{:05}", trace.requests);
        (trace.requests, folder.count(mix.guest, &name, &trace.bytes, trace.sent))
    });
    let requests = long.0 - short.0;
    let each = |long: u64, short: u64| (long - short + requests / 2) / requests;
    Cost { guest: each(long.1.guest, short.1.guest), host: each(long.1.host, short.1.host) }
}
