//! A case: what a client sends, and the answer that it must get. The files of `cases/` hold the
//! cases, for this suite and for the scripts beside it. README.md says how cases are written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::guests::repository;

/// The client's side of a case when it says nothing else about the host.
const HOST: &str = "Host: example.org";

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Whose expectations these are.
    pub from: String,
    /// Options of the web server that the cases need.
    #[serde(default)]
    pub options: Vec<String>,
    /// Files that the site has for them, besides those of site.toml: paths and contents.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The cases.
    #[serde(rename = "case")]
    pub cases: Vec<Case>,
}

/// One conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is tried, in a few words; unique in its file.
    pub name: String,
    /// The section and the keyword of the rule, for readers.
    #[serde(default, rename = "rule")]
    _rule: String,
    /// All bytes, as they go out.
    send: Option<String>,
    /// Or the request line, to which a host is added.
    line: Option<String>,
    /// The field lines behind it.
    #[serde(default)]
    fields: Vec<String>,
    /// The body behind them.
    #[serde(default)]
    body: String,
    /// A status for each response, in order, perhaps behind the method HEAD.
    #[serde(default = "ok")]
    answers: Vec<String>,
    /// What becomes of the connection.
    #[serde(default)]
    pub then: Then,
    /// Whether another request follows, to see that. Not behind one that never ends.
    #[serde(default = "yes")]
    pub probe: bool,
    /// Fields of the last response; several lines of one name as one list (RFC 9110 §5.3).
    #[serde(default)]
    pub has: BTreeMap<String, String>,
    /// Fields that it must not have.
    #[serde(default)]
    pub hasnt: Vec<String>,
    /// Its content.
    pub content: Option<String>,
    /// What stands in its content.
    #[serde(default)]
    pub contains: Vec<String>,
    /// What does not.
    #[serde(default)]
    pub without: Vec<String>,
    /// The ranges of its parts, when its content is multipart/byteranges.
    #[serde(default)]
    pub parts: Vec<String>,
    /// What the source of the case expects, when that is something else.
    pub source: Option<String>,
    /// A key of reasons.toml: why.
    pub why: Option<String>,
}

/// What becomes of the connection behind the last response.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Another request is answered.
    #[default]
    Kept,
    /// It ends, and the last response has said so.
    Closed,
}

/// A response that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Whether it answers HEAD, and so has no content.
    pub to_head: bool,
}

impl Case {
    /// What the client sends. `look_up` gives what only the server knows (see `text`).
    pub fn bytes(&self, look_up: &mut dyn FnMut(&str) -> String) -> Vec<u8> {
        if let Some(send) = &self.send {
            assert!(self.line.is_none(), "{}: either all bytes or a request line", self.name);
            return text(send, look_up);
        }
        let line = self.line.as_ref().unwrap_or_else(|| panic!("{}: something is sent", self.name));
        let hosted = line.ends_with("HTTP/1.0") || self.fields.iter().any(|field| field.starts_with("Host:"));
        let host = (!hosted).then_some(HOST);
        let lines = [line.as_str()].into_iter().chain(host).chain(self.fields.iter().map(String::as_str));
        let head: String = lines.chain([""]).map(|line| format!("{line}\r\n")).collect();
        [text(&head, look_up), text(&self.body, look_up)].concat()
    }

    /// The responses that must come.
    pub fn answers(&self) -> Vec<Answer> {
        let answer = |text: &String| {
            let (to_head, status) = text.strip_prefix("HEAD ").map_or((false, text.as_str()), |status| (true, status));
            let status = status.parse().unwrap_or_else(|_| panic!("{}: {text:?} is no status", self.name));
            Answer { status, to_head }
        };
        self.answers.iter().map(answer).collect()
    }
}

/// The bytes that a text of a case stands for. A character up to U+00FF is the byte of that value;
/// `‹3×ab›` is `ababab`; any other `‹words›` are looked up.
pub fn text(text: &str, look_up: &mut dyn FnMut(&str) -> String) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('‹') {
        let (words, tail) = tail.split_once('›').unwrap_or_else(|| panic!("‹ without › in {text:?}"));
        bytes.extend(latin(plain));
        match words.split_once('×') {
            Some((count, words)) => bytes.extend(latin(words).repeat(count.parse().expect("a count"))),
            None => bytes.extend(latin(&look_up(words))),
        }
        rest = tail;
    }
    bytes.extend(latin(rest));
    bytes
}

fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(letter).expect("a character stands for a byte")).collect()
}

/// A text in which nothing is to be looked up.
pub fn plain(source: &str) -> Vec<u8> {
    text(source, &mut |words| panic!("‹{words}› is not known yet"))
}

/// The files of cases, with their names, in order.
pub fn suites() -> Vec<(String, Suite)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder().join("cases"))
        .expect("the cases are there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    let name = |path: &Path| path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
    files.iter().map(|path| (name(path), parse(path))).collect()
}

/// Reads a file of this folder, or says where it is wrong.
pub fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// This folder.
pub fn folder() -> PathBuf {
    repository().join("tests/conformance")
}

fn ok() -> Vec<String> {
    vec!["200".to_owned()]
}

fn yes() -> bool {
    true
}
