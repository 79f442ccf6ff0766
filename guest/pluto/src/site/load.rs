//! Reads a site's configuration and what it names, from beneath the root.

use crate::limits::{CONFIG_BYTES_MAX, HOSTS_MAX, USERS_BYTES_MAX};
use crate::options::Options;
use crate::policy::Policy;
use crate::policy::config::Config;
use crate::policy::hosts::{self, FILE, VirtualHost, VirtualHosts};
use crate::policy::users::Users;
use pluto_sdk::fs::{list, open};
use pluto_sdk::{Error, Kind, Symlinks, warn};
use std::collections::BTreeMap;
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

async fn load_site(options: &Options, folder: String) -> Result<VirtualHost, Vec<String>> {
    let named = options.config.as_deref();
    let path = format!("{folder}{}", named.unwrap_or(FILE));
    let base = options.site.clone();
    let config = match read(path.as_bytes(), CONFIG_BYTES_MAX, options.symlinks).await {
        Ok(text) => Some(base.read(&path, &text)?),
        // A folder that is a file by its other name has no configuration either.
        Err((Some(Error::NotFound | Error::NotDirectory), _)) if named.is_none() => (!base.is_empty()).then_some(base),
        Err((_, problem)) => return Err(vec![problem]),
    };
    let policy = match config {
        Some(config) => {
            let users = load_users(options, &folder, &config).await?;
            tell_missing(options, &folder, &config).await;
            Some(Rc::new(Policy::new(config, users, named.unwrap_or(FILE))))
        }
        None => None,
    };
    Ok(VirtualHost { folder: folder.into_bytes(), policy })
}

/// Pages that are not there. They may come later: the server's own stand in for them.
async fn tell_missing(options: &Options, folder: &str, config: &Config) {
    for (page, what) in config.pages() {
        let full = [folder.as_bytes(), page].concat();
        if let Err(error) = open(full.clone(), options.symlinks).await {
            warn!("{}: {what} cannot be opened: {error}", String::from_utf8_lossy(&full));
        }
    }
}

async fn load_users(options: &Options, folder: &str, config: &Config) -> Result<BTreeMap<Vec<u8>, Users>, Vec<String>> {
    let (mut all, mut problems) = (BTreeMap::new(), Vec::new());
    for path in config.secrets() {
        let full = [folder.as_bytes(), path].concat();
        let name = String::from_utf8_lossy(&full).into_owned();
        match read(&full, USERS_BYTES_MAX, options.symlinks).await {
            Ok(text) => match Users::parse(&text) {
                Ok(users) => drop(all.insert(path.to_vec(), users)),
                Err((line, what)) => problems.push(format!("{name}:{line}: {what}")),
            },
            Err((_, problem)) => problems.push(problem),
        }
    }
    problems.dedup();
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// The text of a file. The error is the system's, when it was that, and a line for the operator.
async fn read(path: &[u8], bytes_max: u64, symlinks: Symlinks) -> Result<String, (Option<Error>, String)> {
    let name = String::from_utf8_lossy(path);
    let failed = |error: Error| (Some(error), format!("{name}: cannot be read: {error}"));
    let file = open(path, symlinks).await.map_err(failed)?;
    if file.len() > bytes_max {
        return Err((None, format!("{name}: expected a file of at most {bytes_max} bytes, found {}", file.len())));
    }
    let bytes = file.read(0, file.len()).await.map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        (None, format!("{name}:{}: expected text in UTF-8", line + 1))
    })
}
