//! A guest for tests: it compares buffers of all small lengths and alignments, and reports whether
//! the results were right.
//!
//! The SDK's `memcmp` replaces the standard library's only when a guest is linked, so no native
//! test can run it. In this guest, the compiler calls `memcmp` for each comparison of slices,
//! because it does not know their lengths.

use pluto_sdk::info;
use std::cmp::Ordering;
use std::hint::black_box;

/// The length of the longest buffers, in bytes. `memcmp` has a loop for words of eight bytes, a
/// step for four bytes, and a loop for the rest. Lengths below four words take these in every
/// combination.
const LENGTH_MAX: usize = 31;

/// Buffers begin at each of these offsets from a multiple of eight.
const ALIGNMENTS: usize = 8;

/// Makes all comparisons, whatever the arguments are. The error is the first wrong result.
pub async fn main(_args: Vec<String>) -> Result<(), String> {
    let mut compared = 0_u32;
    for length in 0..=LENGTH_MAX {
        for (start_a, start_b) in (0..ALIGNMENTS).flat_map(|a| (0..ALIGNMENTS).map(move |b| (a, b))) {
            compared += check(length, start_a, start_b)?;
        }
    }
    info!("compared {compared} pairs of buffers: every answer was right");
    Ok(())
}

pluto_sdk::main!(main);

/// Compares two buffers of this length, which are equal or first differ at each of their bytes in
/// turn. Returns the number of pairs.
fn check(length: usize, start_a: usize, start_b: usize) -> Result<u32, String> {
    // The bytes outside of the buffers differ.
    let (mut a, mut b) = ([0x55; LENGTH_MAX + 2 * ALIGNMENTS], [0xaa; LENGTH_MAX + 2 * ALIGNMENTS]);
    let (a, b) = (&mut a[start_a..start_a + length], &mut b[start_b..start_b + length]);
    let mut compared = 0;
    for first in 0..=length {
        // The first difference decides, and later differences say the opposite. Bytes are
        // unsigned.
        for (byte_a, byte_b, expected) in [(0x7f, 0x80, Ordering::Less), (0xff, 0x01, Ordering::Greater)] {
            for at in 0..length {
                (a[at], b[at]) = match at.cmp(&first) {
                    Ordering::Less => (at as u8, at as u8),
                    Ordering::Equal => (byte_a, byte_b),
                    Ordering::Greater => (byte_b, byte_a),
                };
            }
            let expected = if first == length { Ordering::Equal } else { expected };
            let (a, b) = (black_box(&*a), black_box(&*b));
            let found = (a.cmp(b), a == b);
            if found != (expected, expected == Ordering::Equal) {
                return Err(format!(
                    "buffers of {length} bytes at offsets {start_a} and {start_b}, which first differ at byte {first}: \
                     expected {expected:?}, found {found:?}"
                ));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pluto_sdk::testing::{Outcome, run_on_answers};

    /// Natively, the standard library compares. So this test shows that the expectations are
    /// right.
    #[test]
    fn the_expectations_are_those_of_the_standard_library() {
        let turns = run_on_answers(main, &["0"], 0, Vec::new());
        assert_eq!(turns[0].outcome, Some(Outcome::Exit(0)), "{:?}", turns[0].logs);
    }
}
