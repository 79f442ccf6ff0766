//! How large a component becomes once each component in it is instantiated as often as the file
//! says. A few bytes that instantiate everything before them twice double the result each time,
//! and the engine makes every single instance.

use anyhow::{Context, Result, bail};
use wasmparser::{ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, Instance};

/// What is said of a file that cannot be read to its end.
pub(crate) const DAMAGED: &str = "the component is damaged";

/// How much there is to make of a component, with all that it instantiates. The numbers stop at
/// `u64::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Instances of core modules.
    pub core_instances: u64,
    /// Instances of components.
    pub instances: u64,
    /// Definitions that the engine goes through: imports, exports, aliases, types, functions,
    /// instances and what they are given.
    pub items: u64,
}

impl Weight {
    fn add(&mut self, other: Self) {
        self.core_instances = self.core_instances.saturating_add(other.core_instances);
        self.instances = self.instances.saturating_add(other.instances);
        self.items = self.items.saturating_add(other.items);
    }
}

/// The components that are open while a file is read, from the outermost on.
#[derive(Default)]
pub struct Components {
    open: Vec<Open>,
}

#[derive(Default)]
struct Open {
    weight: Weight,
    /// The component's index space of components: the weight of each. None where it is known only
    /// once that component is instantiated.
    components: Vec<Option<Weight>>,
}

impl Components {
    /// A component begins.
    pub fn begin(&mut self) {
        self.open.push(Open::default());
    }

    /// The innermost component has ended: its weight. What is around it can instantiate it from
    /// now on.
    pub fn end(&mut self) -> Weight {
        let weight = self.open.pop().unwrap_or_default().weight;
        if let Some(parent) = self.open.last_mut() {
            parent.components.push(Some(weight));
            parent.weight.items += 1;
        }
        weight
    }

    /// The weight of the innermost component as far as it is read.
    pub fn open(&self) -> Weight {
        self.open.last().map(|open| open.weight).unwrap_or_default()
    }

    /// So many definitions that make nothing new.
    pub fn items(&mut self, count: u32) {
        if let Some(open) = self.open.last_mut() {
            open.weight.items = open.weight.items.saturating_add(count.into());
        }
    }

    /// An import; whether it is a component.
    pub fn import(&mut self, is_component: bool) {
        self.items(1);
        if is_component {
            self.push(None);
        }
    }

    /// An export; of a component, which is given a second number by that, its number.
    pub fn export(&mut self, component: Option<u32>) -> Result<()> {
        self.items(1);
        if let Some(index) = component {
            let weight = self.component(0, index)?;
            self.push(weight);
        }
        Ok(())
    }

    /// An alias of something in another instance or around the component.
    pub fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<()> {
        self.items(1);
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => self.push(None),
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let weight = self.component(*count, *index)?;
                self.push(weight);
            }
            _ => {}
        }
        Ok(())
    }

    /// An instance of a core module, or one that is put together of exports.
    pub fn core_instance(&mut self, instance: &Instance<'_>) {
        let (made, given) = match instance {
            Instance::Instantiate { args, .. } => (1, args.len()),
            Instance::FromExports(exports) => (0, exports.len()),
        };
        self.add(Weight { core_instances: made, instances: 0, items: 1 + given as u64 });
    }

    /// An instance of a component, or one that is put together of exports.
    pub fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<()> {
        match instance {
            ComponentInstance::FromExports(exports) => {
                self.add(Weight { items: 1 + exports.len() as u64, ..Weight::default() });
            }
            ComponentInstance::Instantiate { component_index, args } => {
                let Some(weight) = self.component(0, *component_index)? else {
                    bail!(
                        "it instantiates a component that it gets by an import or from an instance, \
                         whose size cannot be computed: build the guest of components that stand in its own file"
                    );
                };
                self.add(Weight { core_instances: 0, instances: 1, items: 1 + args.len() as u64 });
                self.add(weight);
            }
        }
        Ok(())
    }

    /// The weight of a component, by its number in the component that stands so many outward.
    fn component(&self, outward: u32, index: u32) -> Result<Option<Weight>> {
        let open = self.open.iter().rev().nth(outward as usize);
        open.and_then(|open| open.components.get(index as usize)).copied().context(DAMAGED)
    }

    fn add(&mut self, weight: Weight) {
        if let Some(open) = self.open.last_mut() {
            open.weight.add(weight);
        }
    }

    fn push(&mut self, component: Option<Weight>) {
        if let Some(open) = self.open.last_mut() {
            open.components.push(component);
        }
    }
}
