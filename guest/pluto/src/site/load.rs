//! Reads a site's configuration and what it names, from beneath the root.

use crate::limits::{CONFIG_BYTES_MAX, HOSTS_MAX, USERS_BYTES_MAX};
use crate::options::Options;
use crate::policy::Policy;
use crate::policy::config::{Config, NamedFile};
use crate::policy::hosts::{self, FILE, VirtualHost, VirtualHosts};
use crate::policy::users::Users;
use pluto_sdk::fs::{list, open};
use pluto_sdk::{Error, Kind, Symlinks, warn};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Reads all configurations. The error has a line for each problem.
pub async fn load(options: &Options) -> Result<VirtualHosts, Vec<String>> {
    if !options.virtual_hosts {
        return Ok(VirtualHosts::One(load_site(options, String::new()).await?));
    }
    let entries = list("").await.map_err(|error| vec![format!("the folders of hosts cannot be listed: {error}")])?;
    let (mut sites, mut problems) = (BTreeMap::new(), Vec::new());
    for entry in entries {
        // A file that is called like a host answers nothing.
        let is_folder = match entry.metadata.kind {
            Kind::Directory => true,
            Kind::Symlink => matches!(open(entry.name.clone(), options.symlinks).await, Err(Error::IsDirectory)),
            Kind::Regular | Kind::Other => false,
        };
        let Some(host) = hosts::folder(&entry.name).filter(|_| is_folder) else { continue };
        if host.as_bytes() != entry.name {
            warn!("{}: no host is called so; expected {host}", String::from_utf8_lossy(&entry.name));
            continue;
        }
        match load_site(options, format!("{host}/")).await {
            Ok(site) => drop(sites.insert(host, site)),
            Err(more) => problems.extend(more),
        }
    }
    if sites.is_empty() && problems.is_empty() {
        problems
            .push("expected folders in the root that are called like hosts, as in example.org; found none".to_owned());
    }
    if sites.len() > HOSTS_MAX {
        problems.push(format!("expected at most {HOSTS_MAX} folders of hosts, found {}", sites.len()));
    }
    if problems.is_empty() { Ok(VirtualHosts::Hosts(sites)) } else { Err(problems) }
}

/// One site. What is wrong with its configuration keeps nobody from being told what is wrong with
/// the files that it names.
async fn load_site(options: &Options, folder: String) -> Result<VirtualHost, Vec<String>> {
    let named = options.config.as_deref();
    let path = format!("{folder}{}", named.unwrap_or(FILE));
    let base = options.site.clone();
    let (config, mut problems) = match read(path.as_bytes(), CONFIG_BYTES_MAX, options.symlinks).await {
        Ok(text) => {
            let (config, problems) = base.read_all(&path, &text);
            (Some(config), problems)
        }
        // A folder that is a file by its other name has no configuration either.
        Err((Some(Error::NotFound | Error::NotDirectory), _)) if named.is_none() => {
            ((!base.is_empty()).then_some(base), Vec::new())
        }
        Err((_, problem)) => return Err(vec![format!("{path}: {problem}")]),
    };
    let policy = match config {
        Some(config) => {
            let (users, more) = load_users(options, &folder, &config).await;
            problems.extend(more);
            let missing = missing_pages(options, &folder, &config).await;
            match options.check_only {
                true => problems.extend(missing),
                // They may come later: the server's own stand in for them.
                false => missing.iter().for_each(|problem| warn!("{problem}")),
            }
            Some(Rc::new(Policy::new(config, users, named.unwrap_or(FILE))))
        }
        None => None,
    };
    if problems.is_empty() { Ok(VirtualHost { folder: folder.into_bytes(), policy }) } else { Err(problems) }
}

/// Pages that are not there, each in a line.
async fn missing_pages(options: &Options, folder: &str, config: &Config) -> Vec<String> {
    let mut missing = Vec::new();
    for (NamedFile { path, place }, what) in config.pages() {
        let full = [folder.as_bytes(), path].concat();
        if let Err(error) = open(full.clone(), options.symlinks).await {
            let name = String::from_utf8_lossy(&full);
            missing.push(format!("{place}: {what}, {name}, cannot be opened: {}", in_words(error)));
        }
    }
    missing
}

/// The users of each file that the configuration names, and what is wrong with these.
async fn load_users(options: &Options, folder: &str, config: &Config) -> (BTreeMap<Vec<u8>, Users>, Vec<String>) {
    let (mut all, mut problems) = (BTreeMap::new(), Vec::new());
    for NamedFile { path, place } in config.basic_auth.iter().map(|rule| &rule.users) {
        let full = [folder.as_bytes(), path].concat();
        let name = String::from_utf8_lossy(&full).into_owned();
        match read(&full, USERS_BYTES_MAX, options.symlinks).await {
            Ok(text) => match Users::parse(&text) {
                Ok(users) => drop(all.insert(path.clone(), users)),
                Err(lines) => problems.extend(lines.iter().map(|(line, what)| format!("{name}:{line}: {what}"))),
            },
            Err((_, problem)) => problems.push(format!("{place}: the file of users, {name}, {problem}")),
        }
    }
    // Several rules may name the same file.
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    (all, problems)
}

/// The text of a file. The error is the system's, when it was that, and what is wrong with the
/// file.
async fn read(path: &[u8], bytes_max: u64, symlinks: Symlinks) -> Result<String, (Option<Error>, String)> {
    let failed = |error: Error| (Some(error), format!("cannot be read: {}", in_words(error)));
    let file = open(path, symlinks).await.map_err(failed)?;
    if file.len() > bytes_max {
        return Err((None, format!("has {} bytes: expected at most {bytes_max}", file.len())));
    }
    let bytes = file.read(0, file.len()).await.map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        (None, format!("is no text in UTF-8, from line {} on", line + 1))
    })
}

/// Why a file cannot be opened that the operator has named, and what he can do.
fn in_words(error: Error) -> String {
    match error {
        Error::NotPermitted => {
            "it leads out of the root by a symbolic link or by \"..\", where no file is served from; \
             put the file itself beneath the root"
                .to_owned()
        }
        Error::Symlink => {
            "it is a symbolic link, or in a folder that is one, and --symlinks deny refuses these".to_owned()
        }
        error => error.to_string(),
    }
}
