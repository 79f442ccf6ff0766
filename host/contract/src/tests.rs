//! The types are those of `wit/system.wit`: same names, in the same order.

use crate::{Error, Kind, Level};

/// The lines of a declaration in the WIT, without documentation.
fn declaration(head: &str) -> Vec<String> {
    let wit = include_str!("../../../wit/system.wit");
    let lines = wit.lines().map(str::trim).skip_while(|line| *line != format!("{head} {{"));
    let lines = lines.skip(1).take_while(|line| *line != "}");
    lines.filter(|line| !line.is_empty() && !line.starts_with("///")).map(str::to_owned).collect()
}

/// The names of a declaration's cases.
fn cases(head: &str) -> Vec<String> {
    let name = |line: &String| line.trim_start_matches('%').split(['(', ',', ':']).next().map(str::to_owned);
    declaration(head).iter().filter_map(name).collect()
}

#[test]
fn enumerations_have_the_cases_of_the_wit() {
    let names = |all: &[&'static str]| all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&Error::ALL.iter().map(|it| it.name()).collect::<Vec<_>>()), cases("enum error"));
    assert_eq!(names(&Kind::ALL.iter().map(|it| it.name()).collect::<Vec<_>>()), cases("enum kind"));
    assert_eq!(names(&Level::ALL.iter().map(|it| it.name()).collect::<Vec<_>>()), cases("enum level"));
    for (number, error) in (0..).zip(Error::ALL) {
        assert_eq!(Error::_lift(number), *error);
    }
}
