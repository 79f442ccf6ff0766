//! Dates, written at most once a second.

use httpdate::HttpDate;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

/// One second, as a response and as the access log write it.
#[derive(Clone, Debug)]
pub struct Date {
    second: u64,
    /// `Sun, 06 Nov 1994 08:49:37 GMT`, the form that RFC 9110 §5.6.7 asks for.
    text: [u8; 29],
}

impl Date {
    /// The second of a time in nanoseconds since the Unix epoch.
    pub fn at(nanoseconds: u64) -> Date {
        let mut date = Date { second: 0, text: [b' '; 29] };
        date.set(nanoseconds);
        date
    }

    /// Moves to the second of another time; costs next to nothing when it is the same one.
    pub fn set(&mut self, nanoseconds: u64) {
        let second = nanoseconds / 1_000_000_000;
        if second != self.second || self.text[0] == b' ' {
            self.second = second;
            let written = write!(&mut self.text[..], "{}", http_date(second));
            debug_assert!(written.is_ok(), "a date takes 29 bytes");
        }
    }

    /// Seconds since the Unix epoch.
    pub fn second(&self) -> u64 {
        self.second
    }

    /// As the field `Date` has it.
    pub fn http(&self) -> &[u8] {
        &self.text
    }

    /// As the common log format has it: `06/Nov/1994:08:49:37 +0000`.
    pub fn write_log(&self, out: &mut String) {
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        for (separator, range) in [("", 5..7), ("/", 8..11), ("/", 12..16), (":", 17..25)] {
            out.push_str(separator);
            out.push_str(text.get(range).unwrap_or_default());
        }
        out.push_str(" +0000");
    }
}

/// A date that the server does not keep, such as that of a file.
pub fn http_date(second: u64) -> HttpDate {
    // The last second of the year 9999 is the last that the form can say.
    HttpDate::from(UNIX_EPOCH + Duration::from_secs(second.min(253_402_300_799)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_written_in_both_forms() {
        let check = |second: u64, http: &str, log: &str| {
            let date = Date::at(second * 1_000_000_000 + 999_999_999);
            let mut found = String::new();
            date.write_log(&mut found);
            assert_eq!((date.http(), found.as_str(), date.second()), (http.as_bytes(), log, second));
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:08:49:37 +0000");
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT", "01/Jan/1970:00:00:00 +0000");
        check(1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT", "29/Feb/2024:00:00:00 +0000");
    }

    #[test]
    fn a_date_moves_with_time() {
        let mut date = Date::at(0);
        date.set(999_999_999);
        assert_eq!(date.http(), b"Thu, 01 Jan 1970 00:00:00 GMT");
        date.set(1_000_000_000);
        assert_eq!(date.http(), b"Thu, 01 Jan 1970 00:00:01 GMT");
        date.set(u64::MAX);
        assert_eq!(date.second(), u64::MAX / 1_000_000_000);
    }

    #[test]
    fn a_date_that_cannot_be_said_is_the_last_that_can() {
        assert_eq!(http_date(u64::MAX).to_string(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
