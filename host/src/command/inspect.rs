//! Inspects a guest, and converts core modules to components.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::exit_status::ExitStatus;
use super::report::report;
use super::setup::{engine, read_guest, tell_of_compiling};
use pluto_engine::admission::{self, Inspection, Names};
use pluto_engine::compile::Compiler;
use pluto_engine::engine::componentize as make_component;
use pluto_messages::printable;

/// Tells what a guest is, and whether it would be admitted. The guest is compiled in a process of
/// its own, or in this one with `compile_here`.
pub fn inspect(path: &Path, compile_here: bool) -> Result<ExitStatus> {
    let bytes = read_guest(path)?;
    let engine = engine(false)?;
    let engine = if compile_here { engine.with(Compiler::Here, report) } else { engine };
    let inspection = tell_of_compiling(path, &bytes, || admission::inspect(&engine, &bytes));
    let inspection = inspection.with_context(|| path.display().to_string())?;
    let mut text = describe(path, &inspection);
    let exit = match &inspection.admitted {
        Ok(_) => {
            text.push_str("admitted  yes\n");
            ExitStatus::Well
        }
        Err(error) => {
            let _ = writeln!(text, "admitted  no: {error:#}");
            ExitStatus::CannotStart
        }
    };
    match std::io::stdout().write_all(printable(&text).as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write")?,
        // Nobody wants to read it: no error.
        _ => {}
    }
    Ok(exit)
}

fn describe(path: &Path, inspection: &Inspection) -> String {
    let kind = if inspection.is_core_module { "core module (made a component when loaded)" } else { "component" };
    let sha256: String = inspection.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = |of: fn(&Names) -> &[String]| match inspection.names.as_ref().map(of) {
        None => "not looked at".to_owned(),
        Some([]) => "nothing".to_owned(),
        Some(names) => pluto_messages::list(names.iter().map(String::as_str), "\n          "),
    };
    format!(
        "guest     {}\nkind      {kind}\nsize      {} bytes\nsha256    {sha256}\nimports   {}\nexports   {}\n",
        path.display(),
        inspection.size,
        list(|names| &names.imports),
        list(|names| &names.exports),
    )
}

/// Turns a core module into a component.
pub fn componentize(module: &Path, output: &Path) -> Result<ExitStatus> {
    let bytes = read_guest(module)?;
    let component =
        make_component(&Compiler::of_this_program(), &bytes).with_context(|| module.display().to_string())?;
    std::fs::write(output, component).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(ExitStatus::Well)
}
