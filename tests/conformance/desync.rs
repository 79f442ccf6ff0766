//! The corpus of `http_desync_guardian`, which classifies how dangerous a request is. A request
//! that it calls severe must be refused and the connection closed. A request that it calls
//! compliant must be understood.
//!
//! The test reads the corpus where cargo keeps the crate's sources.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use yaml_rust2::{Yaml, YamlLoader};

use super::exchange::{Response, read};
use super::{case, serve, site};
use crate::support::guests::repository;
use crate::support::host::Host;

/// What the corpus says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Compliant,
    Acceptable,
    Ambiguous,
    Severe,
}

/// A request of the corpus.
struct Request {
    name: String,
    head: Vec<u8>,
    /// What its framing announces, as far as that is right: so many bytes, or chunks.
    body: Vec<u8>,
    tier: Tier,
}

/// `desync.toml`: what is compliant, and refused all the same.
#[derive(Deserialize)]
pub struct Differences {
    /// Whose corpus it is.
    pub from: String,
    /// The requests.
    pub otherwise: Vec<Otherwise>,
}

/// A compliant request that is refused.
#[derive(Deserialize)]
pub struct Otherwise {
    /// Its name in the corpus.
    pub name: String,
    /// What it is answered.
    pub status: u16,
    /// A key of reasons.toml.
    pub why: String,
}

impl Differences {
    /// Reads the file.
    pub fn read() -> Self {
        case::parse(&case::folder().join("desync.toml"))
    }
}

#[test]
fn severe_requests_are_refused_and_compliant_ones_understood() {
    let site = site(&BTreeMap::new());
    let host = serve(site.path(), &[]);
    let requests = corpus();
    assert!(requests.len() > 150, "the corpus is read: {}", requests.len());
    let differences = Differences::read().otherwise;
    for other in &differences {
        assert!(requests.iter().any(|request| request.name == other.name), "{} is not in the corpus", other.name);
    }
    let mut wrong = Vec::new();
    for request in &requests {
        let other = differences.iter().find(|other| other.name == request.name);
        if let Err(why) = judge(&host, request, other) {
            wrong.push(format!("{:?} {}: {why}\n    {}", request.tier, request.name, request.head.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), requests.len(), wrong.join("\n"));
}

fn judge(host: &Host, request: &Request, other: Option<&Otherwise>) -> Result<(), String> {
    let mut client = host.connect();
    let _ = client.write_all(&[&request.head[..], &request.body].concat());
    let _ = client.shutdown(Shutdown::Write);
    let mut received = Vec::new();
    client.read_to_end(&mut received).map_err(|error| error.to_string())?;
    let (response, rest) = read(&received, request.head.starts_with(b"HEAD "))?;
    let refused = matches!(response.status, 400 | 414 | 431 | 501 | 505);
    let closed = response.field("Connection")? == Some("close") && rest.is_empty();
    if let Some(other) = other {
        let right = response.status == other.status && closed;
        return if right { Ok(()) } else { Err(told(&response)) };
    }
    match request.tier {
        // More than one response: something of the body was taken for a request.
        _ if !rest.is_empty() => Err(format!("more than one response: {}", rest.escape_ascii())),
        Tier::Severe if !refused || !closed => Err(told(&response)),
        Tier::Compliant if refused => Err(told(&response)),
        // Either is right: refused and closed, or read in the one way that the RFC gives.
        Tier::Ambiguous if refused && !closed => Err(told(&response)),
        _ => Ok(()),
    }
}

fn told(response: &Response) -> String {
    format!("{} {:?}", response.status, response.field("Connection"))
}

/// The requests of all files.
fn corpus() -> Vec<Request> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder()).expect("the corpus is there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut requests = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "yaml")) {
        let text = fs::read_to_string(file).expect("it is text");
        for document in YamlLoader::load_from_str(&text).expect("it is YAML") {
            requests.extend(document.into_iter().map(|request| parse(&request)));
        }
    }
    requests
}

/// Where the sources of the crate are.
///
/// Cargo is asked for this machine's platform alone: whatever that needs is there since these
/// tests were compiled, while crates of other platforms may never have been fetched. It may use
/// the network all the same, so that a folder which was emptied since then is filled again.
fn folder() -> PathBuf {
    let machine = cargo(&["--version", "--verbose"]);
    let machine = machine.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo tells its platform");
    let arguments = ["metadata", "--locked", "--format-version", "1", "--filter-platform", machine];
    let metadata: serde_json::Value = serde_json::from_str(&cargo(&arguments)).expect("it is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let crate_ = packages.iter().find(|package| package["name"] == "http_desync_guardian").expect("it is in use");
    let manifest = PathBuf::from(crate_["manifest_path"].as_str().expect("a path"));
    manifest.with_file_name("tests")
}

/// What the cargo that runs these tests prints.
fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = Command::new(program).args(arguments).current_dir(repository()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

fn parse(request: &Yaml) -> Request {
    let name = string(&request["name"]);
    let mut head = bytes(&format!("{} {}", string(&request["method"]), string(&request["uri"])));
    let version = string(&request["version"]);
    if !version.is_empty() {
        head.extend(bytes(&format!(" {version}")));
    }
    head.extend(b"\r\n");
    // The corpus leaves Host to whoever reads it.
    let mut hosted = false;
    let mut body = Vec::new();
    for field in request["headers"].as_vec().unwrap_or(&Vec::new()) {
        let (name, value) = (string(&field["name"]), string(&field["value"]));
        hosted |= name.eq_ignore_ascii_case("host");
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse().ok().filter(|length| *length < 100_000);
            body = vec![b'x'; length.unwrap_or(0)];
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            body = b"0\r\n\r\n".to_vec();
        }
        head.extend(bytes(&format!("{name}: {value}\r\n")));
    }
    if !hosted {
        head.extend(b"Host: example.org\r\n");
    }
    head.extend(b"\r\n");
    let tier = match request["expected"]["tier"].as_str() {
        Some("Compliant") => Tier::Compliant,
        Some("Acceptable") => Tier::Acceptable,
        Some("Ambiguous") => Tier::Ambiguous,
        Some("Severe") => Tier::Severe,
        other => panic!("{name}: {other:?} is no tier"),
    };
    Request { name, head, body, tier }
}

/// A scalar as it was written.
fn string(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Boolean(value) => value.to_string(),
        _ => String::new(),
    }
}

/// `\xff` stands for a byte; what is above, for its bytes in UTF-8.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for letter in text.chars() {
        match u8::try_from(letter) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(letter.to_string().bytes()),
        }
    }
    bytes
}
