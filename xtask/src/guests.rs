//! Builds the guests. Each crate beneath `guest/` that is a `cdylib` becomes a component in
//! `target/guests/`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::{Result, host, root, run, say, target};

/// The profile of the root Cargo.toml with which guests are compiled. The folder of the compiled
/// guests has the same name.
const PROFILE: &str = "guest";

/// Builds every guest. The host must have been built: it turns the core modules into components.
pub(crate) fn build(toolchain: &Toolchain) -> Result<()> {
    let names = names()?;
    let cores = target().join("wasm");
    for name in &names {
        let mut cargo = toolchain.cargo();
        // cargo optimises across crates only a crate that is nothing but a `cdylib`. For its
        // tests, a guest is also an `rlib`.
        cargo.args(["rustc", "--locked", "--lib", "--crate-type", "cdylib", "--package", name]);
        cargo.args(["--target", TARGET, "--profile", PROFILE, "--target-dir"]).arg(&cores);
        run(&mut cargo)?;
    }

    let components = target().join("guests");
    fs::create_dir_all(&components).map_err(|error| format!("cannot create {}: {error}", components.display()))?;
    for name in &names {
        let core = cores.join(TARGET).join(PROFILE).join(format!("{}.wasm", name.replace('-', "_")));
        componentize(&core, &components.join(format!("{name}.wasm")))?;
    }
    Ok(())
}

/// Returns the packages beneath `guest/` that are a `cdylib`, in alphabetical order.
fn names() -> Result<Vec<String>> {
    let folder = root().join("guest");
    let entries = fs::read_dir(&folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let manifests = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("Cargo.toml")).ok());
    let mut names: Vec<String> = manifests.filter_map(|manifest| guest_name(&manifest)).collect();
    names.sort();
    Ok(names)
}

/// Returns the name of a manifest's package, if the package is a guest.
pub(crate) fn guest_name(manifest: &str) -> Option<String> {
    let value = |key| manifest.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
    value("crate-type")?.contains("\"cdylib\"").then_some(())?;
    Some(value("name")?.trim().trim_matches('"').to_owned())
}

/// Has the host turn a core module into a component, unless the component is newer than the module
/// and the host.
fn componentize(core: &Path, component: &Path) -> Result<()> {
    if let Some(made) = modified(component)
        && modified(core).is_some_and(|time| time < made)
        && modified(&host()).is_some_and(|time| time < made)
    {
        return Ok(());
    }
    // The component is moved into its place when it is complete, because a running host may be
    // watching the file.
    let unfinished = component.with_extension("wasm.tmp");
    run(Command::new(host()).arg("componentize").arg(core).arg("--output").arg(&unfinished))?;
    fs::rename(&unfinished, component).map_err(|error| format!("cannot write {}: {error}", component.display()))?;
    say(&format!("made {}", component.strip_prefix(root()).unwrap_or(component).display()));
    Ok(())
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::guest_name;

    #[test]
    fn a_guest_is_a_package_that_is_a_cdylib() {
        let guest = "[package]\nname = \"echo\"\n\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n";
        assert_eq!(guest_name(guest).as_deref(), Some("echo"));
        assert_eq!(guest_name("[package]\nname = \"pluto-sdk\"\n"), None);
        assert_eq!(guest_name("[package]\nname = \"x\"\n[lib]\ncrate-type = [\"rlib\"]\n"), None);
    }
}
