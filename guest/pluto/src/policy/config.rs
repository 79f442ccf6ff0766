//! The configuration file: TOML, in the words of static-web-server where it has them.

use super::address::INDEX;
use super::content::{ContentRules, EncodingRule};
use super::cors::{Cors, Grant, Origins, check_allowed, check_origin};
use super::fields::{Field, FieldRule, check_name, check_name_of_every_response, security};
use super::glob::Glob;
use super::redirect::{self, Redirect};
use super::section::{Found, Problems, Section};
use super::users;
use crate::limits::{FIELDS_OF_RULE_MAX, INDEX_NAMES_MAX, RULES_MAX};
use pluto_http::encoding::Coding;
use pluto_http::media::Media;
use pluto_http::target::Path;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::DeTable;

/// What a site's configuration says, compiled.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `/a` serves `a.html`, and `/a.html` leads there.
    pub clean_urls: bool,
    /// Files that are served for their directory: the first that there is.
    pub index: Index,
    /// A directory without an index file is listed.
    pub directory_listing: bool,
    /// The file that answers for what is not there, when a page is asked for.
    pub page_fallback: Option<NamedFile>,
    /// What is said of the content of files.
    pub content: ContentRules,
    /// Fields of every response.
    pub always: Vec<Field>,
    /// Files with the pages of errors, by status.
    pub error_pages: BTreeMap<u16, NamedFile>,
    /// Tried in their order; the first that matches wins.
    pub redirects: Vec<Redirect>,
    /// Applied in their order to what a file's response says.
    pub fields: Vec<FieldRule>,
    /// What pages of other sites may read.
    pub cors: Option<Cors>,
    /// Tried in their order; the first that matches decides.
    pub basic_auth: Vec<AuthRule>,
}

/// A file beneath the site's folder that a configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// Its path in the site.
    pub path: Vec<u8>,
    /// Where it is named: `FILE:LINE:COLUMN`, or an option of the command line.
    pub place: String,
}

/// Names of files that are served for their directory, in the order in which they are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index(pub Vec<Vec<u8>>);

impl Default for Index {
    fn default() -> Index {
        Index(vec![INDEX.to_vec()])
    }
}

/// What only some may read.
#[derive(Clone, Debug)]
pub struct AuthRule {
    /// The paths.
    pub source: Glob,
    /// The value of `WWW-Authenticate`.
    pub challenge: String,
    /// The file with its users.
    pub users: NamedFile,
}

/// Seconds of `max-age` that a browser may remember: HSTS recommends one or two years, and no list
/// asks for more.
const YEARS_SECONDS: u64 = 10 * 365 * 24 * 60 * 60;

/// How long a browser remembers the answer to a preflight when the file does not say: as long as
/// the Fetch standard's own default is short (5 s) browsers ask again and again.
const PREFLIGHT_SECONDS: u64 = 600;

impl Config {
    /// Reads a file on top of what is there, which it wins over. The error has a line for each
    /// problem.
    pub fn read(self, file: &str, text: &str) -> Result<Config, Vec<String>> {
        match self.read_all(file, text) {
            (config, problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// As [`Config::read`]; with what could be read of a file that has problems.
    pub fn read_all(mut self, file: &str, text: &str) -> (Config, Vec<String>) {
        let problems = Problems::new(file, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            problems.add(error.span().map_or(0, |span| span.start), error.message().replace('\n', ", "));
        }
        // What was recovered behind an error would only confuse.
        if errors.is_empty() {
            self.take(Section::new(&table, &problems), &problems);
        }
        (self, problems.lines())
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        let rules = self.redirects.len() + self.fields.len() + self.basic_auth.len() + self.error_pages.len();
        let content = self.content.immutable || !self.content.types.is_empty() || !self.content.encodings.is_empty();
        let switches = content
            || self.index != Index::default()
            || self.clean_urls
            || self.directory_listing
            || self.page_fallback.is_some();
        rules == 0 && !switches && self.always.is_empty() && self.cors.is_none()
    }

    /// The files that it names to be sent in place of others, each with what for.
    pub fn pages(&self) -> impl Iterator<Item = (&NamedFile, String)> {
        let fallback = self.page_fallback.iter().map(|page| (page, "page-fallback".to_owned()));
        let errors = self.error_pages.iter().map(|(status, page)| (page, format!("the page of {status}")));
        fallback.chain(errors)
    }

    /// What is nobody's business whatever `--allow-hidden` says: the files of users.
    pub fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.basic_auth.iter().map(|rule| rule.users.path.as_slice())
    }

    fn take(&mut self, mut file: Section<'_>, problems: &Problems<'_>) {
        self.clean_urls = file.boolean("clean-urls").unwrap_or(self.clean_urls);
        if let Some((names, at)) = file.strings("index") {
            self.index = index(&names, &at, problems);
        }
        self.directory_listing = file.boolean("directory-listing").unwrap_or(self.directory_listing);
        if let Some(path) = file.string("page-fallback") {
            self.page_fallback = named_file(&path.1, file_path(path.0), problems);
        }
        self.content.immutable = file.boolean("immutable-names").unwrap_or(self.content.immutable);
        if let Some(types) = file.section("types") {
            self.content.types = take_types(types, problems);
        }
        let encodings = file.sections("encodings", RULES_MAX);
        self.content.encodings = encodings.into_iter().filter_map(|section| take_encoding(section, problems)).collect();
        let preset = file.boolean("security-headers").unwrap_or(!self.always.is_empty());
        let hsts = file.integer("hsts-max-age", &(0..=YEARS_SECONDS));
        match hsts {
            Some((_, span)) if !preset => problems.add(span.start, "expected security-headers = true beside it"),
            _ => self.always = if preset { security(hsts.map(|(seconds, _)| seconds)) } else { Vec::new() },
        }
        if let Some(pages) = file.section("error-pages") {
            self.error_pages = pages.entries().iter().filter_map(|entry| error_page(entry, problems)).collect();
        }
        let redirects =
            file.sections("redirects", RULES_MAX).into_iter().map(|section| take_redirect(section, problems));
        let redirects: Vec<_> = redirects.collect();
        self.redirects = redirects.iter().flatten().map(|(redirect, _)| redirect.clone()).collect();
        for (_, at) in redirects.iter().flatten().filter(|(redirect, _)| redirect.leads_to_itself()) {
            problems.add(*at, "expected a destination other than the source: this redirect leads to itself");
        }
        let pages = self.clean_urls.then_some(&self.index.0[..]);
        for (redirect, at) in redirects.into_iter().flatten() {
            if let Some(way) = redirect::circle(&self.redirects, &redirect, pages) {
                let way = way.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" to ");
                problems.add(at, format!("expected redirects that come to an end, found a circle: to {way} ..."));
            }
        }
        let fields = file.sections("headers", RULES_MAX);
        self.fields = fields.into_iter().filter_map(|section| take_fields(section, problems)).collect();
        self.cors = file.section("cors").and_then(|section| take_cors(section, problems));
        let rules = file.sections("basic-auth", RULES_MAX);
        self.basic_auth = rules.into_iter().filter_map(|section| take_auth(section, problems)).collect();
        file.finish();
    }
}

/// The path of a file of the site, as a configuration names it. The error says what was expected.
pub fn file_path(text: &str) -> Result<Vec<u8>, String> {
    // The same normalisation as that of a request; but nothing is escaped here.
    let escaped = text.replace('%', "%25");
    match Path::parse(escaped.as_bytes()) {
        Ok(Some(path)) if !path.is_directory() && !text.contains('\0') => Ok(path.into_bytes()),
        _ => Err(format!("expected the path of a file beneath the root, as in \"/pages/404.html\"; found {text:?}")),
    }
}

/// A file with the place where it is named.
fn named_file(at: &Range<usize>, path: Result<Vec<u8>, String>, problems: &Problems<'_>) -> Option<NamedFile> {
    Some(NamedFile { path: problems.check(at, path)?, place: problems.place(at.start) })
}

/// Names of index files.
fn index(names: &[Found<&str>], at: &Range<usize>, problems: &Problems<'_>) -> Index {
    if !(1..=INDEX_NAMES_MAX).contains(&names.len()) {
        problems.add(at.start, format!("expected 1 to {INDEX_NAMES_MAX} names of files, found {}", names.len()));
    }
    for (name, at) in names {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            problems.add(at.start, format!("expected the name of a file, as in \"index.html\"; found {name:?}"));
        }
    }
    Index(names.iter().map(|(name, _)| name.as_bytes().to_vec()).collect())
}

fn source(section: &mut Section<'_>, problems: &Problems<'_>) -> Option<Glob> {
    let (glob, span) = section.required("source", "\"/a/**\"")?;
    problems.check(&span, Glob::new(glob))
}

fn error_page((status, path): &(Found<&str>, Found<&str>), problems: &Problems<'_>) -> Option<(u16, NamedFile)> {
    let number = status.0.parse().ok().filter(|status| (400..600).contains(status));
    let number = number.ok_or_else(|| format!("expected a status from 400 to 599, found {:?}", status.0));
    let number = number.and_then(|number| match number {
        412 | 416 => {
            Err(format!("expected a status whose page is the site's; {number} is about one file, and says so"))
        }
        number => Ok(number),
    });
    let number = problems.check(&status.1, number);
    let page = named_file(&path.1, file_path(path.0), problems);
    Some((number?, page?))
}

/// Types by extension or name.
fn take_types(section: Section<'_>, problems: &Problems<'_>) -> BTreeMap<String, Media> {
    let mut types = BTreeMap::new();
    for ((name, at), (media, media_at)) in section.entries() {
        let key = name.strip_prefix('.').unwrap_or(name);
        if key.is_empty() || key.contains(['/', '*']) {
            problems.add(at.start, format!("expected an extension, as in css, or a file's name; found {name:?}"));
        }
        if let Some(media) = problems.check(&media_at, Media::parse(media)) {
            types.insert(key.to_owned(), media);
        }
    }
    types
}

fn take_encoding(mut section: Section<'_>, problems: &Problems<'_>) -> Option<EncodingRule> {
    let source = source(&mut section, problems);
    let encoding = section.required("encoding", "\"br\"");
    section.finish();
    let (name, at) = encoding?;
    let coding = Coding::ALL.into_iter().find(|coding| coding.name() == name);
    let coding = coding.ok_or_else(|| format!("expected encoding to be br, zstd or gzip, found {name:?}"));
    let coding = problems.check(&at, coding)?;
    Some(EncodingRule { source: source?, coding })
}

fn take_redirect(mut section: Section<'_>, problems: &Problems<'_>) -> Option<(Redirect, usize)> {
    let glob = source(&mut section, problems);
    let destination = section.required("destination", "\"/b/$1\"");
    let kind = section.integer("kind", &(0..=999));
    if !section.has("kind") {
        problems.add(section.span().start, "expected kind = 301, 302, 307 or 308 in this table");
    }
    section.finish();
    let (kind, span) = kind?;
    let status = redirect::status(i64::try_from(kind).unwrap_or(0));
    let status = status.ok_or_else(|| format!("expected kind to be 301, 302, 307 or 308, found {kind}"));
    let status = problems.check(&span, status)?;
    let (destination, span) = destination?;
    let redirect = problems.check(&span, Redirect::new(glob?, destination, status))?;
    Some((redirect, span.start))
}

fn take_fields(mut section: Section<'_>, problems: &Problems<'_>) -> Option<FieldRule> {
    let source = source(&mut section, problems);
    let mut set = Vec::new();
    let headers = section.section("headers");
    let (remove, _) = section.strings("remove").unwrap_or_default();
    let every_response = section.boolean("every-response").unwrap_or(false);
    let check_every = |name: &str| if every_response { check_name_of_every_response(name) } else { Ok(()) };
    if !section.has("headers") && remove.is_empty() {
        problems
            .add(section.span().start, "expected headers = { NAME = \"VALUE\" } or remove = [\"NAME\"] in this table");
    }
    for ((name, at), (value, _)) in headers.map(Section::entries).unwrap_or_default() {
        set.extend(problems.check(&at, Field::new(name, value)));
        problems.check(&at, check_every(name));
    }
    for (name, at) in &remove {
        problems.check(at, check_name(name).and_then(|()| check_every(name)));
    }
    if set.len() + remove.len() > FIELDS_OF_RULE_MAX {
        problems.add(section.span().start, format!("expected at most {FIELDS_OF_RULE_MAX} fields in one rule"));
    }
    section.finish();
    let remove = remove.into_iter().map(|(name, _)| name.to_owned()).collect();
    Some(FieldRule { source: source?, every_response, set, remove })
}

fn take_cors(mut section: Section<'_>, problems: &Problems<'_>) -> Option<Cors> {
    let (glob, at) = section.string("source").unwrap_or(("/**", section.span()));
    let source = problems.check(&at, Glob::new(glob));
    let credentials = section.boolean("allow-credentials").unwrap_or(false);
    let origins = section.strings("allow-origins");
    if !section.has("allow-origins") {
        problems
            .add(section.span().start, "expected allow-origins = [\"https://example.org\"] or [\"*\"] in this table");
    }
    let mut list = |key| {
        let (names, _) = section.strings(key)?;
        for (name, at) in &names {
            problems.check(at, check_allowed(name, credentials));
        }
        Some(names.into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
    };
    let grant = Grant {
        methods: list("allow-methods").unwrap_or_else(|| vec!["GET".to_owned(), "HEAD".to_owned()]),
        headers: list("allow-headers").unwrap_or_default(),
        expose: list("expose-headers").unwrap_or_default(),
        max_age: section.integer("max-age", &(0..=YEARS_SECONDS)).map_or(PREFLIGHT_SECONDS, |(seconds, _)| seconds),
        credentials,
    };
    section.finish();
    let (origins, at) = origins?;
    let names: Vec<&str> = origins.iter().map(|(origin, _)| *origin).collect();
    if names.is_empty() {
        problems.add(at.start, "expected origins, or \"*\" alone; found none");
    }
    for (origin, at) in origins.iter().filter(|_| names != ["*"]) {
        problems.check(at, check_origin(origin));
    }
    problems.check(&at, Cors::new(source?, Origins::new(&names), &grant))
}

fn take_auth(mut section: Section<'_>, problems: &Problems<'_>) -> Option<AuthRule> {
    let source = source(&mut section, problems);
    let realm = section.string("realm");
    let users = section.required("users", "\".htpasswd\"");
    section.finish();
    if let Some((realm, at)) = &realm {
        problems.check(at, users::check_realm(realm))?;
    }
    let (users, at) = users?;
    let users = named_file(&at, hidden_path(users), problems)?;
    Some(AuthRule {
        source: source?,
        challenge: users::challenge(realm.map_or("This site", |(realm, _)| realm)),
        users,
    })
}

/// The path of a file that nobody is served. The error says what was expected.
fn hidden_path(text: &str) -> Result<Vec<u8>, String> {
    let hidden = |path: &[u8]| Path::parse(path).ok().flatten().is_some_and(|path| path.is_hidden());
    match file_path(text)? {
        path if hidden(&path) => Ok(path),
        _ => Err(format!("expected a hidden file beneath the root, as in \".htpasswd\"; found {text:?}")),
    }
}

#[cfg(test)]
mod tests;
