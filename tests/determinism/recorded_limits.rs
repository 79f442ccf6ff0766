//! A replay applies the limits of the header, within bounds of its own.

use std::path::Path;

use super::{lives_and_replays, recursion, teller};
use crate::support::host;
use crate::support::traces::{ENGINES, Folder, as_text, from_text, replays};

/// The name and value of each limit in the text of a trace.
fn limits_of(text: &str) -> Vec<(String, u64)> {
    let limits = text.lines().filter_map(|line| line.strip_prefix("limit \"")?.strip_suffix('"')?.split_once('='));
    limits.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[test]
fn a_limit_that_has_changed_since_is_no_reason_to_refuse() {
    let folder = Folder::new();
    let tells = "(call $tell (i64.const 1)) (call $tell (i64.const 2)) (call $exit (i32.const 0))";
    let guest = folder.guest("a.wasm", &format!("(table 5 funcref) {}", teller(tells)));
    let text = lives_and_replays(&folder, &guest, &[], 0);
    let trace = folder.path("edited.trace");
    let limits = limits_of(&text);
    assert_eq!(limits.len(), 5, "{text}");
    for (name, value) in limits {
        let line = format!("limit \"{name}={value}\"\n");
        let with = |value: u64| text.replacen(&line, &format!("limit \"{name}={value}\"\n"), 1);
        // More, less, more than any reader gives, and a host that had no such limit.
        for edited in [with(value * 2), with(value / 2), with(u64::MAX), text.replacen(&line, "", 1)] {
            from_text(&folder, &edited, &guest, &trace);
            replays(Path::new(&guest), &trace, "to its end");
        }
        if name == "stack-bytes" {
            continue;
        }
        // Less than the guest takes: it is ended as it would have been then.
        from_text(&folder, &with(1), &guest, &trace);
        for engine in ENGINES {
            let ended = host::run(["replay", "--engine", engine, &guest, &trace]);
            assert_eq!(ended.code, Some(3), "{name} on {engine}: {ended:#?}");
        }
    }
}

/// Guests that meet a limit, which is larger in the trace than here.
#[test]
fn a_replay_gives_what_the_recording_host_gave() {
    let folder = Folder::new();
    let count = pluto_contract::limits::REQUESTS_PENDING_MAX + 1;
    let asks = format!(
        "(loop $again
            (call $tell (i64.const 1))
            (local.set $count (i64.add (local.get $count) (i64.const 1)))
            (br_if $again (i64.lt_u (local.get $count) (i64.const {count}))))
        (call $exit (i32.const 0))"
    );
    let table = format!(
        "(table {} funcref) {}",
        pluto_contract::limits::TABLE_ELEMENTS_MAX + 1,
        teller("(call $exit (i32.const 0))")
    );
    for (name, body, end) in [
        ("table-elements", table, "end stopped tables wanted 1048580 sent 0"),
        ("requests-pending", teller(&asks), "end stopped requests-pending sent "),
    ] {
        let guest = folder.guest(&format!("{name}.wasm"), &body);
        let text = lives_and_replays(&folder, &guest, &[], 4);
        assert!(text.contains(end), "{name}: no {end:?} in {text}");
        let (_, value) = limits_of(&text).into_iter().find(|(known, _)| known == name).expect("it is named");
        let larger = text.replacen(&format!("{name}={value}"), &format!("{name}={}", value * 2), 1);
        let trace = folder.path("larger.trace");
        from_text(&folder, &larger, &guest, &trace);
        let ended = host::run(["replay", &guest, &trace]);
        let says = "it ends otherwise (exit code 0)";
        assert!(ended.code == Some(3) && ended.errors.contains(says), "{name}: {ended:#?}");
        // More than a replay gives, which is told when the run is another one.
        let most = text.replacen(&format!("{name}={value}"), &format!("{name}={}", u64::MAX), 1);
        from_text(&folder, &most.replace("end stopped", "end exit 9 sent ? # "), &guest, &trace);
        let ended = host::run(["replay", &guest, &trace]);
        let says = format!("larger limits than a replay gives: {name}=");
        assert!(ended.code == Some(3) && ended.errors.contains(&says), "{name}: {ended:#?}");
    }
    // How deep it comes is told by each request, and depends on the engine.
    let (guest, trace) = (folder.guest("deep.wasm", &recursion(1)), folder.path("deep.trace"));
    assert_eq!(host::run(["--record", &trace, &guest, "0"]).code, Some(4));
    let larger = as_text(&trace).replacen("stack-bytes=524288", "stack-bytes=1048576", 1);
    from_text(&folder, &larger, &guest, &trace);
    let ended = host::run(["replay", &guest, &trace]);
    assert!(ended.code == Some(3) && ended.errors.contains("where "), "{ended:#?}");
    let deep: u64 =
        ended.errors.split("it sent ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
    let recorded: u64 =
        ended.errors.split("where ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
    assert!(recorded > 0 && deep > 3 * recorded / 2, "twice the stack is about twice as deep: {ended:#?}");
}
