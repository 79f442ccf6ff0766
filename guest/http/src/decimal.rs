//! Numbers as a fixed count of digits, which times and durations have. `itoa` writes the others.

/// A number as so many digits, with zeros before it; of one that has more digits, the last ones.
pub fn padded<const DIGITS: usize>(number: u32) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_stand_before_a_number() {
        assert_eq!(padded::<6>(0), *b"000000");
        assert_eq!(padded::<6>(1_234), *b"001234");
        assert_eq!(padded::<6>(999_999), *b"999999");
        assert_eq!(padded::<10>(u32::MAX), *b"4294967295");
        assert_eq!(padded::<2>(12), *b"12");
        assert_eq!(padded::<2>(1_234), *b"34");
    }
}
