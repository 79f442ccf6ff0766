//! Sentences of files, directories, buffers and watches.

use pluto_contract::*;

use super::case::{Case, LARGE, a_file, nothing};
use super::worlds::{Event, Plan, failed, open, range};

/// Their cases.
pub const CASES: &[Case] = &[
    Case {
        sentences: &[
            "Opens a regular file beneath the root for reading.",
            "Takes bytes of an open file.",
            "Answered `data`: at most `file_read_bytes_max`, and otherwise shorter than asked only at the end of the file.",
            "No file or directory of this name.",
            "A directory, where a file was asked for.",
        ],
        plan: || Plan {
            files: vec![("file", b"0123456789".to_vec()), ("large", vec![b'x'; LARGE as usize])],
            folders: vec!["folder"],
            ..nothing()
        },
        script: |run| {
            assert_eq!(run.ask(open("none")), failed(Error::NotFound));
            assert_eq!(run.ask(open("folder")), failed(Error::IsDirectory));
            let Reply::Opened(Opened { file, metadata }) = run.ask(open("file")) else { panic!("not opened") };
            assert_eq!((metadata.kind, metadata.size), (Kind::Regular, 10));
            for (offset, length, expected) in [(0, 10, "0123456789"), (3, 2, "34"), (8, 9, "89"), (10, 1, "")] {
                let reply = run.ask(Request::ReadFile(range(file, offset, length)));
                assert_eq!(reply, Reply::Data(expected.into()), "{length} from {offset} on");
            }
            let large = run.open("large");
            let Reply::Data(most) = run.ask(Request::ReadFile(range(large, 0, LARGE))) else { panic!("no data") };
            assert_eq!(most.len() as u64, pluto_contract::limits::FILE_READ_BYTES_MAX);
        },
    },
    Case {
        sentences: &[
            "Reads a range of a file into a buffer that the host holds.",
            "Answered `loaded`.",
            "How many bytes the buffer holds; less than asked only at the end of the file.",
            "For `load`, more than `buffer_bytes_max` is answered `failed(too-large)`.",
        ],
        plan: a_file,
        script: |run| {
            let file = run.open("file");
            for (offset, length, held) in [(0, 10, 10), (8, 9, 2), (10, 1, 0)] {
                match run.ask(Request::Load(range(file, offset, length))) {
                    Reply::Loaded(loaded) => assert_eq!(loaded.length, held, "{length} from {offset} on"),
                    other => panic!("{other:?}"),
                }
            }
            let too_large = Request::Load(range(file, 0, pluto_contract::limits::BUFFER_BYTES_MAX + 1));
            assert_eq!(run.ask(too_large), failed(Error::TooLarge));
        },
    },
    Case {
        sentences: &[
            "Answered `opened`; while files have a quarter of the handles, `failed(exhausted)`.",
            "Over a limit for all requests together: handles, buffers, memory, or what the system gives.",
        ],
        plan: a_file,
        script: |run| {
            let mut files = Vec::new();
            let last = loop {
                match run.ask(open("file")) {
                    Reply::Opened(opened) => files.push(opened.file),
                    other => break other,
                }
                assert!(files.len() <= pluto_contract::limits::HANDLES_MAX, "there is no limit");
            };
            assert_eq!(last, failed(Error::Exhausted));
            assert!(
                files.len() <= pluto_contract::limits::HANDLES_MAX / pluto_contract::limits::HANDLES_FOR_FILES_SHARE
            );
            run.meet();
            assert_eq!(run.ask(Request::Close(files[0])), Reply::Done);
            run.open("file");
        },
    },
    Case {
        sentences: &[
            "Lists the entries of a directory beneath the root, in the order of their names' bytes.",
            "A file, where the path needs a directory.",
            "Empty for the root itself.",
            "In bytes; 0 for anything that is not a regular file.",
        ],
        plan: || Plan {
            files: vec![("folder/b", b"12".to_vec()), ("folder/a", Vec::new()), ("file", Vec::new())],
            folders: vec!["folder", "folder/c", "folder/B"],
            ..nothing()
        },
        script: |run| {
            let Reply::Listed(entries) = run.ask(Request::List(Listing::all("folder"))) else { panic!("no list") };
            let found: Vec<(&[u8], Kind)> = entries.iter().map(|it| (&it.name[..], it.metadata.kind)).collect();
            let expected: [(&[u8], Kind); 4] =
                [(b"B", Kind::Directory), (b"a", Kind::Regular), (b"b", Kind::Regular), (b"c", Kind::Directory)];
            assert_eq!(found, expected);
            assert_eq!(entries.iter().map(|it| it.metadata.size).collect::<Vec<_>>(), [0, 0, 2, 0]);
            assert_eq!(run.ask(Request::List(Listing::all("file"))), failed(Error::NotDirectory));
            let Reply::Listed(root) = run.ask(Request::List(Listing::all(""))) else { panic!("no list") };
            assert!(root.iter().any(|entry| entry.name == b"folder"));
        },
    },
    Case {
        sentences: &[
            "Answered `listed`.",
            "Only entries whose names come after this one are listed, in the order of their bytes.",
            "Empty to begin.",
            "The most entries of the answer.",
            "0 is answered `failed(invalid)`; more than `list_entries_max` means `list_entries_max`.",
            "An answer with fewer entries is the last one; otherwise ask again, after the last entry.",
        ],
        plan: || Plan {
            files: ["f/a", "f/b", "f/ba", "f/c", "f/d"].map(|name| (name, Vec::new())).to_vec(),
            folders: vec!["f", "f/folder"],
            ..nothing()
        },
        script: |run| {
            let page = |after: &str, entries_max| {
                Request::List(Listing { path: (*b"f").into(), after: after.as_bytes().into(), entries_max })
            };
            assert_eq!(run.ask(page("", 0)), failed(Error::Invalid));
            let all = ["a", "b", "ba", "c", "d", "folder"];
            for (after, entries_max, begin, end) in [
                ("", 2, 0, 2),
                ("b", 2, 2, 4),
                ("c", 2, 4, 6),
                ("folder", 2, 6, 6),
                ("bb", 9, 3, 6),
                ("", u32::MAX, 0, 6),
            ] {
                let Reply::Listed(entries) = run.ask(page(after, entries_max)) else { panic!("no list") };
                let names: Vec<&[u8]> = entries.iter().map(|entry| &entry.name[..]).collect();
                assert_eq!(names, all[begin..end].iter().map(|name| name.as_bytes()).collect::<Vec<_>>(), "{after}");
            }
        },
    },
    Case {
        sentences: &[
            "Tells when a file, or the entries of a directory, change.",
            "Answered `changed`, once for equal changes that follow each other; and `failed(not-found)` when the watched place becomes empty, because the file or directory is deleted or moved.",
            "The name of the entry that changed.",
        ],
        plan: || Plan {
            files: vec![("folder/file", b"1".to_vec())],
            folders: vec!["folder"],
            events: vec![Event::Changes("folder/file"), Event::Removes("folder/file")],
            ..nothing()
        },
        script: |run| {
            assert_eq!(run.ask(Request::Watch(b"none".to_vec())), failed(Error::NotFound));
            let file = run.send(Request::Watch(b"folder/file".to_vec()));
            let folder = run.send(Request::Watch(b"folder".to_vec()));
            [file, folder].iter().for_each(|id| run.nothing_for(*id));
            run.happen();
            assert_eq!(run.answer(file), Reply::Changed(Vec::new()));
            assert_eq!(run.answer(folder), Reply::Changed(b"file".to_vec()));
            run.happen();
            let last = loop {
                match run.answer(file) {
                    Reply::Changed(name) => assert_eq!(name, b"", "the file itself"),
                    last => break last,
                }
            };
            assert_eq!(last, failed(Error::NotFound));
        },
    },
    Case {
        sentences: &["A request beyond a limit for all requests together is answered `failed(exhausted)`."],
        plan: || Plan { files: vec![("large", vec![b'x'; LARGE as usize])], ..nothing() },
        script: |run| {
            let watches =
                (0..pluto_contract::limits::WATCHES_OF_ONE_MAX).map(|_| run.send(Request::Watch(b"large".to_vec())));
            let first = watches.min().expect("some");
            assert_eq!(run.ask(Request::Watch(b"large".to_vec())), failed(Error::Exhausted));
            assert_eq!(run.ask(Request::Cancel(first)), Reply::Done);
            let again = run.send(Request::Watch(b"large".to_vec()));
            run.nothing_for(again);
            let file = run.open("large");
            let mut buffers = Vec::new();
            let last = loop {
                match run.ask(Request::Load(range(file, 0, LARGE))) {
                    Reply::Loaded(loaded) => buffers.push(loaded.buffer),
                    other => break other,
                }
                assert!(buffers.len() as u64 * LARGE <= pluto_contract::limits::BUFFERS_BYTES_MAX, "there is no limit");
            };
            assert_eq!(last, failed(Error::Exhausted));
            buffers.iter().for_each(|buffer| assert_eq!(run.ask(Request::Close(*buffer)), Reply::Done));
            run.load(file, LARGE);
            // What was asked for and is not received yet.
            let count = pluto_contract::limits::ANSWER_BYTES_QUEUED_MAX as u64
                / pluto_contract::limits::FILE_READ_BYTES_MAX
                + 9;
            let reads: Vec<u64> = (0..count).map(|_| run.send(Request::ReadFile(range(file, 0, LARGE)))).collect();
            let refused = reads.iter().filter(|id| run.answer(**id) == failed(Error::Exhausted)).count();
            assert!((9..20).contains(&refused), "{refused} of {count} are refused");
        },
    },
    Case {
        sentences: &[
            "Computes the digest of an open file's whole content.",
            "Answered `digested`; for more than `digest_bytes_max`, `failed(too-large)`.",
            "XXH3-128, its more significant half first.",
            "The file's metadata after its last byte was read.",
        ],
        plan: || Plan {
            files: vec![
                ("file", b"0123456789".to_vec()),
                ("large", vec![b'x'; pluto_contract::limits::DIGEST_BYTES_MAX as usize + 1]),
            ],
            ..nothing()
        },
        script: |run| {
            let Reply::Opened(Opened { file, metadata }) = run.ask(open("file")) else { panic!("not opened") };
            let Reply::Digested(digested) = run.ask(Request::Digest(file)) else { panic!("not digested") };
            assert_eq!(digested.number(), xxhash_rust::xxh3::xxh3_128(b"0123456789"));
            assert!(digested.is_of(&metadata));
            let large = run.open("large");
            assert_eq!(run.ask(Request::Digest(large)), failed(Error::TooLarge));
        },
    },
    Case {
        sentences: &["A path beneath the root: names separated by `/`, as bytes, because a name need not be UTF-8."],
        plan: || Plan { files: vec![("a/b/file", b"12".to_vec())], folders: vec!["a", "a/b"], ..nothing() },
        script: |run| {
            run.open("a/b/file");
            assert_eq!(run.ask(open(b"\xff\xfe")), failed(Error::NotFound));
            for invalid in [vec![b'x'; pluto_contract::limits::PATH_BYTES_MAX + 1], b"nul\0".to_vec()] {
                assert_eq!(run.ask(open(&invalid)), failed(Error::Invalid));
                assert_eq!(run.ask(Request::List(Listing::all(invalid.clone()))), failed(Error::Invalid));
                assert_eq!(run.ask(Request::Watch(invalid)), failed(Error::Invalid));
            }
        },
    },
];
