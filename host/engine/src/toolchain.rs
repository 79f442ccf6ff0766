//! The toolchain that made a guest, as its `producers` sections name it: advice depends on it.

use wasmparser::{KnownCustom, Parser, Payload};

/// What is advised about a guest that imports WASI.
pub fn advice_about_wasi(wasm: &[u8]) -> &'static str {
    let names = producers(wasm);
    let is_by = |words: &[&str]| names.iter().any(|name| words.iter().any(|word| name.contains(word)));
    if is_by(&["componentize-py", "python"]) {
        "Python imports WASI, and componentize-py leaves it out with the option --stub-wasi."
    } else if is_by(&["componentize-qjs", "quickjs"]) {
        "componentize-qjs leaves WASI out with the options --stub-wasi --sync."
    } else if is_by(&["componentizejs", "componentize-js", "starlingmonkey", "javascript"]) {
        "componentize-js leaves WASI out when all its features are disabled: `jco componentize --disable all`."
    } else if is_by(&["tinygo"]) {
        "TinyGo leaves WASI out with the option -target=wasm-unknown."
    } else if names.iter().any(|name| name == "go") {
        "Go's own compiler always imports WASI: TinyGo leaves it out with the option -target=wasm-unknown."
    } else if is_by(&["rust"]) {
        "It was built for WASI. Build it for wasm32-unknown-unknown, whose standard library imports nothing."
    } else if is_by(&["clang", "zig"]) {
        "It was built for WASI. Build it for wasm32-freestanding or wasm32-unknown-unknown, without a C library."
    } else {
        "It was built for WASI. Build it for a target without it, such as wasm32-unknown-unknown."
    }
}

/// The names of languages and tools in all `producers` sections, in lower case.
fn producers(wasm: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(Payload::CustomSection(section)) = payload else { continue };
        let KnownCustom::Producers(fields) = section.as_known() else { continue };
        for field in fields.into_iter().flatten() {
            names.extend(field.values.into_iter().flatten().map(|value| value.name.to_ascii_lowercase()));
        }
    }
    names
}

/// Why a core module is no guest before anything is made of it; none when it may be one.
pub fn is_no_guest(module: &[u8]) -> Option<&'static str> {
    let (mut has_world, mut has_exports) = (false, false);
    for payload in Parser::new(0).parse_all(module) {
        match payload {
            Ok(Payload::CustomSection(section)) => has_world |= section.name().starts_with("component-type"),
            Ok(Payload::ExportSection(section)) => has_exports |= section.count() > 0,
            _ => {}
        }
    }
    match (has_world, has_exports) {
        (_, false) => Some(
            "a core module that exports nothing: a guest exports `run`. In Rust that takes `crate-type = [\"cdylib\"]` \
             and `pluto_sdk::main!`",
        ),
        (false, true) => Some(
            "a core module without an embedded world, so that nobody knows what its functions mean. wit-bindgen embeds \
             the world when a guest is built; for a module that was built otherwise, `wasm-tools component embed wit/ \
             --world server MODULE --output FILE` does",
        ),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module that says by which tool it was made.
    fn made_by(field: &str, name: &str) -> Vec<u8> {
        let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
        let content = [text("producers"), vec![1], text(field), vec![1], text(name), text("1.0")].concat();
        let size = u8::try_from(content.len()).expect("short");
        [b"\0asm\x01\0\0\0\0".as_slice(), &[size], &content].concat()
    }

    #[test]
    fn the_advice_fits_the_language() {
        for (field, name, says) in [
            ("language", "Rust", "wasm32-unknown-unknown"),
            ("language", "JavaScript", "--disable all"),
            ("processed-by", "ComponentizeJS", "--disable all"),
            ("processed-by", "componentize-qjs", "--stub-wasi --sync"),
            ("processed-by", "componentize-py", "--stub-wasi"),
            ("processed-by", "TinyGo", "-target=wasm-unknown"),
            ("language", "Go", "TinyGo leaves it out"),
            ("processed-by", "clang", "without a C library"),
            ("processed-by", "something else", "a target without it"),
        ] {
            let advice = advice_about_wasi(&made_by(field, name));
            assert!(advice.contains(says), "{name}: {advice}");
        }
    }

    #[test]
    fn a_module_that_is_no_guest_is_told_why() {
        let why = |text: &str| is_no_guest(&wat::parse_str(text).expect("a module"));
        assert!(why("(module)").is_some_and(|why| why.contains("exports nothing")));
        assert!(why("(module (func (export \"run\")))").is_some_and(|why| why.contains("component embed")));
        let embedded = "(module (@custom \"component-type:server\" \"\") (func (export \"run\")))";
        assert_eq!(why(embedded), None);
    }
}
