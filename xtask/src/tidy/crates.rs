//! Checks the metadata in the manifests of the workspace's crates, and draws the picture of their
//! dependencies.

use std::fmt::Write;

use crate::metadata::Package;

/// The lines before and after the picture on the map.
const BEGIN: &str = "<!-- crates: `cargo xtask graph` draws what follows -->";
const END: &str = "<!-- crates: end -->";

/// Reports metadata that the manifests of our packages lack.
pub(crate) fn unsaid(members: &[Package]) -> Vec<String> {
    members.iter().flat_map(missing).collect()
}

fn missing(member: &Package) -> Vec<String> {
    let said = [
        ("description", member.description.is_some()),
        ("readme", member.readme.is_some()),
        ("keywords", member.keywords > 0),
        ("categories", member.categories > 0),
    ];
    let missing = said.iter().filter(|(_, said)| !said).map(|(key, _)| {
        let how = if *key == "description" { "a sentence" } else { "`.workspace = true` will do" };
        format!("Cargo.toml:1: the package {} has no {key}: {how}", member.name)
    });
    missing.collect()
}

/// Draws an arrow from each crate to each crate of ours that it uses. The arrow is dotted if only
/// tests use the crate.
pub(crate) fn picture(members: &[Package]) -> String {
    let mut members: Vec<&Package> = members.iter().collect();
    members.sort_by_key(|member| &member.name);
    let is_member = |name: &String| members.iter().any(|member| member.name == *name);
    let mut text = String::from("```mermaid\ngraph TD\n");
    let mut drawn = Vec::new();
    for member in &members {
        let mut used: Vec<(&String, bool)> = member
            .dependencies
            .iter()
            .filter(|it| it.is_path && is_member(&it.name) && it.name != member.name)
            .map(|it| (&it.name, it.is_dev))
            .collect();
        // An ordinary dependency sorts before one of tests, so the ordinary one stays.
        used.sort();
        used.dedup_by_key(|(name, _)| *name);
        for (kind, arrow) in [(false, "-->"), (true, "-.->")] {
            let names: Vec<&str> =
                used.iter().filter(|(_, is_dev)| *is_dev == kind).map(|(name, _)| name.as_str()).collect();
            if !names.is_empty() {
                let _ = writeln!(text, "    {} {arrow} {}", member.name, names.join(" & "));
                drawn.push(member.name.as_str());
                drawn.extend(names);
            }
        }
    }
    // A crate without an arrow would not be in the picture.
    for member in members.iter().filter(|member| !drawn.contains(&member.name.as_str())) {
        let _ = writeln!(text, "    {}", member.name);
    }
    text + "```\n"
}

/// Returns the map with the picture between its two marks. The error says which mark is missing.
pub(crate) fn with_picture(map: &str, picture: &str) -> Result<String, String> {
    let place = map.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = place else {
        return Err(format!(
            "the picture of the crates has no place: put these two lines where it belongs, then `cargo xtask graph`:\n{BEGIN}\n{END}"
        ));
    };
    Ok(format!("{before}{BEGIN}\n{picture}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, missing, picture, with_picture};
    use crate::metadata::{Dependency, Package};

    fn package(name: &str, uses: &[(&str, bool)]) -> Package {
        let dependency = |(name, is_dev): &(&str, bool)| Dependency {
            name: (*name).to_owned(),
            versions: "*".to_owned(),
            is_dev: *is_dev,
            is_path: !name.starts_with("other"),
        };
        Package { name: name.to_owned(), dependencies: uses.iter().map(dependency).collect(), ..Package::default() }
    }

    #[test]
    fn an_arrow_leads_to_each_crate_of_ours() {
        let c = [("b", true), ("a", true), ("a", false), ("other", false)];
        let drawn = picture(&[package("c", &c), package("a", &[]), package("b", &[("a", false)])]);
        assert_eq!(drawn, "```mermaid\ngraph TD\n    b --> a\n    c --> a\n    c -.-> b\n```\n");
        let drawn = picture(&[package("a", &[]), package("b", &[]), package("c", &[("b", false), ("a", false)])]);
        assert_eq!(drawn, "```mermaid\ngraph TD\n    c --> a & b\n```\n");
        assert_eq!(picture(&[package("alone", &[])]), "```mermaid\ngraph TD\n    alone\n```\n");
    }

    #[test]
    fn the_picture_stands_between_its_marks() {
        let map = format!("before\n{BEGIN}\nan older one\n{END}\nafter\n");
        let drawn = with_picture(&map, "new\n").unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(drawn, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(with_picture(&drawn, "new\n"), Ok(drawn.clone()));
        assert!(with_picture("no marks", "new\n").is_err_and(|why| why.contains(BEGIN) && why.contains(END)));
    }

    #[test]
    fn what_a_manifest_does_not_say_is_told() {
        assert_eq!(missing(&package("a", &[])).len(), 4);
        let said = Package {
            description: Some("A crate".into()),
            readme: Some("README.md".into()),
            keywords: 1,
            categories: 1,
            ..package("a", &[])
        };
        assert_eq!(missing(&said), [] as [&str; 0]);
    }
}
