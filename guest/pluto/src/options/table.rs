//! The options, in the order in which the help shows them.

use super::values::Options;
use crate::access::Form;
use crate::limits::{CONNECTIONS_MAX, FIELDS_MAX};
use crate::networks::Networks;
use crate::policy::config::{NamedFile, file_path};
use crate::policy::fields::security;
use pluto_http::limits::HEAD_BYTES_MAX;
use pluto_sdk::Symlinks;

/// An option: how it is written, what it does.
pub(super) struct Spec {
    /// Under which it stands in the help.
    pub(super) group: &'static str,
    /// With its dashes.
    pub(super) name: &'static str,
    /// What follows it, as the help shows it: nothing, a unit, or the words that are expected.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
}

/// What follows an option, and how it is taken.
pub(super) enum Kind {
    /// A number within bounds.
    Number { min: u64, max: u64, set: fn(&mut Options, u64), get: fn(&Options) -> u64 },
    /// A word that the function understands, or else says what it expected.
    Word { default: &'static str, set: fn(&mut Options, &str) -> Result<(), &'static str> },
    /// Nothing.
    Flag(fn(&mut Options)),
}

impl Kind {
    /// Takes a value, or says what was expected.
    pub(super) fn set(&self, options: &mut Options, value: &str) -> Result<(), String> {
        match self {
            Kind::Number { min, max, set, .. } => {
                let number = value.parse().ok().filter(|number| (*min..=*max).contains(number));
                number.map(|number| set(options, number)).ok_or_else(|| format!("a number from {min} to {max}"))
            }
            Kind::Word { set, .. } => set(options, value).map_err(str::to_owned),
            Kind::Flag(set) => {
                set(options);
                Ok(())
            }
        }
    }
}

const DAY_SECONDS: u64 = 24 * 60 * 60;
const BYTES_MAX: u64 = 1 << 40;

const FILES: &str = "Files";
const SITE: &str = "Site (the configuration file has the same settings, and more)";
const WATCHING: &str = "Log and metrics";
const LIMITS: &str = "Limits on what a client may send";
const TIMES: &str = "Time limits, in seconds";

/// A limit, with its fields of [`Options`].
macro_rules! number {
    ($group:expr, $name:literal, $value:literal, $min:expr, $max:expr, $($field:ident).+, $help:literal) => {
        Spec {
            group: $group,
            name: $name,
            value: $value,
            help: $help,
            kind: Kind::Number {
                min: $min,
                max: $max,
                // The bounds fit the type.
                set: |options, number| options.$($field).+ = number.try_into().unwrap_or_default(),
                get: |options| u64::try_from(options.$($field).+).unwrap_or_default(),
            },
        }
    };
}

/// A time, from a second to a day.
macro_rules! seconds {
    ($name:literal, $field:ident, $help:literal) => {
        number!(TIMES, $name, "SECONDS", 1, DAY_SECONDS, $field, $help)
    };
}

pub(super) static OPTIONS: [Spec; 27] = [
    Spec {
        group: FILES,
        name: "--symlinks",
        value: "follow|deny",
        help: "follow or refuse symbolic links inside the root; none leads out",
        kind: Kind::Word { default: "follow", set: symlinks },
    },
    Spec {
        group: FILES,
        name: "--allow-hidden",
        value: "",
        help: "serve names that begin with a dot; /.well-known/ is always served",
        kind: Kind::Flag(|options| options.allow_hidden = true),
    },
    Spec {
        group: FILES,
        name: "--compress",
        value: "",
        help: "gzip text files of 1 KiB to 1 MiB without a precompressed file beside them",
        kind: Kind::Flag(|options| options.compress = true),
    },
    Spec {
        group: SITE,
        name: "--config",
        value: "FILE",
        help: "read the configuration from this file beneath ROOT",
        kind: Kind::Word { default: ".pluto.toml, if it is there", set: config },
    },
    Spec {
        group: SITE,
        name: "--check",
        value: "",
        help: "check the configuration, report every mistake, and exit",
        kind: Kind::Flag(|options| options.check_only = true),
    },
    Spec {
        group: SITE,
        name: "--virtual-hosts",
        value: "",
        help: "serve each host from the folder ROOT/HOST, and others from ROOT/default",
        kind: Kind::Flag(|options| options.virtual_hosts = true),
    },
    Spec {
        group: SITE,
        name: "--directory-listing",
        value: "",
        help: "list folders that have no index.html",
        kind: Kind::Flag(|options| options.site.directory_listing = true),
    },
    Spec {
        group: SITE,
        name: "--page-fallback",
        value: "FILE",
        help: "serve this page in place of missing pages, for single-page applications",
        kind: Kind::Word { default: "none", set: page_fallback },
    },
    Spec {
        group: SITE,
        name: "--clean-urls",
        value: "",
        help: "serve a.html as /a, and redirect /a.html to /a",
        kind: Kind::Flag(|options| options.site.clean_urls = true),
    },
    Spec {
        group: SITE,
        name: "--security-headers",
        value: "",
        help: "send fields that make browsers stricter: frames, referrers, permissions",
        kind: Kind::Flag(|options| options.site.always = security(None)),
    },
    Spec {
        group: WATCHING,
        name: "--access-log",
        value: "FORM",
        help: "log a line for each request: common, combined, json or off",
        kind: Kind::Word { default: "common", set: access_log },
    },
    Spec {
        group: WATCHING,
        name: "--no-access-log",
        value: "",
        help: "log no requests, as with --access-log off",
        kind: Kind::Flag(|options| options.access_log = Form::Off),
    },
    Spec {
        group: WATCHING,
        name: "--trusted-proxies",
        value: "FROM",
        help: "log the client that these addresses name, as in 127.0.0.1,10.0.0.0/8,::1",
        kind: Kind::Word { default: "none", set: trusted_proxies },
    },
    Spec {
        group: WATCHING,
        name: "--metrics-port",
        value: "PORT",
        help: "serve /metrics and /healthz on a port granted with the host's --grant-port",
        kind: Kind::Word { default: "none", set: metrics_port },
    },
    Spec { group: WATCHING, name: "--help", value: "", help: "show this text", kind: Kind::Flag(|_| ()) },
    number!(
        LIMITS,
        "--connections",
        "N",
        1,
        CONNECTIONS_MAX,
        connections,
        "serve up to this many clients at once; others wait"
    ),
    number!(
        LIMITS,
        "--head-bytes",
        "BYTES",
        256,
        HEAD_BYTES_MAX as u64,
        head.bytes,
        "accept request heads up to this size; a longer one gets 431"
    ),
    number!(
        LIMITS,
        "--target-bytes",
        "BYTES",
        64,
        HEAD_BYTES_MAX as u64,
        head.target_bytes,
        "accept request targets up to this size (path and query); a longer one gets 414"
    ),
    number!(
        LIMITS,
        "--fields",
        "N",
        1,
        FIELDS_MAX as u64,
        head.fields,
        "accept up to this many fields in a request; more get 431"
    ),
    number!(
        LIMITS,
        "--body-bytes",
        "BYTES",
        1,
        BYTES_MAX,
        body_bytes,
        "read and drop request bodies up to this size; after a longer one, close"
    ),
    number!(
        LIMITS,
        "--linger-bytes",
        "BYTES",
        1,
        BYTES_MAX,
        linger_bytes,
        "read and drop up to this much after the last response, then close"
    ),
    seconds!(
        "--head-seconds",
        head_seconds,
        "wait this long for a request head, from its first byte to its last; then 408"
    ),
    seconds!("--body-seconds", body_seconds, "wait this long for a request body; then 408"),
    seconds!("--idle-seconds", idle_seconds, "close a connection without a request after this time"),
    seconds!(
        "--write-seconds",
        write_seconds,
        "close when a client has not taken the next piece of a response by then"
    ),
    seconds!(
        "--linger-seconds",
        linger_seconds,
        "read on this long after the last response, again for each 32 KiB that come"
    ),
    seconds!(
        "--grace-seconds",
        grace_seconds,
        "finish what is under way within this time at a stop; the host allows 9"
    ),
];

fn symlinks(options: &mut Options, word: &str) -> Result<(), &'static str> {
    options.symlinks = match word {
        "follow" => Symlinks::Follow,
        "deny" => Symlinks::Refuse,
        "allow" => {
            return Err("follow or deny: the host confines the server to its root, so that no link leads out of it");
        }
        _ => return Err("follow or deny"),
    };
    Ok(())
}

fn config(options: &mut Options, word: &str) -> Result<(), &'static str> {
    let path = file_path(word).map_err(|_| "the path of a file beneath the root")?;
    options.config = Some(String::from_utf8(path).map_err(|_| "a path in UTF-8")?);
    Ok(())
}

fn page_fallback(options: &mut Options, word: &str) -> Result<(), &'static str> {
    let path = file_path(word).map_err(|_| "the path of a file beneath the root")?;
    options.site.page_fallback = Some(NamedFile { path, place: "--page-fallback".to_owned() });
    Ok(())
}

fn access_log(options: &mut Options, word: &str) -> Result<(), &'static str> {
    options.access_log = match word {
        "common" => Form::Common,
        "combined" => Form::Combined,
        "json" => Form::Json,
        "off" => Form::Off,
        _ => return Err("common, combined, json or off"),
    };
    Ok(())
}

fn trusted_proxies(options: &mut Options, word: &str) -> Result<(), &'static str> {
    options.trusted_proxies =
        Networks::parse(word).ok_or("addresses and networks, separated by commas, as in 127.0.0.1,10.0.0.0/8,::1")?;
    Ok(())
}

fn metrics_port(options: &mut Options, word: &str) -> Result<(), &'static str> {
    let port = word.parse().map_err(|_| "a port from 0 to 65535, which the host was told to grant: --grant-port")?;
    options.metrics_port = Some(port);
    Ok(())
}
