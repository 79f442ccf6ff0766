//! The shape of a world: its functions and types without documentation, in a form of its own.
//!
//! The identity of the contract is a digest of this form. The form depends on what binds a guest
//! and a host, and on nothing else: the names, the types, and the order of parameters, fields and
//! cases, which is the ABI. It depends neither on comments and white space, nor on the order of
//! declarations, nor on the package's version, nor on how a release of wit-parser prints a world.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem};

/// The world that a guest is built for.
const WORLD: &str = "server";

/// The imports and exports of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Each function and type by its whole name: what it is, and then its parts in order.
    items: BTreeMap<String, Vec<String>>,
}

impl Shape {
    /// Reads the shape of the world `server` in a WIT document. An error says what is wrong with
    /// the document.
    pub fn of_document(wit: &str) -> Result<Self> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("system.wit", wit)?;
        let world = resolve.select_world(&[package], Some(WORLD))?;
        Ok(Shaper { resolve: &resolve }.world(world))
    }

    /// Reads the shape of the world that a component was built for, as far as the component uses
    /// the world.
    pub fn of_component(component: &[u8]) -> Result<Self> {
        match decode(component)? {
            DecodedWasm::Component(resolve, world) => Ok(Shaper { resolve: &resolve }.world(world)),
            DecodedWasm::WitPackage(..) => bail!("it is a package of WIT, and no component"),
        }
    }

    /// Returns the identity: the SHA-256 of the form.
    pub fn identity(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (name, parts) in &self.items {
            // No name and no type holds a line break.
            digest.update(format!("{name} = {}\n", parts.join("\n  ")));
        }
        digest.finalize().into()
    }

    /// Returns the items of this shape that are missing or different in `other`, each with its
    /// first part that differs.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Difference> + 'a {
        self.items.iter().filter_map(|(name, parts)| {
            let Some(theirs) = other.items.get(name) else { return Some(Difference::Missing(name.clone())) };
            let count = parts.len().max(theirs.len());
            let differs = (0..count).find(|&part| parts.get(part) != theirs.get(part))?;
            let part = |parts: &[String]| parts.get(differs).cloned();
            Some(Difference::Part { name: name.clone(), here: part(parts), there: part(theirs) })
        })
    }
}

/// A function or type in which two shapes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The second shape lacks the function or type of this name.
    Missing(String),
    /// A part of the function or type differs.
    Part {
        /// The whole name of the function or type.
        name: String,
        /// The first part that differs, in the first shape; none when the first shape has no more
        /// parts.
        here: Option<String>,
        /// The same part in the second shape.
        there: Option<String>,
    },
}

struct Shaper<'a> {
    resolve: &'a Resolve,
}

impl Shaper<'_> {
    fn world(&self, id: WorldId) -> Shape {
        let world = &self.resolve.worlds[id];
        let mut items = BTreeMap::new();
        for (direction, all) in [("import", &world.imports), ("export", &world.exports)] {
            for (key, item) in all {
                match item {
                    WorldItem::Interface { id, .. } => self.interface(direction, *id, &mut items),
                    WorldItem::Function(function) => {
                        items.insert(format!("{direction} {}", function.name), self.function(function));
                    }
                    WorldItem::Type { id, .. } => {
                        let name = self.resolve.name_world_key(key);
                        items.insert(format!("type {name}"), self.definition(*id));
                    }
                }
            }
        }
        Shape { items }
    }

    fn interface(&self, direction: &str, id: InterfaceId, items: &mut BTreeMap<String, Vec<String>>) {
        let interface = &self.resolve.interfaces[id];
        let prefix = self.interface_name(id);
        items.insert(format!("{direction} {prefix}"), vec!["interface".to_owned()]);
        for id in interface.types.values() {
            items.insert(format!("type {}", self.name(&Type::Id(*id))), self.definition(*id));
        }
        for function in interface.functions.values() {
            items.insert(format!("{direction} {prefix}.{}", function.name), self.function(function));
        }
    }

    /// Returns the name without the package's version.
    fn interface_name(&self, id: InterfaceId) -> String {
        let name = self.resolve.id_of(id).unwrap_or_else(|| "inline".to_owned());
        name.split('@').next().unwrap_or_default().to_owned()
    }

    fn function(&self, function: &Function) -> Vec<String> {
        let kind = if function.kind.is_async() { "async func" } else { "func" };
        let parameters = function.params.iter().map(|it| format!("{}: {}", it.name, self.name(&it.ty)));
        let result = function.result.iter().map(|it| format!("-> {}", self.name(it)));
        std::iter::once(kind.to_owned()).chain(parameters).chain(result).collect()
    }

    /// Writes a type where it is used: by its name when it has one.
    fn name(&self, of: &Type) -> String {
        let Type::Id(id) = of else { return primitive(of).to_owned() };
        let definition = &self.resolve.types[*id];
        match (&definition.name, definition.owner) {
            (Some(name), TypeOwner::Interface(owner)) => format!("{}.{name}", self.interface_name(owner)),
            (Some(name), TypeOwner::World(_) | TypeOwner::None) => name.clone(),
            (None, _) => {
                let parts = self.definition(*id);
                format!("{}<{}>", parts[0], parts[1..].join(", "))
            }
        }
    }

    /// Writes the kind of a type, and its parts.
    fn definition(&self, id: TypeId) -> Vec<String> {
        let kind = &self.resolve.types[id].kind;
        let name = |it: &Type| self.name(it);
        let maybe = |it: &Option<Type>| it.as_ref().map_or_else(|| "_".to_owned(), name);
        let parts = match kind {
            TypeDefKind::Record(it) => {
                it.fields.iter().map(|field| format!("{}: {}", field.name, name(&field.ty))).collect()
            }
            TypeDefKind::Variant(it) => {
                let payload = |of: &Option<Type>| of.as_ref().map_or_else(String::new, |of| format!("({})", name(of)));
                it.cases.iter().map(|case| case.name.clone() + &payload(&case.ty)).collect()
            }
            TypeDefKind::Enum(it) => it.cases.iter().map(|case| case.name.clone()).collect(),
            TypeDefKind::Flags(it) => it.flags.iter().map(|flag| flag.name.clone()).collect(),
            TypeDefKind::Tuple(it) => it.types.iter().map(name).collect(),
            TypeDefKind::Option(it) | TypeDefKind::List(it) | TypeDefKind::Type(it) => vec![name(it)],
            TypeDefKind::Result(it) => vec![maybe(&it.ok), maybe(&it.err)],
            TypeDefKind::Map(key, value) => vec![name(key), name(value)],
            TypeDefKind::FixedLengthList(it, length) => vec![name(it), length.to_string()],
            TypeDefKind::Future(it) | TypeDefKind::Stream(it) => vec![maybe(it)],
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => vec![name(&Type::Id(*id))],
            TypeDefKind::Resource | TypeDefKind::Unknown => Vec::new(),
        };
        std::iter::once(kind.as_str().to_owned()).chain(parts).collect()
    }
}

fn primitive(of: &Type) -> &'static str {
    match of {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::INTERFACE;
    use pluto_contract::versions::SPOKEN;
    use pluto_trace::hex::hex;

    const WIT: &str = include_str!("../../../../wit/system.wit");

    fn identity(wit: &str) -> [u8; 32] {
        Shape::of_document(wit).expect("the document is sound").identity()
    }

    fn changed(from: &str, to: &str) -> String {
        assert_eq!(WIT.matches(from).count(), 1, "{from:?}");
        WIT.replace(from, to)
    }

    #[test]
    fn comments_white_space_and_the_version_do_not_matter() {
        let bare: String = WIT.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let version = WIT.lines().next().expect("a line");
        for same in [
            bare,
            WIT.replace('\n', "\r\n  "),
            WIT.replace("///", "//"),
            WIT.replace("\n\n", "\n// a comment\n\n\n"),
            changed("package pluto:system", "/* a block\n/* inside another */ */ package pluto:system"),
            changed(version, "package pluto:system@7.8.9;"),
            // The last comma may be left out, and a declaration may stand elsewhere.
            changed(
                "    ipv6(tuple<u16, u16, u16, u16, u16, u16, u16, u16>),\n",
                "    ipv6(tuple<u16, u16, u16, u16, u16, u16, u16, u16>)\n",
            ),
            changed("  type id = u64;\n", "").replacen(
                "  record submission",
                "  type id = u64;\n  record submission",
                1,
            ),
        ] {
            assert_eq!(identity(&same), identity(WIT), "{same}");
        }
    }

    #[test]
    fn every_real_change_is_another_contract() {
        let mut seen = vec![identity(WIT)];
        for (from, to) in [
            // A case: another name, another payload, one more, one less, another place.
            ("    gather,\n", "    collect,\n"),
            ("    gather,\n", "    gather(u8),\n"),
            ("    gather,\n", "    gather,\n    measure,\n"),
            ("    gather,\n", ""),
            ("    stop,\n", ""),
            ("    regular,\n    directory,\n", "    directory,\n    regular,\n"),
            ("    log-lost(u64),\n", "    log-lost(u32),\n"),
            // A field: the same.
            ("    ends: bool,\n", "    closes: bool,\n"),
            ("    ends: bool,\n", "    ends: u8,\n"),
            ("    ends: bool,\n", "    ends: bool,\n    late: bool,\n"),
            ("    ends: bool,\n", ""),
            ("    id: id,\n    request: request,\n", "    request: request,\n    id: id,\n"),
            // A type, also where it is only another name.
            ("  type id = u64;", "  type id = s64;"),
            ("  type path = list<u8>;", "  type path = string;"),
            ("    ipv4(tuple<u8, u8, u8, u8>),", "    ipv4(tuple<u8, u8, u8>),"),
            ("    gathered(list<list<u8>>),", "    gathered(list<u8>),"),
            // A function, and the world.
            ("  receive: func() -> list<answer>;", "  take: func() -> list<answer>;"),
            ("  receive: func() -> list<answer>;", "  receive: func() -> answer;"),
            ("  log: func(level: level, message: string);", "  log: func(message: string, level: level);"),
            ("  log: func(level: level, message: string);", "  log: func(weight: level, message: string);"),
            ("  time: func() -> u64;", ""),
            ("  time: func() -> u64;", "  time: func() -> u64;\n  sleep: func();"),
            ("  export run: func(args: list<string>) -> outcome;", "  export run: func(args: string) -> outcome;"),
            ("    exit(u8),\n", "    exit(u16),\n"),
            ("interface io {", "interface other { use io.{handle}; } interface io {"),
        ] {
            let wit = changed(from, to);
            // An interface that the world does not import is not in the world.
            if from == "interface io {" {
                assert_eq!(identity(&wit), seen[0]);
                continue;
            }
            let identity = identity(&wit);
            assert!(!seen.contains(&identity), "{from:?} as {to:?}");
            seen.push(identity);
        }
    }

    #[test]
    fn a_difference_is_named() {
        let here = Shape::of_document(WIT).expect("sound");
        let there = Shape::of_document(&changed("    ends: bool,\n", "    ends: u8,\n")).expect("sound");
        assert_eq!(here.differences(&here).next(), None);
        let (ends, ended) = (Some("ends: bool".to_owned()), Some("ends: u8".to_owned()));
        let part = Difference::Part { name: "type pluto:system/io.write".to_owned(), here: ends, there: ended };
        assert_eq!(here.differences(&there).collect::<Vec<_>>(), [part]);
        let there = Shape::of_document(&changed("  time: func() -> u64;\n", "")).expect("sound");
        let missing = Difference::Missing("import pluto:system/io.time".to_owned());
        assert_eq!(here.differences(&there).collect::<Vec<_>>(), [missing]);
    }

    #[test]
    fn the_spoken_version_is_that_of_the_contract() {
        assert_eq!(
            hex(&identity(WIT)),
            hex(&SPOKEN.identity),
            "wit/system.wit has changed: give its package another version, put a copy without documentation into \
             wit/released/, and add both to the table"
        );
        assert!(WIT.starts_with(&format!("package pluto:system@{};\n", SPOKEN.number)));
        assert_eq!(INTERFACE, format!("pluto:system/io@{}", SPOKEN.number));
    }
}
