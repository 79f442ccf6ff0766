//! C's `memcmp` for WebAssembly: it compares eight bytes at a time.
//!
//! WebAssembly has no instruction for it, so the compiler calls `memcmp` for nearly every
//! comparison of slices or strings. The standard library's takes one byte at a time, in more than
//! 20 instructions with wasmtime's look at the clock, which is in every loop: for the path of a
//! page of the Rust documentation, a twelfth of what its request costs.
//!
//! A program takes this one by depending on the crate: the linker looks into the standard library
//! only for a symbol that nobody else has. Natively the crate has no symbol.

#![cfg_attr(not(test), no_std)]
// Otherwise the compiler may recognise a loop that compares bytes, and replace it by a call of
// `memcmp`: a call of itself.
#![no_builtins]
// The signature is C's.
#![allow(unsafe_code)]

#[cfg(any(target_arch = "wasm32", test))]
use core::cmp::Ordering;

/// C's `memcmp`, in place of the standard library's, which the linker takes only where there is no
/// other.
///
/// # Safety
///
/// Neither pointer is null, and so many bytes can be read behind each.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    // SAFETY: what the caller promises.
    let [a, b] = [a, b].map(|start| unsafe { core::slice::from_raw_parts(start, count) });
    compare(a, b) as i32
}

/// Compares slices that are equally long. It must not compare slices itself, which would call
/// `memcmp` again.
#[cfg(any(target_arch = "wasm32", test))]
#[inline(always)] // a call would need another stack frame
fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while let (Some((word_a, rest_a)), Some((word_b, rest_b))) = (a.split_first_chunk(), b.split_first_chunk()) {
        // In this order of bytes, numbers compare as the bytes do.
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
            // Mostly none, one or two of the bytes differ.
            for _ in 0..random.usize(..3).min(count) {
                b[random.usize(..count)] = random.u8(..);
            }
            assert_eq!(compare(&a, &b), a.cmp(&b), "{a:?} {b:?}");
        }
    }
}
