//! Decides which guests may run: those that import nothing but the one interface, and export
//! `run`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};
use wasmparser::{ComponentExternalKind, ComponentTypeRef, Parser, Payload};

use crate::census::{self, Census};
use crate::contract::{ENTRY, INTERFACE, ServerPre, v0_2};
use crate::engine::{Code, Engine};
use crate::guest_version;
use crate::imports::{self, State};
use crate::toolchain;

/// The content of a guest's file.
pub struct Inspection {
    /// Size of the file in bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Whether the file is a core module, which is converted to a component when it is loaded.
    pub is_core_module: bool,
    /// The guest's imports and exports. None for a guest that is refused because its file contains
    /// too much.
    pub names: Option<Names>,
    /// The guest, ready to be started; or why it is refused.
    pub admitted: Result<Admitted>,
}

/// The names of a guest's imports and exports.
pub struct Names {
    /// The imports, by name, with the kind of each.
    pub imports: Vec<String>,
    /// The exports, by name.
    pub exports: Vec<String>,
}

/// A guest that may run. A clone of it shares its code.
#[derive(Clone)]
pub struct Admitted {
    pub(crate) instance: ServerPre<State>,
    /// The component's bytes. They tell whether the state at a pause can be copied, which is
    /// looked up when it is first needed.
    pub(crate) component: Arc<[u8]>,
}

/// Inspects a guest. An error means that the bytes are not a component and cannot be converted to
/// one. Names from the guest are shortened in errors.
pub fn inspect(engine: &Engine, bytes: &[u8]) -> Result<Inspection> {
    inspect_recorded(engine, bytes, None)
}

/// Inspects a guest for a replay. The guest may also import the interface under the name
/// `earlier`, the contract's name when the trace was recorded.
pub fn inspect_recorded(engine: &Engine, bytes: &[u8], earlier: Option<&str>) -> Result<Inspection> {
    look(engine, bytes, earlier).map_err(|error| told(&error))
}

fn look(engine: &Engine, bytes: &[u8], earlier: Option<&str>) -> Result<Inspection> {
    let made = engine.componentize(bytes)?;
    let component = &*match earlier {
        Some(earlier) => guest_version::renamed(&made.component, earlier)?,
        None => Cow::Borrowed(&made.component[..]),
    };
    let of_file = Inspection {
        size: bytes.len() as u64,
        sha256: Sha256::digest(bytes).into(),
        is_core_module: Parser::is_core_wasm(bytes),
        names: None,
        admitted: Err(anyhow!("not looked at")),
    };
    // Code in the cache passed the census before.
    let kept = engine.kept(component);
    let census = match kept {
        None => match census::count(component) {
            Ok(census) => census,
            Err(error) => return Ok(Inspection { admitted: Err(told(&error)), ..of_file }),
        },
        Some(_) => Census::default(),
    };
    let (imports, exports) = names(component)?;
    let admitted = check_names(component, &imports, &exports).and_then(|()| admit(engine, component, kept, &census));
    if admitted.is_ok() {
        made.keep();
    }
    let names = Names { imports: imports.iter().map(ToString::to_string).collect(), exports };
    Ok(Inspection { names: Some(names), admitted: admitted.map_err(|error| told(&error)), ..of_file })
}

/// Returns an error whose long parts are cut.
fn told(error: &anyhow::Error) -> anyhow::Error {
    anyhow!("{}", pluto_messages::cut(format_args!("{error:#}")))
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

/// Refuses imports and exports by name, before anything is compiled.
fn check_names(component: &[u8], imports: &[Import], exports: &[String]) -> Result<()> {
    let is_ours = |import: &&Import| [INTERFACE, v0_2::INTERFACE].contains(&&*import.name);
    let too_many: Vec<String> = imports.iter().filter(|import| !is_ours(import)).map(ToString::to_string).collect();
    if let Some(refusal) = guest_version::refusal(&too_many) {
        bail!("{refusal}");
    }
    if !too_many.is_empty() {
        let list = pluto_messages::list(too_many.iter().map(String::as_str), "\n  ");
        bail!("it imports more than {INTERFACE}:\n  {list}{}", advice(component, &too_many));
    }
    if !exports.iter().any(|name| name == ENTRY) {
        bail!("it does not export the function `{ENTRY}`: a guest exports the world `server` of wit/system.wit");
    }
    Ok(())
}

/// Compiles the component if it is not in the cache. Then wasmtime checks the types.
fn admit(engine: &Engine, component: &[u8], kept: Option<Code>, census: &Census) -> Result<Admitted> {
    let code = match kept {
        Some(code) => code,
        None => engine
            .compile(component, &census.without_long_names(component))
            .map_err(|error| anyhow!("it does not compile: {error:#}"))?,
    };
    let instance = imports::link(engine)?
        .instantiate_pre(&code.component)
        .and_then(ServerPre::new)
        .map_err(|error| guest_version::misfit(component, &error))?;
    code.keep();
    Ok(Admitted { instance, component: component.into() })
}

fn advice(component: &[u8], imports: &[String]) -> String {
    if imports.iter().any(|name| name.contains("wasi")) {
        format!("\n{}", toolchain::advice_about_wasi(component))
    } else {
        String::new()
    }
}

/// Returns the imports and the names of the exports of a component, in their order.
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
