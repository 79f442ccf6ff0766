//! C's `memcmp` for WebAssembly: it compares eight bytes at a time.
//!
//! WebAssembly has no instruction that compares memory, so the compiler calls `memcmp` for nearly
//! every comparison of slices or strings. The standard library's `memcmp` compares one byte at a
//! time. Each byte takes more than 20 instructions, including wasmtime's check of the clock, which
//! is in every loop. For the path of a page of the Rust documentation, that is a twelfth of the
//! cost of its request.
//!
//! A program uses this `memcmp` by depending on the crate, because the linker looks into the
//! standard library only for symbols that no other crate defines. Natively, the crate defines no
//! symbol.

#![cfg_attr(not(test), no_std)]
// Otherwise the compiler may recognise a loop that compares bytes, and replace it by a call of
// `memcmp`, which would then call itself.
#![no_builtins]
// The signature is C's.
#![allow(unsafe_code)]

#[cfg(any(target_arch = "wasm32", test))]
use core::cmp::Ordering;

/// C's `memcmp`. It replaces the standard library's, which the linker uses only where there is no
/// other.
///
/// # Safety
///
/// Neither pointer may be null, and `count` bytes must be readable from each.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    // SAFETY: what the caller promises.
    let [a, b] = [a, b].map(|start| unsafe { core::slice::from_raw_parts(start, count) });
    compare(a, b) as i32
}

/// Compares slices of the same length. The function must not use Rust's comparison of slices,
/// which would call `memcmp` again.
#[cfg(any(target_arch = "wasm32", test))]
#[inline(always)] // a call would need another stack frame
fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while let (Some((word_a, rest_a)), Some((word_b, rest_b))) = (a.split_first_chunk(), b.split_first_chunk()) {
        // Big-endian numbers compare as their bytes do.
        let (word_a, word_b) = (u64::from_be_bytes(*word_a), u64::from_be_bytes(*word_b));
        if word_a != word_b {
            return word_a.cmp(&word_b);
        }
        (a, b) = (rest_a, rest_b);
    }
    if let (Some((half_a, rest_a)), Some((half_b, rest_b))) = (a.split_first_chunk(), b.split_first_chunk()) {
        let (half_a, half_b) = (u32::from_be_bytes(*half_a), u32::from_be_bytes(*half_b));
        if half_a != half_b {
            return half_a.cmp(&half_b);
        }
        (a, b) = (rest_a, rest_b);
    }
    let different = a.iter().zip(b).find(|(byte_a, byte_b)| byte_a != byte_b);
    different.map_or(Ordering::Equal, |(byte_a, byte_b)| byte_a.cmp(byte_b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_standard_library_says() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100_000 {
            let count = random.usize(..40);
            let a: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(count).collect();
            let mut b = a.clone();
            // Usually zero, one or two bytes differ.
            for _ in 0..random.usize(..3).min(count) {
                b[random.usize(..count)] = random.u8(..);
            }
            assert_eq!(compare(&a, &b), a.cmp(&b), "{a:?} {b:?}");
        }
    }
}
