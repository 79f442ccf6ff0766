//! Dates, written at most once a second.

use crate::decimal::padded;
use httpdate::HttpDate;
use std::io::Write;
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

/// One second, as a response and as the access log write it.
#[derive(Clone, Debug)]
pub struct Date {
    second: u64,
    /// `Date: Sun, 06 Nov 1994 08:49:37 GMT` with its end, in the form that RFC 9110 §5.6.7 asks
    /// for.
    line: [u8; 37],
    /// `06/Nov/1994:08:49:37 +0000`, as the common log format has it.
    log: [u8; 26],
    /// `1994-11-06T08:49:37`, as RFC 3339 has it, without the zone.
    rfc3339: [u8; 19],
}

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The line before a date is written into it.
const EMPTY: &[u8; 37] = b"Date:                              \r\n";

/// Where in the line the date is.
const VALUE: Range<usize> = 6..35;

impl Date {
    /// The second of a time in nanoseconds since the Unix epoch.
    pub fn at(nanoseconds: u64) -> Date {
        let mut date = Date { second: 0, line: *EMPTY, log: [b' '; 26], rfc3339: [b' '; 19] };
        date.write(nanoseconds / 1_000_000_000);
        date
    }

    /// Moves to the second of another time; costs next to nothing when it is the same one.
    pub fn set(&mut self, nanoseconds: u64) {
        let second = nanoseconds / 1_000_000_000;
        if second != self.second {
            self.write(second);
        }
    }

    /// Seconds since the Unix epoch.
    pub fn second(&self) -> u64 {
        self.second
    }

    /// The field `Date`, with the end of its line.
    pub fn line(&self) -> &[u8; 37] {
        &self.line
    }

    /// As the access log has it.
    pub fn log(&self) -> &[u8] {
        &self.log
    }

    /// As RFC 3339 has it, up to the second and without `Z`.
    pub fn rfc3339(&self) -> &[u8] {
        &self.rfc3339
    }

    fn write(&mut self, second: u64) {
        self.second = second;
        let written = write!(&mut self.line[VALUE], "{}", http_date(second));
        debug_assert!(written.is_ok(), "a date takes 29 bytes");
        let http = &self.line[VALUE];
        self.log = *b"dd/mmm/yyyy:hh:mm:ss +0000";
        for (from, to) in [(5..7, 0..2), (8..11, 3..6), (12..16, 7..11), (17..25, 12..20)] {
            self.log[to].copy_from_slice(&http[from]);
        }
        self.rfc3339 = *b"yyyy-mm-ddThh:mm:ss";
        for (from, to) in [(12..16, 0..4), (5..7, 8..10), (17..25, 11..19)] {
            self.rfc3339[to].copy_from_slice(&http[from]);
        }
        let month = MONTHS.iter().zip(1..).find(|(name, _)| http[8..11] == name[..]).map_or(0, |(_, month)| month);
        self.rfc3339[5..7].copy_from_slice(&padded::<2>(month));
    }
}

/// A date that the server does not keep, such as that of a file.
pub fn http_date(second: u64) -> HttpDate {
    // The last second of the year 9999 is the last that the form can say.
    HttpDate::from(UNIX_EPOCH + Duration::from_secs(second.min(253_402_300_799)))
}

/// Reads a date in one of the three forms of RFC 9110 §5.6.7, as seconds since the Unix epoch:
/// negative before it. A year of two digits is one of the years 1970 to 2069. A date whose day of
/// the week is another's is none.
pub fn parse(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    since_1970(text).or_else(|| before_1970(text))
}

fn since_1970(text: &str) -> Option<i64> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// A date of the years 0 to 1969, which the parser does not know. The calendar repeats itself
/// every 400 years, days of the week included: so the date is read as one of a later such cycle.
fn before_1970(text: &str) -> Option<i64> {
    const CYCLE_YEARS: u64 = 400;
    const CYCLE_SECONDS: i64 = 146_097 * 24 * 60 * 60;
    const CYCLES: u64 = 5;
    // `Sun, 06 Nov 1994 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`.
    let place = if text.len() == 29 { 12..16 } else { 20..24 };
    let digits = text.get(place.clone()).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    let year = digits.parse::<u64>().ok().filter(|year| *year < 1_970)?;
    let mut later = text.to_owned();
    later.replace_range(place, &(year + CYCLES * CYCLE_YEARS).to_string());
    Some(since_1970(&later)? - CYCLES.cast_signed() * CYCLE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_written_in_both_forms() {
        let check = |second: u64, http: &str, log: &str, rfc3339: &str| {
            let date = Date::at(second * 1_000_000_000 + 999_999_999);
            assert_eq!(date.line(), format!("Date: {http}\r\n").as_bytes());
            assert_eq!((date.log(), date.second()), (log.as_bytes(), second));
            assert_eq!(date.rfc3339(), rfc3339.as_bytes());
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:08:49:37 +0000", "1994-11-06T08:49:37");
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT", "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00");
        check(1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT", "29/Feb/2024:00:00:00 +0000", "2024-02-29T00:00:00");
    }

    #[test]
    fn a_date_moves_with_time() {
        let mut date = Date::at(0);
        date.set(999_999_999);
        assert_eq!(date.line(), b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
        date.set(1_000_000_000);
        assert_eq!(date.line(), b"Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n");
        assert_eq!(date.log(), b"01/Jan/1970:00:00:01 +0000");
        date.set(u64::MAX);
        assert_eq!(date.second(), u64::MAX / 1_000_000_000);
    }

    #[test]
    fn every_form_of_a_date_is_read() {
        let check = |value: &str, expected: Option<i64>| assert_eq!(parse(value.as_bytes()), expected, "{value:?}");
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777));
        check("Sun Nov  6 08:49:37 1994", Some(784_111_777));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Thursday, 01-Jan-70 00:00:00 GMT", Some(0));
        check("Tuesday, 01-Jan-69 00:00:00 GMT", Some(3_124_224_000));
        check("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800));
        check("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1));
        check("Wed Dec 31 23:59:59 1969", Some(-1));
        check("Mon, 01 Jan 1900 00:00:00 GMT", Some(-2_208_988_800));
        check("Tue, 29 Feb 1600 00:00:00 GMT", Some(-11_670_998_400));
        check("Sat, 01 Jan 0000 00:00:00 GMT", Some(-62_167_219_200));
        check("Thu, 02 Jan 2300 00:00:00 GMT", None);
        check("Tue, 02 Jan 2300 00:00:00 GMT", Some(10_413_878_400));
        for none in [
            "",
            "0",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Thu, 30 Feb 2024 00:00:00 GMT",
            "Thu, 31 Dec 1969 23:59:59 GMT",
            "Wed, 31 Dec -001 23:59:59 GMT",
            "Mon, 30 Feb 1900 00:00:00 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "\u{e9}",
        ] {
            check(none, None);
        }
        assert_eq!(parse(b"\xff"), None);
    }

    #[test]
    fn a_date_that_cannot_be_said_is_the_last_that_can() {
        assert_eq!(http_date(u64::MAX).to_string(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
