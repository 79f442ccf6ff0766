//! Guests for tests: the built ones, and small ones that are written as text.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, WorldId};

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository")
}

/// A guest that `cargo xtask build` has left in target/guests.
pub fn built(name: &str) -> PathBuf {
    let path = repository().join("target/guests").join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `cargo xtask build` first", path.display());
    path
}

/// A core module that begins with the prelude, with the world of wit/ embedded: what a compiler
/// makes of a guest.
pub fn module(body: &str) -> Vec<u8> {
    embedded(&format!("(module\n{PRELUDE}\n{body})"))
}

/// The same with a memory of so many pages at most.
pub fn module_with_pages(pages_max: u32, body: &str) -> Vec<u8> {
    let memory = "(memory (export \"memory\") 2";
    assert!(PRELUDE.contains(memory));
    let prelude = PRELUDE.replace(memory, &format!("{memory} {pages_max}"));
    embedded(&format!("(module\n{prelude}\n{body})"))
}

const PRELUDE: &str = include_str!("../guests/prelude.wat");

/// The same for another contract, which this WIT document is.
pub fn module_for(wit: &str, body: &str) -> Vec<u8> {
    let version = wit.split(['@', ';']).nth(1).expect("a version");
    let prelude = PRELUDE.replace(&format!("@{SPOKEN}\""), &format!("@{version}\""));
    let mut resolve = Resolve::default();
    let package = resolve.push_str("system.wit", wit).expect("the document is sound");
    embed(&format!("(module\n{prelude}\n{body})"), &world(resolve, package))
}

/// The contract that the prelude imports.
const SPOKEN: &str = "0.3.0";

fn embedded(text: &str) -> Vec<u8> {
    static WORLD: LazyLock<(Resolve, WorldId)> = LazyLock::new(|| {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(repository().join("wit")).expect("wit/ is sound");
        world(resolve, package)
    });
    embed(text, &WORLD)
}

fn world(resolve: Resolve, package: PackageId) -> (Resolve, WorldId) {
    let world = resolve.select_world(&[package], Some("server")).expect("the world is there");
    (resolve, world)
}

fn embed(text: &str, (resolve, world): &(Resolve, WorldId)) -> Vec<u8> {
    let mut module = wat::parse_str(text).expect("the text is sound");
    embed_component_metadata(&mut module, resolve, *world, StringEncoding::UTF8).expect("the world is embedded");
    module
}

/// A guest whose `run` is this body.
pub fn run(body: &str) -> Vec<u8> {
    module(&format!("(func (export \"run\") (param i32 i32) (result i32)\n{body})"))
}
