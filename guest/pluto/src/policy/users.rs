//! Who may log in: a file of names and hashed passwords as `htpasswd -B` writes it, and what a
//! client sends (RFC 7617).

use super::password::Hash;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, PAD};
use pluto_http::limits::AUTHORIZATION_BYTES_MAX;
use pluto_http::syntax;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The users of a file.
#[derive(Clone, Debug)]
pub struct Users {
    hashes: BTreeMap<String, Hash>,
    /// What takes the place of an unknown user's hash, so that asking for one takes as long as for
    /// another.
    decoy: Hash,
    /// The guest has no randomness; the file has, in its salts and hashes, and nobody else knows
    /// it.
    key: [u8; 32],
}

/// RFC 4648 §3.2: the padding is there as a whole, or some clients leave it out. Bits behind the
/// last byte are ignored.
const PADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));
const UNPADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_allow_trailing_bits(true));

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: Vec<u8>,
}

/// Credentials and the file that they are for, as one keyed digest: to remember them without
/// knowing them.
pub type LoginDigest = [u8; 32];

impl Users {
    /// Reads a file. The errors have the numbers of lines, from 1, and what was expected there.
    pub fn parse(text: &str) -> Result<Users, Vec<(usize, String)>> {
        let (mut hashes, mut problems) = (BTreeMap::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let added = parse_user(line).and_then(|(name, hash)| match hashes.insert(name.to_owned(), hash) {
                None => Ok(()),
                Some(_) => Err("expected each user once; this one stands further up as well".to_owned()),
            });
            problems.extend(added.err().map(|problem| (number, problem)));
        }
        let decoy = hashes.values().max_by_key(|hash| hash.cost()).cloned();
        match decoy {
            Some(decoy) if problems.is_empty() => {
                Ok(Users { hashes, decoy, key: Sha256::digest(text.as_bytes()).into() })
            }
            None if problems.is_empty() => {
                Err(vec![(1, "expected at least one user: NAME:HASH, as `htpasswd -B` writes it".to_owned())])
            }
            _ => Err(problems),
        }
    }

    /// The hash to verify a user's password with, and whether there is such a user.
    pub fn hash(&self, user: &str) -> (&Hash, bool) {
        self.hashes.get(user).map_or((&self.decoy, false), |hash| (hash, true))
    }

    /// What these credentials are remembered as.
    pub fn login_digest(&self, credentials: &Credentials) -> LoginDigest {
        let length = (credentials.user.len() as u64).to_le_bytes();
        let mut digest = Sha256::new();
        for piece in [&self.key[..], &length, credentials.user.as_bytes(), &credentials.password] {
            digest.update(piece);
        }
        digest.finalize().into()
    }
}

/// A user's name and hash, from a line. The error says what was expected.
fn parse_user(line: &str) -> Result<(&str, Hash), String> {
    let (name, hash) = line
        .split_once(':')
        .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_control))
        .ok_or("expected NAME:HASH, as `htpasswd -B` writes it")?;
    Ok((name, Hash::parse(hash.trim_end())?))
}

impl Credentials {
    /// Reads the value of `Authorization`. Nothing when it is of another scheme, or malformed,
    /// which is answered in the same way (RFC 9110 §11.6.2).
    pub fn parse(value: &[u8]) -> Option<Credentials> {
        if value.len() > AUTHORIZATION_BYTES_MAX {
            return None;
        }
        let space = value.iter().position(|&byte| byte == b' ')?;
        let (scheme, digits) = value.split_at(space);
        let digits = syntax::trim(digits);
        let decoded = PADDED.decode(digits).or_else(|_| UNPADDED.decode(digits)).ok()?;
        // RFC 7617 §2: neither of both has control characters, and the name has no colon.
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let clean = !decoded.iter().any(u8::is_ascii_control);
        if !scheme.eq_ignore_ascii_case(b"Basic") || !clean {
            return None;
        }
        let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
        Some(Credentials { user, password: decoded[colon + 1..].to_vec() })
    }
}

/// The value of `WWW-Authenticate` (RFC 7617 §2). The realm is a quoted string: visible ASCII,
/// quotation marks escaped.
pub fn challenge(realm: &str) -> String {
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"")
}

/// Whether a realm can be sent. The error says what was expected.
pub fn check_realm(realm: &str) -> Result<(), String> {
    let clean = !realm.is_empty() && realm.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if clean { Ok(()) } else { Err(format!("expected a realm of visible ASCII, found {realm:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    #[test]
    fn a_file_of_users_is_read() {
        let text = format!("# of the site\n\nalice:{HASH}\r\n\u{e9}ric b:{}\n", HASH.replace("$05$", "$06$"));
        let users = Users::parse(&text).expect("users");
        assert!(users.hash("alice").1 && users.hash("\u{e9}ric b").1);
        let (decoy, known) = users.hash("bob");
        assert!(!known && decoy.cost() == 6, "an unknown user takes as long as the slowest known one");
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        let check = |text: &str, line: usize, expected: &str| {
            let problems = Users::parse(text).expect_err(text);
            let [(number, error)] = &problems[..] else { panic!("{problems:?}") };
            assert!(*number == line && error.contains(expected) && !error.contains("secret"), "{number}: {error}");
        };
        check("", 1, "at least one user");
        check("# nobody\n", 1, "at least one user");
        check("secret", 1, "NAME:HASH");
        check(":secret", 1, "NAME:HASH");
        check("a\tb:secret", 1, "NAME:HASH");
        check(&format!("a:{HASH}\nb:secret\n"), 2, "bcrypt");
        check(&format!("a:{HASH}\na:{HASH}\n"), 2, "each user once");
        // All of them are told.
        let text = format!("secret\na:{HASH}\nb:secret\n# c:secret\na:{HASH}\n:x\n");
        let lines: Vec<_> = Users::parse(&text).expect_err("five lines").into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3, 5, 6]);
    }

    #[test]
    fn credentials_are_read_strictly() {
        let check = |value: &str, expected: Option<(&str, &str)>| {
            let found = Credentials::parse(value.as_bytes());
            let expected =
                expected.map(|(user, password)| Credentials { user: user.to_owned(), password: password.into() });
            assert_eq!(found, expected, "{value}");
        };
        check("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame")));
        check("bASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ", Some(("Aladdin", "open sesame")));
        check("Basic YTpiOmM=", Some(("a", "b:c")));
        check("Basic Og==", Some(("", "")));
        check("Basic YTo", Some(("a", "")));
        check("Basic YTp=", Some(("a", "")));
        for wrong in [
            "",
            "Basic",
            "Basic ",
            "Basic YQ==",
            "Bearer YTpi",
            "Basic YTpi YTpi",
            "Basic !",
            "Basic YToA",
            "Basic /zpi",
            "Basic YTo=YTo=",
            "Basic YTo==",
            "Basic YTpi=",
            "Basic YTpiYw=",
            "Basic YTpiY",
            "Basic YTp-",
        ] {
            check(wrong, None);
        }
        check(&format!("Basic {}", "YTpi".repeat(AUTHORIZATION_BYTES_MAX / 4)), None);
    }

    #[test]
    fn a_login_is_remembered_for_its_file_alone() {
        let users = Users::parse(&format!("a:{HASH}\n")).expect("users");
        let others = Users::parse(&format!("a:{HASH}\n\n")).expect("users");
        let credentials = |user: &str, password: &str| Credentials { user: user.to_owned(), password: password.into() };
        let login = users.login_digest(&credentials("a", "bc"));
        assert_eq!(login, users.login_digest(&credentials("a", "bc")));
        assert_ne!(login, users.login_digest(&credentials("ab", "c")));
        assert_ne!(login, others.login_digest(&credentials("a", "bc")));
    }

    #[test]
    fn a_realm_is_quoted() {
        assert_eq!(challenge(r#"a "b\"#), r#"Basic realm="a \"b\\", charset="UTF-8""#);
        assert!(check_realm("a b").is_ok());
        for wrong in ["", "a\r\nb", "\u{e9}", "a\0"] {
            assert!(check_realm(wrong).is_err());
        }
    }
}
