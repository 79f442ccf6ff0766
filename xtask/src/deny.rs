//! `cargo xtask deny`: checks licences, duplicates and sources of all dependencies against
//! `deny.toml`.
//!
//! The file has the format and the meaning of cargo-deny's. cargo-deny itself takes minutes to
//! install, and a check that is skipped where its tool is missing is not a check
//! (docs/decisions/0042). A key that this module does not know is an error, so every rule of the
//! file is checked.

use std::collections::BTreeMap;
use std::fs;

use spdx::{Expression, Licensee, ParseMode};
use toml_span::Value;

use crate::metadata::{self, Graph, Package};
use crate::workspace::{Result, root, say};

/// The file with the rules.
const FILE: &str = "deny.toml";

/// The source of crates from crates.io, as cargo names it for every mirror.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The keys that the file may have. A key that is a switch has one allowed value. `graph` and
/// every `reason` are for cargo-deny and for people.
const KEYS: [(&str, Option<&str>); 7] = [
    ("licenses/allow", None),
    ("bans/multiple-versions", Some("deny")),
    ("bans/wildcards", Some("deny")),
    ("bans/skip", None),
    ("bans/deny", None),
    ("sources/unknown-registry", Some("deny")),
    ("sources/unknown-git", Some("deny")),
];

/// The rules of the file.
#[derive(Debug, Default)]
struct Rules {
    licenses: Vec<Licensee>,
    /// Crates as `NAME@VERSION`, each of which may be used beside a newer version.
    skipped: Vec<String>,
    /// Names of banned crates, each with the packages that may still use it.
    banned: Vec<(String, Vec<String>)>,
}

/// Checks all dependencies, and reports every breach.
pub(crate) fn deny() -> Result<()> {
    let path = root().join(FILE);
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let rules = Rules::read(&text)?;
    let graph = metadata::graph()?;
    let breaches = rules.breaches(&graph);
    if breaches.is_empty() {
        say(&format!("{} packages keep the rules of {FILE}", graph.packages.len()));
        return Ok(());
    }
    Err(format!("the rules of {FILE} are broken in {} places:\n{}", breaches.len(), breaches.join("\n")))
}

impl Rules {
    fn read(text: &str) -> Result<Self> {
        let file = toml_span::parse(text).map_err(|error| format!("{FILE}: {error}"))?;
        check_keys(&file)?;
        let licensee = |name: &str| Licensee::parse(name).map_err(|error| format!("{FILE}: licenses.allow: {error}"));
        Ok(Self {
            licenses: texts(&file, "/licenses/allow").iter().map(|name| licensee(name)).collect::<Result<_>>()?,
            skipped: crates(&file, "/bans/skip")?.into_iter().map(|(name, _)| name).collect(),
            banned: crates(&file, "/bans/deny")?,
        })
    }

    fn breaches(&self, graph: &Graph) -> Vec<String> {
        let mut breaches: Vec<String> = graph.packages.iter().flat_map(|it| self.of_package(it)).collect();
        breaches.extend(self.of_users(graph));
        breaches.extend(self.of_versions(graph));
        breaches
    }

    fn of_package(&self, package: &Package) -> Vec<String> {
        let Package { name, version, source, .. } = package;
        let mut breaches = Vec::new();
        let mut breach = |why: String| breaches.push(format!("{name} {version}: {why}"));
        if let Err(why) = self.check_license(package.license.as_deref()) {
            breach(why);
        }
        if let Some(source) = source.as_ref().filter(|source| *source != CRATES_IO) {
            breach(format!("comes from {source}; expected crates.io"));
        }
        let wild = package.dependencies.iter().filter(|it| it.versions == "*" && !it.is_path);
        wild.for_each(|it| breach(format!("asks for any version of {}: name one", it.name)));
        breaches
    }

    /// Reports banned crates, and crates that only some packages may use.
    fn of_users(&self, graph: &Graph) -> Vec<String> {
        let mut breaches = Vec::new();
        for (place, package) in graph.packages.iter().enumerate() {
            let Some((name, wrappers)) = self.banned.iter().find(|(name, _)| *name == package.name) else { continue };
            let users = users(graph, place);
            if wrappers.is_empty() || users.iter().any(|user| !wrappers.iter().any(|it| it == user)) {
                breaches.push(format!(
                    "{name}: is banned by bans.deny of {FILE}, and {} depends on it; allowed there: {}",
                    users.join(" and "),
                    if wrappers.is_empty() { "none".to_owned() } else { wrappers.join(", ") }
                ));
            }
        }
        breaches
    }

    fn check_license(&self, license: Option<&str>) -> Result<()> {
        let license = license.ok_or("has no licence: look into its sources, or do without it")?;
        let expression = Expression::parse_mode(license, ParseMode::LAX)
            .map_err(|error| format!("its licence {license:?} is no SPDX expression: {error}"))?;
        let allowed = expression.evaluate(|wanted| self.licenses.iter().any(|it| it.satisfies(wanted)));
        if allowed { Ok(()) } else { Err(format!("its licence {license:?} is not among licenses.allow of {FILE}")) }
    }

    /// Reports crates with several versions, and exceptions that are no longer needed.
    fn of_versions(&self, graph: &Graph) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, package) in graph.packages.iter().enumerate() {
            versions.entry(&package.name).or_default().push(place);
        }
        let title = |place: usize| format!("{}@{}", graph.packages[place].name, graph.packages[place].version);
        let mut breaches = Vec::new();
        for places in versions.values().filter(|places| places.len() > 1) {
            let others: Vec<usize> =
                places.iter().copied().filter(|&place| !self.skipped.contains(&title(place))).collect();
            if others.len() > 1 {
                let users =
                    others.iter().map(|&place| format!("{} for {}", title(place), users(graph, place).join(" and ")));
                breaches.push(format!(
                    "{} versions of one crate: {}; bring them together, or put the older into bans.skip of {FILE}",
                    others.len(),
                    users.collect::<Vec<_>>().join(", ")
                ));
            }
        }
        let is_needed = |skipped: &String| {
            versions.values().any(|places| places.len() > 1 && places.iter().any(|&place| title(place) == *skipped))
        };
        let idle = self.skipped.iter().filter(|skipped| !is_needed(skipped));
        breaches
            .extend(idle.map(|it| format!("{FILE}: bans.skip: {it} is there no longer twice: take it off the list")));
        breaches
    }
}

/// Returns the names of the packages that use the package at this index.
fn users(graph: &Graph, place: usize) -> Vec<&str> {
    let users = graph.uses.iter().filter(|(_, used)| used.contains(&place));
    users.map(|(user, _)| graph.packages[*user].name.as_str()).collect()
}

/// Checks that every key of the file is one that this module knows.
fn check_keys(file: &Value<'_>) -> Result<()> {
    for (section, table) in file.as_table().into_iter().flatten().filter(|(section, _)| section.name != "graph") {
        for (key, value) in table.as_table().into_iter().flatten() {
            let key = format!("{section}/{key}");
            if key == "bans/allow-wildcard-paths" && value.as_bool() == Some(true) {
                continue;
            }
            let Some((_, switch)) = KEYS.iter().find(|(known, _)| *known == key) else {
                return Err(format!(
                    "{FILE}: {key}: `cargo xtask deny` does not check this key: see xtask/src/deny.rs"
                ));
            };
            if let Some(expected) = switch.filter(|expected| value.as_str() != Some(expected)) {
                return Err(format!("{FILE}: {key}: expected {expected:?}, which is what is checked"));
            }
        }
    }
    let missing = KEYS.iter().find(|(key, _)| file.pointer(&format!("/{key}")).is_none());
    missing.map_or(Ok(()), |(key, _)| Err(format!("{FILE}: expected the key {key}")))
}

fn texts(file: &Value<'_>, pointer: &str) -> Vec<String> {
    let values = file.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Returns the crates of a list of `{ crate = "NAME", reason = "..." }`, each with its `wrappers`.
fn crates(file: &Value<'_>, pointer: &str) -> Result<Vec<(String, Vec<String>)>> {
    let values = file.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let name = |value: &Value<'_>| {
        let reason = value.pointer("/reason").and_then(Value::as_str).filter(|reason| !reason.is_empty());
        let name = value.pointer("/crate").and_then(Value::as_str).filter(|_| reason.is_some());
        name.map(|name| (name.to_owned(), texts(value, "/wrappers")))
            .ok_or_else(|| format!("{FILE}: {pointer}: expected {{ crate = ..., reason = ... }}"))
    };
    values.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::{CRATES_IO, Rules};
    use crate::metadata::{Dependency, Graph, Package};

    const FILE: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "BSD-3-Clause"]
        [bans]
        multiple-versions = "deny"
        wildcards = "deny"
        skip = [{ crate = "old@1.0.0", reason = "somebody" }]
        deny = [
            { crate = "bad", reason = "it is bad" },
            { crate = "old", wrappers = ["user", "other"], reason = "only some may" },
        ]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
    "#;

    fn package(name: &str, version: &str, license: &str) -> Package {
        let (name, version, license) = (name.to_owned(), version.to_owned(), Some(license.to_owned()));
        Package { name, version, license, source: Some(CRATES_IO.to_owned()), ..Package::default() }
    }

    /// A graph with two versions of `old`, for which the file has an exception.
    fn with(package: Package) -> Graph {
        let packages = vec![self::package("old", "1.0.0", "MIT"), self::package("old", "2.0.0", "MIT"), package];
        Graph { packages, uses: vec![] }
    }

    fn check(graph: &Graph, expected: &[&str]) {
        let rules = Rules::read(FILE).unwrap_or_else(|why| panic!("{why}"));
        let breaches = rules.breaches(graph);
        assert_eq!(breaches.len(), expected.len(), "{breaches:?}");
        for (breach, part) in breaches.iter().zip(expected) {
            assert!(breach.contains(part), "{part}: {breach}");
        }
    }

    #[test]
    fn licences_are_expressions() {
        let check = |license: &str, expected: &[&str]| check(&with(package("a", "1.0.0", license)), expected);
        check("MIT", &[]);
        check("MIT OR GPL-3.0", &[]);
        check("Zlib/MIT", &[]);
        check("Apache-2.0 WITH LLVM-exception", &[]);
        check("(MIT OR Apache-2.0) AND BSD-3-Clause", &[]);
        check("Apache-2.0", &["not among licenses.allow"]);
        check("MIT AND GPL-3.0", &["not among licenses.allow"]);
        check("as you like", &["no SPDX expression"]);
    }

    #[test]
    fn a_package_without_a_licence_is_refused() {
        check(&with(Package { license: None, ..package("a", "1.0.0", "MIT") }), &["has no licence"]);
    }

    #[test]
    fn packages_come_from_crates_io_or_from_the_workspace() {
        let from = |source: Option<&str>| Package { source: source.map(str::to_owned), ..package("a", "1.0.0", "MIT") };
        check(&with(from(None)), &[]);
        check(&with(from(Some("git+https://example.org/a"))), &["expected crates.io"]);
        check(&with(from(Some("registry+https://example.org/index"))), &["expected crates.io"]);
    }

    #[test]
    fn bans_are_kept() {
        let used_by = |name: &str| Graph { uses: vec![(2, vec![0])], ..with(package(name, "1.0.0", "MIT")) };
        check(&with(package("bad", "1.0.0", "MIT")), &["bad: is banned"]);
        check(&used_by("user"), &[]);
        check(&used_by("stranger"), &["stranger depends on it; allowed there: user, other"]);
        let wild = |is_path| Dependency { name: "any".into(), versions: "*".into(), is_dev: false, is_path };
        check(&with(Package { dependencies: vec![wild(true)], ..package("a", "1.0.0", "MIT") }), &[]);
        check(
            &with(Package { dependencies: vec![wild(false)], ..package("a", "1.0.0", "MIT") }),
            &["any version of any"],
        );
    }

    #[test]
    fn two_versions_need_an_exception_and_an_exception_needs_two() {
        check(&with(package("old", "3.0.0", "MIT")), &["2 versions of one crate: old@2.0.0 for , old@3.0.0 for "]);
        check(&Graph { packages: vec![package("old", "1.0.0", "MIT")], uses: vec![] }, &["no longer twice"]);
    }

    #[test]
    fn a_rule_that_is_not_checked_is_refused() {
        let check = |from: &str, to: &str, part: &str| {
            let error = Rules::read(&FILE.replace(from, to)).expect_err("it is refused");
            assert!(error.contains(part), "{error}");
        };
        check("[sources]", "[sources]\nrequired-git-spec = \"rev\"", "required-git-spec");
        check("unknown-git = \"deny\"", "unknown-git = \"warn\"", "expected \"deny\"");
        check("unknown-git = \"deny\"", "", "expected the key sources/unknown-git");
        check(", reason = \"it is bad\"", "", "reason = ...");
        check("\"MIT\"", "\"MTI\"", "licenses.allow");
    }
}
