//! The operator's wish to have the configuration read again.

use crate::support::{get, get_response, responses, send, serve};
use pluto_sdk::testing::{Request, World};
use pluto_sdk::{Level, Signal};

fn reload(world: &mut World) {
    world.signal(Signal::Reload);
    world.run_until_idle();
}

fn opens(world: &World) -> usize {
    world.requests().iter().filter(|sent| matches!(sent.request, Request::Open(_))).count()
}

#[test]
fn a_reload_forgets_the_files_that_were_kept() {
    let mut world = serve(&[]);
    for _ in 0..3 {
        get_response(&mut world, "/a.txt");
    }
    let (before, held) = (opens(&world), world.handles());
    assert!(held > 0);
    get_response(&mut world, "/a.txt");
    assert_eq!(opens(&world), before, "it is kept");
    reload(&mut world);
    assert_eq!(world.handles(), 0);
    assert_eq!(get_response(&mut world, "/a.txt").text(), "alpha");
    assert_eq!(opens(&world), before + 2, "the configuration, and the file");
    let (level, line) = world.logs().iter().find(|(_, line)| line.contains("reload")).expect("the operator is told");
    assert!(*level == Level::Info && line.starts_with("reloaded: "), "{line}");
}

#[test]
fn a_reload_ends_no_connection_and_no_response() {
    let mut world = serve(&[]);
    let large = vec![b'x'; 3 << 20];
    world.file("large.bin", large.clone());
    let idle = send(&mut world, &[get("/a.txt").as_bytes()]);
    let busy = world.connect();
    world.client_takes(busy, 1_000);
    world.client_sends(busy, get("/large.bin") + &get("/b.css"));
    let middle = send(&mut world, &[b"GET /a.txt HTTP/1.1\r\nHo"]);
    reload(&mut world);
    world.client_takes(busy, 1 << 30);
    world.client_sends(idle, get("/a.txt"));
    world.client_sends(middle, "st: a\r\n\r\n");
    world.run_until_idle();
    let found = responses(world.received(busy), &[]);
    assert!(found[0].content == large && found[1].text() == "beta {}");
    assert_eq!(responses(world.received(idle), &[]).len(), 2);
    assert_eq!(responses(world.received(middle), &[])[0].text(), "alpha");
    for client in [idle, busy, middle] {
        assert!(!world.is_ended(client));
    }
}
