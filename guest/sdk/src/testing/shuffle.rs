//! Answers in another order.

use crate::contract::Answer;

/// Holds answers back, and deals them out in an order of its own.
pub(super) struct Shuffle {
    held: Vec<Answer>,
    /// The state of SplitMix64: good enough to deal cards, and small.
    state: u64,
}

impl Shuffle {
    pub(super) fn new(seed: u64) -> Shuffle {
        Shuffle { held: Vec::new(), state: seed }
    }

    /// Takes answers, and gives some of all that it has; none only when it has none.
    pub(super) fn deal(&mut self, answers: Vec<Answer>) -> Vec<Answer> {
        self.held.extend(answers);
        let mut dealt = Vec::new();
        while !self.held.is_empty() && (dealt.is_empty() || !self.next().is_multiple_of(3)) {
            let any = self.next() as usize % self.held.len();
            // The first to the same request: a listener has many.
            let id = self.held[any].id;
            let first = self.held.iter().position(|answer| answer.id == id).unwrap_or(any);
            dealt.push(self.held.remove(first));
        }
        dealt
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
