//! A count of what is in a guest's file, before any of it is compiled. It counts what makes
//! compiling cost far more than the file's size suggests, and what the host keeps of a running
//! guest.
//!
//! The count takes time and memory in proportion to the file, and never recurses, because the
//! bytes come from a stranger. It does not validate the file; the compiler does. It reports in
//! words what a compiler could report only by running out of memory.

mod weight;

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use wasmparser::{
    BinaryReader, ComponentExternalKind, ComponentType, ComponentTypeDeclaration, ComponentTypeRef, ElementItems,
    Encoding, FunctionBody, KnownCustom, Name, NameSectionReader, Operator, Parser, Payload, SectionLimited, TypeRef,
};

pub(crate) use self::weight::DAMAGED;
use self::weight::{Components, Weight};
use crate::limits;

/// What a guest's file holds, all its components and core modules together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Core modules, wherever they stand.
    pub modules: u64,
    /// Components, the outermost included.
    pub components: u64,
    /// How deep the innermost of them stands: 0 for a core module or a component with nothing
    /// inside.
    pub depth: u64,
    /// Functions with a body.
    pub functions: u64,
    /// Types of core modules and of components.
    pub types: u64,
    /// Bytes of the sections with types of components.
    pub type_bytes: u64,
    /// Imports and exports.
    pub names: u64,
    /// Bytes of their names.
    pub name_bytes: u64,
    /// Globals.
    pub globals: u64,
    /// Segments of data and of elements.
    pub segments: u64,
    /// Elements of tables, by the segments that set them.
    pub elements: u64,
    /// Those of them that are expressions, which take more memory than the number of a function.
    pub element_expressions: u64,
    /// The largest of each, over all functions.
    pub largest: Function,
    /// Where custom sections with the names of functions begin, behind the word `name`, if one of
    /// the names is too long to be handed on.
    pub long_names: Vec<usize>,
    /// What the outermost component is once every component in it is instantiated as often as it
    /// is asked for.
    pub expanded: Weight,
}

/// What one function has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Bytes of its body.
    pub bytes: u64,
    /// Locals, without its parameters.
    pub locals: u64,
    /// How deep its blocks are nested.
    pub depth: u64,
    /// Loops.
    pub loops: u64,
    /// How deep its loops are nested.
    pub loop_depth: u64,
    /// Blocks and conditions.
    pub blocks: u64,
    /// Targets of all its `br_table`.
    pub targets: u64,
}

/// Counts what is in a file. An error says which limit it exceeds, or that it is damaged.
pub fn count(bytes: &[u8]) -> Result<Census> {
    let mut counting = Counting { bytes, ..Counting::default() };
    for payload in Parser::new(0).parse_all(bytes) {
        counting.payload(payload.context(DAMAGED)?)?;
    }
    Ok(counting.census)
}

/// A count under way.
#[derive(Default)]
struct Counting<'a> {
    bytes: &'a [u8],
    census: Census,
    components: Components,
    /// What is open, from the outermost on.
    open: Vec<Encoding>,
    /// Memories of the module that is open.
    memories: u64,
}

impl Counting<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::Version { encoding, .. } => self.begin(encoding),
            Payload::End(_) => {
                if self.open.pop() == Some(Encoding::Component) {
                    self.census.expanded = self.components.end();
                }
                Ok(())
            }
            Payload::CodeSectionEntry(body) => self.function(&body),
            Payload::ComponentTypeSection(section) => {
                self.type_bytes(section.range().len())?;
                self.types(section.count())?;
                check_type_depth(&self.bytes[section.range()])
            }
            Payload::CoreTypeSection(section) => {
                self.type_bytes(section.range().len())?;
                self.types(section.count())
            }
            Payload::TypeSection(section) => {
                let mut types = 0;
                for group in section {
                    types += group.context(DAMAGED)?.types().len() as u32;
                }
                self.types(types)
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.context(DAMAGED)?;
                    self.name_bytes(import.module)?;
                    self.name(import.name)?;
                    if matches!(import.ty, TypeRef::Memory(_)) {
                        self.memories(1)?;
                    }
                }
                Ok(())
            }
            Payload::ExportSection(section) => each(section, |export| self.name(export.name)),
            Payload::MemorySection(section) => self.memories(section.count()),
            Payload::TableSection(section) => {
                at_most(section.count().into(), limits::TABLES_OF_MODULE_MAX, "tables in one core module")
            }
            Payload::GlobalSection(section) => {
                add(&mut self.census.globals, section.count(), limits::GLOBALS_MAX, "globals")
            }
            Payload::DataSection(section) => self.segments(section.count()),
            Payload::ElementSection(section) => {
                self.segments(section.count())?;
                each(section, |element| self.elements(&element.items))
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known()
                    && has_long_name(names)
                {
                    self.census.long_names.push(section.data_offset());
                }
                Ok(())
            }
            other => self.of_component(other),
        }
    }
}

impl Census {
    /// The file as it is compiled: without names that are too long.
    pub fn without_long_names<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        const NAME: &[u8] = b"name";
        let mut bytes = Cow::Borrowed(bytes);
        for end in &self.long_names {
            let begin = end - NAME.len();
            assert_eq!(&bytes[begin..*end], NAME, "the word stands before the names");
            // A custom section of another name is passed over, and nothing around it moves.
            bytes.to_mut()[begin..*end].copy_from_slice(b"long");
        }
        bytes
    }
}

impl Counting<'_> {
    fn begin(&mut self, encoding: Encoding) -> Result<()> {
        self.open.push(encoding);
        let depth = self.open.len() as u64 - 1;
        at_most(depth, limits::NESTING_MAX, "components and core modules inside each other")?;
        self.census.depth = self.census.depth.max(depth);
        match encoding {
            Encoding::Module => {
                self.memories = 0;
                add(&mut self.census.modules, 1, limits::MODULES_MAX, "core modules")
            }
            Encoding::Component => {
                self.components.begin();
                add(&mut self.census.components, 1, limits::COMPONENTS_MAX, "components")
            }
        }
    }

    /// What only a component has.
    fn of_component(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentImportSection(section) => each(section, |import| {
                self.name(import.name.name)?;
                self.components.import(matches!(import.ty, ComponentTypeRef::Component(_)));
                self.check_expanded()
            }),
            Payload::ComponentExportSection(section) => each(section, |export| {
                self.name(export.name.name)?;
                let is_component = export.kind == ComponentExternalKind::Component;
                self.components.export(is_component.then_some(export.index))?;
                self.check_expanded()
            }),
            Payload::InstanceSection(section) => each(section, |instance| {
                self.components.core_instance(&instance);
                self.check_expanded()
            }),
            Payload::ComponentInstanceSection(section) => each(section, |instance| {
                self.components.instance(&instance)?;
                self.check_expanded()
            }),
            Payload::ComponentAliasSection(section) => each(section, |alias| {
                self.components.alias(&alias)?;
                self.check_expanded()
            }),
            Payload::ComponentCanonicalSection(section) => {
                self.components.items(section.count());
                self.check_expanded()
            }
            _ => Ok(()),
        }
    }

    /// Fails as soon as the component that is open is too much, so that a sum of what came before
    /// cannot be.
    fn check_expanded(&self) -> Result<()> {
        let Weight { core_instances, instances, items } = self.components.open();
        at_most(core_instances, limits::CORE_INSTANCES_MAX, "core instances, each counted as often as it is made")?;
        at_most(
            instances,
            limits::COMPONENT_INSTANCES_MAX,
            "instances of components, each counted as often as it is made",
        )?;
        at_most(
            items,
            limits::COMPONENT_ITEMS_MAX,
            "definitions, each counted as often as the component around it is made",
        )
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<()> {
        add(&mut self.census.functions, 1, limits::FUNCTIONS_MAX, "functions")?;
        let number = self.census.functions;
        let function = Function::of(body).with_context(|| format!("function {number} of the file"))?;
        self.census.largest.take_larger(&function);
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<()> {
        self.name_bytes(name)?;
        add(&mut self.census.names, 1, limits::NAMES_MAX, "imports and exports")
    }

    fn name_bytes(&mut self, name: &str) -> Result<()> {
        at_most(name.len() as u64, limits::NAME_BYTES_MAX, "bytes in the name of an import or export")?;
        // What has passed the line above fits.
        let (length, max) = (name.len() as u32, limits::NAMES_BYTES_MAX);
        add(&mut self.census.name_bytes, length, max, "bytes in all names of imports and exports")
    }

    fn types(&mut self, count: u32) -> Result<()> {
        if self.open.last() == Some(&Encoding::Component) {
            self.components.items(count);
        }
        add(&mut self.census.types, count, limits::TYPES_MAX, "types")
    }

    fn type_bytes(&mut self, bytes: usize) -> Result<()> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        add(&mut self.census.type_bytes, bytes, limits::TYPE_BYTES_MAX, "bytes of types of components")
    }

    /// The engine could bear several, for it makes modules that copy between two guests' memories.
    /// A module of the guest has one, so that its code is what it was before the engine could.
    fn memories(&mut self, count: u32) -> Result<()> {
        add(
            &mut self.memories,
            count,
            limits::MEMORIES_OF_MODULE_MAX,
            "memories in one core module (multiple memories)",
        )
    }

    fn segments(&mut self, count: u32) -> Result<()> {
        add(&mut self.census.segments, count, limits::SEGMENTS_MAX, "segments of data and elements")
    }

    fn elements(&mut self, items: &ElementItems<'_>) -> Result<()> {
        match items {
            ElementItems::Functions(section) => {
                add(&mut self.census.elements, section.count(), limits::ELEMENTS_MAX, "elements of tables")
            }
            ElementItems::Expressions(_, section) => {
                let (count, max) = (section.count(), limits::ELEMENT_EXPRESSIONS_MAX);
                add(&mut self.census.element_expressions, count, max, "elements of tables that are expressions")
            }
        }
    }
}

impl Function {
    fn of(body: &FunctionBody<'_>) -> Result<Self> {
        let mut function = Self { bytes: body.range().len() as u64, ..Self::default() };
        at_most(function.bytes, limits::FUNCTION_BYTES_MAX, "bytes in its body")?;
        for locals in body.get_locals_reader().context(DAMAGED)? {
            let (count, _) = locals.context(DAMAGED)?;
            add(&mut function.locals, count, limits::LOCALS_MAX, "locals")?;
        }
        // Whether each block that is open is a loop.
        let mut open = Vec::new();
        let mut loop_depth = 0;
        for operator in body.get_operators_reader().context(DAMAGED)? {
            let is_loop = match operator.context(DAMAGED)? {
                Operator::Loop { .. } => true,
                Operator::Block { .. } | Operator::If { .. } => false,
                Operator::End => {
                    loop_depth -= u64::from(open.pop() == Some(true));
                    continue;
                }
                Operator::BrTable { targets } => {
                    let max = limits::BRANCH_TARGETS_MAX;
                    add(&mut function.targets, targets.len(), max, "targets of `br_table`")?;
                    continue;
                }
                _ => continue,
            };
            open.push(is_loop);
            loop_depth += u64::from(is_loop);
            function.add_block(is_loop, open.len() as u64, loop_depth)?;
        }
        Ok(function)
    }

    /// A block that is so deep among blocks and among loops.
    fn add_block(&mut self, is_loop: bool, depth: u64, loop_depth: u64) -> Result<()> {
        if is_loop {
            add(&mut self.loops, 1, limits::LOOPS_MAX, "loops")?;
        } else {
            add(&mut self.blocks, 1, limits::BLOCKS_MAX, "blocks and conditions")?;
        }
        at_most(depth, limits::BLOCKS_NESTED_MAX, "blocks inside each other")?;
        at_most(loop_depth, limits::LOOPS_NESTED_MAX, "loops inside each other")?;
        self.depth = self.depth.max(depth);
        self.loop_depth = self.loop_depth.max(loop_depth);
        Ok(())
    }

    fn take_larger(&mut self, other: &Self) {
        let Self { bytes, locals, depth, loops, loop_depth, blocks, targets } = other;
        self.bytes = self.bytes.max(*bytes);
        self.locals = self.locals.max(*locals);
        self.depth = self.depth.max(*depth);
        self.loops = self.loops.max(*loops);
        self.loop_depth = self.loop_depth.max(*loop_depth);
        self.blocks = self.blocks.max(*blocks);
        self.targets = self.targets.max(*targets);
    }
}

/// Whether the engine would keep a name that is too long. What it cannot read it leaves out.
fn has_long_name(mut sections: NameSectionReader<'_>) -> bool {
    let is_long = |name: &str| name.len() > limits::DEBUG_NAME_BYTES_MAX;
    sections.any(|section| match section {
        Ok(Name::Module { name, .. }) => is_long(name),
        Ok(Name::Function(names)) => names.into_iter().flatten().any(|name| is_long(name.name)),
        _ => false,
    })
}

/// Does something with each item of a section. A section says how many it has, and is not
/// believed.
fn each<'a, T: wasmparser::FromReader<'a>>(
    section: SectionLimited<'a, T>,
    mut with: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    section.into_iter().try_for_each(|item| with(item.context(DAMAGED)?))
}

/// Adds to a sum that has a limit.
fn add(sum: &mut u64, more: u32, max: u64, what: &str) -> Result<()> {
    *sum += u64::from(more);
    at_most(*sum, max, what)
}

fn at_most(found: u64, max: u64, what: &str) -> Result<()> {
    if found > max {
        bail!("it has at least {found} {what}; at most {max} are allowed");
    }
    Ok(())
}

/// How deep the types of components are nested in a section. wasmparser reads them by recursion,
/// and so does everything built on it: a file of a few MiB would exhaust any stack. Only here they
/// are read by a loop.
fn check_type_depth(section: &[u8]) -> Result<()> {
    let mut reader = BinaryReader::new(section, 0);
    // How many declarations are left in each type that is open.
    let mut open = vec![reader.read_var_u32().context(DAMAGED)?];
    while let Some(left) = open.last_mut() {
        let Some(fewer) = left.checked_sub(1) else {
            open.pop();
            continue;
        };
        *left = fewer;
        let is_declaration = open.len() > 1;
        if let Some(declarations) = type_or_leaf(&mut reader, is_declaration).context(DAMAGED)? {
            open.push(declarations);
            at_most(open.len() as u64 - 1, limits::TYPES_NESTED_MAX, "types of components inside each other")?;
        }
    }
    Ok(())
}

/// Reads a type or a declaration in one; of a type that holds declarations only how many.
fn type_or_leaf(reader: &mut BinaryReader<'_>, is_declaration: bool) -> wasmparser::Result<Option<u32>> {
    const TYPE: u8 = 0x01;
    const COMPONENT: u8 = 0x41;
    const INSTANCE: u8 = 0x42;
    if is_declaration {
        if reader.clone().read_u8()? != TYPE {
            return reader.read::<ComponentTypeDeclaration<'_>>().map(|_| None);
        }
        reader.read_u8()?;
    }
    match reader.clone().read_u8()? {
        COMPONENT | INSTANCE => {
            reader.read_u8()?;
            reader.read_var_u32().map(Some)
        }
        _ => reader.read::<ComponentType<'_>>().map(|_| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(text: &str) -> Result<Census> {
        count(&wat::parse_str(text).expect("the text is sound"))
    }

    #[track_caller]
    fn refused(text: &str, says: &str) {
        let error = format!("{:#}", census(text).expect_err("too much"));
        assert!(error.contains(says), "no {says:?} in {error:?}");
    }

    #[test]
    fn what_is_in_a_module_is_counted() {
        let census = census(
            r#"(module (import "a" "b" (func)) (memory 1) (table 3 funcref) (global i32 (i32.const 1))
                (elem (i32.const 0) 0 1) (data (i32.const 0) "x") (export "c" (func 1))
                (func (local i32 i64)
                    (loop (block (loop (br_table 0 1 2 (i32.const 0))))) (if (i32.const 0) (then)))
                (func))"#,
        )
        .expect("little");
        assert_eq!((census.modules, census.components, census.depth), (1, 0, 0));
        assert_eq!((census.functions, census.types, census.names, census.globals), (2, 1, 2, 1));
        assert_eq!((census.segments, census.elements), (2, 2));
        let Function { bytes: _, locals, depth, loops, loop_depth, blocks, targets } = census.largest;
        assert_eq!((locals, depth, loops, loop_depth, blocks, targets), (2, 3, 2, 2, 2, 2));
    }

    #[test]
    fn instances_are_counted_as_often_as_they_are_made() {
        let census = census(
            "(component
                (core module $m)
                (component $one
                    (alias outer 1 $m (core module $m)) (core instance (instantiate $m)) (core instance (instantiate $m)))
                (component $two
                    (alias outer 1 $one (component $again))
                    (instance (instantiate $again)) (instance (instantiate $again)))
                (export $exported \"two\" (component $two))
                (instance (instantiate $exported)) (instance (instantiate $one)))",
        )
        .expect("little");
        let Weight { core_instances, instances, items } = census.expanded;
        assert_eq!((core_instances, instances), (6, 4));
        let (one, two) = (3, 1 + 2 * (1 + 3));
        assert_eq!(items, 3 + (1 + two) + (1 + one), "{census:#?}");
        assert_eq!((census.depth, census.components, census.modules), (1, 3, 1));
    }

    #[test]
    fn doubling_stops_at_the_limit_however_often_it_is_doubled() {
        let levels = |levels: u32| {
            (0..levels).fold("(component $c)".to_owned(), |inner, _| {
                format!("(component $c {inner} (instance (instantiate $c)) (instance (instantiate $c)))")
            })
        };
        let least = limits::COMPONENT_INSTANCES_MAX.ilog2();
        assert!(census(&levels(least - 1)).is_ok());
        for more in [least, 22, 30] {
            refused(&levels(more), "instances of components, each counted as often as it is made");
        }
    }

    /// Also where the doubled component is given, so that it does not stand where it is doubled.
    #[test]
    fn a_component_that_is_not_in_the_file_is_not_instantiated() {
        for given in [
            "(import \"c\" (component $c)) (instance (instantiate $c))",
            "(component $b (component $in) (export \"c\" (component $in))) (instance $i (instantiate $b))
             (alias export $i \"c\" (component $c)) (instance (instantiate $c))",
        ] {
            refused(&format!("(component {given})"), "whose size cannot be computed");
        }
    }

    #[test]
    fn the_second_memory_of_a_module_is_refused() {
        refused("(module (memory 1) (memory 1))", "2 memories in one core module (multiple memories)");
        refused(
            "(module (import \"a\" \"b\" (memory 1)) (memory 1))",
            "2 memories in one core module (multiple memories)",
        );
        assert!(census("(component (core module (memory 1)) (core module (memory 1)))").is_ok());
    }

    #[test]
    fn types_are_counted_without_recursion_however_deep() {
        let nested = |levels: usize| {
            let types = [&[1][..], &b"\x41\x01\x01".repeat(levels), b"\x41\x00"].concat();
            check_type_depth(&types)
        };
        assert!(nested(limits::TYPES_NESTED_MAX as usize - 1).is_ok());
        assert!(nested(limits::TYPES_NESTED_MAX as usize).is_err());
        assert!(nested(1_000_000).is_err_and(|error| error.to_string().contains("inside each other")));
        let types = "(component (type (component (type (instance (export \"a\" (func (param \"b\" string)))))
            (import \"c\" (func)))) (type (list u8)) (type (resource (rep i32))))";
        assert_eq!(census(types).map(|census| census.types).expect("little"), 3);
    }

    #[test]
    fn a_file_that_ends_anywhere_or_lies_is_an_error_and_no_panic() {
        let file = wat::parse_str(
            "(component (type (component (type (func)))) (component $c) (instance (instantiate $c))
                (core module $m (memory 1) (func (loop)) (elem func 0)) (core instance (instantiate $m)))",
        )
        .expect("the text is sound");
        for at in 0..file.len() {
            let _ = count(&file[..at]);
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] = byte;
                let _ = count(&damaged);
            }
        }
    }

    #[test]
    fn names_that_are_too_long_are_left_out_and_nothing_moves() {
        let module = |name: usize| {
            let text = format!("(component (core module ${} (func $f)) (core module $short))", "n".repeat(name));
            wat::parse_str(text).expect("the text is sound")
        };
        let (short, long) = (module(limits::DEBUG_NAME_BYTES_MAX), module(limits::DEBUG_NAME_BYTES_MAX + 1));
        let census = |bytes: &[u8]| count(bytes).expect("little");
        assert_eq!(census(&short).without_long_names(&short), short);
        let shed = census(&long).without_long_names(&long).into_owned();
        assert_eq!(shed.iter().zip(&long).filter(|(a, b)| a != b).count(), 4);
        assert_eq!((census(&long).long_names.len(), census(&shed).long_names.len()), (1, 0));
    }
}
