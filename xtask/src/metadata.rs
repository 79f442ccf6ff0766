//! The output of `cargo metadata`: the packages of the workspace and their dependencies.

use std::collections::HashMap;

use tinyjson::JsonValue;

use crate::workspace::{Result, answer, cargo, output};

/// A package.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The source of the package; none for a package of the workspace.
    pub(crate) source: Option<String>,
    /// An SPDX expression.
    pub(crate) license: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) keywords: usize,
    pub(crate) categories: usize,
    /// The dependencies in its manifest.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency in a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// The version requirement; `*` when the manifest names no version.
    pub(crate) versions: String,
    /// Whether only tests use it.
    pub(crate) is_dev: bool,
    /// Whether it is given by a path on this machine.
    pub(crate) is_path: bool,
}

/// All packages that are compiled on this machine, and the dependencies between them.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    /// The index of a package, and the indices of the packages that it uses.
    pub(crate) uses: Vec<(usize, Vec<usize>)>,
}

/// Returns the packages of the workspace. Needs no network.
pub(crate) fn members() -> Result<Vec<Package>> {
    let text = answer(cargo("cargo").args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata = json(&text)?;
    Ok(list(&metadata, "packages").iter().map(package).collect())
}

/// Returns all packages. cargo first downloads packages that are missing. Packages for other
/// platforms are left out, because they are never downloaded.
pub(crate) fn graph() -> Result<Graph> {
    let version = output("rustc", &["--version", "--verbose"]).ok_or("`rustc --version --verbose` failed")?;
    let machine = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc does not say its host")?;
    let mut ask = cargo("cargo");
    ask.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", machine]);
    let metadata = json(&answer(&mut ask)?)?;
    let packages = list(&metadata, "packages");
    let places: HashMap<String, usize> =
        packages.iter().enumerate().filter_map(|(place, it)| Some((text(it, "id")?, place))).collect();
    let place = |id: Option<String>| id.and_then(|id| places.get(&id).copied());
    let nodes = member(&metadata, "resolve").map(|it| list(it, "nodes")).unwrap_or_default();
    let uses = nodes.iter().filter_map(|node| {
        let used = list(node, "dependencies").iter().filter_map(|id| place(id.get::<String>().cloned())).collect();
        Some((place(text(node, "id"))?, used))
    });
    Ok(Graph { packages: packages.iter().map(package).collect(), uses: uses.collect() })
}

fn package(it: &JsonValue) -> Package {
    let dependency = |it: &JsonValue| Dependency {
        name: text(it, "name").unwrap_or_default(),
        versions: text(it, "req").unwrap_or_default(),
        is_dev: text(it, "kind").is_some_and(|kind| kind == "dev"),
        is_path: text(it, "path").is_some(),
    };
    Package {
        name: text(it, "name").unwrap_or_default(),
        version: text(it, "version").unwrap_or_default(),
        source: text(it, "source"),
        license: text(it, "license"),
        description: text(it, "description"),
        readme: text(it, "readme"),
        keywords: list(it, "keywords").len(),
        categories: list(it, "categories").len(),
        dependencies: list(it, "dependencies").iter().map(dependency).collect(),
    }
}

fn json(text: &str) -> Result<JsonValue> {
    text.parse().map_err(|error| format!("`cargo metadata` printed what is no JSON: {error}"))
}

fn member<'a>(value: &'a JsonValue, name: &str) -> Option<&'a JsonValue> {
    value.get::<HashMap<String, JsonValue>>()?.get(name)
}

fn text(value: &JsonValue, name: &str) -> Option<String> {
    member(value, name)?.get::<String>().cloned()
}

fn list(value: &JsonValue, name: &str) -> Vec<JsonValue> {
    member(value, name).and_then(|it| it.get::<Vec<JsonValue>>().cloned()).unwrap_or_default()
}
