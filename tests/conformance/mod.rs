//! The web server before independent judges: cases on the wire, each with its source, and the
//! corpus of a detector of smuggled requests.
//!
//! A new case goes into a file of `cases/`. README.md says how it is written, and lists the cases
//! that are answered otherwise than their source expects.

mod case;
mod desync;
mod exchange;
mod list;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tempfile::TempDir;

use crate::support::guests;
use crate::support::host::Host;
use case::{Case, Suite};
use exchange::{Response, converse};

/// When every file of the site was last changed: Wed, 25 Jun 2014 17:12:18 GMT.
const MODIFIED: Duration = Duration::from_secs(1_403_716_338);

/// What `site.toml` says.
#[derive(Deserialize)]
struct Site {
    files: BTreeMap<String, String>,
}

/// The site of the cases, as files, with some more.
fn site(more: &BTreeMap<String, String>) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let site: Site = case::parse(&case::folder().join("site.toml"));
    for (name, text) in site.files.iter().chain(more) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(&path, case::plain(text)).expect("a file");
        let file = fs::File::options().write(true).open(&path).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH + MODIFIED).expect("a date");
    }
    folder
}

fn serve(site: &Path, options: &[String]) -> Host {
    let pluto = guests::built("pluto").display().to_string();
    let fixed = ["--log".to_owned(), "off".to_owned(), pluto, "0".to_owned(), site.display().to_string()];
    Host::serve(fixed.iter().chain(options))
}

/// What only the server knows: `etag /path` or `modified /path`.
fn look_up(host: &Host, words: &str) -> String {
    let (what, path) = words.split_once(' ').unwrap_or_else(|| panic!("‹{words}› is not known"));
    let name = match what {
        "etag" => "ETag",
        "modified" => "Last-Modified",
        _ => panic!("‹{words}› is not known"),
    };
    let request = format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = [case::Answer { status: 200, to_head: true }];
    let responses = converse(host.connect(), request.as_bytes(), true, &head, case::Then::Kept).expect(path);
    responses[0].field(name).expect(path).unwrap_or_else(|| panic!("{path} has no {name}")).to_owned()
}

/// What is wrong with the answers to a case.
fn judge(host: &Host, case: &Case) -> Result<(), String> {
    let sent = case.bytes(&mut |words| look_up(host, words));
    let responses = converse(host.connect(), &sent, case.probe, &case.answers(), case.then)?;
    let Some(last) = responses.last() else { return Ok(()) };
    for (name, value) in &case.has {
        let expected = String::from_utf8(case::text(value, &mut |words| look_up(host, words))).expect("text");
        let found = last.list(name);
        if found.as_ref() != Some(&expected) {
            return Err(format!("{name} is {found:?} instead of {expected:?}"));
        }
    }
    if let Some(name) = case.hasnt.iter().find(|name| last.field(name) != Ok(None)) {
        return Err(format!("{name} should not be there: {:?}", last.fields));
    }
    let stands = |text: &String| String::from_utf8_lossy(&last.content).contains(text.as_str());
    if let Some(text) = case.contains.iter().find(|text| !stands(text)) {
        return Err(format!("{text:?} is not in the content: {}", last.content.escape_ascii()));
    }
    if let Some(text) = case.without.iter().find(|text| stands(text)) {
        return Err(format!("{text:?} is in the content: {}", last.content.escape_ascii()));
    }
    match &case.content {
        Some(content) if last.content != case::plain(content) => {
            Err(format!("the content is {}", last.content.escape_ascii()))
        }
        _ if case.parts.is_empty() => Ok(()),
        _ => check_parts(case, last),
    }
}

/// RFC 9110 §14.6: each part says which range it is.
fn check_parts(case: &Case, response: &Response) -> Result<(), String> {
    let media = response.field("Content-Type")?.unwrap_or_default();
    let boundary = media.strip_prefix("multipart/byteranges; boundary=").ok_or(format!("the type is {media}"))?;
    let content = String::from_utf8_lossy(&response.content);
    let mut found = Vec::new();
    for part in content.split(&format!("--{}", boundary.trim_matches('"'))).skip(1) {
        let range = part.split("\r\n").find_map(|line| line.strip_prefix("Content-Range: "));
        found.extend(range.map(str::to_owned));
    }
    if found == case.parts { Ok(()) } else { Err(format!("the parts are {found:?}")) }
}

/// Every case of one file is answered as it says.
fn check(name: &str, suite: &Suite) -> Vec<String> {
    let site = site(&suite.files);
    let host = serve(site.path(), &suite.options);
    let mut wrong = Vec::new();
    for case in &suite.cases {
        if let Err(why) = judge(&host, case) {
            wrong.push(format!("{name}: {}: {why}", case.name));
        }
    }
    wrong
}

#[test]
fn every_case_is_answered_as_it_says() {
    let suites = case::suites();
    assert!(suites.iter().map(|(_, suite)| suite.cases.len()).sum::<usize>() > 300, "the cases are read");
    let wrong: Vec<String> = suites.iter().flat_map(|(name, suite)| check(name, suite)).collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}
