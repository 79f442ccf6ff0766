//! What executes a guest, by name.

/// What executes a guest. A run is the same on each, but for how deep a guest can recurse before
/// its stack is exhausted: that depends on the code which a compiler makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The processor, by code that Cranelift makes for it.
    #[default]
    Native,
    /// wasmtime's interpreter, whose code is the same for every processor; slower by far.
    Pulley,
}

/// The version of wasmtime, as `Cargo.lock` has it: wasmtime itself does not tell.
const WASMTIME: &str = "48.0.8";

/// Pulley's code for a machine with addresses of 64 bits, least significant byte first.
pub const PULLEY: &str = "pulley64";

impl EngineKind {
    /// The engine's name, version and target, such as `wasmtime 48.0.8 x86_64`.
    pub fn name(self) -> String {
        let architecture = match self {
            Self::Native => std::env::consts::ARCH,
            Self::Pulley => PULLEY,
        };
        format!("wasmtime {WASMTIME} {architecture}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_wasmtime() {
        let packages = include_str!("../../../Cargo.lock");
        let line = format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n");
        assert!(packages.contains(&line), "Cargo.lock has another version: change WASMTIME");
    }
}
