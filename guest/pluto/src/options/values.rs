//! What an operator can change.

use crate::access::Form;
use crate::networks::Networks;
use crate::policy::config::Config;
use pluto_http::head;
use pluto_sdk::Symlinks;

/// What the operator wants. Seconds, bytes and counts are at least 1.
#[derive(Clone, Debug)]
pub struct Options {
    /// The granted port.
    pub port: u16,
    /// The root as the operator named it, for the log; the host knows where it is.
    pub root: String,
    /// `--symlinks`.
    pub symlinks: Symlinks,
    /// `--allow-hidden`.
    pub allow_hidden: bool,
    /// `--config`.
    pub config: Option<String>,
    /// `--check`.
    pub check_only: bool,
    /// `--virtual-hosts`.
    pub virtual_hosts: bool,
    /// What a configuration can say as well, and then wins over: `--clean-urls`,
    /// `--directory-listing`, `--page-fallback`, `--security-headers`.
    pub site: Config,
    /// `--compress`.
    pub compress: bool,
    /// `--access-log`.
    pub access_log: Form,
    /// `--trusted-proxies`.
    pub trusted_proxies: Networks,
    /// `--metrics-port`.
    pub metrics_port: Option<u16>,
    /// `--connections`.
    pub connections: u64,
    /// `--head-bytes`, `--target-bytes` and `--fields`.
    pub head: head::Limits,
    /// `--body-bytes`.
    pub body_bytes: u64,
    /// `--linger-bytes`.
    pub linger_bytes: u64,
    /// `--head-seconds`.
    pub head_seconds: u64,
    /// `--body-seconds`.
    pub body_seconds: u64,
    /// `--idle-seconds`.
    pub idle_seconds: u64,
    /// `--write-seconds`.
    pub write_seconds: u64,
    /// `--linger-seconds`.
    pub linger_seconds: u64,
    /// `--grace-seconds`.
    pub grace_seconds: u64,
}
