//! Digests in the live world: a digest covers the whole file, is computed in pieces, and is of one
//! opening.

use std::fs;

use pluto_contract::*;
use xxhash_rust::xxh3::xxh3_128;

use crate::contract::{World, failed, on_each_driver};

fn write_all_at(file: &fs::File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

fn content(length: u64) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[track_caller]
fn digested(reply: Reply) -> (u128, (u64, i64, i64)) {
    match reply {
        Reply::Digested(Digested { digest: (high, low), size, modified, changed }) => {
            (u128::from(high) << 64 | u128::from(low), (size, modified, changed))
        }
        other => panic!("{other:?}"),
    }
}

fn open(world: &mut World, name: &str) -> (u64, (u64, i64, i64)) {
    match world.ask(Request::Open(Open { path: name.into(), follow_symlinks: true })) {
        Reply::Opened(Opened { file, metadata: Metadata { size, modified, changed, .. } }) => {
            (file, (size, modified, changed))
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_digest_is_of_the_whole_content_however_long_it_is() {
    on_each_driver(|world| {
        let (piece, turn) = (pluto_live::limits::DIGEST_PIECE_BYTES, pluto_live::limits::DIGEST_TURN_BYTES_MAX);
        for length in [0, 1, piece - 1, piece, piece + 1, 2 * piece, turn + 1, pluto_contract::limits::DIGEST_BYTES_MAX]
        {
            let content = content(length);
            fs::write(world.path("of"), &content).expect("a file");
            let (file, metadata) = open(world, "of");
            assert_eq!(digested(world.ask(Request::Digest(file))), (xxh3_128(&content), metadata), "{length} bytes");
        }
    });
}

#[test]
fn a_file_that_is_too_large_is_not_digested() {
    on_each_driver(|world| {
        let file = fs::File::create(world.path("large")).expect("a file");
        file.set_len(pluto_contract::limits::DIGEST_BYTES_MAX + 1).expect("a sparse file");
        let (file, _) = open(world, "large");
        assert_eq!(world.ask(Request::Digest(file)), failed(Error::TooLarge));
        assert_eq!(world.ask(Request::Digest(file + 1)), failed(Error::BadHandle));
    });
}

/// What has changed since the opening shows in the metadata, whether it is longer, shorter or as
/// long.
#[test]
fn a_file_that_changes_is_told_by_its_metadata() {
    on_each_driver(|world| {
        let length = 2 * pluto_live::limits::DIGEST_PIECE_BYTES;
        for change in [
            (|file: &mut fs::File| write_all_at(file, b"more", 1 << 20).expect("more")) as fn(&mut fs::File),
            |file| file.set_len(70_000).expect("less"),
            |file| file.set_len(0).expect("nothing"),
            |file| write_all_at(file, b"other", 7).expect("other"),
        ] {
            fs::write(world.path("of"), content(length)).expect("a file");
            let (handle, opened) = open(world, "of");
            // The system counts time in ticks of some milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&mut fs::File::options().write(true).open(world.path("of")).expect("the file"));
            let (_, now) = digested(world.ask(Request::Digest(handle)));
            assert_ne!(now, opened);
        }
    });
}

/// Long ones wait for others, and not the other way round.
#[test]
fn others_are_answered_while_a_long_digest_is_made() {
    on_each_driver(|world| {
        let content = content(pluto_contract::limits::DIGEST_BYTES_MAX);
        fs::write(world.path("long"), &content).expect("a file");
        let (long, _) = open(world, "long");
        let digests: Vec<u64> = (0..3).map(|_| world.send(Request::Digest(long))).collect();
        let cancelled = world.send(Request::Digest(long));
        world.send(Request::Close(long));
        assert_eq!(world.ask(Request::Cancel(cancelled)), Reply::Done);
        let (small, _) = open(world, "file");
        let before = world.send(Request::Digest(small));
        assert_eq!(digested(world.answer(before)).0, xxh3_128(b"0123456789"));
        assert!(digests.iter().all(|digest| !world.has_come(*digest)), "a long digest holds nobody up");
        assert_eq!(world.answer(cancelled), failed(Error::Cancelled));
        for digest in digests {
            assert_eq!(digested(world.answer(digest)).0, xxh3_128(&content), "though the file is closed");
        }
    });
}
