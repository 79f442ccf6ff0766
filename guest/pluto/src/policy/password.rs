//! Passwords hashed by bcrypt, the one form that `htpasswd -B`, nginx, Caddy and others have in
//! common.
//!
//! A hash takes from milliseconds to half a second, and a guest has one thread: so it is computed
//! in steps, between which the server serves its other clients.

use crate::limits::BCRYPT_COST_MAX;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use blowfish::Blowfish;
use subtle::ConstantTimeEq;

/// The hash of a password: `$2y$05$` and 53 characters.
#[derive(Clone, Debug)]
pub struct Hash {
    cost: u32,
    salt: [u8; SALT_BYTES],
    digest: [u8; DIGEST_BYTES],
}

const SALT_BYTES: usize = 16;
/// bcrypt computes 24 bytes and has always stored 23.
const DIGEST_BYTES: usize = 23;
const SALT_DIGITS: usize = 22;
/// The digits of bcrypt, which are older than those of RFC 4648. Every implementation ignores the
/// bits behind the last byte, and some write them.
const DIGITS: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));
/// bcrypt reads no more of a password, with the NUL behind it.
const PASSWORD_BYTES_READ: usize = 72;

impl Hash {
    /// Reads a hash. The error says what was expected, and nothing of what was found.
    pub fn parse(text: &str) -> Result<Hash, String> {
        const FORM: &str = "expected a password hashed by bcrypt ($2y$...), as `htpasswd -B` writes it";
        // 2a, 2b and 2y are the same for every password that the right implementations hash; 2x is
        // that of a wrong one.
        let rest = ["$2y$", "$2b$", "$2a$"].iter().find_map(|start| text.strip_prefix(start)).ok_or(FORM)?;
        let (cost, digits) = rest.split_once('$').ok_or(FORM)?;
        let is_number = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost: u32 = cost.parse().ok().filter(|_| is_number).ok_or(FORM)?;
        if !(4..=BCRYPT_COST_MAX).contains(&cost) {
            return Err(format!(
                "expected a hash of cost 4 to {BCRYPT_COST_MAX}, found {cost}: use `htpasswd -B -C 10`"
            ));
        }
        let (salt, digest) = digits.as_bytes().split_at_checked(SALT_DIGITS).ok_or(FORM)?;
        let decoded = |digits| DIGITS.decode(digits).map_err(|_| FORM);
        let salt = decoded(salt)?.try_into().map_err(|_| FORM)?;
        let digest = decoded(digest)?.try_into().map_err(|_| FORM)?;
        Ok(Hash { cost, salt, digest })
    }

    /// How much it costs to verify a password, as a power of two.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Begins to verify a password.
    pub fn verify(&self, password: &[u8]) -> Verification {
        let mut key = password.to_vec();
        key.push(0);
        key.truncate(PASSWORD_BYTES_READ);
        let mut state = Blowfish::bc_init_state();
        state.salted_expand_key(&self.salt, &key);
        Verification { state: Box::new(state), key, hash: self.clone(), rounds: 1 << self.cost }
    }
}

/// The verification of a password, under way.
#[derive(Debug)]
pub struct Verification {
    state: Box<Blowfish>,
    key: Vec<u8>,
    hash: Hash,
    /// Still to be computed.
    rounds: u32,
}

impl Verification {
    /// Computes at most so many rounds; after the last one, whether the password is right.
    pub fn step(&mut self, rounds: u32) -> Option<bool> {
        let rounds = rounds.min(self.rounds);
        for _ in 0..rounds {
            self.state.bc_expand_key(&self.key);
            self.state.bc_expand_key(&self.hash.salt);
        }
        self.rounds -= rounds;
        (self.rounds == 0).then(|| bool::from(self.digest()[..DIGEST_BYTES].ct_eq(&self.hash.digest)))
    }

    fn digest(&self) -> Vec<u8> {
        let mut digest = Vec::with_capacity(DIGEST_BYTES + 1);
        for block in b"OrpheanBeholderScryDoubt".as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *block;
            let mut pair = [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])];
            for _ in 0..64 {
                pair = self.state.bc_encrypt(pair);
            }
            pair.iter().for_each(|word| digest.extend_from_slice(&word.to_be_bytes()));
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(hash: &str, password: &[u8], rounds: u32) -> bool {
        let mut verification = Hash::parse(hash).expect(hash).verify(password);
        loop {
            if let Some(right) = verification.step(rounds) {
                return right;
            }
        }
    }

    /// Vectors that implementations of bcrypt share, and what libxcrypt makes of longer ones.
    #[test]
    fn a_password_is_right_or_wrong() {
        let vectors = [
            ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("p\u{e4}ss w\u{f6}rd:", "$2a$04$abcdefghijklmnopqrstuuNqP/xsApXMKV.YCxhUBgMtvGpzH/r.e"),
        ];
        for (password, hash) in vectors {
            assert!(verify(hash, password.as_bytes(), 1_000), "{password}");
            assert!(verify(&hash.replacen("$2a$", "$2y$", 1), password.as_bytes(), 7), "in steps");
            assert!(!verify(hash, format!("{password}x").as_bytes(), 1_000), "{password}");
        }
        let long = "$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q";
        assert!(verify(long, &b"x".repeat(80), 1_000) && verify(long, &b"x".repeat(72), 1_000));
        assert!(!verify(long, &b"x".repeat(71), 1_000));
    }

    #[test]
    fn what_is_no_hash_is_refused_without_showing_it() {
        let digits = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for (text, expected) in [
            (String::new(), "hashed by bcrypt"),
            ("secret".to_owned(), "hashed by bcrypt"),
            (format!("$2x$05${digits}"), "hashed by bcrypt"),
            (format!("$2y$5${digits}"), "hashed by bcrypt"),
            (format!("$2y$+5${digits}"), "hashed by bcrypt"),
            (format!("$2y$05${}", &digits[1..]), "hashed by bcrypt"),
            (format!("$2y$05${digits}A"), "hashed by bcrypt"),
            (format!("$2y$05${}", digits.replace('.', "!")), "hashed by bcrypt"),
            ("$apr1$salt$digest".to_owned(), "hashed by bcrypt"),
            (format!("$2y$03${digits}"), "cost 4 to 12, found 3"),
            (format!("$2y$31${digits}"), "cost 4 to 12, found 31"),
        ] {
            let error = Hash::parse(&text).expect_err(&text);
            assert!(error.contains(expected) && !error.contains("secret") && !error.contains("CCC"), "{error}");
        }
    }
}
