//! Numbers as digits, without the cost of a formatter: every response has one, and every line of
//! the access log three.

/// The most digits that a number has.
const DIGITS_MAX: usize = 20;

/// A number in decimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; DIGITS_MAX],
    start: usize,
}

impl Decimal {
    /// Writes a number.
    pub fn new(number: u64) -> Decimal {
        let mut decimal = Decimal { digits: [b'0'; DIGITS_MAX], start: DIGITS_MAX };
        let mut rest = number;
        while rest > u64::from(u32::MAX) {
            decimal.put((rest % 10) as u8);
            rest /= 10;
        }
        // In 32 bits, for a quotient of 64 takes a product of 128, which wasm32 does not have.
        let mut rest = rest as u32;
        loop {
            decimal.put((rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                return decimal;
            }
        }
    }

    fn put(&mut self, digit: u8) {
        self.start -= 1;
        self.digits[self.start] = b'0' + digit;
    }

    /// With zeros before it, as so many digits, of which there are 20 at most; more when it has
    /// more.
    pub fn padded(number: u64, digits: usize) -> Decimal {
        let decimal = Decimal::new(number);
        Decimal { start: decimal.start.min(DIGITS_MAX - digits), ..decimal }
    }

    /// The digits.
    pub fn bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }

    /// The digits.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_formatter_does() {
        let check = |number: u64| {
            assert_eq!(Decimal::new(number).text(), number.to_string());
            for digits in [0, 1, 6, 20] {
                assert_eq!(Decimal::padded(number, digits).text(), format!("{number:0digits$}"));
            }
        };
        (0..20).flat_map(|power| [10_u64.pow(power), 10_u64.pow(power) - 1, 7 * 10_u64.pow(power) / 3]).for_each(check);
        check(u64::MAX);
    }
}
