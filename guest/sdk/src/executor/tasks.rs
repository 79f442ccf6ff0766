//! The tasks: a slab of futures. Each slot has a waker that is made once and used by every task
//! that has the slot.
//!
//! A waker that outlives its task wakes the slot's next task needlessly, which every future must
//! bear.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Names a task; stale when it has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskId {
    slot: u32,
    generation: u32,
}

pub(super) struct Tasks {
    slots: Vec<TaskSlot>,
    /// Slots whose body is `Free`.
    free: Vec<u32>,
}

struct TaskSlot {
    /// Counts the tasks that had this slot.
    generation: u32,
    body: Body,
    notice: Arc<Notice>,
    /// The same as `notice`, as a waker. `None` while the task is being polled with it.
    waker: Option<Waker>,
}

enum Body {
    Free,
    Idle(TaskFuture),
    /// Being polled; its future is on the stack.
    Running,
    /// The same, and to be dropped after that.
    Cancelled,
}

/// Puts its task on the ready list when woken.
struct Notice {
    slot: u32,
    /// Whether it is there already.
    queued: AtomicBool,
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Relaxed: everything happens in one thread; a waker must only look as if it could be
        // sent.
        if !self.queued.swap(true, Ordering::Relaxed) {
            super::ready::push(self.slot);
        }
    }
}

impl Tasks {
    pub(super) const fn new() -> Tasks {
        Tasks { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, future: TaskFuture) -> (TaskId, Waker) {
        let index = self.free.pop().unwrap_or_else(|| self.grow());
        let slot = &mut self.slots[index as usize];
        slot.body = Body::Idle(future);
        (TaskId { slot: index, generation: slot.generation }, Waker::from(Arc::clone(&slot.notice)))
    }

    /// Takes a woken task out, to be polled with its waker. `None` when it has ended meanwhile.
    pub(super) fn begin(&mut self, index: u32) -> Option<(TaskFuture, Waker)> {
        let slot = self.slots.get_mut(index as usize)?;
        slot.notice.queued.store(false, Ordering::Relaxed);
        match std::mem::replace(&mut slot.body, Body::Running) {
            Body::Idle(future) => {
                let waker = slot.waker.take().unwrap_or_else(|| Waker::from(Arc::clone(&slot.notice)));
                Some((future, waker))
            }
            other => {
                slot.body = other;
                None
            }
        }
    }

    /// Puts a polled task back, with its waker. When it has ended, its future is returned, to be
    /// dropped.
    pub(super) fn end(&mut self, index: u32, future: TaskFuture, waker: Waker, done: bool) -> Option<TaskFuture> {
        let slot = &mut self.slots[index as usize];
        slot.waker = Some(waker);
        if done || matches!(slot.body, Body::Cancelled) {
            self.release(index);
            return Some(future);
        }
        slot.body = Body::Idle(future);
        None
    }

    /// Ends a task. Its future is returned, to be dropped, unless it is just being polled.
    pub(super) fn cancel(&mut self, id: TaskId) -> Option<TaskFuture> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        match std::mem::replace(&mut slot.body, Body::Cancelled) {
            Body::Idle(future) => {
                self.release(id.slot);
                Some(future)
            }
            Body::Free => {
                slot.body = Body::Free;
                None
            }
            Body::Running | Body::Cancelled => None,
        }
    }

    /// Any task's future, to be dropped.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn pop(&mut self) -> Option<TaskFuture> {
        let index = self.slots.iter().position(|slot| matches!(slot.body, Body::Idle(_)))?;
        match self.release(index as u32) {
            Body::Idle(future) => Some(future),
            _ => None,
        }
    }

    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.slots.len()).expect("memory ends before 2^32 tasks");
        let notice = Arc::new(Notice { slot: index, queued: AtomicBool::new(false) });
        let waker = Some(Waker::from(Arc::clone(&notice)));
        self.slots.push(TaskSlot { generation: 0, body: Body::Free, notice, waker });
        index
    }

    fn release(&mut self, index: u32) -> Body {
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        std::mem::replace(&mut slot.body, Body::Free)
    }
}
