//! What a guest's executor keeps between two turns: one for each thread.

#[cfg(not(target_arch = "wasm32"))]
use super::ready;
use super::slots::Slots;
use super::tasks::Tasks;
use super::timers::Timers;
#[cfg(not(target_arch = "wasm32"))]
use crate::contract::Level;
use crate::contract::{Request, Submission};
use std::cell::{Cell, RefCell};
#[cfg(not(target_arch = "wasm32"))]
use std::collections::VecDeque;
use std::mem::ManuallyDrop;

thread_local! {
    /// Never dropped, so that what a thread drops at its end still finds it.
    static RUNTIME: ManuallyDrop<Runtime> = const { ManuallyDrop::new(Runtime::new()) };
}

/// All that a guest's executor keeps between two turns.
pub(crate) struct Runtime {
    state: RefCell<State>,
    /// The ready list, while another guest has this thread.
    #[cfg(not(target_arch = "wasm32"))]
    ready: RefCell<VecDeque<u32>>,
    /// The time of the last batch: nanoseconds since the Unix epoch. Apart from the state, because
    /// it is asked for often.
    now: Cell<u64>,
}

pub(super) struct State {
    /// Whether a guest has been started here. Natively the SDK's types can be dropped where no
    /// guest is.
    pub(super) started: bool,
    /// Requests made since the last turn ended.
    pub(super) outgoing: Vec<Submission>,
    pub(super) slots: Slots,
    pub(super) tasks: Tasks,
    pub(super) timers: Timers,
    /// The exit code, once `main` is done.
    pub(super) exit: Option<u8>,
    /// Whether the operator asked for a pause in this turn.
    pub(super) pause: bool,
    /// Lines logged since the last turn ended. On wasm32 the log is called at once instead.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) logs: Vec<(Level, String)>,
}

impl Runtime {
    pub(crate) const fn new() -> Runtime {
        Runtime {
            state: RefCell::new(State::new()),
            #[cfg(not(target_arch = "wasm32"))]
            ready: RefCell::new(VecDeque::new()),
            now: Cell::new(0),
        }
    }
}

impl State {
    pub(super) const fn new() -> State {
        State {
            started: false,
            outgoing: Vec::new(),
            slots: Slots::new(),
            tasks: Tasks::new(),
            timers: Timers::new(),
            exit: None,
            pause: false,
            #[cfg(not(target_arch = "wasm32"))]
            logs: Vec::new(),
        }
    }

    /// Panics when no guest runs here.
    pub(super) fn expect_guest(&self) {
        assert!(self.started, "a request was made outside of a guest: start one with pluto_sdk::testing");
    }

    /// Makes a request whose answer does not matter.
    pub(super) fn send_ignored(&mut self, request: Request) {
        if self.started {
            let id = self.slots.insert_ignored(&request);
            self.outgoing.push(Submission { id, request });
        }
    }

    /// Sees to it that the host wakes the guest for the earliest timer. One `sleep` is pending at
    /// most: a later one is cancelled, an earlier one left to pass, for it does no harm.
    pub(super) fn arm_timer(&mut self, now: u64) {
        let Some(earliest) = self.timers.needs_arming() else { return };
        if let Some(id) = self.timers.armed() {
            self.slots.abandon(id);
            self.send_ignored(Request::Cancel(id));
        }
        let request = Request::Sleep(earliest.saturating_sub(now));
        let id = self.slots.insert_timer(&request);
        self.outgoing.push(Submission { id, request });
        self.timers.arm(id, earliest);
    }
}
/// Calls `f` with the state of this thread's guest.
pub(super) fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    RUNTIME.with(|runtime| f(&mut runtime.state.borrow_mut()))
}

/// The time of the last batch.
pub(crate) fn now() -> u64 {
    RUNTIME.with(|runtime| runtime.now.get())
}

/// Sets the time of the last batch.
pub(super) fn set_now(now: u64) {
    RUNTIME.with(|runtime| runtime.now.set(now));
}

/// Exchanges this thread's guest for another: how `testing` keeps many guests in one thread.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn exchange(other: &mut Runtime) {
    RUNTIME.with(|runtime| {
        runtime.state.swap(&other.state);
        runtime.now.swap(&other.now);
    });
    ready::exchange(other.ready.get_mut());
}
