//! The limits of the host at which a guest's run can change. A trace names them, and a replay
//! applies them.
//!
//! Other limits of `limits.rs` decide what the world answers, which is recorded, or what is
//! logged, which is not compared. How long a turn may take is no part of a run either: it depends
//! on the machine.

use crate::limits;

/// The limits of a guest's run. A guest that exceeds one is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Size of the guest's stack in bytes.
    pub stack_bytes: usize,
    /// Elements of all the guest's tables together.
    pub table_elements: usize,
    /// Core instances, and as many memories and tables.
    pub instances: usize,
    /// Requests pending at once.
    pub requests_pending: usize,
    /// Bytes that one call may bring into the host's memory.
    pub send_bytes: usize,
}

impl RunLimits {
    /// The limits of a guest that is run live.
    pub const HOST: Self = Self {
        stack_bytes: limits::STACK_BYTES_MAX,
        table_elements: pluto_contract::limits::TABLE_ELEMENTS_MAX,
        instances: limits::INSTANCES_MAX,
        requests_pending: pluto_contract::limits::REQUESTS_PENDING_MAX,
        send_bytes: pluto_contract::limits::SEND_BYTES_MAX,
    };

    /// The most that a replay gives, whatever the trace says: a trace can come from anybody. Each
    /// is a few times what a host gives live, and takes at most some hundred MiB of the host. Half
    /// of the process's stack is the host's own.
    pub const REPLAY: Self = Self {
        stack_bytes: limits::STACK_OF_PROCESS_BYTES as usize / 2,
        table_elements: 8 * pluto_contract::limits::TABLE_ELEMENTS_MAX,
        instances: 4 * limits::INSTANCES_MAX,
        requests_pending: 4 * pluto_contract::limits::REQUESTS_PENDING_MAX,
        send_bytes: limits::TRACE_BLOCK_BYTES_MAX,
    };

    /// Returns the limits as the header of a trace names them, each as `name=value`.
    pub fn named(mut self) -> Vec<String> {
        self.fields().map(|(name, value)| format!("{name}={value}")).into()
    }

    /// Returns the limits for the replay of a trace whose header names these limits. Each is as
    /// recorded, and at most that of [`RunLimits::REPLAY`]. A limit that the header does not name
    /// did not apply when the trace was recorded. An error says which limit this host does not
    /// know, and what to do.
    pub fn recorded(named: &[String]) -> Result<Self, String> {
        let mut limits = Self::REPLAY;
        for limit in named {
            let (name, value) = parse(limit).ok_or_else(|| {
                format!("its header names the limit {limit:?}, where `name=number` is expected: the trace is damaged or forged")
            })?;
            let mut fields = limits.fields();
            let Some((_, field)) = fields.iter_mut().find(|(known, _)| *known == name) else {
                return Err(format!(
                    "it was recorded with the limit {limit}, which this pluto-host does not know: replay it with the \
                     pluto-host that has recorded it, or a newer one"
                ));
            };
            **field = (**field).min(value);
        }
        limits.stack_bytes = limits.stack_bytes.max(Self::STACK_BYTES_MIN);
        Ok(limits)
    }

    /// Says which limits of a trace's header a replay does not give in full. Returns none when it
    /// gives all of them.
    pub fn lessened(named: &[String]) -> Option<String> {
        let mut most = Self::REPLAY;
        let fields = most.fields();
        let given = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, most)| **most);
        let told: Vec<String> = named
            .iter()
            .filter_map(|limit| {
                let (name, value) = parse(limit)?;
                let most = given(name).filter(|most| *most < value)?;
                Some(format!("{limit} (here {most})"))
            })
            .collect();
        let all = told.join(", ");
        (!told.is_empty()).then(|| format!("it was recorded with larger limits than a replay gives: {all}"))
    }

    /// The least stack of a replay: below it wasmtime's interpreter cannot tell where a guest has
    /// exhausted its stack. The locals of one function take less.
    const STACK_BYTES_MIN: usize = limits::STACK_BYTES_MAX / 2;

    fn fields(&mut self) -> [(&'static str, &mut usize); 5] {
        [
            ("stack-bytes", &mut self.stack_bytes),
            ("table-elements", &mut self.table_elements),
            ("instances", &mut self.instances),
            ("requests-pending", &mut self.requests_pending),
            ("send-bytes", &mut self.send_bytes),
        ]
    }
}

/// Splits a limit into its name and value.
fn parse(limit: &str) -> Option<(&str, usize)> {
    let (name, value) = limit.split_once('=')?;
    Some((name, usize::try_from(value.parse::<u64>().ok()?).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(limits: &[&str]) -> Result<RunLimits, String> {
        RunLimits::recorded(&limits.iter().map(|&limit| limit.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_replay_applies_what_was_recorded_within_its_own_bounds() {
        assert_eq!(RunLimits::recorded(&RunLimits::HOST.named()), Ok(RunLimits::HOST));
        assert_eq!(recorded(&[]), Ok(RunLimits::REPLAY));
        let limits = recorded(&["instances=3", "table-elements=18446744073709551615"]).expect("known limits");
        assert_eq!(limits, RunLimits { instances: 3, ..RunLimits::REPLAY });
        let little = recorded(&["stack-bytes=1"]).expect("a known limit");
        assert_eq!(little.stack_bytes, RunLimits::STACK_BYTES_MIN);
        assert!(recorded(&["more=1"]).is_err_and(|why| why.contains("more=1") && why.contains("a newer one")));
        for damaged in ["instances", "instances=", "instances=-1", "instances=many"] {
            assert!(recorded(&[damaged]).is_err_and(|why| why.contains("damaged or forged")), "{damaged}");
        }
    }

    #[test]
    fn a_limit_that_is_not_given_in_full_is_told() {
        let told = |limit: &str| RunLimits::lessened(&[limit.to_owned()]);
        assert_eq!(told("instances=256"), None);
        assert!(told("instances=257").is_some_and(|told| told.ends_with("instances=257 (here 256)")));
        assert_eq!(RunLimits::lessened(&RunLimits::HOST.named()), None);
    }
}
