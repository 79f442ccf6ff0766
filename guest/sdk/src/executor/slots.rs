//! The pending requests: a slab whose slots carry a generation.
//!
//! An id is `generation << 32 | slot`. So finding a request is an array access, and an id that is
//! stale, unknown or forged is recognised without a search. A slot is free again when the final
//! answer has come *and* was taken.

use crate::contract::Expected;
use crate::contract::{Answer, Id, Reply, Request, Signal};
use std::ops::ControlFlow;
use std::task::{Poll, Waker};

/// What is called for each answer of a request that has many.
pub(crate) type HandlerFn = Box<dyn FnMut(Reply) -> ControlFlow<()>>;

pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Slots whose consumer is `None`.
    free: Vec<u32>,
    /// Requests whose final answer has not come.
    waiting: usize,
}

struct Slot {
    /// Counts the requests that had this slot. Never 0, so that no id is 0.
    generation: u32,
    expected: Expected,
    consumer: Consumer,
}

/// Who takes the answer.
pub(super) enum Consumer {
    /// The slot is free.
    None,
    /// A future that has asked once; it may not have been polled yet.
    Single(Option<Waker>),
    /// The same, and the answer has come.
    Answered(Reply),
    /// A handler; `None` while it is being called.
    Handler(Option<HandlerFn>),
    /// The executor itself.
    Timer,
    /// Nobody: the slot only keeps the id from being used again before the final answer.
    Nobody,
}

/// What is to be done with an answer, outside of the borrow of the state.
pub(super) enum Delivery {
    /// It belongs to no request, or does not fit it: changes nothing.
    Nothing,
    Wake(Waker),
    Call(Id, HandlerFn, Reply),
    /// The final answer: the handler is not connected any more.
    CallLast(HandlerFn, Reply),
    Discard(Reply),
    Timer,
    Pause,
}

impl Consumer {
    /// Whether the host still works on the request, and somebody wants to know.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Consumer::Single(_) | Consumer::Handler(_) | Consumer::Timer)
    }
}

impl Slots {
    pub(super) const fn new() -> Slots {
        Slots { slots: Vec::new(), free: Vec::new(), waiting: 0 }
    }

    /// How many requests have not had their final answer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn insert_single(&mut self, request: &Request) -> Id {
        self.insert(request, Consumer::Single(None))
    }

    pub(super) fn insert_handler(&mut self, request: &Request, handler: HandlerFn) -> Id {
        self.insert(request, Consumer::Handler(Some(handler)))
    }

    pub(super) fn insert_timer(&mut self, request: &Request) -> Id {
        self.insert(request, Consumer::Timer)
    }

    pub(super) fn insert_ignored(&mut self, request: &Request) -> Id {
        self.insert(request, Consumer::Nobody)
    }

    pub(super) fn deliver(&mut self, answer: Answer) -> Delivery {
        let Answer { id, reply } = answer;
        let Some(slot) = self.get(id) else { return Delivery::Nothing };
        if !slot.expected.fits(&reply) {
            return Delivery::Nothing;
        }
        let is_final = slot.expected.arity().is_final(&reply);
        match &mut slot.consumer {
            // A second answer to a request that needs only one.
            Consumer::None | Consumer::Answered(_) => return Delivery::Nothing,
            Consumer::Single(waker) => {
                let waker = waker.take();
                slot.consumer = Consumer::Answered(reply);
                self.waiting -= 1;
                return waker.map_or(Delivery::Nothing, Delivery::Wake);
            }
            _ if matches!(reply, Reply::Signal(Signal::Pause)) => return Delivery::Pause,
            Consumer::Handler(handler) if !is_final => {
                // Being called already: this turn's caller is not reentrant, so there is always a
                // handler here.
                return handler.take().map_or(Delivery::Nothing, |handler| Delivery::Call(id, handler, reply));
            }
            Consumer::Nobody if !is_final => return Delivery::Discard(reply),
            Consumer::Timer | Consumer::Handler(_) | Consumer::Nobody => {}
        }
        self.waiting -= 1;
        match self.release(id) {
            Consumer::Handler(Some(handler)) => Delivery::CallLast(handler, reply),
            Consumer::Timer => Delivery::Timer,
            _ => Delivery::Discard(reply),
        }
    }

    /// What `decode` makes of the answer, if it has come, and the waker that was kept before.
    ///
    /// The reply is decoded where it lies: to move its 64 bytes out first would be the largest
    /// cost of an answer.
    pub(super) fn poll<T>(
        &mut self,
        id: Id,
        waker: &Waker,
        decode: impl FnOnce(Reply) -> T,
    ) -> (Poll<T>, Option<Waker>) {
        let slot = self.get(id).expect("a request that was not taken yet has its slot");
        match &mut slot.consumer {
            Consumer::Single(kept) if kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) => (Poll::Pending, None),
            Consumer::Single(kept) => (Poll::Pending, kept.replace(waker.clone())),
            Consumer::Answered(reply) => {
                let decoded = decode(std::mem::replace(reply, Reply::Done));
                slot.consumer = Consumer::None;
                self.free.push(index_of(id));
                (Poll::Ready(decoded), None)
            }
            _ => unreachable!("only the future of a request polls for its answer"),
        }
    }

    /// Disconnects who takes the answer, and returns it: `None` when the final answer has been
    /// taken.
    pub(super) fn abandon(&mut self, id: Id) -> Consumer {
        match self.get(id) {
            None => Consumer::None,
            Some(Slot { consumer: Consumer::Answered(_), .. }) => self.release(id),
            Some(slot) => std::mem::replace(&mut slot.consumer, Consumer::Nobody),
        }
    }

    /// Gives a handler back after a call. When it was disconnected meanwhile, it is returned, to
    /// be dropped.
    pub(super) fn put_back(&mut self, id: Id, handler: HandlerFn) -> Option<HandlerFn> {
        match self.get(id) {
            Some(Slot { consumer: Consumer::Handler(empty), .. }) => empty.replace(handler),
            _ => Some(handler),
        }
    }

    /// All handlers, to be dropped.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn take_handlers(&mut self) -> Vec<HandlerFn> {
        let handlers = self.slots.iter_mut().filter_map(|slot| match &mut slot.consumer {
            Consumer::Handler(handler) => handler.take(),
            _ => None,
        });
        handlers.collect()
    }

    fn insert(&mut self, request: &Request, consumer: Consumer) -> Id {
        let expected = Expected::answers_to(request);
        self.waiting += 1;
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.generation = slot.generation.wrapping_add(1).max(1);
            slot.expected = expected;
            slot.consumer = consumer;
            return id_of(slot.generation, index);
        }
        let index = u32::try_from(self.slots.len()).expect("the host bounds the pending requests below 2^32");
        self.slots.push(Slot { generation: 1, expected, consumer });
        id_of(1, index)
    }

    /// Frees a slot; returns its consumer.
    fn release(&mut self, id: Id) -> Consumer {
        let index = index_of(id);
        self.free.push(index);
        std::mem::replace(&mut self.slots[index as usize].consumer, Consumer::None)
    }

    /// The slot of a request that has one.
    fn get(&mut self, id: Id) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(index_of(id) as usize)?;
        let live = slot.generation == (id >> 32) as u32 && !matches!(slot.consumer, Consumer::None);
        live.then_some(slot)
    }
}

fn id_of(generation: u32, index: u32) -> Id {
    u64::from(generation) << 32 | u64::from(index)
}

/// The low half of an id. An id is the host's or a test's as well: any number is a possible one.
fn index_of(id: Id) -> u32 {
    id as u32
}
