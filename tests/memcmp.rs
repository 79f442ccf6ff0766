//! The `memcmp` of guests on the SDK: its results are right in the sandbox, and it does not call
//! itself.

use std::collections::BTreeMap;
use std::fs;

use wasmparser::{Import, KnownCustom, Name, NameSectionReader, Operator, Parser, Payload, TypeRef};

use crate::support::guests;
use crate::support::host;

/// A call of itself, or of a function that does the same, would never end.
#[test]
fn it_calls_nobody() {
    for guest in ["pluto", "echo", "memcmp-check"] {
        let component = fs::read(guests::built(guest)).expect("the guest");
        let calls = calls_of(&component, "memcmp");
        assert_eq!(calls, Some(0), "{guest}: calls in the body of `memcmp`; nothing, if it has none");
    }
}

/// What the test above rests on.
#[test]
fn the_functions_of_a_guest_are_found_by_name() {
    let component = fs::read(guests::built("memcmp-check")).expect("the guest");
    assert!(calls_of(&component, "run").is_some_and(|calls| calls > 0), "its `run` calls what does the work");
    assert_eq!(calls_of(&component, "no such function"), None);
}

#[test]
fn its_answers_are_right_for_all_small_lengths_and_alignments() {
    let guest = guests::built("memcmp-check");
    let ended = host::run([guest.as_os_str(), "0".as_ref()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // 64 alignments, 32 lengths, and two pairs for each place of the first difference, or none.
    let pairs: usize = (0..32).map(|length| 64 * 2 * (length + 1)).sum();
    assert!(ended.output.contains(&format!("compared {pairs} pairs of buffers")), "{ended:?}");
}

/// How many calls there are in the body of the only function with this name; nothing when there is
/// none.
fn calls_of(component: &[u8], name: &str) -> Option<usize> {
    let (mut imported, mut bodies, mut names) = (0, Vec::new(), BTreeMap::new());
    for payload in Parser::new(0).parse_all(first_module(component)) {
        match payload.expect("a sound module") {
            Payload::ImportSection(section) => {
                let is_function = |import: &Import<'_>| matches!(import.ty, TypeRef::Func(_));
                imported = section.into_imports().map(|import| import.expect("an import")).filter(is_function).count();
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(reader) = section.as_known() {
                    names.extend(function_names(reader));
                }
            }
            _ => (),
        }
    }
    let index: usize = *names.get(name)?;
    let operators = bodies[index - imported].get_operators_reader().expect("operators");
    let is_call = |operator: &Operator<'_>| matches!(operator, Operator::Call { .. } | Operator::CallIndirect { .. });
    Some(operators.into_iter().map(|operator| operator.expect("an operator")).filter(is_call).count())
}

/// The guest itself in a component: the modules behind it are glue.
fn first_module(component: &[u8]) -> &[u8] {
    let modules = Parser::new(0).parse_all(component).filter_map(|payload| match payload.expect("a sound component") {
        Payload::ModuleSection { unchecked_range, .. } => Some(unchecked_range),
        _ => None,
    });
    &component[modules.min_by_key(|range| range.start).expect("a module")]
}

/// The functions that have a name, each with its number.
fn function_names(reader: NameSectionReader<'_>) -> Vec<(String, usize)> {
    let functions = reader.into_iter().filter_map(|name| match name.expect("names") {
        Name::Function(names) => Some(names),
        _ => None,
    });
    let names = functions.flatten().map(|naming| naming.expect("a name"));
    names.map(|naming| (naming.name.to_owned(), naming.index as usize)).collect()
}
