//! Real traces with a change in them, framed again so that the checksums are right. Each command
//! that reads such a trace says what is wrong, or reports another run. None panics, crashes, or
//! takes much memory or time.
//!
//! `PLUTO_MUTATIONS=5000 PLUTO_MUTATIONS_FROM=100` makes so many mutations, from other seeds.

use std::fs;
use std::time::Duration;

use fastrand::Rng;
use pluto_trace::Header;
use pluto_trace::wire::put_number;

use crate::flight::{PAUSES, sleeper};
use crate::support::frames::{PREAMBLE_BYTES, blocks, framed, of_blocks};
use crate::support::guests;
use crate::support::host;
use crate::support::http::Client;
use crate::support::site;
use crate::support::traces::{Folder, text};

/// How many are made when nothing else is said.
const MUTATIONS: u64 = 40;

/// What any of them may take of memory: the most that is kept of one turn to show it, a guest and
/// its compilation.
const PEAK_KIB_MAX: u64 = 600 << 10;

/// What any of them may take of time: some turns that the turn limit ends.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Changes bytes: a bit, a byte, a number in the place of another, a piece twice or not at all.
fn damage(random: &mut Rng, bytes: &mut Vec<u8>) {
    let at = random.usize(..bytes.len().max(1));
    let until = bytes.len().min(at + 1 + random.usize(..30));
    match random.usize(..6) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.usize(..8),
        2 if at < bytes.len() => bytes[at] = random.u8(..),
        3 => drop(bytes.drain(at..until)),
        4 => {
            let piece = bytes[at..until].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        _ => {
            let number = [u64::MAX, u64::MAX >> 1, 1 << 32, 1 << 20, 100_000, 786_432, 256, 1][random.usize(..8)];
            let mut encoded = Vec::new();
            put_number(&mut encoded, number);
            drop(bytes.splice(at..until.min(at + 1), encoded));
        }
    }
}

/// One trace of another: one to three changes, mostly in what happened, now and then in the header
/// or the guest. The header then names the guest that is there, for else it would be refused at
/// once.
fn mutated(seed: u64, trace: &[u8]) -> Vec<u8> {
    let (mut random, mut all) = (Rng::with_seed(seed), blocks(trace));
    for _ in 0..=random.usize(..3) {
        let which = match random.usize(..12) {
            0 => 0,
            1 => 1,
            _ => (2 + random.usize(..(all.len() - 2).max(1))).min(all.len() - 1),
        };
        match random.usize(..20) {
            0 if which > 1 => drop(all.remove(which)),
            1 => all.push(all[which].clone()),
            2 if which > 1 => all.swap(which, 2),
            _ if which == 1 => {
                // Of the guest as it was before it was packed.
                let mut guest = zstd::bulk::decompress(&all[1], 64 << 20).unwrap_or_default();
                damage(&mut random, &mut guest);
                all[0].splice(..32, Header::digest(&guest));
                all[1] = zstd::bulk::compress(&guest, 1).expect("it packs");
            }
            _ => damage(&mut random, &mut all[which]),
        }
        if all.len() < 3 {
            break;
        }
    }
    of_blocks(&trace[..PREAMBLE_BYTES], &all)
}

/// A guest that sleeps, and pauses when it is told to.
fn recorded_small(folder: &Folder) -> (String, Vec<u8>) {
    let guest = folder.guest("small.wasm", &sleeper(600, PAUSES, "(return (call $exit (i32.const 0)))"));
    let trace = folder.path("small.trace");
    assert_eq!(host::run(["--key-frame-every", "4K", "--record", &trace, &guest, "0"]).code, Some(0));
    (guest, fs::read(trace).expect("a trace"))
}

/// The web server with some clients.
fn recorded_server(folder: &Folder) -> (String, Vec<u8>) {
    let (pluto, trace) = (text(&guests::built("pluto")), folder.path("server.trace"));
    let root = text(site::odd());
    let host = host::Host::serve(["--log", "off", "--key-frame-every", "16K", "--record", &trace, &pluto, "0", &root]);
    for _ in 0..3 {
        let mut client = Client::new(host.connect());
        for path in ["/", "/sub/", "/none", "/size/65536.bin", "/a%20b.html", "/UPPER.HTML"] {
            client.get(path);
        }
    }
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
    (pluto, fs::read(trace).expect("a trace"))
}

#[test]
fn a_trace_with_anything_changed_is_told_apart_and_hurts_nobody() {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number of mutations"))
    };
    let (count, from) = (number("PLUTO_MUTATIONS", MUTATIONS), number("PLUTO_MUTATIONS_FROM", 0));
    let folder = Folder::new();
    let bases = [recorded_small(&folder), recorded_server(&folder)];
    let path = folder.path("mutated.trace");
    let (mut codes, mut most, mut longest) = ([0_u64; 5], 0, Duration::ZERO);
    for seed in from..from + count {
        // Most of them small ones, which are quick.
        let (guest, trace) = &bases[usize::from(seed % 4 == 0)];
        fs::write(&path, mutated(seed, trace)).expect("a file");
        for arguments in [
            &["trace", "text", &path][..],
            &["explain", &path],
            &["replay", guest, &path],
            &["replay", "--from-turn", "100", guest, &path],
            &["replay", "--loose", guest, &path],
        ] {
            let measured = host::measured(arguments);
            let is_well = matches!(measured.code, Some(0 | 1 | 3))
                && !measured.errors.contains("panicked")
                && measured.peak_kib < PEAK_KIB_MAX
                && measured.time < TIME_MAX;
            if !is_well {
                let kept = std::env::temp_dir().join(format!("pluto-mutation-{seed}.trace"));
                fs::copy(&path, &kept).expect("a copy");
                panic!("seed {seed}, kept as {}: {arguments:?}: {measured:#?}", kept.display());
            }
            codes[measured.code.unwrap_or(4) as usize] += 1;
            most = most.max(measured.peak_kib);
            longest = longest.max(measured.time);
        }
    }
    println!("{count} mutations: exit codes {codes:?}, at most {most} KiB and {longest:?}");
    assert!(count < MUTATIONS || (codes[0] > 0 && codes[1] > 0 && codes[3] > 0), "each kind of end: {codes:?}");
}

/// A length that was damaged must not look like a host that was killed in the midst of a block:
/// the trace would seem to end there.
#[test]
fn a_damaged_length_of_a_block_is_damage_and_no_early_end() {
    let folder = Folder::new();
    let (guest, trace) = recorded_small(&folder);
    let path = folder.path("damaged.trace");
    let (mut at, lengths) = (PREAMBLE_BYTES, blocks(&trace));
    assert!(lengths.len() > 3, "{} blocks", lengths.len());
    for block in &lengths {
        // The lowest bit, one of 64 KiB, and one that makes it longer than any file.
        for (byte, bit) in [(0, 0), (2, 0), (3, 7)] {
            let mut damaged = trace.clone();
            damaged[at + byte] ^= 1 << bit;
            fs::write(&path, damaged).expect("a file");
            for arguments in [&["trace", "text", &path][..], &["replay", &guest, &path]] {
                let ended = host::run(arguments);
                assert_eq!(ended.code, Some(1), "{arguments:?}, block at {at}: {ended:#?}");
                assert!(ended.errors.contains("damaged"), "{arguments:?}, block at {at}: {ended:#?}");
            }
        }
        at += framed(block).len();
    }
    assert_eq!(at, trace.len());
}
