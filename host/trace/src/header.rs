//! The header of a trace, which describes the run.

use sha2::{Digest, Sha256};

use crate::engine_kind::EngineKind;
use crate::run_limits::RunLimits;
use pluto_contract::versions::SPOKEN;

/// The description of a recorded run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// SHA-256 of the guest, as the bytes that were given to the host.
    pub guest_sha256: [u8; 32],
    /// The contract that guest and host spoke.
    pub contract: Contract,
    /// The host's name and version, such as `pluto-host 0.1.0`. Empty in a trace of format 5.
    pub host: String,
    /// The engine's name, version and target. They are shown and not compared: a guest computes
    /// the same on each engine, and the hashes prove it.
    pub engine: String,
    /// The limits of the host at which a guest's run can change, each as `name=value`. A replay
    /// applies them.
    pub limits: Vec<String>,
    /// Memory that the guest may have, in bytes.
    pub memory_max: u64,
    /// The arguments that the guest was given.
    pub arguments: Vec<String>,
    /// The time at which the run began: nanoseconds since the Unix epoch.
    pub start: u64,
}

/// How a trace names its contract, which also tells the trace's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contract {
    /// Format 6 names the contract by its version and its identity, which comments do not change.
    Named {
        /// The version of the package `pluto:system`.
        version: String,
        /// See `Shape::identity`.
        identity: [u8; 32],
    },
    /// Format 5 names the contract by the SHA-256 of the source text, comments included.
    Source([u8; 32]),
}

/// The host's name and version, as this host writes them into headers.
const HOST: &str = concat!("pluto-host ", env!("CARGO_PKG_VERSION"));

impl Contract {
    /// Returns the contract that this host speaks.
    pub fn spoken() -> Self {
        Self::Named { version: SPOKEN.number.to_owned(), identity: SPOKEN.identity }
    }
}

impl Header {
    /// Creates the header of a run of `guest`.
    pub fn new(guest: &[u8], memory_max: u64, arguments: Vec<String>, start: u64) -> Self {
        Self {
            guest_sha256: Self::digest(guest),
            contract: Contract::spoken(),
            host: HOST.to_owned(),
            engine: EngineKind::Native.name(),
            limits: RunLimits::HOST.named(),
            memory_max,
            arguments,
            start,
        }
    }

    /// Returns the SHA-256 of bytes.
    pub fn digest(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    /// Returns the engine of the recording, if `kind` is another one.
    pub fn differs_in_engine(&self, kind: EngineKind) -> Option<String> {
        let here = kind.name();
        (self.engine != here).then(|| {
            format!(
                "it was recorded on {}, and this is {here}: how deep a guest can recurse, and how long a turn takes, \
                 depends on that",
                self.engine
            )
        })
    }
}
