//! The world of `testing`: it answers as the contract says.

use crate::support::seconds;
use pluto_sdk::testing::{ClientId, Outcome, World};
use pluto_sdk::{Connection, Error, Kind, Listen, Listener, Symlinks, fs, gather, info, join, listen, post};
use std::cell::RefCell;
use std::rc::Rc;

/// Runs a guest's code in a world, to the end, and gives its log.
#[track_caller]
fn run<F: Future<Output = ()> + 'static>(world: &mut World, main: impl FnOnce() -> F + 'static) -> Vec<String> {
    let main = async move |_args| -> Result<(), Error> {
        main().await;
        Ok(())
    };
    world.start(main, &["8000"]);
    world.run_until_idle();
    world.logs().iter().map(|(_, line)| line.clone()).collect()
}

fn site() -> World {
    let mut world = World::new();
    world.file("index.html", "welcome");
    world.file("docs/a.txt", "0123456789");
    world.directory("empty");
    world.special("pipe");
    world.symlink("docs/link", "a.txt");
    world.symlink("up", "docs/../docs/a.txt");
    world.symlink("out", "../etc/passwd");
    world.symlink("absolute", "/etc/passwd");
    world.symlink("loop", "loop");
    world.file("secret", "x");
    world.deny("secret");
    world
}

#[test]
fn paths_lead_to_files_or_to_the_right_error() {
    use Symlinks::{Follow, Refuse};
    let long = "x".repeat(4_096);
    for (path, links, expected) in [
        ("index.html", Refuse, Ok(7)),
        ("docs/a.txt", Follow, Ok(10)),
        ("docs//./a.txt", Follow, Ok(10)),
        ("docs/../index.html", Follow, Ok(7)),
        ("docs/link", Follow, Ok(10)),
        ("up", Follow, Ok(10)),
        ("docs/link", Refuse, Err(Error::Symlink)),
        ("loop", Follow, Err(Error::Symlink)),
        ("out", Follow, Err(Error::NotPermitted)),
        ("absolute", Follow, Err(Error::NotPermitted)),
        ("../x", Follow, Err(Error::NotPermitted)),
        ("/index.html", Follow, Err(Error::NotPermitted)),
        ("none", Follow, Err(Error::NotFound)),
        ("none/x", Follow, Err(Error::NotFound)),
        ("index.html/x", Follow, Err(Error::NotDirectory)),
        ("index.html/", Follow, Err(Error::NotDirectory)),
        ("", Follow, Err(Error::IsDirectory)),
        ("docs", Follow, Err(Error::IsDirectory)),
        ("docs/", Follow, Err(Error::IsDirectory)),
        ("pipe", Follow, Err(Error::NotRegular)),
        ("secret", Follow, Err(Error::AccessDenied)),
        ("a\0b", Follow, Err(Error::Invalid)),
        (&long, Follow, Err(Error::Invalid)),
    ] {
        let asked = path.to_owned();
        let lines = run(&mut site(), move || async move {
            let opened = fs::open(asked, links).await;
            info!("{:?}", opened.map(|file| file.len()));
        });
        assert_eq!(lines, [format!("{expected:?}")], "{path:?} {links:?}");
    }
}

#[test]
fn a_directory_is_listed_in_the_order_of_its_names() {
    let lines = run(&mut site(), || async {
        for path in ["", "docs", "empty", "index.html"] {
            match fs::list(path).await {
                Ok(entries) => {
                    let names = entries.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned());
                    info!("{}", names.collect::<Vec<_>>().join(" "));
                }
                Err(error) => info!("{error}"),
            }
        }
        let kinds = fs::list("docs").await.map(|entries| entries.iter().map(|entry| entry.metadata.kind).collect());
        assert_eq!(kinds, Ok(vec![Kind::Regular, Kind::Symlink]));
    });
    let root = "absolute docs empty index.html loop out pipe secret up";
    assert_eq!(lines, [root, "a.txt link", "", "a file, where the path needs a directory"]);
}

#[test]
fn a_file_is_read_loaded_and_cut_at_its_end() {
    let lines = run(&mut site(), || async {
        let Ok(file) = fs::open("docs/a.txt", Symlinks::Refuse).await else { return };
        for (offset, length) in [(0, 4), (8, 100), (10, 1), (u64::MAX, u64::MAX)] {
            let bytes = file.read(offset, length).await.unwrap_or_default();
            let buffer = file.load(offset, 16 << 20).await.map(|buffer| buffer.len());
            info!("{} {buffer:?}", String::from_utf8_lossy(&bytes));
        }
        info!("{:?}", file.load(0, (16 << 20) + 1).await.map(|buffer| buffer.len()));
    });
    assert_eq!(lines, ["0123 Ok(10)", "89 Ok(2)", " Ok(0)", " Ok(0)", "Err(Error::TooLarge)"]);
}

#[test]
fn a_file_s_digest_is_of_its_content_now() {
    let lines = run(&mut site(), || async {
        let Ok(file) = fs::open("docs/a.txt", Symlinks::Refuse).await else { return };
        let Ok(digested) = file.digest().await else { return };
        info!("{:032x} {}", digested.number(), digested.is_of(file.metadata()));
    });
    assert_eq!(lines, [format!("{:032x} true", xxhash_rust::xxh3::xxh3_128(b"0123456789"))]);
}

/// Accepts one client, and calls `f` with it.
async fn with_client<F: Future<Output = ()>>(f: impl FnOnce(Connection) -> F) -> Option<()> {
    let mut listener: Listener = listen(Listen { port: 8000, connections_max: 10, shared: true }).await.ok()?;
    let connection = listener.accept().await.ok()?;
    f(connection).await;
    Some(())
}

#[test]
fn a_write_is_sent_from_bytes_buffers_and_files() {
    let mut world = site();
    let client = world.connect();
    let lines = run(&mut world, || async {
        with_client(async |connection| {
            let Ok(file) = fs::open("docs/a.txt", Symlinks::Refuse).await else { return };
            let Ok(buffer) = file.load(0, 3).await else { return };
            let parts = vec!["<".into(), buffer.part(1, 2), b"|".into(), file.part(5, 5), ">".to_owned().into()];
            info!("{:?}", connection.write(parts).await);
            info!("{:?}", connection.write(vec![buffer.part(1, 3)]).await);
            info!("{:?}", connection.write(vec!["!".into(), file.part(8, 3), "never".into()]).await);
            let pending = (connection.write(vec![file.part(0, 1)]), drop(file));
            info!("{:?}", pending.0.await);
            info!("{:?}", connection.shutdown().await);
            info!("{:?}", connection.write(vec!["late".into()]).await);
        })
        .await;
    });
    let errors = ["Err(Error::Invalid)", "Err(Error::Truncated)", "Ok(1)", "Ok(())", "Err(Error::Disconnected)"];
    assert_eq!(lines[0], "Ok(10)");
    assert_eq!(lines[1..], errors);
    assert_eq!(world.received(client), b"<12|56789>!890");
    assert!(world.is_closed(client));
}

#[test]
fn one_read_and_one_write_of_a_connection_are_pending_at_most() {
    let mut world = World::new();
    let client = world.connect();
    world.client_takes(client, 0);
    let lines = run(&mut world, || async {
        with_client(async |connection| {
            let (read, write) = (connection.read(1), connection.write(vec!["x".into()]));
            info!("{:?} {:?}", connection.read(1).await, connection.write(vec!["y".into()]).await);
            info!("{:?} {:?}", connection.shutdown().await, connection.read(0).await);
            connection.close();
            info!("{:?}", join(read, write).await);
        })
        .await;
    });
    let busy = "Err(Error::Busy)";
    let cancelled = "(Err(Error::Cancelled), Err(Error::Cancelled))";
    assert_eq!(lines, [format!("{busy} {busy}"), format!("{busy} Err(Error::Invalid)"), cancelled.to_owned()]);
}

#[test]
fn a_watch_tells_of_entries_and_of_the_file_itself() {
    let mut world = site();
    let lines = run(&mut world, || async {
        let (mut directory, mut file) = (fs::watch("docs"), fs::watch("docs/a.txt"));
        for _ in 0..2 {
            let (name, own) = join(directory.changed(), file.changed()).await;
            info!("{:?} {:?}", name.map(String::from_utf8), own);
        }
        info!("{:?}", fs::watch("none").changed().await);
    });
    assert!(lines.is_empty());
    world.overwrite("docs/a.txt", "new");
    world.file("other.txt", "");
    world.run_until_idle();
    world.remove("docs/a.txt");
    world.run_until_idle();
    let seen: Vec<&str> = world.logs().iter().map(|(_, line)| line.as_str()).collect();
    let changed = r#"Ok(Ok("a.txt")) Ok([])"#;
    assert_eq!(seen, [changed, changed, "Err(Error::NotFound)"]);
}

#[test]
fn an_open_file_is_replaced_without_notice_but_overwritten_with_it() {
    let mut world = site();
    let held = Rc::new(RefCell::new(None));
    let shared = Rc::clone(&held);
    run(&mut world, || async move {
        let mut changes = fs::watch("");
        *shared.borrow_mut() = fs::open("index.html", Symlinks::Refuse).await.ok();
        while changes.changed().await.is_ok() {
            let file = shared.borrow_mut().take();
            let Some(file) = file else { return };
            info!("{}", String::from_utf8_lossy(&file.read(0, 100).await.unwrap_or_default()));
            *shared.borrow_mut() = Some(file);
        }
    });
    world.overwrite("index.html", "in place");
    world.run_until_idle();
    world.file("index.html", "another file");
    world.run_until_idle();
    let seen: Vec<&str> = world.logs().iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(seen, ["in place", "in place"]);
}

#[test]
fn another_port_than_the_granted_one_is_refused() {
    let lines = run(&mut World::new(), || async {
        info!(
            "{:?}",
            listen(Listen { port: 8001, connections_max: 1, shared: true }).await.map(|listener| listener.port())
        );
        let first = listen(Listen { port: 8000, connections_max: 1, shared: true }).await;
        info!(
            "{:?}",
            listen(Listen { port: 8000, connections_max: 1, shared: true }).await.map(|listener| listener.port())
        );
        drop(first);
        info!(
            "{:?}",
            listen(Listen { port: 8000, connections_max: 1, shared: true }).await.map(|listener| listener.port())
        );
    });
    assert_eq!(lines, ["Err(Error::NotPermitted)", "Err(Error::AddressInUse)", "Ok(8000)"]);
}

/// The same test twice gives the same requests, in the same order.
#[test]
fn a_run_is_deterministic() {
    let run = || {
        let mut world = site();
        let clients: Vec<ClientId> = (0..10).map(|_| world.connect()).collect();
        world.start(chatty, &["8000"]);
        for (number, &client) in clients.iter().enumerate() {
            world.client_sends(client, format!("{number}"));
            world.advance(seconds(1));
        }
        assert_eq!(world.outcome(), None::<Outcome>);
        assert!(world.pending().count() > 0);
        (world.requests().to_vec(), world.logs().to_vec(), world.now())
    };
    assert_eq!(run(), run());
}

async fn chatty(_args: Vec<String>) -> Result<(), Error> {
    let options = pluto_sdk::ServerOptions { port: 8000, connections_max: 5, shared: true, grace: seconds(1) };
    pluto_sdk::serve(options, async |client: pluto_sdk::Client| {
        while let Ok(Ok(bytes)) = pluto_sdk::with_timeout(seconds(3), client.connection.read(10)).await {
            let _ = client.connection.write(vec![bytes.into()]).await;
        }
    })
    .await
}

#[test]
fn what_the_shards_have_left_is_gathered_with_what_was_left_in_the_same_turn() {
    let mut world = World::new();
    world.shard("of another");
    let log = run(&mut world, || async {
        let (posted, gathered) = join(post("first"), gather()).await;
        info!("{posted:?} {:?}", gathered.map(|posts| posts.concat().escape_ascii().to_string()));
        info!("{:?}", post(vec![0; 1 << 20]).await);
        info!("{:?} {:?}", post("second").await, gather().await.map(|posts| posts[0].escape_ascii().to_string()));
    });
    assert_eq!(log, ["Ok(()) Ok(\"firstof another\")", "Err(Error::TooLarge)", "Ok(()) Ok(\"second\")"]);
    assert_eq!(world.posted(), b"second");
}
