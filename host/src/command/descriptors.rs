//! Descriptors: how many the system gives, and how many are left for clients and files.

use anyhow::{Result, bail};

use super::report::report;
use crate::limits;

/// Descriptors that neither clients nor files can have.
pub fn descriptors_of_host(shards: usize) -> u64 {
    limits::DESCRIPTORS_OF_HOST + limits::DESCRIPTORS_OF_SHARD * (shards as u64 - 1)
}

/// Raises the soft limit of descriptors to the hard limit, because the soft limit is low for the
/// sake of programs that use `select`. Returns the number of handles for each shard. Each
/// connection and each open file takes one. Too few descriptors to serve with are an error.
pub fn take_descriptors(shards: usize) -> Result<usize> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    let descriptors = if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { before };
    let descriptors = descriptors.unwrap_or(u64::MAX);
    if descriptors < descriptors_needed(shards) {
        bail!(too_few_descriptors(descriptors, shards));
    }
    if descriptors < limits::DESCRIPTORS_FEW {
        report(&format!("note: only {descriptors} descriptors for clients and files: `ulimit -Hn` allows no more"));
    }
    let handles = (descriptors - descriptors_of_host(shards)) / shards as u64;
    Ok(usize::try_from(handles).unwrap_or(usize::MAX).min(pluto_contract::limits::HANDLES_MAX))
}

/// Descriptors without which a server with this many shards does not start.
fn descriptors_needed(shards: usize) -> u64 {
    descriptors_of_host(shards) + limits::DESCRIPTORS_SERVING_MIN * shards as u64
}

fn too_few_descriptors(allowed: u64, shards: usize) -> String {
    let needed = descriptors_needed(shards);
    let (shards, need, fewer) = match shards {
        1 => ("one shard".to_owned(), "needs", String::new()),
        _ => {
            (format!("{shards} shards"), "need", format!(", or take --shards 1, which needs {}", descriptors_needed(1)))
        }
    };
    format!(
        "`ulimit -Hn` allows {allowed} descriptors, and {shards} {need} at least {needed}: raise the limit (systemd: LimitNOFILE={needed}){fewer}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_explained_with_the_number_that_is_enough() {
        let message = too_few_descriptors(64, 1);
        assert!(message.contains("allows 64 descriptors") && message.contains("LimitNOFILE=80"), "{message}");
        let message = too_few_descriptors(100, 4);
        assert!(message.contains("need at least 176") && message.contains("--shards 1, which needs 80"), "{message}");
    }
}
