//! Which guests the host admits, and what it says about the others. Also: what it says to an
//! operator who has made a mistake.

use std::fs;
use std::net::TcpListener;

use tempfile::TempDir;
use wit_component::ComponentEncoder;

use crate::support::guests;
use crate::support::host;

/// Runs a guest that must be refused, with a message that says each of these.
fn refused(guest: &[u8], says: &[&str]) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("guest.wasm");
    fs::write(&path, guest).expect("a file");
    for command in [vec!["--no-cache"], vec!["inspect"]] {
        let mut arguments = command.clone();
        let path = path.display().to_string();
        arguments.push(&path);
        if command != ["inspect"] {
            arguments.push("0");
        }
        let ended = host::run(&arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:#?}");
        for text in says {
            let said = ended.output.clone() + &ended.errors;
            assert!(said.contains(text), "no {text:?} in {ended:#?}");
        }
    }
}

fn component_of(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is sound")
}

#[test]
fn each_import_too_many_is_named() {
    let guest = component_of(
        r#"(component
            (import "wasi:sockets/tcp@0.2.0" (instance))
            (import "pluto:system/io@0.3.0" (instance))
            (import "wasi:filesystem/types@0.2.0" (instance))
            (import "backdoor" (func)))"#,
    );
    refused(
        &guest,
        &["wasi:sockets/tcp@0.2.0 (interface)", "wasi:filesystem/types@0.2.0", "backdoor (function)", "WASI"],
    );
}

/// The contract with another version and another shape.
fn contract(version: &str, from: &str, to: &str) -> String {
    let wit = fs::read_to_string(guests::repository().join("wit/system.wit")).expect("the contract");
    for text in ["@0.3.0;", from] {
        assert!(wit.contains(text), "{text:?}");
    }
    wit.replacen("@0.3.0;", &format!("@{version};"), 1).replacen(from, to, 1)
}

/// What a guest is told of the version for which it was built.
fn versions(guest: &str) -> String {
    format!("this guest was built for pluto:system {guest}, and this pluto-host speaks 0.3.0: build it again with ")
}

#[test]
fn a_guest_for_another_version_of_the_contract_is_told_both_versions() {
    let same = ("    gather,\n", "    gather,\n");
    let before = ("    log-lost(u64),\n", "");
    let after = ("    gather,\n", "    gather,\n    measure(u64),\n");
    for (version, (from, to), newer) in [
        ("0.1.0", before, false),
        ("0.1.0", same, false),
        ("0.3.1", same, true),
        ("0.4.0", after, true),
        ("1.0.0", same, true),
    ] {
        let module = guests::module_for(
            &contract(version, from, to),
            "(func (export \"run\") (param i32 i32) (result i32) (call $answer))",
        );
        let component =
            ComponentEncoder::default().module(&module).and_then(|mut it| it.encode()).expect("a component");
        for guest in [module, component] {
            refused(&guest, &[&versions(version)]);
            let or = if newer {
                "or run it with a pluto-host that speaks its version"
            } else {
                "wit/ in another language\n"
            };
            refused(&guest, &[or]);
        }
        let bare = format!(r#"(component (import "pluto:system/io@{version}" (instance)))"#);
        refused(&component_of(&bare), &[&versions(version)]);
    }
}

#[test]
fn a_guest_for_another_shape_of_the_same_version_is_told_what_differs() {
    for (from, to, says) in [
        ("    gather,\n", "    gather,\n    measure(u64),\n", "`type pluto:system/io.request` has no `measure(u64)`"),
        (
            "    shutdown(handle),\n",
            "    shutdown(u32),\n",
            "`type pluto:system/io.request` has `shutdown(pluto:system/io.handle)` where the guest has `shutdown(u32)`",
        ),
        ("    ends: bool,\n", "", "`type pluto:system/io.write` has `ends: bool` besides"),
        ("    exit(u8),\n", "    exit(u16),\n", "`type outcome` has `exit(u8)` where the guest has `exit(u16)`"),
    ] {
        let receives = "(func (export \"run\") (param i32 i32) (result i32) (call $send (i32.const 64) (i32.const 1)) (call $answer))";
        let module = guests::module_for(&contract("0.3.0", from, to), receives);
        let component =
            ComponentEncoder::default().module(&module).and_then(|mut it| it.encode()).expect("a component");
        for guest in [module, component] {
            refused(&guest, &["does not fit the contract", "another pluto:system 0.3.0", says, "build it again with"]);
        }
    }
}

#[test]
fn a_fifth_function_is_refused() {
    let guest = component_of(
        r#"(component
            (import "pluto:system/io@0.3.0" (instance (export "spawn" (func))))
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    refused(&guest, &["spawn"]);
}

#[test]
fn a_component_without_run_is_refused() {
    refused(&component_of("(component)"), &["does not export the function `run`"]);
}

#[test]
fn a_run_of_another_type_is_refused() {
    let guest = component_of(
        r#"(component
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    refused(&guest, &["does not fit the contract"]);
}

#[test]
fn a_core_module_for_wasi_is_refused_with_its_imports() {
    let guest = component_of(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#,
    );
    refused(&guest, &["wasi_snapshot_preview1#fd_write"]);
}

#[test]
fn code_that_is_damaged_is_refused() {
    let mut guest = guests::run("(call $exit (i32.const 0))");
    let middle = guest.len() / 2;
    guest.truncate(middle);
    refused(&guest, &["guest.wasm"]);
    refused(b"<!doctype html>", &["not WebAssembly"]);
    refused(b"", &["not WebAssembly"]);
}

#[test]
fn inspect_tells_what_a_guest_is() {
    let path = guests::built("pluto").display().to_string();
    let ended = host::run(["inspect", &path]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    for text in ["imports   pluto:system/io@0.3.0 (interface)\nexports   run\n", "sha256    ", "admitted  yes"] {
        assert!(ended.output.contains(text), "no {text:?} in {}", ended.output);
    }
}

#[test]
fn a_core_module_with_an_embedded_world_runs_as_it_is() {
    let folder = TempDir::new().expect("a folder");
    let (module, made) = (folder.path().join("module.wasm"), folder.path().join("component.wasm"));
    fs::write(&module, guests::run("(call $exit (i32.const 0))")).expect("a file");
    let (module, made) = (module.display().to_string(), made.display().to_string());
    assert_eq!(host::run(["componentize", &module, "--output", &made]).code, Some(0));
    for guest in [&module, &made] {
        let ended = host::run(["--no-cache", guest, "0"]);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{guest}");
    }
}

/// Runs the command with what makes no sense; the message must say what to do.
fn mistaken(arguments: &[&str], code: i32, says: &str) {
    let ended = host::run(arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:#?}");
    assert!(ended.errors.contains(says), "no {says:?} in {ended:#?}");
}

#[test]
fn mistakes_of_the_operator_are_explained() {
    let pluto = guests::built("pluto").display().to_string();
    let file = guests::repository().join("README.md").display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    mistaken(&[], 2, "Usage: pluto-host");
    mistaken(&[&pluto], 2, "PORT");
    mistaken(&["no-such.wasm", "8000"], 1, "no guest at no-such.wasm: give the path");
    mistaken(&["tests/", "8000"], 1, "tests/");
    mistaken(&[&file, "0"], 1, "not WebAssembly");
    mistaken(&[&pluto, "eight"], 2, "a number from 0 to 65535");
    mistaken(&[&pluto, "70000"], 2, "a number from 0 to 65535");
    mistaken(&[&pluto, &port, "html/"], 1, "in use");
    mistaken(&[&pluto, "0", "no-such-folder/"], 1, "does not exist");
    mistaken(&[&pluto, "0", &file], 1, "is not a folder");
    mistaken(&["--listen", "nowhere", &pluto, "0"], 2, "--listen");
    mistaken(&["--listen", "192.0.2.1", &pluto, "0"], 1, "not an address of this machine");
    mistaken(&["--memory-max", "much", &pluto, "0"], 2, "a size is a number of bytes");
    mistaken(&["--no-such-option"], 2, "--no-such-option");
}
