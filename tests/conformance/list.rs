//! The list of cases that are answered otherwise than their source expects. It is the end of
//! README.md, generated from the cases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use serde::Deserialize;

use super::case;
use super::desync::{Differences, Otherwise};

/// The heading behind which the list stands.
const HEADING: &str = "\n## Answered otherwise\n";

#[derive(Deserialize)]
struct Reasons {
    reason: BTreeMap<String, String>,
    /// Cases that no other server of the grid answers so: file and name.
    alone: BTreeMap<String, Vec<String>>,
}

/// `UPDATE_GOLDEN=1 cargo xtask test` writes the list anew.
#[test]
fn what_is_answered_otherwise_is_listed_with_its_reason() {
    let path = case::folder().join("README.md");
    let file = fs::read_to_string(&path).expect("README.md is there");
    let (before, listed) = file.split_once(HEADING).expect("the heading is there");
    let list = list();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{before}{HEADING}{list}")).expect("it can be written");
        return;
    }
    assert!(listed == list, "the list in {} is not that of the cases; UPDATE_GOLDEN=1 writes it", path.display());
}

fn list() -> String {
    let Reasons { reason, alone } = case::parse(&case::folder().join("reasons.toml"));
    let mut groups: BTreeMap<&str, Vec<String>> = reason.keys().map(|key| (key.as_str(), Vec::new())).collect();
    let suites = case::suites();
    let mut names = BTreeSet::new();
    for (file, suite) in &suites {
        for case in &suite.cases {
            assert!(names.insert(format!("{file}: {}", case.name)), "{file}: {}: the name is there twice", case.name);
            let (Some(source), Some(why)) = (&case.source, &case.why) else {
                assert!(case.source.is_none() && case.why.is_none(), "{file}: {}: source and why, or none", case.name);
                continue;
            };
            let answers: Vec<String> = case.answers().iter().map(|answer| answer.status.to_string()).collect();
            let line = format!("{}: {}: {source}; here {}", suite.from, case.name, answers.join(", "));
            groups.get_mut(why.as_str()).unwrap_or_else(|| panic!("{why} is no reason")).push(line);
        }
    }
    let differences = Differences::read();
    for Otherwise { name, status, why } in differences.otherwise {
        let line = format!("{}: {name}: compliant; here {status}", differences.from);
        groups.get_mut(why.as_str()).unwrap_or_else(|| panic!("{why} is no reason")).push(line);
    }
    for (why, cases) in alone {
        let group = groups.get_mut(why.as_str()).unwrap_or_else(|| panic!("{why} is no reason"));
        for case in cases {
            assert!(names.contains(&case), "{case} is no case");
            group.push(format!("unlike nginx, lighttpd, Apache httpd and h2o: {case}"));
        }
    }
    let mut list = String::new();
    for (key, lines) in groups {
        writeln!(list, "\n**{key}.** {}\n", reason[key]).expect("a string takes all");
        lines.iter().for_each(|line| list += &format!("- {line}\n"));
    }
    list
}
