//! The command line of the server: the granted port, the root, and what an operator can change.

mod table;
mod values;

use crate::access::Form;
use crate::limits;
use crate::networks::Networks;
use crate::policy::config::Config;
use pluto_http::head;
use pluto_http::limits::BODY_BYTES_DEFAULT;
use pluto_sdk::Symlinks;
use table::{Kind, OPTIONS, Spec};

pub use values::Options;

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve.
    Serve(Options),
    /// Check the site's configuration: `--check`.
    Check(Options),
    /// Explain the options: `--help`.
    Help,
}

/// Options of the host, which end up here when they stand behind the root. The host cannot refuse
/// them there: what stands behind the root is the guest's, and a guest may have a `--log` of its
/// own.
const HOST_OPTIONS: [&str; 15] = [
    "--listen",
    "--grant-folder",
    "--grant-port",
    "--driver",
    "--shards",
    "--memory-max",
    "--log",
    "--log-file",
    "--log-level",
    "--record",
    "--overwrite",
    "--key-frame-every",
    "--flight-recorder",
    "--no-cache",
    "--version",
];

/// Reads the arguments: the port, the root, then options as `--name value` or `--name=value`. An
/// error is one line for the operator.
pub fn parse(args: &[String]) -> Result<Command, String> {
    if args.iter().any(|arg| arg == "--help") {
        return Ok(Command::Help);
    }
    let [port, root, rest @ ..] = args else {
        return Err(format!("expected a port and a folder to serve, found {args:?}; {SEE_HELP}"));
    };
    let port = port.parse().map_err(|_| format!("expected a port from 0 to 65535, found {port:?}"))?;
    if root.starts_with("--") {
        return Err(format!("expected a folder to serve before the options, found {root:?}; {SEE_HELP}"));
    }
    let mut options = Options::new(port, root.clone());
    let mut rest = rest.iter().map(String::as_str);
    while let Some(arg) = rest.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg, None),
        };
        options.set(name, value, &mut rest)?;
    }
    options.check()?;
    Ok(if options.check_only { Command::Check(options) } else { Command::Serve(options) })
}

const SEE_HELP: &str = "--help behind the folder lists the options";

/// The lines that `--help` shows.
pub fn help() -> Vec<String> {
    let mut lines: Vec<String> = [
        "Serves the files beneath ROOT over HTTP/1.1.",
        "",
        "Usage: pluto-host [HOST OPTIONS] pluto.wasm PORT ROOT [OPTIONS]",
        "",
        "Options of the host, such as --listen and --grant-port, stand before pluto.wasm: pluto-host --help lists them.",
        "Brackets show the default. SIGHUP reloads the configuration and the files. SIGTERM stops the server gracefully.",
    ]
    .map(str::to_owned)
    .into();
    let mut group = "";
    for spec in &OPTIONS {
        if spec.group != group {
            group = spec.group;
            lines.extend([String::new(), format!("{group}:")]);
        }
        let name = format!("{} {}", spec.name, spec.value);
        lines.push(format!("  {:<27}{}{}", name.trim_end(), spec.help, spec.default()));
    }
    lines
}

impl Options {
    /// The defaults.
    pub fn new(port: u16, root: String) -> Options {
        Options {
            port,
            root,
            symlinks: Symlinks::Follow,
            allow_hidden: false,
            config: None,
            check_only: false,
            virtual_hosts: false,
            site: Config::default(),
            compress: false,
            access_log: Form::Common,
            trusted_proxies: Networks::default(),
            metrics_port: None,
            connections: limits::CONNECTIONS_DEFAULT,
            head: head::Limits::default(),
            body_bytes: BODY_BYTES_DEFAULT,
            linger_bytes: limits::LINGER_BYTES_DEFAULT,
            head_seconds: limits::HEAD_SECONDS_DEFAULT,
            body_seconds: limits::BODY_SECONDS_DEFAULT,
            idle_seconds: limits::IDLE_SECONDS_DEFAULT,
            write_seconds: limits::WRITE_SECONDS_DEFAULT,
            linger_seconds: limits::LINGER_SECONDS_DEFAULT,
            grace_seconds: limits::GRACE_SECONDS_DEFAULT,
        }
    }

    fn set<'a>(
        &mut self,
        name: &str,
        value: Option<&'a str>,
        rest: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), String> {
        let Some(spec) = OPTIONS.iter().find(|spec| spec.name == name) else { return Err(unknown(name)) };
        match (&spec.kind, value) {
            (Kind::Flag(set), None) => {
                set(self);
                Ok(())
            }
            (Kind::Flag(_), Some(value)) => Err(format!("{name}: expected no value, found {value:?}")),
            (kind, value) => {
                let value = value.or_else(|| rest.next()).unwrap_or_default();
                kind.set(self, value).map_err(|expected| format!("{name}: expected {expected}, found {value:?}"))
            }
        }
    }

    /// What no option can see by itself.
    fn check(&self) -> Result<(), String> {
        let (target, head) = (self.head.target_bytes, self.head.bytes);
        match target < head {
            true => Ok(()),
            false => {
                Err(format!("--target-bytes: expected fewer than the {head} bytes of --head-bytes, found {target}"))
            }
        }
    }
}

/// What is wrong with an argument that is no option.
fn unknown(name: &str) -> String {
    if HOST_OPTIONS.contains(&name) {
        return format!(
            "{name} is an option of the host: it stands before the guest's file, as in pluto-host {name} ..."
        );
    }
    if !name.starts_with('-') {
        return format!("expected an option behind the folder, found {name:?}; {SEE_HELP}");
    }
    let close = OPTIONS.iter().map(|spec| (distance(spec.name, name), spec.name)).min();
    match close {
        Some((steps, close)) if steps <= 3 => format!("there is no option {name:?}: did you mean {close}?"),
        _ => format!("there is no option {name:?}; {SEE_HELP}"),
    }
}

/// How many letters must be changed, put in or left out to make one word of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, from) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, to) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(*to != from);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

impl Spec {
    /// What holds without it, as the help shows it.
    fn default(&self) -> String {
        let default = match &self.kind {
            Kind::Number { get, .. } => get(&Options::new(0, String::new())).to_string(),
            Kind::Word { default, .. } => (*default).to_owned(),
            Kind::Flag(_) => return String::new(),
        };
        format!(" [{default}]")
    }
}

#[cfg(test)]
mod tests;
