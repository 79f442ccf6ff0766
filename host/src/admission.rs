//! Which guests may run: those that import the one interface, export `run`, and nothing else is asked of the host.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload};

use crate::contract::{ENTRY, INTERFACE, ServerPre};
use crate::engine::{self, Engine};
use crate::guest::{self, State};

/// What is in a guest's file.
pub struct Inspection {
    /// Of the file, in bytes.
    pub size: u64,
    /// Of the file.
    pub sha256: [u8; 32],
    /// Whether the file is a core module, which is made a component when it is loaded.
    pub is_core_module: bool,
    /// What it imports, by name.
    pub imports: Vec<String>,
    /// What it exports, by name.
    pub exports: Vec<String>,
    /// The guest, ready to be started; or why it is refused.
    pub admitted: Result<Admitted>,
}

/// A guest that may run. A clone of it shares its code.
#[derive(Clone)]
pub struct Admitted {
    pub(crate) instance: ServerPre<State>,
    /// Whether a pause leaves a state that can be copied is looked up in it when that is first wanted.
    pub(crate) component: Arc<[u8]>,
}

/// Looks at a guest. An error means that the bytes are not a component and cannot be made one.
pub fn inspect(engine: &Engine, bytes: &[u8]) -> Result<Inspection> {
    let component = engine::componentize(bytes)?;
    let (imports, exports) = names(&component)?;
    Ok(Inspection {
        size: bytes.len() as u64,
        sha256: Sha256::digest(bytes).into(),
        is_core_module: Parser::is_core_wasm(bytes),
        admitted: admit(engine, &component, &imports, &exports),
        imports: imports.into_iter().map(|import| import.to_string()).collect(),
        exports,
    })
}

/// Something that a component asks of its host.
struct Import {
    name: String,
    kind: &'static str,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.kind)
    }
}

/// Refuses by name before anything is compiled; then wasmtime checks the code and the types.
fn admit(engine: &Engine, component: &[u8], imports: &[Import], exports: &[String]) -> Result<Admitted> {
    let too_many: Vec<String> =
        imports.iter().filter(|import| import.name != INTERFACE).map(|import| format!("  {import}")).collect();
    if !too_many.is_empty() {
        bail!("it imports more than {INTERFACE}:\n{}{}", too_many.join("\n"), advice(&too_many));
    }
    if !exports.iter().any(|name| name == ENTRY) {
        bail!("it does not export the function `{ENTRY}`: a guest exports the world `server` of wit/system.wit");
    }
    let compiled = engine.compile(component).map_err(|error| anyhow!("it does not compile: {error:#}"))?;
    let instance = guest::link(engine)?
        .instantiate_pre(&compiled)
        .and_then(ServerPre::new)
        .map_err(|error| anyhow!("it does not fit the contract in wit/system.wit: {error:#}"))?;
    Ok(Admitted { instance, component: component.into() })
}

fn advice(imports: &[String]) -> &'static str {
    if imports.iter().any(|name| name.contains("wasi")) {
        "\nIt was built for WASI. Build it for wasm32-unknown-unknown, whose standard library imports nothing."
    } else if imports.iter().any(|name| name.contains("pluto:system")) {
        "\nIt was built against another version of wit/system.wit. Build it again against this one."
    } else {
        ""
    }
}

/// The names of what a component imports and exports, in their order.
fn names(component: &[u8]) -> Result<(Vec<Import>, Vec<String>)> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.context("the component is damaged")? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import?;
                    imports.push(Import { name: import.name.name.to_owned(), kind: kind(&import.ty) });
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export?;
                    if export.kind != ComponentExternalKind::Type {
                        exports.push(export.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    imports.retain(|import: &Import| import.kind != "type");
    Ok((imports, exports))
}

fn kind(item: &ComponentTypeRef) -> &'static str {
    match item {
        ComponentTypeRef::Module(_) => "core module",
        ComponentTypeRef::Func(_) => "function",
        ComponentTypeRef::Value(_) => "value",
        ComponentTypeRef::Type(_) => "type",
        ComponentTypeRef::Instance(_) => "interface",
        ComponentTypeRef::Component(_) => "component",
    }
}
