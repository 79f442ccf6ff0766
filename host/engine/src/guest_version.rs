//! Guests that were built for another version of the contract: the message that they get, and how
//! a replay admits them.

use std::borrow::Cow;

use anyhow::{Context, Error, Result, anyhow, ensure};
use wasmparser::{Parser, Payload};

use crate::census::DAMAGED;
use crate::contract::shape::{Difference, Shape};
use crate::contract::v0_2;
use pluto_contract::versions::{RELEASED, SPOKEN};

/// The contract of this host.
const CONTRACT: &str = include_str!("../../../wit/system.wit");

/// What the name of the interface begins with, whatever its version.
const ANY_VERSION: &str = "pluto:system/io";

/// Functions and types that are told of those in which a guest differs: one change can show in
/// several.
const DIFFERENCES_TOLD: usize = 3;

/// What a guest must be built with.
const BUILD: &str = "build it again with the pluto-sdk of this pluto-host, or against its wit/ in another language";

/// Why a guest is refused that imports these besides the interface of this host, if one of them is
/// another version of the interface.
pub fn refusal(imports: &[String]) -> Option<String> {
    let version = imports.iter().find_map(|import| {
        let rest = import.strip_prefix(ANY_VERSION)?.split(' ').next()?;
        if rest.is_empty() { Some("without a version") } else { rest.strip_prefix('@') }
    })?;
    let spoken = SPOKEN.number;
    let newer = numbers(version) > numbers(spoken);
    let or = if newer { ", or run it with a pluto-host that speaks its version" } else { "" };
    Some(format!("this guest was built for pluto:system {version}, and this pluto-host speaks {spoken}: {BUILD}{or}"))
}

/// The three numbers of a version; none when the version is of another form.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let three = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(three)
}

/// Why a component does not fit the contract that it imports, though it imports no more than the
/// contract by its names.
pub fn misfit(component: &[u8], error: &wasmtime::Error) -> Error {
    let is_earlier = component.windows(v0_2::INTERFACE.len()).any(|name| name == v0_2::INTERFACE.as_bytes());
    let (version, contract) = if is_earlier { (&RELEASED[0], v0_2::DOCUMENT) } else { (&SPOKEN, CONTRACT) };
    let version = version.number;
    let differences = Shape::of_component(component).and_then(|guest| {
        let host = Shape::of_document(contract)?;
        Ok(guest.differences(&host).take(DIFFERENCES_TOLD).map(told).collect::<Vec<_>>())
    });
    match differences {
        Ok(differences) if !differences.is_empty() => anyhow!(
            "it does not fit the contract in wit/system.wit: this guest was built for another pluto:system {version} \
             than that of this pluto-host, in which {}: {BUILD}",
            differences.join(", and ")
        ),
        _ => anyhow!("it does not fit the contract in wit/system.wit: {error:#}"),
    }
}

fn told(difference: Difference) -> String {
    match difference {
        Difference::Missing(name) => format!("there is no `{name}`"),
        Difference::Part { name, here: Some(here), there: Some(there) } => {
            format!("`{name}` has `{there}` where the guest has `{here}`")
        }
        Difference::Part { name, here: Some(here), there: None } => format!("`{name}` has no `{here}`"),
        Difference::Part { name, there, .. } => format!("`{name}` has `{}` besides", there.unwrap_or_default()),
    }
}

/// The component with the import `earlier` under the name of 0.2.0, whose contract it was. The
/// types are checked as for every other guest.
pub fn renamed<'a>(component: &'a [u8], earlier: &str) -> Result<Cow<'a, [u8]>> {
    ensure!(
        earlier.len() == v0_2::INTERFACE.len(),
        "a name is replaced by one of the same length, so that nothing moves"
    );
    let (mut renamed, mut depth) = (Cow::Borrowed(component), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.context(DAMAGED)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let name = import.context(DAMAGED)?.name.name;
                    if name == earlier {
                        let begin = name.as_ptr().addr() - component.as_ptr().addr();
                        renamed.to_mut()[begin..begin + name.len()].copy_from_slice(v0_2::INTERFACE.as_bytes());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(import: &str) -> Option<String> {
        refusal(&[format!("{import} (interface)")])
    }

    #[test]
    fn both_versions_are_told() {
        for (import, says, newer) in [
            ("pluto:system/io@0.1.0", "pluto:system 0.1.0, and", false),
            ("pluto:system/io@0.10.0", "pluto:system 0.10.0, and", true),
            ("pluto:system/io@1.0.0-rc.1", "pluto:system 1.0.0-rc.1, and", false),
            ("pluto:system/io", "pluto:system without a version, and", false),
        ] {
            let refused = refused(import).expect("it is another version");
            assert!(refused.contains(says) && refused.contains(SPOKEN.number), "{refused}");
            assert_eq!(refused.contains("speaks its version"), newer, "{refused}");
        }
        assert_eq!(refused("wasi:io/poll@0.2.0"), None);
    }
}
