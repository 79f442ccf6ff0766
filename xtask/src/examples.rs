//! `cargo xtask examples`: builds the guests of `examples/` as a stranger would build them, from
//! their own manifests. They are not members of the workspace.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::guests::guest_name;
use crate::install::Asked;
use crate::toolchain::{self, TARGET};
use crate::workspace::{Result, cargo, host, root, run, say, target};

/// Builds each example for WebAssembly, has the host inspect the result, and runs the example's
/// own tests. The host must have been built. All examples share one target folder, so that
/// Debian's standard library is built once.
pub(crate) fn examples(asked: Asked) -> Result<()> {
    let folder = root().join("examples");
    let manifests = manifests(&folder)?;
    if manifests.is_empty() {
        say("there are no examples: no examples/NAME/Cargo.toml");
        return Ok(());
    }
    let toolchain = toolchain::set_up(asked)?;
    let built = target().join("examples");
    for manifest in manifests {
        let path = folder.join(&manifest).join("Cargo.toml");
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let name = guest_name(&text)
            .ok_or_else(|| format!("{}: expected a guest: a package with crate-type = [\"cdylib\"]", path.display()))?;
        say(&format!("building examples/{manifest} as a stranger would"));
        let mut build = toolchain.cargo();
        build.args(["build", "--release", "--target", TARGET]).arg("--target-dir").arg(&built);
        run(build.current_dir(folder.join(&manifest)))?;
        let module = built.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
        run(Command::new(host()).arg("inspect").arg(module))?;
        let mut test = cargo("cargo");
        // The profile is that of the build, so that procedural macros are not compiled again.
        test.args(["test", "--release"]).arg("--target-dir").arg(&built);
        run(test.current_dir(folder.join(&manifest)))?;
    }
    Ok(())
}

/// Returns the names of the folders that have a manifest, in alphabetical order. There may be no
/// examples.
fn manifests(folder: &Path) -> Result<Vec<String>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let with_manifest = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut names: Vec<String> = with_manifest.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
