//! The time that a guest's turn has taken: the time between two calls of `receive`, without the
//! time that its thread waited for the system.
//!
//! A turn measures time in ticks, ten a second. A guest that computes or sends requests is looked
//! at with each tick. Several ticks between two looks mean that one call of the host has lasted
//! that long. If the thread did not compute in that time, it waited for a disk or for a machine
//! that stalls. Such waiting does not count as part of the turn.

use crate::engine::Ticks;
use crate::limits;
use pluto_contract::stop::StopReason;

/// A turn under way.
pub struct Turn {
    ticks: Ticks,
    /// The tick at which the turn began.
    began: u64,
    /// The last look that saw a new tick.
    last: Option<Look>,
    /// How long the thread has waited for the system, in milliseconds.
    waited: u64,
}

struct Look {
    tick: u64,
    /// The thread's processor time until then, in milliseconds.
    computed: u64,
}

impl Turn {
    /// Creates a turn that begins now.
    pub fn new(ticks: Ticks) -> Self {
        Self { began: ticks.now(), ticks, last: None, waited: 0 }
    }

    /// Begins another turn.
    pub fn begin(&mut self) {
        self.began = self.ticks.now();
        self.last = None;
        self.waited = 0;
    }

    /// Checks whether the turn may go on. Called at each tick while the guest computes, and before
    /// each request that the host takes: the host's work for a guest is part of the guest's turn.
    pub fn look(&mut self) -> Result<(), StopReason> {
        let tick = self.ticks.now();
        let last = self.last.as_ref().map_or(self.began, |last| last.tick);
        if tick == last { Ok(()) } else { self.look_at(tick, computed()) }
    }

    /// Looks at a new tick. `computed` is the thread's processor time until now.
    fn look_at(&mut self, tick: u64, computed: u64) -> Result<(), StopReason> {
        let now = Look { tick, computed };
        // The processor time of a turn before its first tick is unknown, and short.
        let last = self.last.replace(Look { ..now }).unwrap_or(Look { tick: self.began, computed });
        let ticks = now.tick - last.tick;
        if ticks >= limits::TURN_TICKS_WAITED_MIN {
            self.waited += (ticks * limits::TURN_TICK_MILLIS).saturating_sub(now.computed - last.computed);
        }
        let millis = (now.tick - self.began) * limits::TURN_TICK_MILLIS;
        let is_too_long = millis.saturating_sub(self.waited) > limits::TURN_SECONDS_MAX * 1_000;
        if is_too_long { Err(StopReason::TurnTooLong) } else { Ok(()) }
    }
}

/// Returns the processor time of this thread in milliseconds. This calls the C library, because
/// rustix finds the system's own function in a way that valgrind cannot run.
#[allow(unsafe_code)]
fn computed() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the second argument is a structure of this type that is ours, into which the call
    // writes.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at these ticks, when the thread has computed for so many milliseconds; whether the
    /// turn may go on then.
    fn goes_on(looks: &[(u64, u64)]) -> bool {
        let mut turn = Turn::new(Ticks::default());
        looks.iter().all(|(tick, computed)| turn.look_at(*tick, *computed).is_ok())
    }

    #[test]
    fn a_turn_without_end_is_ended_also_where_others_have_the_processor() {
        let limit = limits::TURN_SECONDS_MAX * 1_000 / limits::TURN_TICK_MILLIS;
        let computing: Vec<(u64, u64)> = (1..=limit).map(|tick| (tick, tick * 100)).collect();
        assert!(goes_on(&computing) && !goes_on(&[&computing[..], &[(limit + 1, (limit + 1) * 100)]].concat()));
        let half: Vec<(u64, u64)> = (1..=limit).map(|tick| (tick, tick * 50)).collect();
        assert!(goes_on(&half) && !goes_on(&[&half[..], &[(limit + 1, (limit + 1) * 50)]].concat()));
    }

    #[test]
    fn what_a_call_of_the_host_waits_is_no_part_of_a_turn() {
        let second = 1_000 / limits::TURN_TICK_MILLIS;
        assert!(goes_on(&[(60 * second, 10)]), "one call that waits for a minute");
        assert!(goes_on(&[(1, 100), (8 * second, 200), (16 * second, 300), (24 * second, 400)]), "several");
        assert!(!goes_on(&[(1, 100), (8 * second, 8_000)]), "one that computes for so long");
    }
}
