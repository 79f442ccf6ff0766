//! Content codings: what a client accepts, and which of the representations that there are it gets
//! (RFC 9110 §12.5.3).

use super::syntax;

/// A content coding other than none (RFC 9110 §8.4.1), in the order in which the server prefers
/// them when a client has no wish: what is smaller first. That is also their order in the array of
/// a resource's representations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 9110 §8.4.1.3.
    Gzip,
}

/// How many codings there are.
pub const CODINGS: usize = 3;

impl Coding {
    /// All of them, those that the server prefers first.
    pub const ALL: [Coding; CODINGS] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// As `Content-Encoding` has it: the names of IANA's registry.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// The end of the name of a file that holds another one encoded so.
    pub fn suffix(self) -> &'static [u8] {
        match self {
            Coding::Brotli => b".br",
            Coding::Zstd => b".zst",
            Coding::Gzip => b".gz",
        }
    }

    /// Its place among all.
    pub fn index(self) -> usize {
        self as usize
    }

    fn parse(name: &[u8]) -> Option<Coding> {
        // RFC 9110 §8.4.1: case-insensitive. RFC 9110 §8.4.1.3: `x-gzip` means the same as `gzip`.
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match () {
            () if is(b"gzip") || is(b"x-gzip") => Some(Coding::Gzip),
            () if is(b"br") => Some(Coding::Brotli),
            () if is(b"zstd") => Some(Coding::Zstd),
            () => None,
        }
    }
}

/// What a client accepts, in thousandths: 0 is "not acceptable". Without the field nothing but
/// identity is sent, although RFC 9110 §12.5.3 would allow anything: a client that does not name a
/// coding mostly cannot read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    codings: [u16; CODINGS],
    identity: u16,
}

/// The weight of what is not weighed.
const WHOLE: u16 = 1_000;

impl Default for Accepted {
    fn default() -> Accepted {
        Accepted { codings: [0; CODINGS], identity: WHOLE }
    }
}

impl Accepted {
    /// What these lines of `Accept-Encoding` say. A member that cannot be read is ignored.
    pub fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Accepted {
        let (mut codings, mut identity, mut any) = ([None; CODINGS], None, None);
        for member in values.flat_map(|value| value.split(|&byte| byte == b',')) {
            let Some((name, weight)) = weighed(member) else { continue };
            let place = match Coding::parse(name) {
                Some(coding) => &mut codings[coding.index()],
                None if name == b"*" => &mut any,
                None if name.eq_ignore_ascii_case(b"identity") => &mut identity,
                None => continue,
            };
            // Said twice, the one that allows less holds.
            *place = Some(place.map_or(weight, |before: u16| before.min(weight)));
        }
        Accepted {
            // RFC 9110 §12.5.3: the asterisk stands for every coding that is not named; what is
            // neither is not accepted.
            codings: codings.map(|weight| weight.or(any).unwrap_or(0)),
            // Identity is acceptable unless excluded, by name or by the asterisk. Where it is not
            // named and not excluded it is what remains when nothing that was named is there.
            identity: match (identity, any) {
                (Some(weight), _) => weight,
                (None, Some(0)) => 0,
                (None, _) => 1,
            },
        }
    }

    /// Whether the client takes this coding.
    pub fn takes(&self, coding: Coding) -> bool {
        self.codings[coding.index()] > 0
    }

    /// The codings that the client takes, those it likes best first, and the server's own order
    /// where it does not care; before `None` those that it prefers to none, behind it those that
    /// it takes when it must. No `None` means that identity is not acceptable.
    pub fn in_order(&self) -> impl Iterator<Item = Option<Coding>> {
        let mut all = [(0, None); CODINGS + 1];
        for (place, coding) in all.iter_mut().zip(Coding::ALL) {
            *place = (self.codings[coding.index()], Some(coding));
        }
        // A client that weighs identity as high as a coding takes the smaller one.
        all[CODINGS] = (self.identity, None);
        // What weighs most comes next, of equals the first (`max_by_key` takes the last), until
        // what is left weighs nothing.
        std::iter::from_fn(move || {
            let (weight, coding) = all.iter_mut().rev().max_by_key(|(weight, _)| *weight)?;
            (std::mem::take(weight) > 0).then_some(*coding)
        })
    }
}

/// A member of the list, and its weight in thousandths (RFC 9110 §12.4.2).
fn weighed(member: &[u8]) -> Option<(&[u8], u16)> {
    let (name, parameters) = match member.iter().position(|&byte| byte == b';') {
        Some(semicolon) => (&member[..semicolon], Some(&member[semicolon + 1..])),
        None => (member, None),
    };
    let name = syntax::trim(name);
    let weight = match parameters {
        None => WHOLE,
        Some(parameters) => match syntax::trim(parameters) {
            [b'q' | b'Q', b'=', weight @ ..] => thousandths(weight)?,
            _ => return None,
        },
    };
    Some((name, weight))
}

/// `0`, `0.7`, `0.333`, `1`, `1.000`: at most three digits behind the point, at most 1.
fn thousandths(weight: &[u8]) -> Option<u16> {
    let (whole, fraction) = match weight {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(b"000").take(3);
    let fraction = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some(u16::from(whole - b'0') * WHOLE + fraction).filter(|weight| *weight <= WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(values: &[&str]) -> String {
        let accepted = Accepted::read(values.iter().map(|value| value.as_bytes()));
        let names = accepted.in_order().map(|coding| coding.map_or("identity", Coding::name));
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_client_gets_what_it_likes_best() {
        let check = |value: &str, expected: &str| assert_eq!(order(&[value]), expected, "{value:?}");
        check("gzip", "gzip identity");
        check("GZip", "gzip identity");
        check("x-gzip", "gzip identity");
        check("gzip, deflate, br, zstd", "br zstd gzip identity");
        check("gzip,br;q=0.5", "gzip br identity");
        check("br;q=0.5 , gzip;q=0.9,zstd;q=0.7", "gzip zstd br identity");
        check("*", "br zstd gzip identity");
        check("*;q=0.1, gzip", "gzip br zstd identity");
        check("gzip;q=0, *", "br zstd identity");
        check("", "identity");
        check("deflate, compress, sdch", "identity");
        check("identity", "identity");
        check("gzip;q=0", "identity");
        check("gzip;q=0.000", "identity");
        check("gzip;q=0.001", "gzip identity");
        // No coding of a weight below that of identity is used where identity is there, which it
        // always is.
        check("identity, gzip;q=0.5", "identity gzip");
        check("identity;q=0.5, gzip;q=0.5", "gzip identity");
    }

    #[test]
    fn identity_can_be_excluded() {
        let check = |value: &str, expected: &str| assert_eq!(order(&[value]), expected, "{value:?}");
        check("identity;q=0", "");
        check("*;q=0", "");
        check("gzip, identity;q=0", "gzip");
        check("gzip, *;q=0", "gzip");
        check("*;q=0, identity;q=0.5", "identity");
        check("br, *;q=0, identity", "br identity");
    }

    #[test]
    fn lines_are_one_list() {
        assert_eq!(order(&["gzip;q=0.5", "br"]), "br gzip identity");
        assert_eq!(order(&["gzip, gzip;q=0"]), "identity");
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for weight in ["2", "1.001", "0.1234", "-1", "x", "", "1.", "0,", "01", "1e0"] {
            let expected = if weight == "1." { "br gzip identity" } else { "br identity" };
            // `0,` ends the member: it is a weight of 0.
            assert_eq!(order(&[&format!("gzip;q={weight}, br;q=1")]), expected, "{weight:?}");
        }
        assert_eq!(order(&["gzip;level=9, br"]), "br identity");
        assert_eq!(order(&[", ,gzip,,"]), "gzip identity");
        assert_eq!(order(&["gzip ; Q=0.5 ,br;q=0.6"]), "br gzip identity");
    }
}
