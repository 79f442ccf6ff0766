//! Calls `run` where wasmtime no longer does. After a trap in a store, wasmtime enters no
//! component of it, and the probe has trapped. The component itself took no part in that. So its
//! core function is called directly, and this file does what the Canonical ABI does for a
//! `func(args: list<string>) -> outcome`, in the same order.

use hashbrown::HashSet;
use wasmparser::{CanonicalFunction, CanonicalOption, ComponentAlias, ExternalKind, Parser, Payload};
use wasmtime::{AsContextMut, Instance, Memory, Result, TypedFunc, WasmCoreDump, bail};

use crate::contract::Outcome;

/// Which exports of one core module a component's `run` is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RunLayout {
    run: String,
    memory: String,
    realloc: Option<String>,
    post_return: Option<String>,
}

/// An alias of a core module's export.
#[derive(Clone)]
struct Alias {
    instance: u32,
    name: String,
}

impl RunLayout {
    /// Looks it up in a component. None when `run` is made in another way than compilers and
    /// `wit-component` do it.
    pub fn of(component: &[u8]) -> Option<Self> {
        let plan = Plan::of(component)?;
        // One function is lifted: it is the exported one.
        let [(run, options)] = &plan.lifts[..] else { return None };
        let layout = Self::named(*run, options, &plan.functions, &plan.memories)?;
        // Among all instances it can be told by its name.
        let is_one = |exports: &&Vec<String>| exports.contains(&layout.run);
        let modules = plan.modules.iter().filter(is_one).count();
        let mut seen = HashSet::new();
        let once = plan.instances.iter().flatten().all(|module| seen.insert(*module));
        // Instances that are only put together of exports can name them anew.
        let is_of_module = plan.is_of_module(*run);
        (modules == 1 && once && is_of_module).then_some(layout)
    }

    fn named(
        run: u32,
        options: &[CanonicalOption],
        functions: &[Option<Alias>],
        memories: &[Option<Alias>],
    ) -> Option<Self> {
        let find = |aliases: &[Option<Alias>], index: u32| aliases.get(index as usize).cloned().flatten();
        let run = find(functions, run)?;
        let name = |aliases: &[Option<Alias>], index: u32| {
            find(aliases, index).filter(|alias| alias.instance == run.instance).map(|alias| alias.name)
        };
        let mut layout = Self { run: run.name.clone(), ..Self::default() };
        for option in options {
            match option {
                CanonicalOption::UTF8 => {}
                CanonicalOption::Memory(index) => layout.memory = name(memories, *index)?,
                CanonicalOption::Realloc(index) => layout.realloc = Some(name(functions, *index)?),
                CanonicalOption::PostReturn(index) => layout.post_return = Some(name(functions, *index)?),
                _ => return None,
            }
        }
        (!layout.memory.is_empty()).then_some(layout)
    }
}

/// What stands in a component, and not in one inside it.
#[derive(Default)]
struct Plan {
    /// The core functions: those that are exports.
    functions: Vec<Option<Alias>>,
    memories: Vec<Option<Alias>>,
    lifts: Vec<(u32, Box<[CanonicalOption]>)>,
    /// The exports of each core module.
    modules: Vec<Vec<String>>,
    /// The module of each core instance; none of one that is put together of exports.
    instances: Vec<Option<u32>>,
}

impl Plan {
    /// None when the component is damaged, or holds other components.
    fn of(component: &[u8]) -> Option<Self> {
        let mut plan = Self::default();
        for payload in Parser::new(0).parse_all(component) {
            match payload.ok()? {
                Payload::ComponentSection { .. } => return None,
                Payload::ModuleSection { .. } => plan.modules.push(Vec::new()),
                Payload::ExportSection(section) => {
                    let names = section.into_iter().map(|export| export.map(|export| export.name.to_owned()));
                    plan.modules.last_mut()?.extend(names.collect::<wasmparser::Result<Vec<_>>>().ok()?);
                }
                Payload::InstanceSection(section) => {
                    for instance in section {
                        plan.instances.push(match instance.ok()? {
                            wasmparser::Instance::Instantiate { module_index, .. } => Some(module_index),
                            wasmparser::Instance::FromExports(_) => None,
                        });
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    section.into_iter().try_for_each(|alias| alias.map(|alias| plan.alias(&alias))).ok()?;
                }
                Payload::ComponentCanonicalSection(section) => {
                    section.into_iter().try_for_each(|function| function.map(|it| plan.function(it))).ok()?;
                }
                _ => {}
            }
        }
        Some(plan)
    }

    /// Whether a core function is an export of an instance that is one of a module.
    fn is_of_module(&self, function: u32) -> bool {
        let alias = self.functions.get(function as usize).and_then(Option::as_ref);
        alias.is_some_and(|alias| matches!(self.instances.get(alias.instance as usize), Some(Some(_))))
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        let ComponentAlias::CoreInstanceExport { kind, instance_index, name } = alias else { return };
        let alias = Some(Alias { instance: *instance_index, name: (*name).to_owned() });
        match kind {
            ExternalKind::Func => self.functions.push(alias),
            ExternalKind::Memory => self.memories.push(alias),
            _ => {}
        }
    }

    fn function(&mut self, function: CanonicalFunction) {
        match function {
            CanonicalFunction::Lift { core_func_index, options, .. } => self.lifts.push((core_func_index, options)),
            _ => self.functions.push(None),
        }
    }
}

/// The core functions themselves.
pub struct RunExport {
    run: TypedFunc<(u32, u32), u32>,
    realloc: Option<TypedFunc<(u32, u32, u32, u32), u32>>,
    post_return: Option<TypedFunc<u32, ()>>,
    memory: Memory,
}

impl RunExport {
    /// Finds them among the instances of a store. None when there are none, or more than one.
    pub fn find(mut store: impl AsContextMut, layout: &RunLayout, dump: &WasmCoreDump) -> Option<Self> {
        let mut found: Vec<Self> = Vec::new();
        for instance in dump.instances() {
            found.extend(Self::of(&mut store, layout, instance));
        }
        found.pop().filter(|_| found.is_empty())
    }

    fn of(mut store: impl AsContextMut, layout: &RunLayout, instance: &Instance) -> Option<Self> {
        let run = instance.get_typed_func(&mut store, &layout.run).ok()?;
        let memory = instance.get_memory(&mut store, &layout.memory)?;
        let realloc = match &layout.realloc {
            Some(name) => Some(instance.get_typed_func(&mut store, name).ok()?),
            None => None,
        };
        let post_return = match &layout.post_return {
            Some(name) => Some(instance.get_typed_func(&mut store, name).ok()?),
            None => None,
        };
        Some(Self { run, realloc, post_return, memory })
    }

    /// Calls `run`.
    pub fn call_run(&self, mut store: impl AsContextMut, arguments: &[String]) -> Result<Outcome> {
        let list = self.lower(&mut store, arguments)?;
        let result = self.run.call(&mut store, (list, arguments.len() as u32))?;
        let mut bytes = [0; 2];
        self.memory.read(&store, result as usize, &mut bytes)?;
        if let Some(post_return) = &self.post_return {
            post_return.call(&mut store, result)?;
        }
        match bytes {
            [0, code] => Ok(Outcome::Exit(code)),
            [1, _] => Ok(Outcome::Paused),
            [case, _] => bail!("unexpected discriminant: {case}"),
        }
    }

    /// Puts a list of strings into the guest's memory: its address.
    fn lower(&self, mut store: impl AsContextMut, arguments: &[String]) -> Result<u32> {
        let list = self.allocate(&mut store, 4, 8 * arguments.len())?;
        for (index, argument) in arguments.iter().enumerate() {
            let text = self.allocate(&mut store, 1, argument.len())?;
            self.memory.write(&mut store, text as usize, argument.as_bytes())?;
            let element = [text.to_le_bytes(), (argument.len() as u32).to_le_bytes()].concat();
            self.memory.write(&mut store, list as usize + 8 * index, &element)?;
        }
        Ok(list)
    }

    fn allocate(&self, store: impl AsContextMut, align: u32, size: usize) -> Result<u32> {
        let Some(realloc) = &self.realloc else { bail!("the guest has no function to allocate its arguments") };
        let address = realloc.call(store, (0, 0, align, size as u32))?;
        if !address.is_multiple_of(align) {
            bail!("realloc return: result not aligned");
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with a module that exports two functions of the type of `run`, a lift, and
    /// more.
    fn layout(more: &str, lift: &str) -> Option<RunLayout> {
        let text = format!(
            "(component
              (core module $module
                (func (export \"real\") (param i32 i32) (result i32) unreachable)
                (func (export \"run\") (param i32 i32) (result i32) unreachable)
                (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) unreachable)
                (memory (export \"memory\") 1))
              (core instance $instance (instantiate $module))
              {more}
              (func (export \"run\") (param \"args\" (list string)) (result u32) (canon lift {lift})))"
        );
        RunLayout::of(&wat::parse_str(text).expect("the text is sound"))
    }

    const LIFT: &str =
        "(core func $instance \"run\") (memory $instance \"memory\") (realloc (func $instance \"realloc\"))";

    #[test]
    fn run_is_found_as_compilers_make_it() {
        let realloc = Some("realloc".to_owned());
        let expected = RunLayout { run: "run".into(), memory: "memory".into(), realloc, post_return: None };
        assert_eq!(layout("", LIFT), Some(expected));
    }

    #[test]
    fn what_is_not_certain_is_left_alone() {
        let bag = "(core instance $bag (export \"run\" (func $instance \"real\")) \
                   (export \"memory\" (memory $instance \"memory\")) (export \"realloc\" (func $instance \"realloc\")))";
        for (more, lift) in [
            (bag, LIFT.replace("$instance", "$bag")),
            ("", format!("{LIFT} string-encoding=utf16")),
            ("(core instance $again (instantiate $module))", LIFT.to_owned()),
            ("(core module (func (export \"run\")))", LIFT.to_owned()),
            ("(component)", LIFT.to_owned()),
            (
                &*format!("(func (result u32) (canon lift {LIFT}))")
                    .replace("(result", "(param \"args\" (list string)) (result"),
                LIFT.to_owned(),
            ),
        ] {
            assert_eq!(layout(more, &lift), None, "{more}");
        }
    }
}
